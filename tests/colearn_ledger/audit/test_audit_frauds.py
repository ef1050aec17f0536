"""An audit finds each planted fraud, and names its round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from colearn_ledger.audit import FindingKind
from colearn_ledger.ledger import Origin, RecordedEvent
from colearn_ledger.protocol import (
    BallotState,
    Event,
    Experiment,
    ExperimentCompleted,
    LearnerJoined,
    Outcome,
    RoundClosed,
    RoundStarted,
    Scores,
    Status,
    Vote,
    VoteCast,
    VoteCommitted,
    VotingStarted,
    WeightsProposed,
)
from colearn_ledger.weights.unixfs import content_of
from tests.support.audited import ROUND, audit, change_slot, is_in_audited_round
from tests.support.lying_ledger import (
    LyingLedger,
    change_event,
    change_row,
    find_event,
)
from tests.support.toyworld import World

LAST = 3
OTHER_FILE = content_of(b"another file")
STRANGER = "0x" + "11" * 20


def is_in_round(kind: type[Event]) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, kind) and getattr(event, "round", None) == ROUND


def is_ballot(row: Any) -> bool:
    return bool(row.round == ROUND and row.state == BallotState.CAST)


def rewrite_experiment(ledger: LyingLedger, **changes: Any) -> None:
    def rewrite(found: Experiment) -> Experiment:
        return replace(found, **changes)

    ledger.rewrites["experiment"] = rewrite


def edit_events(
    ledger: LyingLedger,
    kind: type[Event],
    edit: Callable[[list[RecordedEvent], int], list[RecordedEvent]],
) -> None:
    """Let a ledger edit its events at the first one of a kind in the round."""
    ledger.rewrite_events = lambda events: edit(events, find_event(events, is_in_round(kind)))


def double(events: list[RecordedEvent], at: int) -> list[RecordedEvent]:
    again = replace(events[at], cursor=events[at].cursor + 1)
    return [*events[: at + 1], again, *events[at + 1 :]]


def swap(events: list[RecordedEvent], at: int) -> list[RecordedEvent]:
    first, second = events[at : at + 2]
    swapped = [replace(second, cursor=first.cursor), replace(first, cursor=second.cursor)]
    return [*events[:at], *swapped, *events[at + 2 :]]


def invent_ballot(events: list[RecordedEvent], at: int) -> list[RecordedEvent]:
    ballot = events[at].event
    assert isinstance(ballot, VoteCast)
    event = replace(ballot, learner=STRANGER)
    invented = replace(events[at], cursor=events[at].cursor - 1, event=event)
    return [*events[:at], invented, *events[at:]]


def drop_end(ledger: LyingLedger) -> None:
    def rewrite(events: list[RecordedEvent]) -> list[RecordedEvent]:
        return events[: find_event(events, lambda event: isinstance(event, ExperimentCompleted))]

    ledger.rewrite_events = rewrite


def add_bit(vote: Vote) -> Vote:
    return replace(vote, approvals=vote.approvals ^ 0b111)


def better_scores(vote: Vote) -> Vote:
    return replace(vote, scores=(Scores(1.0, 1.0), *vote.scores[1:]))


FRAUDS: dict[str, tuple[Callable[[LyingLedger], None], int | None]] = {
    "tally": (
        lambda ledger: change_row(
            ledger, "rounds", is_in_audited_round, slots=change_slot(approvals=lambda n: n + 1)
        ),
        ROUND,
    ),
    "outcome": (
        lambda ledger: change_row(ledger, "rounds", is_in_audited_round, outcome=Outcome.REJECTED),
        ROUND,
    ),
    "accepted slot": (
        lambda ledger: change_row(
            ledger, "rounds", is_in_audited_round, slots=change_slot(accepted=lambda yes: not yes)
        ),
        ROUND,
    ),
    "content in the state": (
        lambda ledger: change_row(
            ledger, "rounds", is_in_audited_round, slots=change_slot(content=OTHER_FILE)
        ),
        ROUND,
    ),
    "time of closing": (
        lambda ledger: change_row(ledger, "rounds", is_in_audited_round, closed_at=lambda t: t + 1),
        ROUND,
    ),
    "approvals needed": (
        lambda ledger: change_row(ledger, "rounds", is_in_audited_round, needed=1),
        ROUND,
    ),
    "ballot": (
        lambda ledger: change_row(ledger, "ballots", is_ballot, approvals=lambda n: n ^ 0b111),
        ROUND,
    ),
    "missing ballot": (
        lambda ledger: change_row(ledger, "ballots", is_ballot, state=BallotState.NONE),
        ROUND,
    ),
    "electorate": (
        lambda ledger: change_row(ledger, "ballots", is_ballot, eligible=False),
        ROUND,
    ),
    "time of joining": (
        lambda ledger: change_row(
            ledger, "learners", lambda row: row.index == 2, from_round=ROUND + 1
        ),
        0,
    ),
    "rules": (
        lambda ledger: rewrite_experiment(ledger, hash=bytes(32)),
        None,
    ),
    "current weights": (lambda ledger: rewrite_experiment(ledger, current=(OTHER_FILE,)), LAST),
    "answer about the weights": (
        lambda ledger: ledger.rewrites.update(current_weights=lambda _: [OTHER_FILE]),
        LAST,
    ),
    "status": (lambda ledger: rewrite_experiment(ledger, status=Status.CANCELLED), LAST),
    "event: deadline": (
        lambda ledger: change_event(
            ledger, is_in_round(RoundStarted), deadline=lambda time: time + 1
        ),
        ROUND,
    ),
    "event: deadline of the vote": (
        lambda ledger: change_event(
            ledger, is_in_round(VotingStarted), deadline=lambda time: time - 1
        ),
        ROUND,
    ),
    "event: electorate": (
        lambda ledger: change_event(ledger, is_in_round(RoundStarted), eligible=2),
        ROUND,
    ),
    "event: proposers": (
        lambda ledger: change_event(
            ledger, is_in_round(RoundStarted), proposers=lambda names: names[::-1]
        ),
        ROUND,
    ),
    "event: content": (
        lambda ledger: change_event(ledger, is_in_round(WeightsProposed), content=OTHER_FILE),
        ROUND,
    ),
    "event: a proposer's score": (
        lambda ledger: change_event(ledger, is_in_round(WeightsProposed), scores=Scores(1.0, 1.0)),
        ROUND,
    ),
    "event: ballot": (
        lambda ledger: change_event(
            ledger, is_in_round(VoteCast), vote=lambda vote: replace(vote, approvals=0)
        ),
        ROUND,
    ),
    "event: approval of an own proposal": (
        lambda ledger: change_event(ledger, is_in_round(VoteCast), vote=add_bit),
        ROUND,
    ),
    "event: a voter's score": (
        lambda ledger: change_event(ledger, is_in_round(VoteCast), vote=better_scores),
        ROUND,
    ),
    "event: tally": (
        lambda ledger: change_event(
            ledger, is_in_round(RoundClosed), approvals=lambda counts: (9, *counts[1:])
        ),
        ROUND,
    ),
    "event: another account joined": (
        lambda ledger: change_event(
            ledger, lambda event: isinstance(event, LearnerJoined), learner=STRANGER
        ),
        None,
    ),
    "ballot dropped": (
        lambda ledger: edit_events(ledger, VoteCast, lambda e, at: e[:at] + e[at + 1 :]),
        ROUND,
    ),
    "proposal dropped": (
        lambda ledger: edit_events(ledger, WeightsProposed, lambda e, at: e[:at] + e[at + 1 :]),
        ROUND,
    ),
    "beginning of the vote dropped": (
        lambda ledger: edit_events(ledger, VotingStarted, lambda e, at: e[:at] + e[at + 1 :]),
        ROUND,
    ),
    "ballot doubled": (lambda ledger: edit_events(ledger, VoteCast, double), ROUND),
    "events reordered": (lambda ledger: edit_events(ledger, VotingStarted, swap), ROUND),
    "ballot invented": (lambda ledger: edit_events(ledger, VoteCast, invent_ballot), ROUND),
    "time of a ballot": (
        lambda ledger: edit_events(
            ledger,
            VoteCast,
            lambda e, at: [*e[:at], replace(e[at], time=e[at].time - 50), *e[at + 1 :]],
        ),
        ROUND,
    ),
    "place of a ballot": (
        lambda ledger: edit_events(
            ledger,
            VoteCast,
            lambda e, at: [*e[:at], replace(e[at], cursor=e[at - 1].cursor), *e[at + 1 :]],
        ),
        ROUND,
    ),
    "end dropped": (drop_end, LAST),
    "events truncated": (
        lambda ledger: edit_events(ledger, RoundClosed, lambda events, at: events[: at + 1]),
        ROUND + 1,
    ),
}
"""Frauds in an open experiment whose learners propose in threes, each with its round."""

SHOWN_BY_TRANSACTIONS = {"event: a proposer's score", "event: a voter's score"}
"""Frauds that only the transactions show."""

SHOWN_LATER = {"event: another account joined": 0}
"""Frauds that show in a later round without the transactions."""


def test_honest_experiments_have_no_finding(plural: World, secret: World):
    for world in (plural, secret):
        report = audit(world, LyingLedger(world.ledger))
        assert (report.findings, report.unchecked) == ((), ())


@pytest.mark.parametrize("fraud", FRAUDS)
def test_fraud_is_found_in_its_round(fraud: str, plural: World):
    ledger = LyingLedger(plural.ledger)
    plant, place = FRAUDS[fraud]
    plant(ledger)
    report = audit(plural, ledger)
    assert report.findings
    first = report.findings[0]
    assert first.round == place
    assert first.expected != first.found
    assert first.meaning.endswith(".")
    assert not report.is_clean


@pytest.mark.parametrize("fraud", [name for name in FRAUDS if name not in SHOWN_BY_TRANSACTIONS])
def test_fraud_is_found_without_the_transactions(fraud: str, plural: World):
    ledger = LyingLedger(plural.ledger)
    ledger.rewrite_origin = lambda _: None
    plant, place = FRAUDS[fraud]
    plant(ledger)
    assert audit(plural, ledger).findings[0].round == SHOWN_LATER.get(fraud, place)


def test_scores_are_reported_as_unchecked_without_the_transactions(plural: World):
    ledger = LyingLedger(plural.ledger)
    ledger.rewrite_origin = lambda _: None
    FRAUDS["event: a voter's score"][0](ledger)
    report = audit(plural, ledger)
    assert report.findings == ()
    assert "the scores" in report.unchecked[0]


# ------------------------------------------------------------------ secret ballots and seeds


def test_false_seed_is_found(secret: World):
    ledger = LyingLedger(secret.ledger)
    rewrite_experiment(ledger, seed=bytes(31) + b"\x01")
    [finding] = audit(secret, ledger).findings
    assert (finding.kind, finding.round) == (FindingKind.STATE, LAST)
    assert "seed" in finding.subject


def test_false_entropy_is_found(secret: World):
    ledger = LyingLedger(secret.ledger)
    ledger.rewrite_origin = lambda origin: origin and replace(origin, entropy=bytes(32))
    findings = audit(secret, ledger).findings
    assert "proposers" in findings[0].subject or "seed" in findings[0].subject


def test_other_proposer_than_the_drawn_one_is_found(secret: World):
    names = [slot.proposer for slot in secret.ledger.round(secret.experiment, ROUND).slots]
    other = next(view.account for view in secret.views if view.account not in names)
    ledger = LyingLedger(secret.ledger)
    change_event(ledger, is_in_round(RoundStarted), proposers=(other,))
    first = audit(secret, ledger).findings[0]
    assert first.round == ROUND
    assert other in first.found


def test_learner_drawn_twice_in_a_cycle_is_found_without_the_entropy(secret: World):
    again = secret.ledger.round(secret.experiment, 0).slots[0].proposer
    ledger = LyingLedger(secret.ledger)
    ledger.rewrite_origin = lambda _: None
    change_event(ledger, is_in_round(RoundStarted), proposers=(again,))
    first = audit(secret, ledger).findings[0]
    assert first.round == ROUND
    assert "could be drawn" in first.found


def test_seeds_are_reported_as_unchecked_without_the_transactions(secret: World):
    ledger = LyingLedger(secret.ledger)
    ledger.rewrite_origin = lambda _: None
    report = audit(secret, ledger)
    assert report.findings == ()
    assert any("seeds" in sentence for sentence in report.unchecked)


def test_false_commitment_is_found(secret: World):
    ledger = LyingLedger(secret.ledger)
    change_event(ledger, is_in_round(VoteCommitted), commitment=b"\x01" * 32)
    findings = audit(secret, ledger).findings
    assert {finding.round for finding in findings} == {ROUND}
    assert any("BadReveal" in finding.found for finding in findings)


def test_ballot_other_than_its_commitment_is_found(secret: World):
    ledger = LyingLedger(secret.ledger)

    def rewrite(origin: Origin | None) -> Origin | None:
        if origin is None or origin.call is None or origin.call.name != "reveal":
            return origin
        return replace(origin, arguments=(*origin.arguments[:3], bytes(32)))

    ledger.rewrite_origin = rewrite
    first = audit(secret, ledger).findings[0]
    assert first.round == 0
    assert "BadReveal" in first.found
