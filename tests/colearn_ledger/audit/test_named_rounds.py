"""An audit names the right round where several could be meant, and misses nothing of a call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from colearn_ledger.audit import FindingKind, audit_experiment
from colearn_ledger.ledger import Origin, RecordedEvent
from colearn_ledger.protocol import (
    Announced,
    ExperimentCreated,
    LearnerJoined,
    RevealStarted,
    RoundClosed,
    RoundStarted,
    VoteCommitted,
    VotingStarted,
)
from colearn_ledger.weights.stores.directory import DirectoryStore
from tests.support.audited import ROUND, audit, play_signed
from tests.support.frauds.cases import play
from tests.support.frauds.plays import SHAPES
from tests.support.frauds.worlds import LocalWorld
from tests.support.lying_ledger import LyingLedger, change_row, find_event
from tests.support.samples import content_of
from tests.support.toyworld import World


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path, owner="players")


def test_missing_end_of_a_round_is_found_in_that_round(plural: World):
    """The next event begins a round before the last one has closed."""

    def drop(events: list[RecordedEvent]) -> list[RecordedEvent]:
        at = find_event(events, lambda e: isinstance(e, RoundClosed) and e.round == ROUND)
        return [*events[: at - 1], *events[at + 1 :]]

    ledger = LyingLedger(plural.ledger)
    ledger.rewrite_events = drop
    first = audit(plural, ledger).findings[0]
    assert (first.subject, first.round) == ("round started is not allowed", ROUND)


def test_event_without_a_round_is_out_of_order_in_the_round_that_has_begun(plural: World):
    """The first event after the call that begins a round belongs to this round."""

    def insert(events: list[RecordedEvent]) -> list[RecordedEvent]:
        at = find_event(events, lambda e: isinstance(e, RoundStarted) and e.round == ROUND)
        learner = plural.views[0].account
        announced = Announced(plural.experiment, learner, "help", content_of("help"))
        early = replace(events[at], event=announced, cursor=events[at].cursor - 1)
        return [*events[: at + 1], early, *events[at + 1 :]]

    ledger = LyingLedger(plural.ledger)
    ledger.rewrite_events = insert
    ledger.rewrite_origin = lambda _: None
    [finding] = audit(plural, ledger).findings
    assert (finding.subject, finding.round) == ("announced is out of order", ROUND)


def test_rules_are_compared_even_if_the_replay_stops(plural: World):
    ledger = LyingLedger(plural.ledger)

    def drop(events: list[RecordedEvent]) -> list[RecordedEvent]:
        return [each for each in events if not isinstance(each.event, LearnerJoined)]

    ledger.rewrite_events = drop
    ledger.rewrites["experiment"] = lambda found: replace(
        found, hash=bytes(32), params=replace(found.params, rounds=9)
    )
    report = audit(plural, ledger)
    assert any("from round 0 on" in sentence for sentence in report.unchecked)
    found = {f.subject for f in report.findings if (f.kind, f.round) == (FindingKind.STATE, None)}
    assert found == {"hash of the experiment", "parameter rounds"}


def test_commitment_before_the_first_round_is_refused(store: DirectoryStore):
    played = play(LocalWorld(), store, 0, ("secret", SHAPES["secret"]))
    ledger = LyingLedger(played.view)
    early = (ExperimentCreated, LearnerJoined, VoteCommitted)
    ledger.rewrite_events = lambda events: [e for e in events if isinstance(e.event, early)]
    first = audit_experiment(ledger, None, played.experiment).findings[0]
    assert (first.round, first.found) == (0, "vote committed, refused with WrongStatus")


def test_phase_of_the_next_round_is_found_in_the_round_that_has_not_closed(store: DirectoryStore):
    """A deadline would have closed the round, but the event is one of the next round."""
    played = play(LocalWorld(), store, 0, ("secret with absences", SHAPES["secret with absences"]))

    def drop(events: list[RecordedEvent]) -> list[RecordedEvent]:
        start = find_event(events, lambda e: isinstance(e, RevealStarted) and e.round == ROUND)
        later = find_event(events, lambda e: isinstance(e, VotingStarted) and e.round == ROUND + 1)
        return [*events[: start + 1], *events[later:]]

    ledger = LyingLedger(played.view)
    ledger.rewrite_events = drop
    first = audit_experiment(ledger, None, played.experiment).findings[0]
    assert first.subject == "voting started does not follow from the rules"
    assert (first.round, first.expected) == (ROUND, "round closed")


def test_digest_and_round_of_a_batch_are_compared(kind: str, tmp_path: Path):
    world = play_signed(tmp_path, kind)
    ledger = LyingLedger(world.ledger)

    def rewrite(origin: Origin | None) -> Origin | None:
        if origin is None or origin.call is None or origin.call.name != "vote_signed":
            return origin
        experiment, index, _, ballots = origin.arguments
        return replace(origin, arguments=(experiment, index + 1, bytes(32), ballots))

    ledger.rewrite_origin = rewrite
    findings = audit(world, ledger).findings
    assert {(f.kind, f.round) for f in findings} == {(FindingKind.TRANSACTION, 0)}
    assert {"round of vote_signed", "proposals of vote_signed"} <= {f.subject for f in findings}


@pytest.mark.parametrize("is_first", [True, False])
def test_false_state_does_not_choose_the_wrong_entropy(secret: World, is_first: bool):
    """With the wrong one of two entropies, the replay stops early and has fewer findings."""
    ledger = LyingLedger(secret.ledger)

    def add_entropy(origin: Origin | None) -> Origin | None:
        if origin is None or is_first:
            return origin and replace(origin, other_entropy=bytes(32))
        return replace(origin, entropy=bytes(32), other_entropy=origin.entropy)

    ledger.rewrite_origin = add_entropy
    assert audit(secret, ledger).findings == ()
    ledger.rewrites["rounds"] = lambda rows: [replace(row, needed=9, eligible=9) for row in rows]
    findings = audit(secret, ledger).findings
    assert [(f.kind, f.round) for f in findings] == [
        (FindingKind.STATE, index) for index in range(4) for _ in range(2)
    ]


def test_false_round_of_leaving_is_found_in_a_round_that_has_begun(plural: World):
    ledger = LyingLedger(plural.ledger)
    change_row(ledger, "learners", lambda row: row.index == 1, until_round=77)
    first = audit(plural, ledger).findings[0]
    assert (first.found, first.round) == ("77", 3)
