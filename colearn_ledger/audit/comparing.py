"""Compare the state that a replay leads to with the state that the contract returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from colearn_ledger.audit.findings import Finding, FindingKind, describe
from colearn_ledger.audit.meanings import meaning_of_state
from colearn_ledger.audit.reading import Snapshot
from colearn_ledger.audit.replay import Replayed
from colearn_ledger.protocol import MAX_LEARNERS, Ballot, Experiment, Learner, Round, Slot
from colearn_ledger.reference.state import ExperimentState, LedgerState
from colearn_ledger.reference.views import Views

_NOT_IN_EVENTS = {"encryption_key"}
"""Fields that a call changes without an event."""

_OF_CURRENT_ROUND = {"current", "current_round"}
_FIXED = ("params", "hash", "creator", "created_at")
"""Fields that do not change after the creation."""


def compare_state(snapshot: Snapshot, replayed: Replayed) -> Iterator[Finding]:
    """Yield the differences between the contract's state and the replay's.

    If the replay had to stop, only the rounds before that and what never changes are compared.
    """
    state = replayed.state
    if state is None:
        return
    views = Views(LedgerState({state.id: state}))
    stop = replayed.complete_rounds
    rounds = views.rounds(state.id, 0, len(state.rounds))
    for expected, found in zip(rounds[:stop], snapshot.rounds, strict=False):
        yield from _compare_round(expected, found)
    yield from _compare_ballots(views, state, snapshot, stop)
    yield from _compare_fixed(views.experiment(state.id), snapshot.experiment)
    if stop is not None:
        return
    if len(rounds) != len(snapshot.rounds):
        first = min(len(rounds), len(snapshot.rounds))
        yield _make(first, "rounds", len(rounds), len(snapshot.rounds))
    yield from _compare_experiment(views, state, snapshot, seed_is_known=replayed.seed_is_known)
    learners = views.learners(state.id, 0, MAX_LEARNERS + len(state.members))
    yield from _compare_learners(learners, snapshot.learners, last=len(rounds) - 1)


def _compare_fixed(expected: Experiment, found: Experiment) -> Iterator[Finding]:
    for name, wanted, given in _differences(expected, found):
        if name == "params":
            for each, one, other in _differences(wanted, given):
                yield _make(None, f"parameter {each}", one, other, "params")
        elif name in _FIXED:
            yield _make(None, f"{name} of the experiment", wanted, given, name)


def _compare_experiment(
    views: Views, state: ExperimentState, snapshot: Snapshot, *, seed_is_known: bool
) -> Iterator[Finding]:
    expected, found = views.experiment(state.id), snapshot.experiment
    last = len(state.rounds) - 1 if state.rounds else None
    for name, wanted, given in _differences(expected, found):
        if name in _FIXED or (name == "seed" and not seed_is_known):
            continue
        place = expected.current_round if name in _OF_CURRENT_ROUND else last
        yield _make(place, f"{name} of the experiment", wanted, given, name)
    if snapshot.current != expected.current:
        subject = "answer about the current weights"
        place = expected.current_round
        yield _make(place, subject, expected.current, snapshot.current, "current")


def _compare_round(expected: Round, found: Round) -> Iterator[Finding]:
    index = expected.index
    for name, wanted, given in _differences(expected, found):
        if name != "slots":
            yield _make(index, name, wanted, given)
        elif len(wanted) != len(given):
            yield _make(index, "slots", len(wanted), len(given))
        else:
            for slot, pair in enumerate(zip(wanted, given, strict=True)):
                yield from _compare_slot(index, slot, *pair)


def _compare_slot(index: int, number: int, expected: Slot, found: Slot) -> Iterator[Finding]:
    for name, wanted, given in _differences(expected, found):
        yield _make(index, f"{name} of slot {number}", wanted, given, name)


def _compare_ballots(
    views: Views, state: ExperimentState, snapshot: Snapshot, stop: int | None
) -> Iterator[Finding]:
    for index, found in list(enumerate(snapshot.ballots))[:stop]:
        if index >= len(state.rounds):
            return
        expected = views.ballots(state.id, index, 0, len(state.members))
        by_learner = {row.learner: row for row in found}
        if stop is None and len(found) != len(expected):
            yield _make(index, "rows of ballots", len(expected), len(found), "eligible")
        for row in expected:
            given = by_learner.get(row.learner)
            if given is None:
                yield _make(index, f"ballot of {row.learner}", row.state, None, "ballots")
            else:
                yield from _compare_ballot(index, row, given)


def _compare_ballot(index: int, expected: Ballot, found: Ballot) -> Iterator[Finding]:
    for name, wanted, given in _differences(expected, found):
        subject = f"{name} of the ballot of {expected.learner}"
        meaning = meaning_of_state(name, is_ballot=True)
        yield Finding(FindingKind.STATE, index, subject, describe(wanted), describe(given), meaning)


def _compare_learners(
    expected: Sequence[Learner], found: Sequence[Learner], *, last: int
) -> Iterator[Finding]:
    place = last if last >= 0 else None
    if [row.account for row in expected] != [row.account for row in found]:
        wanted, given = (describe([row.account for row in rows]) for rows in (expected, found))
        yield _make(place, "learners", wanted, given, "eligible")
        return
    for row, other in zip(expected, found, strict=True):
        for name, wanted_value, given_value in _differences(row, other):
            subject, at = f"{name} of {row.account}", place
            if name in ("from_round", "until_round"):
                rounds = (place, wanted_value, given_value)  # a false one may be far beyond
                at = min(each for each in rounds if each is not None)
            yield _make(at, subject, wanted_value, given_value, "eligible")


def _differences(expected: Any, found: Any) -> Iterator[tuple[str, Any, Any]]:
    for name in (each.name for each in fields(expected)):
        wanted, given = getattr(expected, name), getattr(found, name)
        if name not in _NOT_IN_EVENTS and wanted != given:
            yield name, wanted, given


def _make(
    place: int | None, subject: str, expected: object, found: object, name: str = ""
) -> Finding:
    meaning = meaning_of_state(name or subject)
    return Finding(FindingKind.STATE, place, subject, describe(expected), describe(found), meaning)
