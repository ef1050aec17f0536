"""Every value and event of the protocol is converted to a JSON document and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from colearn_ledger import protocol
from colearn_ledger.protocol import (
    Account,
    Admission,
    Agenda,
    Ballot,
    BallotState,
    Basis,
    ContentRef,
    Duty,
    Event,
    Experiment,
    ExperimentId,
    ExperimentParams,
    InvalidDocument,
    Learner,
    Merge,
    Outcome,
    Phase,
    Round,
    Scores,
    Selection,
    SignedBallot,
    SigningDomain,
    SkipReason,
    Slot,
    SlotState,
    Status,
    Vote,
    from_dict,
    to_dict,
)

ONE, ANA, BOB = ExperimentId(1), Account("0x" + "22" * 20), Account("0x" + "33" * 20)
SPEC = ContentRef.from_digest(0x55, b"\xab" * 32, "ab" * 32, 1_200)
VOTE = Vote(0b101, (Scores(0.5, float("-inf")), Scores(), Scores(None, 1.0)))
PARAMS = ExperimentParams(
    **{"name": "hospitals", "spec": SPEC, "initial": None, "rounds": 10},
    **{"min_learners": 3, "max_learners": 5, "selection": Selection.RANDOM, "proposers": 3},
    **{"merge": Merge.BEST, "admission": Admission.ALLOWLIST, "patience": 2},
)
EXPERIMENT = Experiment(
    **{"id": ONE, "creator": ANA, "params": PARAMS, "hash": b"\x02" * 32},
    **{"status": Status.RUNNING, "cancel_requested": True, "created_at": 7, "started_at": 9},
    **{"ended_at": None, "round": 1, "active_learners": 3, "joined_learners": 4},
    **{"current": (SPEC, SPEC), "current_round": 0, "seed": b"\x01" * 32},
)
SLOTS = (
    Slot(ANA, SlotState.PROPOSED, SPEC, 11, 2, accepted=True),
    Slot(BOB, SlotState.MISSED, None, None, 0, accepted=False),
)
ROUND = Round(
    **{"experiment": ONE, "index": 0, "phase": Phase.CLOSED, "outcome": Outcome.ACCEPTED},
    **{"slots": SLOTS, "eligible": 2, "needed": 1, "ballots": 2, "commitments": 0},
    **{"proposals": b"\xab" * 32, "started_at": 9, "voting_started_at": 11, "closed_at": 12},
    **{"reveal_started_at": None, "deadline": None, "by_deadline": False},
)
PROPOSING = replace(ROUND, phase=Phase.PROPOSING, slots=(), proposals=None, voting_started_at=None)
LEARNER = Learner(ONE, ANA, 0, True, 0, None, 1, 2, bytes(32))
VALUES = [
    SPEC,
    VOTE,
    Vote(0, ()),
    PARAMS,
    EXPERIMENT,
    replace(EXPERIMENT, current=()),
    ROUND,
    PROPOSING,
    LEARNER,
    Ballot(ONE, 0, ANA, True, BallotState.CAST, 0b101),
    Agenda(EXPERIMENT, ROUND, LEARNER, Duty.WAIT),
    Agenda(EXPERIMENT, None, None, Duty.VOTE),
    Basis(ONE, 0, b"\x08" * 32),
    SignedBallot(ANA, VOTE, b"\x07" * 65),
    SigningDomain("eip155:1", ANA, bytes(32)),
]
LEFT = protocol.LearnerLeft(ONE, ANA)
REMOVED = protocol.LearnerRemoved(ONE, ANA)
CAST = protocol.VoteCast(ONE, 0, ANA, VOTE)
CLOSED = protocol.RoundClosed(ONE, 0, Outcome.ACCEPTED, 0b101, (2, 0, 3), 3)
EVENTS = [
    protocol.ExperimentCreated(ONE, ANA, PARAMS),
    protocol.LearnerAdmitted(ONE, ANA),
    protocol.LearnerJoined(ONE, ANA, 4, b"\x05" * 32),
    LEFT,
    REMOVED,
    protocol.ExperimentStarted(ONE),
    protocol.RoundStarted(ONE, 0, (ANA, BOB), 4, 2, 9),
    protocol.WeightsProposed(ONE, 0, ANA, 1, SPEC, Scores()),
    protocol.ProposalDeclined(ONE, 0, ANA, 1),
    protocol.VotingStarted(ONE, 0, b"\x09" * 32, 9),
    protocol.VoteCommitted(ONE, 0, ANA, b"\x06" * 32),
    protocol.RevealStarted(ONE, 0, 9),
    CAST,
    protocol.BallotSkipped(ONE, 0, ANA, SkipReason.INVALID_BALLOT),
    CLOSED,
    protocol.Announced(ONE, ANA, "key", SPEC),
    protocol.CancelRequested(ONE),
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
    assert to_dict(CAST) == {
        "event": "vote_cast",
        "experiment": 1,
        "round": 0,
        "learner": ANA,
        "vote": {
            "approvals": 5,
            "scores": [
                {"vote_score": 0.5, "test_score": "-inf"},
                {"vote_score": None, "test_score": None},
                {"vote_score": None, "test_score": 1.0},
            ],
        },
    }
    assert to_dict(CLOSED)["approvals"] == [2, 0, 3]
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
        (Vote, {"approvals": True, "scores": []}, "Vote.approvals"),
        (Vote, {"approvals": 1, "scores": to_dict(Scores())}, "Vote.scores"),
        (Vote, {"approvals": 1, "scores": [to_dict(Scores()), None]}, "Vote.scores[1]"),
        (Vote, {"approvals": 1, "scores": [{**to_dict(Scores()), "vote_score": "x"}]},
         "Vote.scores[0].vote_score"),
        (Round, {**to_dict(ROUND), "slots": {}}, "Round.slots"),
        (Round, {**to_dict(ROUND), "slots": "ab"}, "Round.slots"),
        (Round, {**to_dict(ROUND), "slots": [{**to_dict(SLOTS[0]), "content": {}}]},
         "Round.slots[0].content"),
        (Round, {**to_dict(ROUND), "slots": [{**to_dict(SLOTS[0]), "state": "cast"}]},
         "Round.slots[0].state"),
        (Event, {**to_dict(CLOSED), "approvals": [1, "2"]}, "Event.approvals[1]"),
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
        (protocol.LearnerLeft, to_dict(REMOVED), "LearnerLeft.event"),
    ],
)  # fmt: skip
def test_malformed_part_is_named(kind: type, document: object, where: str):
    with pytest.raises(InvalidDocument) as refused:
        from_dict(kind, document)
    assert refused.value.where == where


def test_changed_value_has_another_document():
    assert to_dict(replace(ROUND, index=1)) != to_dict(ROUND)
