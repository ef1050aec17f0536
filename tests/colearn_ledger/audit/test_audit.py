"""Audits of honest experiments, and of dishonest ones on an honest ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_ledger.audit import (
    ChangingLedger,
    FindingKind,
    Progress,
    Stage,
    audit_experiment,
)
from colearn_ledger.ledger import LedgerUnavailable, Origin, RecordedEvent
from colearn_ledger.protocol import (
    BallotSkipped,
    ContentRef,
    Event,
    LearnerJoined,
    Merge,
    Scores,
    SkipReason,
    Status,
    UnknownExperiment,
    Vote,
)
from colearn_ledger.weights.codec import encode_weights, write_weights
from colearn_ledger.weights.unixfs import content_of
from tests.support.audited import SHAPES, audit, play, play_signed
from tests.support.joining import join
from tests.support.lying_ledger import LyingLedger, change_event, find_event
from tests.support.toyworld import TowardsTarget, World

ABSENT = Scores()
KINDS = ("local", "evm")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_honest_experiment_has_no_finding(shape: str, kind: str, tmp_path: Path):
    world = play(tmp_path, kind, shape)
    report = audit(world)
    assert (report.findings, report.unchecked) == ((), ())
    counts, rounds = report.counts, world.rounds()
    assert counts.events == len(world.ledger.events(world.experiment))
    assert counts.rounds == len(rounds)
    params = world.ledger.experiment(world.experiment).params
    proposals = sum(len(round_.contents) for round_ in rounds)
    assert counts.files == 1 + (params.initial is not None) + proposals
    assert (counts.reveals > 0) == ("secret" in shape)
    assert counts.selections == (len(rounds) if "random" in shape else 0)
    accepted = [sum(slot.accepted for slot in round_.slots) for round_ in rounds]
    assert counts.merges == sum(number > 1 for number in accepted)
    assert (counts.merges > 0) == ("proposers" in SHAPES[shape] and params.merge == Merge.MEAN)


def test_events_are_read_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    world = play(tmp_path, "local", "open")
    monkeypatch.setattr("colearn_ledger.audit.reading._EVENTS_AT_ONCE", 7)
    ledger = LyingLedger(world.ledger)
    assert audit(world, ledger).findings == ()
    events = len(world.ledger.events(world.experiment))
    assert ledger.pages == -(-events // 7) + 2  # an empty page ends them, another look at the end


def test_events_of_a_transaction_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    world = play_signed(tmp_path, "local")
    monkeypatch.setattr("colearn_ledger.audit.reading._EVENTS_AT_ONCE", 3)
    ledger, pages = LyingLedger(world.ledger), list[set[str]]()
    honest = ledger.read_origins

    def read_origins(recorded: Sequence[RecordedEvent]) -> list[Origin | None]:
        pages.append({each.transaction for each in recorded})
        return honest(recorded)

    monkeypatch.setattr(ledger, "read_origins", read_origins)
    assert audit(world, ledger).findings == ()
    assert len(pages) > 1
    assert sum(map(len, pages)) == len(set.union(*pages))


def test_progress_covers_every_stage_to_its_end(tmp_path: Path):
    world = play(tmp_path, "local", "open")
    seen: list[Progress] = []
    report = audit_experiment(
        world.ledger, world.store(0), world.experiment, report_progress=seen.append
    )
    last = {progress.stage: progress for progress in seen}
    events, rounds = report.counts.events, report.counts.rounds
    assert list(last) == list(Stage)
    assert last == {
        Stage.EVENTS: Progress(Stage.EVENTS, events),
        Stage.STATE: Progress(Stage.STATE, rounds),
        Stage.TRANSACTIONS: Progress(Stage.TRANSACTIONS, events, events),
        Stage.REPLAY: Progress(Stage.REPLAY, events, events),
        Stage.FILES: Progress(Stage.FILES, report.counts.files, report.counts.files),
    }


def test_report_becomes_json(tmp_path: Path):
    world = play(tmp_path, "local", "open")
    ledger = LyingLedger(world.ledger)
    ledger.rewrites["current_weights"] = lambda _: []
    document = json.loads(json.dumps(audit(world, ledger).to_dict()))
    assert document["version"] == 1
    assert document["status"] == "completed"
    assert document["checked"]["rounds"] == 4
    [finding] = document["findings"]
    assert set(finding) == {"kind", "round", "subject", "expected", "found", "meaning"}
    assert (finding["kind"], finding["round"], finding["found"]) == ("state", 3, "nothing")


def test_open_experiment_can_be_audited(tmp_path: Path):
    world = World(tmp_path, [TowardsTarget(1.0), TowardsTarget(1.5), TowardsTarget(0.5)])
    agents = world.agents()
    for _ in range(7):
        for agent in agents:
            agent.step()
    assert world.ledger.experiment(world.experiment).status == Status.RUNNING
    assert audit(world).findings == ()


def test_experiment_without_events_after_its_creation_can_be_audited(tmp_path: Path):
    world = World(tmp_path, [TowardsTarget(1.0), TowardsTarget(1.5)])
    report = audit(world)
    assert (report.findings, report.counts.rounds, report.counts.files) == ((), 0, 2)


def test_ledger_without_all_events_cannot_be_audited(tmp_path: Path):
    world = play(tmp_path, "local", "open")
    ledger = LyingLedger(world.ledger)

    def refuse(_: object) -> Any:
        raise LedgerUnavailable("the node has dropped old events")

    ledger.rewrite_events = refuse
    with pytest.raises(LedgerUnavailable):
        audit(world, ledger)


def test_unknown_experiment_is_refused(tmp_path: Path):
    world = play(tmp_path, "local", "open")
    with pytest.raises(UnknownExperiment):
        audit_experiment(world.ledger, None, world.experiment + 1)


def test_events_that_come_during_the_reading_are_read_too(tmp_path: Path):
    world = World(tmp_path, [TowardsTarget(1.0), TowardsTarget(1.5)])
    ledger = LyingLedger(world.ledger)
    joining = iter(world.views)

    def join_another(answer: Any) -> Any:
        if view := next(joining, None):
            join(view, world.experiment).wait()
        return answer

    ledger.rewrites["ballots"] = ledger.rewrites["rounds"] = join_another
    report = audit(world, ledger)
    assert (report.findings, report.counts.rounds) == ((), 1)


def test_ledger_that_never_rests_cannot_be_audited(tmp_path: Path):
    world = World(tmp_path, [TowardsTarget(1.0), TowardsTarget(1.5)])
    ledger = LyingLedger(world.ledger)
    join(world.views[0], world.experiment).wait()

    def announce(answer: Any) -> Any:
        world.views[0].announce(world.experiment, "news", content_of(b"news")).wait()
        return answer

    ledger.rewrites["rounds"] = announce
    with pytest.raises(ChangingLedger):
        audit(world, ledger)


# ------------------------------------------------------------------ signed ballots


@pytest.mark.parametrize("kind", KINDS)
def test_signed_ballots_are_verified(kind: str, tmp_path: Path):
    report = audit(play_signed(tmp_path, kind))
    assert (report.findings, report.unchecked) == ((), ())
    assert report.counts.signatures == 5  # one of them is invalid, another one is cast twice


@pytest.mark.parametrize("kind", KINDS)
def test_ballot_whose_signature_is_wrong_is_found(kind: str, tmp_path: Path):
    world = play_signed(tmp_path, kind)
    ledger = LyingLedger(world.ledger)

    def damage(origin: Origin | None) -> Origin | None:
        if origin is None or origin.call is None or origin.call.name != "vote_signed":
            return origin
        *others, ballots = origin.arguments
        broken = [replace(b, signature=b.signature[:-2] + b"\x01\x1b") for b in ballots]
        return replace(origin, arguments=(*others, broken))

    ledger.rewrite_origin = damage
    findings = audit(world, ledger).findings
    assert {(f.kind, f.round) for f in findings} == {(FindingKind.TRANSACTION, 0)}
    assert len(findings) == 4  # three that count, and the one that was cast twice


@pytest.mark.parametrize("kind", KINDS)
def test_false_signature_of_a_repeated_ballot_is_found(kind: str, tmp_path: Path):
    world = play_signed(tmp_path, kind)
    ledger = LyingLedger(world.ledger)

    def damage(origin: Origin | None) -> Origin | None:
        if origin is None or origin.call is None or origin.call.name != "vote_signed":
            return origin
        *others, ballots = origin.arguments
        last = replace(ballots[-1], signature=ballots[-1].signature[:-2] + b"\x01\x1b")
        return replace(origin, arguments=(*others, [*ballots[:-1], last]))

    ledger.rewrite_origin = damage
    [finding] = audit(world, ledger).findings
    assert (finding.kind, finding.round) == (FindingKind.TRANSACTION, 0)
    assert finding.found == "an invalid signature"


@pytest.mark.parametrize("place", [0, 4])
def test_skipped_ballot_without_an_event_is_found(place: int, tmp_path: Path):
    world = play_signed(tmp_path, "local")
    ledger = LyingLedger(world.ledger)

    def drop(events: list[RecordedEvent]) -> list[RecordedEvent]:
        first = find_event(events, lambda event: isinstance(event, BallotSkipped))
        return [*events[: first + place], *events[first + place + 1 :]]

    ledger.rewrite_events = drop
    findings = audit(world, ledger).findings
    assert {(finding.kind, finding.round) for finding in findings} == {(FindingKind.TRANSACTION, 0)}
    assert "ballots of the batch" in {finding.subject for finding in findings}


@pytest.mark.parametrize("reason", [SkipReason.NOT_A_LEARNER, SkipReason.INVALID_BALLOT])
def test_ballot_skipped_for_a_false_reason_is_found(reason: SkipReason, tmp_path: Path):
    world = play_signed(tmp_path, "local")
    ledger = LyingLedger(world.ledger)

    def is_skipped_twice(event: Event) -> bool:
        return isinstance(event, BallotSkipped) and event.reason == SkipReason.ALREADY_VOTED

    change_event(ledger, is_skipped_twice, reason=reason)
    first = audit(world, ledger).findings[0]
    assert first.round == 0
    assert "does not apply" in first.found


# ------------------------------------------------------------------ dishonest learners


def play_accepting(folder: Path, content: Callable[[World], ContentRef], **terms: Any) -> World:
    """Play a round in which everybody approves the same file."""
    world = World(folder, [TowardsTarget(1.0) for _ in range(3)], {"rounds": 1, **terms})
    for view in world.views:
        join(view, world.experiment).wait()
    proposed = content(world)
    round_ = world.ledger.round(world.experiment, 0)
    for slot in round_.slots:
        view = next(view for view in world.views if view.account == slot.proposer)
        view.propose(world.experiment, 0, proposed, ABSENT).wait()
    round_ = world.ledger.round(world.experiment, 0)
    assert round_.proposals is not None
    for view in world.views:
        if world.ledger.ballot(world.experiment, 0, view.account).eligible:
            others = (n for n, slot in enumerate(round_.slots) if slot.proposer != view.account)
            vote = Vote(sum(1 << n for n in others), (ABSENT,) * (1 + len(round_.slots)))
            view.vote(world.experiment, 0, round_.proposals, vote).wait()
    return world


def test_accepted_weights_that_are_not_finite_are_found(tmp_path: Path):
    weights = [np.array([1.0, np.nan, 3.0])]
    world = play_accepting(tmp_path, lambda world: write_weights(world.store(0), weights))
    [finding] = audit(world).findings
    assert (finding.kind, finding.round) == (FindingKind.FILE, 0)
    assert "NaN" in finding.found
    assert "accepted" in finding.meaning


def test_accepted_weights_of_another_shape_are_found(tmp_path: Path):
    world = play_accepting(tmp_path, lambda world: write_weights(world.store(0), [np.zeros(2)]))
    [finding] = audit(world).findings
    assert (finding.kind, finding.round) == (FindingKind.FILE, 0)


def test_accepted_weights_that_are_too_large_are_found(tmp_path: Path):
    world = play_accepting(tmp_path, lambda world: world.store(0).put([bytes(10_000_000)]))
    [finding] = audit(world).findings
    assert (finding.kind, finding.round) == (FindingKind.FILE, 0)
    assert finding.found == "10000000 bytes"


def test_accepted_weights_trained_from_others_are_found(tmp_path: Path):
    data = encode_weights([np.ones(3)], base="ab" * 32)
    world = play_accepting(tmp_path, lambda world: world.store(0).put([data]))
    [finding] = audit(world).findings
    assert (finding.kind, finding.round, finding.found) == (FindingKind.MERGE, 0, "ab" * 32)


def test_announced_merge_that_is_not_the_mean_is_found(tmp_path: Path):
    world = play(tmp_path, "local", "plural mean")
    false = write_weights(world.store(0), [np.full(3, 9.0)])
    world.views[1].announce(world.experiment, "merge", false).wait()
    [finding] = audit(world).findings
    assert (finding.kind, finding.round) == (FindingKind.MERGE, 3)
    assert false.cid in finding.found


def test_merge_whose_files_are_missing_is_not_called_false(tmp_path: Path):
    world = play(tmp_path, "local", "plural mean")
    lost = world.rounds()[3].contents[0]
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file() and path.name in (lost.cid, lost.sha256):
            path.unlink()
    report = audit(world)
    assert {finding.kind for finding in report.findings} == {FindingKind.UNAVAILABLE}
    assert any("merge of round 3" in sentence for sentence in report.unchecked)


def test_files_are_not_checked_without_a_store(tmp_path: Path):
    world = play(tmp_path, "local", "open")
    report = audit_experiment(world.ledger, None, world.experiment)
    assert (report.findings, report.counts.files) == ((), 0)
    assert report.unchecked == ("All files: no store was given.",)


def test_first_event_that_is_missing_is_found(tmp_path: Path):
    world = play(tmp_path, "local", "open")
    ledger = LyingLedger(world.ledger)
    ledger.rewrite_events = lambda events: events[1:]
    report = audit(world, ledger)
    first = report.findings[0]
    assert (first.round, first.expected) == (None, "experiment created")
    assert first.found == "learner joined"
    assert any("from round 0 on" in sentence for sentence in report.unchecked)


def test_second_fraud_before_the_replay_stops_is_found_too(tmp_path: Path):
    world = play(tmp_path, "local", "open")
    ledger = LyingLedger(world.ledger)
    change_event(ledger, lambda event: isinstance(event, LearnerJoined), index=7)
    ledger.rewrites["current_weights"] = lambda _: []
    assert [finding.round for finding in audit(world, ledger).findings] == [None, 3]
