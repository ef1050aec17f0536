"""Several nodes are compared, and the one that disagrees is named with the round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from colearn_ledger.audit import (
    Comparison,
    Finding,
    FindingKind,
    NodeNotComparable,
    Witness,
    compare_nodes,
)
from colearn_ledger.ledger import LedgerUnavailable, Origin, RecordedEvent
from colearn_ledger.protocol import ExperimentId, Status, UnknownExperiment, VoteCast
from tests.support.audited import ROUND, change_slot, is_in_audited_round, play
from tests.support.lying_ledger import LyingLedger, change_event, change_row, find_event
from tests.support.toyworld import World

NAMES = ("ana", "bob", "cy", "dee")

Plant = Callable[[LyingLedger], None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("world"), "evm", "plural mean")


def compare(
    world: World, plants: dict[str, Plant], nodes: int = 3, **options: Any
) -> tuple[Finding, ...]:
    return compare_all(world, plants, nodes, **options).findings


def compare_all(
    world: World, plants: dict[str, Plant], nodes: int = 3, **options: Any
) -> Comparison:
    """Compare nodes, some of which lie."""
    witnesses = []
    for name in NAMES[:nodes]:
        ledger = LyingLedger(world.ledger)
        plants.get(name, lambda _: None)(ledger)
        witnesses.append(Witness(name, ledger))
    return compare_nodes(witnesses, world.experiment, **options)


# ---------------------------------------------------------------------- lies


def lower_tally(ledger: LyingLedger) -> None:
    change_row(
        ledger,
        "rounds",
        is_in_audited_round,
        slots=change_slot(approvals=lambda number: number - 1),
    )


def is_ballot(event: Any) -> bool:
    return isinstance(event, VoteCast) and event.round == ROUND


def change_ballot(ledger: LyingLedger) -> None:
    change_event(ledger, is_ballot, vote=lambda vote: replace(vote, approvals=0))


def drop_ballot(ledger: LyingLedger) -> None:
    def rewrite(events: list[RecordedEvent]) -> list[RecordedEvent]:
        at = find_event(events, is_ballot)
        return [*events[:at], *events[at + 1 :]]

    ledger.rewrite_events = rewrite


def move_in_time(ledger: LyingLedger) -> None:
    def rewrite(events: list[RecordedEvent]) -> list[RecordedEvent]:
        at = find_event(events, is_ballot)
        return [*events[:at], replace(events[at], time=1), *events[at + 1 :]]

    ledger.rewrite_events = rewrite


def change_stored_ballot(ledger: LyingLedger) -> None:
    def rewrite(rows: list[Any]) -> list[Any]:
        return [replace(row, approvals=0) for row in rows]

    ledger.rewrites["ballots"] = rewrite


def truncate(ledger: LyingLedger) -> None:
    def rewrite(events: list[RecordedEvent]) -> list[RecordedEvent]:
        return events[: find_event(events, is_ballot)]

    ledger.rewrite_events = rewrite


def change_sender(ledger: LyingLedger) -> None:
    def rewrite(origin: Origin | None) -> Origin | None:
        return None if origin is None else replace(origin, sender="0x" + "11" * 20)  # type: ignore[arg-type]

    ledger.rewrite_origin = rewrite


def change_entropy(ledger: LyingLedger) -> None:
    ledger.rewrite_origin = lambda origin: origin and replace(origin, entropy=b"\x01" * 32)


def deny(ledger: LyingLedger) -> None:
    ledger.rewrite_origin = lambda origin: origin and replace(origin, fault="it failed")


def cancel(ledger: LyingLedger) -> None:
    ledger.rewrites["experiment"] = lambda found: replace(found, status=Status.CANCELLED)


def forget(ledger: LyingLedger) -> None:
    def rewrite(_: Any) -> Any:
        raise UnknownExperiment(ExperimentId(1))

    ledger.rewrites["experiment"] = rewrite


LIES: dict[str, tuple[Plant, int | None, str]] = {
    "tally": (lower_tally, ROUND, "approvals of slot 0"),
    "ballot in the events": (change_ballot, ROUND, "event "),
    "ballot dropped": (drop_ballot, ROUND, "event "),
    "time of an event": (move_in_time, ROUND, "event "),
    "events truncated": (truncate, ROUND, "event "),
    "ballot in the state": (change_stored_ballot, 0, "ballot of "),
    "sender": (change_sender, None, "transaction of event 0"),
    "entropy": (change_entropy, None, "transaction of event 0"),
    "failed transaction": (deny, None, "transaction of event 0"),
    "status": (cancel, None, "status of the experiment"),
    "experiment": (forget, None, "experiment"),
}


@pytest.mark.parametrize("number", [2, 3, 4])
def test_honest_nodes_agree(number: int, world: World):
    assert compare_all(world, {}, number) == Comparison()


@pytest.mark.parametrize("liar", ["ana", "cy"])
@pytest.mark.parametrize("lie", LIES)
def test_odd_one_out_of_three_is_named(lie: str, liar: str, world: World):
    plant, place, subject = LIES[lie]
    findings = compare(world, {liar: plant})
    assert {finding.kind for finding in findings} == {FindingKind.NODE}
    assert {finding.meaning for finding in findings} == {
        f"{liar} contradicts 2 other nodes, which agree with each other."
    }
    assert findings[0].round == place
    assert findings[0].subject.startswith(subject)
    assert findings[0].found.startswith(f"{liar}: ")
    assert findings[0].expected not in findings[0].found


@pytest.mark.parametrize("lie", LIES)
def test_two_nodes_contradict_each_other(lie: str, world: World):
    plant, place, subject = LIES[lie]
    first = compare(world, {"bob": plant}, 2)[0]
    assert (first.kind, first.round) == (FindingKind.NODE, place)
    assert first.subject.startswith(subject)
    assert first.expected.startswith("ana: ")
    assert first.found.startswith("bob: ")
    assert first.meaning == (
        "These nodes contradict each other; ask another one to learn which one is wrong."
    )


def test_two_against_two_are_not_judged(world: World):
    [first, *_] = compare(world, {"ana": lower_tally, "dee": lower_tally}, 4)
    assert first.meaning.startswith("These nodes contradict each other")


@pytest.mark.parametrize("lie", LIES)
def test_proven_node_is_right_against_two_others(lie: str, world: World):
    plant, place, _ = LIES[lie]
    findings = compare(world, {"bob": plant, "cy": plant}, first_is_proven=True)
    assert findings[0].round == place
    assert {finding.meaning for finding in findings} == {
        "bob contradicts what is proved from the trusted block.",
        "cy contradicts what is proved from the trusted block.",
    }


def test_nodes_may_have_events_after_the_trusted_block(world: World):
    compared = compare_all(world, {"ana": truncate}, 2, first_is_proven=True)
    events = len(world.ledger.events(world.experiment))
    before = find_event(world.ledger.events(world.experiment), is_ballot)
    assert compared.findings == ()
    assert compared.unchecked == (
        f"The state at bob: the node has {events} events of the experiment, not {before}.",
    )


def test_node_that_is_a_block_behind_is_asked_again(world: World):
    calls = []

    def lag(ledger: LyingLedger) -> None:
        def rewrite(events: list[RecordedEvent]) -> list[RecordedEvent]:
            calls.append(1)
            return events[:-1] if len(calls) <= 3 else events  # 3: those of the first attempt

        ledger.rewrite_events = rewrite

    assert compare_all(world, {"bob": lag}, 2) == Comparison()
    assert len(calls) > 3


def test_dropped_transactions_and_blocks_are_no_contradiction(world: World):
    def drop(ledger: LyingLedger) -> None:
        ledger.rewrite_origin = lambda _: None

    def drop_entropy(ledger: LyingLedger) -> None:
        ledger.rewrite_origin = lambda origin: origin and replace(origin, entropy=None)

    assert compare_all(world, {"bob": drop}) == Comparison()
    assert compare_all(world, {"bob": drop_entropy}) == Comparison()


def test_node_that_cannot_be_reached_is_named(world: World):
    def fail(ledger: LyingLedger) -> None:
        def rewrite(_: Any) -> Any:
            raise LedgerUnavailable("it is gone")

        ledger.rewrites["experiment"] = rewrite

    with pytest.raises(
        NodeNotComparable, match="the answers of bob cannot be compared: it is gone"
    ):
        compare(world, {"bob": fail})


def test_progress_counts_nodes(world: World):
    seen: list[int] = []
    compare(world, {}, 3, report_done=seen.append)
    assert seen == [1, 2, 3]
