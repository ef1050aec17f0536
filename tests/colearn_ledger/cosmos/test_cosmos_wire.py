"""Messages to the CosmWasm contract are exact, and its malformed answers are refused."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger import protocol
from colearn_ledger.calls import CALLS, QUERIES, Query
from colearn_ledger.chains.cosmos.encoder import CosmosEncoder
from colearn_ledger.chains.cosmos.errors import (
    Refused,
    classify_refusal,
    find_contract_error,
    find_expected_sequence,
    find_wanted_fee,
)
from colearn_ledger.chains.cosmos.event_codec import decode_events
from colearn_ledger.chains.cosmos.records import ChainEvent
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

ENCODER = CosmosEncoder()
ANSWERS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "experiment": ((ONE,), EXPERIMENT),
    "experiments": ((0, 10), {"experiments": [EXPERIMENT]}),
    "learner": ((ONE, ANA), LEARNER),
    "learners": ((ONE, 0, 10), {"learners": [LEARNER]}),
    "round": ((ONE, 0), ROUND),
    "rounds": ((ONE, 0, 10), {"rounds": [ROUND]}),
    "ballot": ((ONE, 0, ANA), BALLOT),
    "ballots": ((ONE, 0, 0, 10), {"ballots": [BALLOT]}),
    "current_weights": ((ONE,), {"content": CONTENT}),
    "duty": ((ONE, ANA), {"duty": "propose"}),
}
"""Arguments and a valid answer of every query."""


def encode(name: str, *arguments: Any) -> dict[str, Any]:
    return ENCODER.encode({**CALLS, **QUERIES}[name], arguments)


def decode(name: str, answer: Any, *arguments: Any) -> Any:
    query: Query[Any] = QUERIES[name]
    return ENCODER.decode(query, arguments or ANSWERS[name][0], answer)


# ------------------------------------------------------------------ encoding


def test_every_call_has_the_message_of_the_contract():
    vote = Vote(True, Scores(0.5, None))
    scores = {"vote_score": "4602678819172646912", "test_score": "9221120237041090560"}
    zero, place = "A" * 43 + "=", {"experiment": "1", "round": 0}
    signed = SignedBallot(ANA, vote, b"\2" + bytes(96))
    assert encode("create", GOOD) == {"create": {"params": PARAMS}}
    admitted = {"experiment": "1", "accounts": [ANA, BOB]}
    assert encode("admit", ONE, [ANA, BOB]) == {"admit": admitted}
    joined = {"experiment": "1", "encryption_key": zero}
    assert encode("join", ONE, bytes(32)) == {"join": joined}
    assert encode("remove", ONE, BOB) == {"remove": {"experiment": "1", "learner": BOB}}
    proposed = {"propose": {**place, "content": CONTENT, **scores}}
    assert encode("propose", ONE, 0, SPEC, vote.scores) == proposed
    assert encode("decline", ONE, 0) == {"decline": place}
    assert encode("vote", ONE, 0, vote) == {"vote": {**place, "approve": True, **scores}}
    assert encode("commit", ONE, 0, bytes(32)) == {"commit": {**place, "commitment": zero}}
    revealed = {**place, "approve": True, **scores, "salt": zero}
    assert encode("reveal", ONE, 0, vote, bytes(32)) == {"reveal": revealed}
    (ballot,) = encode("vote_signed", ONE, 0, [signed])["vote_signed"]["ballots"]
    assert ballot == {
        **{"learner": ANA, "approve": True, **scores},
        "public_key": "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "signature": "A" * 86 + "==",
    }
    for name in ("leave", "start", "cancel", "advance"):
        assert encode(name, ONE) == {name: {"experiment": "1"}}


def test_every_query_has_the_message_of_the_contract():
    assert encode("experiments", 2, 10) == {"experiments": {"start": 2, "limit": 10}}
    page = {"experiment": "1", "round": 0, "start": 0, "limit": 10}
    assert encode("ballots", ONE, 0, 0, 10) == {"ballots": page}
    place = {"experiment": "1", "round": 0, "account": ANA}
    assert encode("ballot", ONE, 0, ANA) == {"ballot": place}
    assert encode("duty", ONE, ANA) == {"duty": {"experiment": "1", "account": ANA}}


def test_numbers_beyond_the_types_of_the_contract_are_refused_or_left_to_it():
    wild = params_to_wire(replace(GOOD, rounds=2**40, approval_bps=-3))
    assert (wild["rounds"], wild["approval_bps"]) == (2**32 - 1, 0)
    for name, value in (("vote_window", 2**32), ("max_strikes", -1)):
        with pytest.raises(InvalidParameter) as refused:
            params_to_wire(replace(GOOD, **{name: value}))
        assert refused.value.args == (name,)


@given(
    st.text(max_size=64).filter(lambda text: "\ud800" not in text),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_encoded_parameters_are_decoded_again(name: str, number: int, flag: bool):
    sent = replace(GOOD, name=name, rounds=number, vote_window=number, late_join=flag, initial=SPEC)
    assert params_from_wire(json.loads(json.dumps(params_to_wire(sent)))) == sent


# ------------------------------------------------------------------ decoding


def test_answers_become_values_of_the_protocol():
    assert set(ANSWERS) == set(QUERIES)
    values = {name: decode(name, answer) for name, (_, answer) in ANSWERS.items()}
    assert values["experiment"].params == GOOD
    assert values["experiments"] == [values["experiment"]]
    assert (values["experiment"].status, values["experiment"].round) == (Status.RUNNING, 0)
    assert values["learner"].encryption_key == b"\xab" * 32
    assert (values["round"].phase, values["round"].content) == (Phase.VOTING, SPEC)
    assert values["ballot"].state == BallotState.APPROVED
    assert values["current_weights"] == SPEC
    assert values["duty"] == Duty.PROPOSE


@pytest.mark.parametrize("name", ANSWERS)
@given(data=st.data())
def test_damaged_answer_is_a_bad_answer_or_a_value(name: str, data: st.DataObject):
    """Replace any part of a valid answer: it is refused, unless the result is valid too."""
    damaged = json.loads(json.dumps(ANSWERS[name][1]))
    place, key = damaged, data.draw(st.sampled_from(sorted(damaged)))
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else [0]))
    if data.draw(st.booleans()) and isinstance(place, dict):
        del place[key]
    else:
        place[key] = data.draw(JUNK)
    with suppress(BadAnswer):
        decode(name, damaged)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("experiment", {**EXPERIMENT, "id": "2"}),
        ("experiment", {**EXPERIMENT, "id": 1}),
        ("experiment", {**EXPERIMENT, "id": "٣"}),
        ("experiment", {**EXPERIMENT, "status": "RUNNING"}),
        ("experiment", {**EXPERIMENT, "seed": "AA=="}),
        ("experiment", {**EXPERIMENT, "created_at": 2**63}),
        ("experiment", {**EXPERIMENT, "params": {**PARAMS, "spec": None}}),
        ("experiment", {**EXPERIMENT, "creator": "0x" + "11" * 20}),
        ("learner", {**LEARNER, "active": 1}),
        ("learner", {**LEARNER, "experiment": "2"}),
        ("learner", {**LEARNER, "strikes": True}),
        ("round", {**ROUND, "eligible": -1}),
        ("round", {**ROUND, "content": {**CONTENT, "size": "0"}}),
        ("round", {**ROUND, "content": {**CONTENT, "codec": 86}}),
        ("ballot", {**BALLOT, "round": 1}),
        ("ballots", {"ballots": [BALLOT] * 101}),
        ("duty", {"duty": "steal"}),
        ("duty", []),
    ],
)
def test_malformed_answer_is_refused(name: str, answer: Any):
    with pytest.raises(BadAnswer):
        decode(name, answer)


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


@pytest.mark.parametrize(("text", "expected"), _ERRORS, ids=[text[:20] for text, _ in _ERRORS])
def test_errors_of_the_contract_become_errors_of_the_protocol(text: str, expected: ProtocolError):
    log = f"failed to execute message; message index: 0: colearn:{text}: execute wasm contract"
    refusal = find_contract_error(log)
    assert refusal is not None
    error = error_from_wire(refusal)
    assert (type(error), error.args) == (type(expected), expected.args)


def test_table_covers_every_error_of_the_protocol():
    kinds = {kind.__name__ for kind in ProtocolError.__subclasses__()}
    assert kinds == {type(error).__name__ for _, error in _ERRORS}


@pytest.mark.parametrize(
    "text",
    ["NotCreator([7])", "WrongStatus([\"dead\"])", "Unchanged([1])", "NotRemovable([])",
     "Exploded([])", "WrongRound([-1])", "DeadlinePassed([true])", "NotCreator([nonsense])"],
)  # fmt: skip
def test_unknown_or_malformed_error_is_a_bad_answer(text: str):
    with pytest.raises(BadAnswer):
        error_from_wire(find_contract_error(f"x colearn:{text}: y") or Refused("none", ()))


def test_other_failures_are_not_errors_of_the_contract():
    assert find_contract_error("out of gas in location: wasm contract; gasWanted: 1") is None
    assert find_contract_error("colearn:Broken(") is None


# ------------------------------------------------------------------ events


def chain_event(kind: str, contract: str = CONTRACT, **fields: str) -> ChainEvent:
    attributes = {"_contract_address": contract, "experiment": "1", **fields}
    return ChainEvent(f"wasm-{kind}", tuple(attributes.items()))


def test_events_of_other_contracts_and_unknown_events_are_skipped():
    scores = {"vote_score": "4602678819172646912", "test_score": "9221120237041090560"}
    cast = {"round": "0", "approve": "true", **scores}
    events = [
        ChainEvent("tx", (("fee", "1stake"),)),
        chain_event("vote_cast", learner=ANA, msg_index="0", **cast),
        chain_event("vote_cast", learner=BOB, msg_index="0", **cast),
        chain_event("vote_cast", contract=ANA, learner=BOB, **cast),
        chain_event("something_of_later_versions"),
        ChainEvent("wasm", (("_contract_address", CONTRACT),)),
        chain_event("ballot_skipped", round="0", learner=ANA, reason="not_eligible"),
    ]
    vote = Vote(True, Scores(0.5, None))
    assert decode_events(events, CONTRACT) == [
        protocol.VoteCast(1, 0, ANA, vote),
        protocol.VoteCast(1, 0, BOB, vote),
        protocol.BallotSkipped(1, 0, ANA, protocol.SkipReason.NOT_ELIGIBLE),
    ]


def test_every_event_of_the_protocol_is_decoded():
    word, scores = "ab" * 32, {"vote_score": "0", "test_score": "0"}
    place = {"round": "3"}
    decoded = decode_events(
        [
            chain_event("experiment_created", creator=ANA, params=json.dumps(PARAMS)),
            chain_event("learner_admitted", learner=ANA),
            chain_event("learner_joined", learner=ANA, index="4", encryption_key=word),
            chain_event("learner_left", learner=ANA),
            chain_event("learner_removed", learner=ANA),
            chain_event("experiment_started"),
            chain_event(
                "round_started", **place, proposer=ANA, eligible="4", needed="2", deadline="9"
            ),
            chain_event(
                **{"kind": "weights_proposed", "proposer": ANA, "deadline": "9", **place, **scores},
                **{"codec": "85", "digest": word, "sha256": word, "size": "1200"},
            ),
            chain_event("proposal_declined", **place, proposer=ANA),
            chain_event("vote_committed", **place, learner=ANA, commitment=word),
            chain_event("reveal_started", **place, deadline="9"),
            chain_event("vote_cast", **place, learner=ANA, approve="false", **scores),
            chain_event("ballot_skipped", **place, learner=ANA, reason="bad_signature"),
            chain_event(
                **{"kind": "round_closed", "outcome": "no_proposal", "eligible": "4", **place},
                **{"approvals": "0", "rejections": "0"},
            ),
            chain_event("experiment_completed"),
            chain_event("experiment_cancelled"),
        ],
        CONTRACT,
    )
    kinds = {kind.__name__ for kind in protocol.Event.__subclasses__()}
    assert {type(event).__name__ for event in decoded} == kinds
    assert len(decoded) == len(kinds)
    proposed = next(e for e in decoded if isinstance(e, protocol.WeightsProposed))
    assert (proposed.content, proposed.scores) == (SPEC, Scores(0.0, 0.0))
    assert decoded[0] == protocol.ExperimentCreated(1, ANA, GOOD)


@pytest.mark.parametrize(
    "event",
    [
        chain_event("learner_left"),
        chain_event("learner_left", learner="nobody"),
        chain_event("learner_joined", learner=ANA, index="x", encryption_key="ab" * 32),
        chain_event("learner_joined", learner=ANA, index="1", encryption_key="AB" * 32),
        chain_event("round_closed", round="0", outcome="4", approvals="0", rejections="0"),
        chain_event("experiment_created", creator=ANA, params="{"),
        chain_event("reveal_started", round=str(2**32), deadline="1"),
        ChainEvent(
            "wasm-learner_left",
            (("_contract_address", CONTRACT), ("experiment", "1"), ("experiment", "2"),
             ("learner", ANA)),
        ),
    ],
)  # fmt: skip
def test_event_with_missing_or_malformed_attributes_is_a_bad_answer(event: ChainEvent):
    with pytest.raises(BadAnswer, match=event.type):
        decode_events([event], CONTRACT)


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
def test_codes_and_messages_of_refusals_are_classified(
    code: int, space: str, words: str, meant: Refusal
):
    assert classify_refusal(code, space, words) == meant


def test_expected_sequence_and_fee_are_read_from_messages():
    assert find_expected_sequence("account sequence mismatch, expected 12, got 4: x") == 12
    assert find_expected_sequence("something else") is None
    assert find_wanted_fee("insufficient fees; got: 1stake required: 25stake: x", "stake") == 25
    assert find_wanted_fee("got:  required: 3atom,25stake", "stake") == 25
    assert find_wanted_fee("insufficient fees; got: 1x required: 25ustake", "stake") is None
