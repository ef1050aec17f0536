"""Messages to the CosmWasm contract are exact, and its malformed answers are refused."""

from __future__ import annotations

import base64
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
from colearn_ledger.chains.cosmos.wire import error_from_wire, params_from_wire, params_to_wire
from colearn_ledger.chains.errors import BadAnswer, Refusal
from colearn_ledger.protocol import (
    Agenda,
    BallotState,
    Duty,
    ExperimentId,
    InvalidParameter,
    Phase,
    ProtocolError,
    SignedBallot,
    SlotState,
    Status,
)
from tests.support.contract_answers import (
    AGENDA,
    ANA,
    BALLOT,
    BOB,
    CONTENT,
    DIGEST,
    EXPERIMENT,
    GOOD,
    LEARNER,
    OTHER,
    OTHER_CONTENT,
    PARAMS,
    ROUND,
    SCORES,
    SLOTS,
    SPEC,
    VOTE,
    WORD,
)

ONE = ExperimentId(1)
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
    "current_weights": ((ONE,), {"contents": [CONTENT, OTHER_CONTENT]}),
    "duty": ((ONE, ANA), {"duty": "propose"}),
    "agenda": ((ONE, ANA), AGENDA),
}
"""Arguments and a valid answer of every query."""


def encode(name: str, *arguments: Any) -> dict[str, Any]:
    return ENCODER.encode({**CALLS, **QUERIES}[name], arguments)


def decode(name: str, answer: Any, *arguments: Any) -> Any:
    query: Query[Any] = QUERIES[name]
    return ENCODER.decode(query, arguments or ANSWERS[name][0], answer)


# ------------------------------------------------------------------ encoding


def test_every_call_has_the_message_of_the_contract():
    scores = {"vote_score": "4602678819172646912", "test_score": "9221120237041090560"}
    zero, place = "A" * 43 + "=", {"experiment": "1", "round": 0}
    judged = {**place, "proposals": WORD}
    voted = {"approvals": 5, "scores": base64.b64encode(bytes.fromhex(SCORES)).decode()}
    signed = SignedBallot(ANA, VOTE, b"\2" + bytes(96))
    word = b"\xab" * 32
    assert encode("create", GOOD) == {"create": {"params": PARAMS}}
    admitted = {"experiment": "1", "accounts": [ANA, BOB]}
    assert encode("admit", ONE, [ANA, BOB]) == {"admit": admitted}
    joined = {"experiment": "1", "hash": WORD, "encryption_key": zero}
    assert encode("join", ONE, word, bytes(32)) == {"join": joined}
    changed = {"experiment": "1", "encryption_key": WORD}
    assert encode("set_encryption_key", ONE, word) == {"set_encryption_key": changed}
    assert encode("remove", ONE, BOB) == {"remove": {"experiment": "1", "learner": BOB}}
    proposed = {"propose": {**place, "content": CONTENT, **scores}}
    assert encode("propose", ONE, 0, SPEC, VOTE.scores[0]) == proposed
    assert encode("decline", ONE, 0) == {"decline": place}
    assert encode("vote", ONE, 0, word, VOTE) == {"vote": {**judged, **voted}}
    assert encode("commit", ONE, 0, word, bytes(32)) == {"commit": {**judged, "commitment": zero}}
    revealed = {**place, **voted, "salt": zero}
    assert encode("reveal", ONE, 0, VOTE, bytes(32)) == {"reveal": revealed}
    ballot = {
        **{"learner": ANA, **voted},
        "public_key": "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "signature": "A" * 86 + "==",
    }
    batch = {"vote_signed": {**judged, "ballots": [ballot]}}
    assert encode("vote_signed", ONE, 0, word, [signed]) == batch
    announced = {"experiment": "1", "topic": "resume", "content": CONTENT}
    assert encode("announce", ONE, "resume", SPEC) == {"announce": announced}
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
    for name, value in (("vote_window", 2**32), ("max_strikes", -1), ("patience", 2**32)):
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
    assert (values["learner"].missed_proposals, values["learner"].strikes) == (1, 2)
    assert values["round"].phase == Phase.VOTING
    assert values["round"].contents == {0: SPEC, 1: OTHER}
    assert values["round"].proposals == base64.b64decode(DIGEST)
    assert values["round"].slots[2].state == SlotState.DECLINED
    assert (values["ballot"].state, values["ballot"].approvals) == (BallotState.CAST, 2)
    assert values["current_weights"] == [SPEC, OTHER]
    assert values["duty"] == Duty.PROPOSE
    parts = (values["experiment"], values["round"], values["learner"], Duty.WAIT)
    assert values["agenda"] == Agenda(*parts)


def test_agenda_without_round_and_learner_is_decoded():
    enrolling = {**EXPERIMENT, "status": "enrolling", "started_at": None, "round": None}
    agenda = decode("agenda", {**AGENDA, "experiment": enrolling, "round": None, "learner": None})
    assert (agenda.round, agenda.learner) == (None, None)


def with_first_slot(**changes: Any) -> dict[str, Any]:
    return {**ROUND, "slots": [{**SLOTS[0], **changes}, *SLOTS[1:]]}


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
        ("experiment", {**EXPERIMENT, "hash": WORD}),
        ("experiment", {**EXPERIMENT, "params": {**PARAMS, "rounds": 11}}),
        ("experiment", {**EXPERIMENT, "current": [CONTENT]}),
        ("experiment", {**EXPERIMENT, "current": [CONTENT] * 17, "current_round": 0}),
        ("learner", {**LEARNER, "missed_ballots": True}),
        ("learner", {**LEARNER, "account": BOB}),
        ("learners", {"learners": [{**LEARNER, "index": 1}]}),
        ("round", {**ROUND, "eligible": -1}),
        ("round", {**ROUND, "index": 1}),
        ("round", {**ROUND, "proposals": "AA=="}),
        ("round", {**ROUND, "proposals": None}),
        ("round", {**ROUND, "proposals": WORD}),
        ("round", {**ROUND, "slots": []}),
        ("round", {**ROUND, "slots": [*SLOTS, *[SLOTS[2]] * 14]}),
        ("round", with_first_slot(state="stolen")),
        ("round", with_first_slot(state="missed")),
        ("round", with_first_slot(content=None)),
        ("round", with_first_slot(content={**CONTENT, "size": "0"})),
        ("round", with_first_slot(content={**CONTENT, "codec": 86})),
        ("ballot", {**BALLOT, "round": 1}),
        ("ballot", {**BALLOT, "learner": BOB}),
        ("ballot", {**BALLOT, "approvals": 1 << 16}),
        ("ballots", {"ballots": [BALLOT] * 101}),
        ("ballots", {"ballots": [BALLOT] * 11}),
        ("current_weights", {"contents": [None]}),
        ("current_weights", {"contents": [CONTENT] * 17}),
        ("agenda", {**AGENDA, "experiment": {**EXPERIMENT, "round": 1}}),
        ("agenda", {**AGENDA, "round": None}),
        ("agenda", {**AGENDA, "learner": {**LEARNER, "account": BOB}}),
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
    *(
        (f'{kind.__name__}(["{"ab" * 32}"])', kind(b"\xab" * 32))
        for kind in (protocol.WrongExperiment, protocol.WrongProposals)
    ),
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
     "WrongProposals([\"abab\"])", "WrongExperiment([\"" + "AB" * 32 + "\"])",
     "Exploded([])", "WrongRound([-1])", "DeadlinePassed([true])", "NotCreator([nonsense])"],
)  # fmt: skip
def test_unknown_or_malformed_error_is_a_bad_answer(text: str):
    with pytest.raises(BadAnswer):
        error_from_wire(find_contract_error(f"x colearn:{text}: y") or Refused("none", ()))


def test_other_failures_are_not_errors_of_the_contract():
    assert find_contract_error("out of gas in location: wasm contract; gasWanted: 1") is None
    assert find_contract_error("colearn:Broken(") is None


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
