"""What goes to the contract and what comes back: exact, and never believed unless it fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger import protocol
from colearn_ledger.chains.cosmos.calls import Calls, Queries, Query
from colearn_ledger.chains.cosmos.errors import (
    Refused,
    classify_refusal,
    find_contract_error,
    find_expected_sequence,
    find_wanted_fee,
)
from colearn_ledger.chains.cosmos.happenings import events_of
from colearn_ledger.chains.cosmos.node import ChainEvent
from colearn_ledger.chains.cosmos.wire import error_from_wire, params_from_wire, params_to_wire
from colearn_ledger.chains.errors import BadAnswer, Refusal
from colearn_ledger.protocol import (
    BallotState,
    ContentRef,
    Duty,
    ExperimentId,
    ExperimentParams,
    InvalidParameter,
    Phase,
    ProtocolError,
    Scores,
    SignedBallot,
    Status,
    UnknownExperiment,
    Vote,
)
from tests.support.contract_answers import (
    ANA,
    BALLOT,
    BOB,
    CONTENT,
    CONTRACT,
    EXPERIMENT,
    LEARNER,
    PARAMS,
    ROUND,
)

ONE = ExperimentId(1)
SPEC = ContentRef.from_digest(85, b"\xab" * 32, "ab" * 32, 1_200)
GOOD = ExperimentParams("hospitals", SPEC, None, 10, 3, 5)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)

QUERIES: list[tuple[Query[Any], dict[str, Any]]] = [
    (Queries.experiment(ONE), EXPERIMENT),
    (Queries.experiments(0, 10), {"experiments": [EXPERIMENT]}),
    (Queries.learner(ONE, ANA), LEARNER),
    (Queries.learners(ONE, 0, 10), {"learners": [LEARNER]}),
    (Queries.round(ONE, 0), ROUND),
    (Queries.rounds(ONE, 0, 10), {"rounds": [ROUND]}),
    (Queries.ballot(ONE, 0, ANA), BALLOT),
    (Queries.ballots(ONE, 0, 0, 10), {"ballots": [BALLOT]}),
    (Queries.current_weights(ONE), {"content": CONTENT}),
    (Queries.duty(ONE, ANA), {"duty": "propose"}),
]
NAMES = [next(iter(query.message)) for query, _ in QUERIES]


# ------------------------------------------------------------------ going out


def test_every_call_is_the_message_of_the_contract():
    vote = Vote(True, Scores(0.5, None))
    scores = {"vote_score": "4602678819172646912", "test_score": "9221120237041090560"}
    zero, place = "A" * 43 + "=", {"experiment": "1", "round": 0}
    signed = SignedBallot(ANA, vote, b"\2" + bytes(96))
    assert Calls.create(GOOD) == {"create": {"params": PARAMS}}
    assert Calls.admit(ONE, [ANA, BOB]) == {"admit": {"experiment": "1", "accounts": [ANA, BOB]}}
    assert Calls.join(ONE, bytes(32)) == {"join": {"experiment": "1", "encryption_key": zero}}
    assert Calls.remove(ONE, BOB) == {"remove": {"experiment": "1", "learner": BOB}}
    proposed = {"propose": {**place, "content": CONTENT, **scores}}
    assert Calls.propose(ONE, 0, SPEC, vote.scores) == proposed
    assert Calls.decline(ONE, 0) == {"decline": place}
    assert Calls.vote(ONE, 0, vote) == {"vote": {**place, "approve": True, **scores}}
    assert Calls.commit(ONE, 0, bytes(32)) == {"commit": {**place, "commitment": zero}}
    revealed = {**place, "approve": True, **scores, "salt": zero}
    assert Calls.reveal(ONE, 0, vote, bytes(32)) == {"reveal": revealed}
    (ballot,) = Calls.vote_signed(ONE, 0, [signed])["vote_signed"]["ballots"]
    assert ballot == {
        **{"learner": ANA, "approve": True, **scores},
        "public_key": "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "signature": "A" * 86 + "==",
    }
    for name in ("leave", "start", "cancel", "advance"):
        assert getattr(Calls, name)(ONE) == {name: {"experiment": "1"}}


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Calls.create(replace(GOOD, name="\ud800")), "name"),
        (lambda: Calls.create(replace(GOOD, name=7)), "name"),
        (lambda: Calls.create(replace(GOOD, spec=None)), "spec"),
        (lambda: Calls.create(replace(GOOD, initial="x")), "initial"),
        (lambda: Calls.create(replace(GOOD, vote_window=2**32)), "vote_window"),
        (lambda: Calls.create(replace(GOOD, max_strikes=-1)), "max_strikes"),
        (lambda: Calls.create(replace(GOOD, late_join=1)), "late_join"),
        (lambda: Calls.create(replace(GOOD, selection=9)), "selection"),
        (lambda: Calls.admit(ONE, [ANA, ANA[:-1]]), "accounts"),
        (lambda: Calls.join(ONE, b"short"), "encryption_key"),
        (lambda: Calls.remove(ONE, "0x" + "11" * 20), "account"),
        (lambda: Calls.propose(ONE, 0, None, Scores()), "content"),
        (lambda: Calls.vote(ONE, 0, Vote(1)), "vote"),
        (lambda: Calls.vote(ONE, True, Vote(True)), "round"),
        (lambda: Calls.commit(ONE, 0, b""), "commitment"),
        (lambda: Calls.reveal(ONE, 0, Vote(True), b""), "salt"),
        (lambda: Calls.vote_signed(ONE, 0, [SignedBallot("x", Vote(True), b"")]), "ballots"),
        (lambda: Queries.learner("1", ANA), "experiment"),
        (lambda: Queries.duty(ONE, "wasm1"), "account"),
    ],
)
def test_what_is_no_value_is_refused_before_anything_is_sent(call: Callable[[], Any], name: str):
    with pytest.raises(InvalidParameter) as refused:
        call()
    assert refused.value.args == (name,)


def test_what_the_contract_can_refuse_itself_is_left_to_it():
    wild = params_to_wire(replace(GOOD, rounds=2**40, approval_bps=-3))
    assert (wild["rounds"], wild["approval_bps"]) == (2**32 - 1, 0)
    assert Calls.decline(ONE, -1)["decline"]["round"] == 2**32 - 1
    assert Queries.learners(ONE, -5, 10**9).message["learners"]["limit"] == 100
    for unknown in (-1, 2**64):
        with pytest.raises(UnknownExperiment):
            Calls.start(ExperimentId(unknown))


@given(
    st.text(max_size=64).filter(lambda text: "\ud800" not in text),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_parameters_come_back_as_they_went(name: str, number: int, flag: bool):
    sent = replace(GOOD, name=name, rounds=number, vote_window=number, late_join=flag, initial=SPEC)
    try:
        wire = params_to_wire(sent)
    except InvalidParameter:
        return  # a lone surrogate
    assert params_from_wire(json.loads(json.dumps(wire))) == sent


# ------------------------------------------------------------------ coming in


def test_answers_become_values_of_the_domain():
    values = {
        name: query.read(answer) for name, (query, answer) in zip(NAMES, QUERIES, strict=True)
    }
    assert values["experiment"].params == GOOD
    assert values["experiments"] == [values["experiment"]]
    assert (values["experiment"].status, values["experiment"].round) == (Status.RUNNING, 0)
    assert values["learner"].encryption_key == b"\xab" * 32
    assert (values["round"].phase, values["round"].content) == (Phase.VOTING, SPEC)
    assert values["ballot"].state == BallotState.APPROVED
    assert values["current_weights"] == SPEC
    assert values["duty"] == Duty.PROPOSE


@pytest.mark.parametrize(("query", "answer"), QUERIES, ids=NAMES)
@given(data=st.data())
def test_no_damaged_answer_is_believed_or_breaks_anything(
    query: Query[Any], answer: dict[str, Any], data: st.DataObject
):
    """Put something else anywhere in a good answer: it is refused, or happens to be good too."""
    damaged = json.loads(json.dumps(answer))
    place, key = damaged, data.draw(st.sampled_from(sorted(damaged)))
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else [0]))
    if data.draw(st.booleans()) and isinstance(place, dict):
        del place[key]
    else:
        place[key] = data.draw(JUNK)
    with suppress(BadAnswer):
        query.read(damaged)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (Queries.experiment(ONE), {**EXPERIMENT, "id": "2"}),
        (Queries.experiment(ONE), {**EXPERIMENT, "id": 1}),
        (Queries.experiment(ONE), {**EXPERIMENT, "id": "٣"}),
        (Queries.experiment(ONE), {**EXPERIMENT, "status": "RUNNING"}),
        (Queries.experiment(ONE), {**EXPERIMENT, "seed": "AA=="}),
        (Queries.experiment(ONE), {**EXPERIMENT, "created_at": 2**63}),
        (Queries.experiment(ONE), {**EXPERIMENT, "params": {**PARAMS, "spec": None}}),
        (Queries.experiment(ONE), {**EXPERIMENT, "creator": "0x" + "11" * 20}),
        (Queries.learner(ONE, ANA), {**LEARNER, "active": 1}),
        (Queries.learner(ONE, ANA), {**LEARNER, "experiment": "2"}),
        (Queries.learner(ONE, ANA), {**LEARNER, "strikes": True}),
        (Queries.round(ONE, 0), {**ROUND, "eligible": -1}),
        (Queries.round(ONE, 0), {**ROUND, "content": {**CONTENT, "size": "0"}}),
        (Queries.round(ONE, 0), {**ROUND, "content": {**CONTENT, "codec": 86}}),
        (Queries.ballot(ONE, 1, ANA), BALLOT),
        (Queries.ballots(ONE, 0, 0, 5), {"ballots": [BALLOT] * 101}),
        (Queries.duty(ONE, ANA), {"duty": "steal"}),
        (Queries.duty(ONE, ANA), []),
    ],
)
def test_an_answer_that_only_looks_good_is_refused(query: Query[Any], answer: Any):
    with pytest.raises(BadAnswer):
        query.read(answer)


# ------------------------------------------------------------------ errors

_ERRORS: list[tuple[str, ProtocolError]] = [
    ("UnknownExperiment([7])", protocol.UnknownExperiment(7)),
    ('InvalidParameter(["min_learners"])', protocol.InvalidParameter("min_learners")),
    *(
        (f'{kind.__name__}(["{ANA}"])', kind(ANA))
        for kind in (
            protocol.NotCreator,
            protocol.NotAdmitted,
            protocol.AlreadyJoined,
            protocol.NotALearner,
            protocol.NotProposer,
            protocol.NotEligible,
            protocol.AlreadyVoted,
            protocol.BadReveal,
        )
    ),
    ("ExperimentFull([5])", protocol.ExperimentFull(5)),
    ('WrongStatus(["enrolling"])', protocol.WrongStatus(Status.ENROLLING)),
    ('WrongPhase(["voting"])', protocol.WrongPhase(Phase.VOTING)),
    ("WrongRound([4294967295])", protocol.WrongRound(2**32 - 1)),
    ("Unchanged([])", protocol.Unchanged()),
    ("NotRemovable([1])", protocol.NotRemovable(1)),
    ("DeadlinePassed([1800000670])", protocol.DeadlinePassed(1_800_000_670)),
    ("DeadlineNotPassed([1800000670])", protocol.DeadlineNotPassed(1_800_000_670)),
]


@pytest.mark.parametrize(("said", "meant"), _ERRORS, ids=[said[:20] for said, _ in _ERRORS])
def test_the_contracts_errors_are_the_protocols(said: str, meant: ProtocolError):
    words = f"failed to execute message; message index: 0: colearn:{said}: execute wasm contract"
    refusal = find_contract_error(words)
    assert refusal is not None
    error = error_from_wire(refusal)
    assert (type(error), error.args) == (type(meant), meant.args)


def test_every_error_of_the_protocol_is_known():
    kinds = {kind.__name__ for kind in ProtocolError.__subclasses__()}
    assert kinds == {type(meant).__name__ for _, meant in _ERRORS}


@pytest.mark.parametrize(
    "said",
    ["NotCreator([7])", "WrongStatus([\"dead\"])", "Unchanged([1])", "NotRemovable([])",
     "Exploded([])", "WrongRound([-1])", "DeadlinePassed([true])", "NotCreator([nonsense])"],
)  # fmt: skip
def test_an_error_that_is_none_of_them_is_a_bad_answer(said: str):
    with pytest.raises(BadAnswer):
        error_from_wire(find_contract_error(f"x colearn:{said}: y") or Refused("none", ()))


def test_other_words_are_no_error_of_the_contract():
    assert find_contract_error("out of gas in location: wasm contract; gasWanted: 1") is None
    assert find_contract_error("colearn:Broken(") is None


# ------------------------------------------------------------------ events


def happened(kind: str, contract: str = CONTRACT, **fields: str) -> ChainEvent:
    attributes = {"_contract_address": contract, "experiment": "1", **fields}
    return ChainEvent(f"wasm-{kind}", tuple(attributes.items()))


def test_all_events_are_read_also_several_of_a_kind_and_others_left_out():
    scores = {"vote_score": "4602678819172646912", "test_score": "9221120237041090560"}
    cast = {"round": "0", "approve": "true", **scores}
    events = [
        ChainEvent("tx", (("fee", "1stake"),)),
        happened("vote_cast", learner=ANA, msg_index="0", **cast),
        happened("vote_cast", learner=BOB, msg_index="0", **cast),
        happened("vote_cast", contract=ANA, learner=BOB, **cast),
        happened("something_of_later_versions"),
        ChainEvent("wasm", (("_contract_address", CONTRACT),)),
        happened("ballot_skipped", round="0", learner=ANA, reason="not_eligible"),
    ]
    vote = Vote(True, Scores(0.5, None))
    assert events_of(events, CONTRACT) == [
        protocol.VoteCast(1, 0, ANA, vote),
        protocol.VoteCast(1, 0, BOB, vote),
        protocol.BallotSkipped(1, 0, ANA, protocol.SkipReason.NOT_ELIGIBLE),
    ]


def test_every_event_of_the_protocol_is_read():
    word, scores = "ab" * 32, {"vote_score": "0", "test_score": "0"}
    place = {"round": "3"}
    seen = events_of(
        [
            happened("experiment_created", creator=ANA, params=json.dumps(PARAMS)),
            happened("learner_admitted", learner=ANA),
            happened("learner_joined", learner=ANA, index="4", encryption_key=word),
            happened("learner_left", learner=ANA),
            happened("learner_removed", learner=ANA),
            happened("experiment_started"),
            happened(
                "round_started", **place, proposer=ANA, eligible="4", needed="2", deadline="9"
            ),
            happened(
                **{"kind": "weights_proposed", "proposer": ANA, "deadline": "9", **place, **scores},
                **{"codec": "85", "digest": word, "sha256": word, "size": "1200"},
            ),
            happened("proposal_declined", **place, proposer=ANA),
            happened("vote_committed", **place, learner=ANA, commitment=word),
            happened("reveal_started", **place, deadline="9"),
            happened("vote_cast", **place, learner=ANA, approve="false", **scores),
            happened("ballot_skipped", **place, learner=ANA, reason="bad_signature"),
            happened(
                **{"kind": "round_closed", "outcome": "no_proposal", "eligible": "4", **place},
                **{"approvals": "0", "rejections": "0"},
            ),
            happened("experiment_completed"),
            happened("experiment_cancelled"),
        ],
        CONTRACT,
    )
    kinds = {kind.__name__ for kind in protocol.Event.__subclasses__()}
    assert {type(event).__name__ for event in seen} == kinds
    assert len(seen) == len(kinds)
    proposed = next(e for e in seen if isinstance(e, protocol.WeightsProposed))
    assert (proposed.content, proposed.scores) == (SPEC, Scores(0.0, 0.0))
    assert seen[0] == protocol.ExperimentCreated(1, ANA, GOOD)


@pytest.mark.parametrize(
    "event",
    [
        happened("learner_left"),
        happened("learner_left", learner="nobody"),
        happened("learner_joined", learner=ANA, index="x", encryption_key="ab" * 32),
        happened("learner_joined", learner=ANA, index="1", encryption_key="AB" * 32),
        happened("round_closed", round="0", outcome="4", approvals="0", rejections="0"),
        happened("experiment_created", creator=ANA, params="{"),
        happened("reveal_started", round=str(2**32), deadline="1"),
        ChainEvent(
            "wasm-learner_left",
            (("_contract_address", CONTRACT), ("experiment", "1"), ("experiment", "2"),
             ("learner", ANA)),
        ),
    ],
)  # fmt: skip
def test_an_event_that_is_not_whole_is_a_bad_answer(event: ChainEvent):
    with pytest.raises(BadAnswer, match=event.type):
        events_of([event], CONTRACT)


# ------------------------------------------------------------------ the chain's refusals


@pytest.mark.parametrize(
    ("code", "space", "words", "meant"),
    [
        (0, "", "", Refusal.NONE),
        (5, "sdk", "spendable balance 0stake is smaller than 5stake", Refusal.FUNDS),
        (11, "sdk", "out of gas in location: WritePerByte", Refusal.GAS),
        (13, "sdk", "insufficient fees; got: 1stake required: 25stake", Refusal.FEE),
        (19, "sdk", "tx already in mempool", Refusal.KNOWN),
        (20, "sdk", "mempool is full", Refusal.FULL),
        (32, "sdk", "account sequence mismatch, expected 5, got 4", Refusal.NONCE_USED),
        (1, "", "account sequence mismatch, expected 5, got 4: incorrect", Refusal.NONCE_USED),
        (1, "", "mempool is full: number of txs 5000", Refusal.FULL),
        (5, "wasm", "execute wasm contract failed", Refusal.OTHER),
        (4, "sdk", "signature verification failed", Refusal.OTHER),
    ],
)
def test_codes_and_words_mean_what_they_say(code: int, space: str, words: str, meant: Refusal):
    assert classify_refusal(code, space, words) == meant


def test_a_chain_tells_the_sequence_and_the_fee_it_wants():
    assert find_expected_sequence("account sequence mismatch, expected 12, got 4: x") == 12
    assert find_expected_sequence("something else") is None
    assert find_wanted_fee("insufficient fees; got: 1stake required: 25stake: x", "stake") == 25
    assert find_wanted_fee("got:  required: 3atom,25stake", "stake") == 25
    assert find_wanted_fee("insufficient fees; got: 1x required: 25ustake", "stake") is None
