"""Every value and event of the protocol is converted to a JSON document and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from colearn_ledger import protocol
from colearn_ledger.protocol import (
    Account,
    Admission,
    Ballot,
    BallotState,
    ContentRef,
    Event,
    Experiment,
    ExperimentId,
    ExperimentParams,
    InvalidDocument,
    Learner,
    Outcome,
    Phase,
    Round,
    Scores,
    Selection,
    SignedBallot,
    SigningDomain,
    SkipReason,
    Status,
    Vote,
    from_dict,
    to_dict,
)

ONE, ANA = ExperimentId(1), Account("0x" + "22" * 20)
SPEC = ContentRef.from_digest(0x55, b"\xab" * 32, "ab" * 32, 1_200)
VOTE = Vote(True, Scores(0.5, float("-inf")))
PARAMS = ExperimentParams(
    "hospitals", SPEC, None, 10, 3, 5, selection=Selection.RANDOM, admission=Admission.ALLOWLIST
)
EXPERIMENT = Experiment(
    ONE, ANA, PARAMS, Status.RUNNING, 7, 9, None, 0, 3, 4, SPEC, None, b"\x01" * 32
)
ROUND = Round(
    **{"experiment": ONE, "index": 0, "phase": Phase.CLOSED, "outcome": Outcome.NO_PROPOSAL},
    **{"proposer": ANA, "eligible": 2, "needed": 1, "approvals": 0, "rejections": 0},
    **{"commitments": 0, "content": None, "started_at": 9, "proposed_at": None},
    **{"reveal_started_at": None, "closed_at": 12, "deadline": None, "by_deadline": True},
)
VALUES = [
    SPEC,
    VOTE,
    PARAMS,
    EXPERIMENT,
    ROUND,
    Learner(ONE, ANA, 0, True, 0, None, 1, bytes(32)),
    Ballot(ONE, 0, ANA, True, BallotState.APPROVED),
    SignedBallot(ANA, VOTE, b"\x07" * 65),
    SigningDomain("eip155:1", ANA, bytes(32)),
]
EVENTS = [
    protocol.ExperimentCreated(ONE, ANA, PARAMS),
    protocol.LearnerAdmitted(ONE, ANA),
    protocol.LearnerJoined(ONE, ANA, 4, b"\x05" * 32),
    protocol.LearnerLeft(ONE, ANA),
    protocol.LearnerRemoved(ONE, ANA),
    protocol.ExperimentStarted(ONE),
    protocol.RoundStarted(ONE, 0, ANA, 4, 2, 9),
    protocol.WeightsProposed(ONE, 0, ANA, SPEC, Scores(), 9),
    protocol.ProposalDeclined(ONE, 0, ANA),
    protocol.VoteCommitted(ONE, 0, ANA, b"\x06" * 32),
    protocol.RevealStarted(ONE, 0, 9),
    protocol.VoteCast(ONE, 0, ANA, VOTE),
    protocol.BallotSkipped(ONE, 0, ANA, SkipReason.NOT_ELIGIBLE),
    protocol.RoundClosed(ONE, 0, Outcome.ACCEPTED, 2, 1, 3),
    protocol.ExperimentCompleted(ONE),
    protocol.ExperimentCancelled(ONE),
]


def through_json(value: object) -> object:
    return json.loads(json.dumps(to_dict(value), allow_nan=False))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value_is_read_back_from_its_json_document(value: object):
    assert from_dict(type(value), through_json(value)) == value


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_event_is_read_back_as_its_own_type(event: Event):
    assert from_dict(Event, through_json(event)) == event
    assert from_dict(type(event), through_json(event)) == event


def test_every_event_of_the_protocol_is_covered():
    kinds = {kind for kind in vars(protocol).values() if isinstance(kind, type)}
    events = {kind for kind in kinds if issubclass(kind, Event)} - {Event}
    assert {type(event) for event in EVENTS} == events


def test_documents_contain_names_hexadecimal_and_strings_for_infinity():
    assert to_dict(EVENTS[11]) == {
        "event": "vote_cast",
        "experiment": 1,
        "round": 0,
        "learner": ANA,
        "vote": {"approve": True, "scores": {"vote_score": 0.5, "test_score": "-inf"}},
    }
    assert to_dict(EXPERIMENT)["status"] == "running"
    assert to_dict(EXPERIMENT)["seed"] == "01" * 32


def test_score_that_is_not_a_number_becomes_null():
    assert to_dict(Scores(float("nan"), 1.0)) == {"vote_score": None, "test_score": 1.0}


@pytest.mark.parametrize(
    ("kind", "document", "where"),
    [
        (Experiment, [], "Experiment"),
        (Scores, {"vote_score": 1.0}, "Scores"),
        (Scores, {"vote_score": 1.0, "test_score": 1.0, "more": 1}, "Scores"),
        (Scores, {"vote_score": "1", "test_score": None}, "Scores.vote_score"),
        (Scores, {"vote_score": True, "test_score": None}, "Scores.vote_score"),
        (Scores, {"vote_score": 10**400, "test_score": None}, "Scores.vote_score"),
        (Vote, {"approve": 1, "scores": to_dict(Scores())}, "Vote.approve"),
        (ContentRef, {**to_dict(SPEC), "size": 0}, "ContentRef"),
        (ContentRef, {**to_dict(SPEC), "size": True}, "ContentRef.size"),
        (ContentRef, {**to_dict(SPEC), "cid": None}, "ContentRef.cid"),
        (Experiment, {**to_dict(EXPERIMENT), "status": 1}, "Experiment.status"),
        (Experiment, {**to_dict(EXPERIMENT), "status": "RUNNING"}, "Experiment.status"),
        (Experiment, {**to_dict(EXPERIMENT), "seed": "xx"}, "Experiment.seed"),
        (Experiment, {**to_dict(EXPERIMENT), "seed": 7}, "Experiment.seed"),
        (Event, {"experiment": 1}, "Event.event"),
        (Event, {"event": "event", "experiment": 1}, "Event.event"),
        (Event, {"event": ["vote_cast"], "experiment": 1}, "Event.event"),
        (protocol.LearnerLeft, to_dict(EVENTS[4]), "LearnerLeft.event"),
    ],
)
def test_malformed_part_is_named(kind: type, document: object, where: str):
    with pytest.raises(InvalidDocument) as refused:
        from_dict(kind, document)
    assert refused.value.where == where


def test_changed_value_has_another_document():
    assert to_dict(replace(ROUND, index=1)) != to_dict(ROUND)
