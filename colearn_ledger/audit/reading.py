"""Read everything about an experiment that an audit compares: its events and its state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from colearn_ledger.calls import BALLOTS
from colearn_ledger.history import History
from colearn_ledger.history.reading import make_history, read_pages
from colearn_ledger.ledger import LedgerView, Origin, RecordedEvent
from colearn_ledger.protocol import (
    MAX_PAGE,
    Ballot,
    ContentRef,
    Experiment,
    ExperimentId,
    Learner,
    LedgerError,
    Round,
)

_EVENTS_AT_ONCE = 1_000
_ROUNDS_AT_ONCE = 50
_ATTEMPTS = 5

ReportDone = Callable[[int], None]
"""Called with the number of events, rounds or files that are done."""


class ChangingLedger(LedgerError):
    """The experiment changed during every attempt to read it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An experiment's events, and the state to which they led.

    ``ballots`` has the rows of each round, one for each learner.
    """

    experiment: Experiment
    current: tuple[ContentRef, ...]
    learners: list[Learner]
    rounds: list[Round]
    ballots: list[list[Ballot]]
    events: list[RecordedEvent]

    def make_history(self) -> History:
        """Return the experiment's history from what was read."""
        return make_history(self.experiment, self.learners, self.rounds, self.ballots, self.events)


def read_snapshot(
    ledger: LedgerView,
    experiment: ExperimentId,
    *,
    report_done: ReportDone = lambda _: None,
    report_rounds: ReportDone = lambda _: None,
) -> Snapshot:
    """Read events and state that belong together; read again what changed meanwhile.

    Args:
        ledger: the ledger.
        experiment: the id of the experiment.
        report_done: called with the number of events read so far.
        report_rounds: called with the number of rounds whose state was read.

    Raises:
        UnknownExperiment: the ledger has no such experiment.
        LedgerUnavailable: the ledger did not answer, or has dropped old events.
        ChangingLedger: the experiment changed during every attempt.
    """
    events: list[RecordedEvent] = []
    for _ in range(_ATTEMPTS):
        for page in _read_pages_of_events(ledger, experiment, events[-1].cursor if events else -1):
            events += page
            report_done(len(events))
        state = _read_state(ledger, experiment, events, report_rounds)
        if not ledger.events(experiment, events[-1].cursor if events else -1, 1):
            return state
    raise ChangingLedger(
        f"experiment {experiment} changed during each of {_ATTEMPTS} attempts to read it; try "
        "again when less happens in it"
    )


def read_origins(
    ledger: LedgerView, recorded: Sequence[RecordedEvent], *, report_done: ReportDone
) -> list[Origin | None]:
    """Return what the ledger recorded of the events' transactions, ``None`` where unknown."""
    origins: list[Origin | None] = []
    while (start := len(origins)) < len(recorded):
        origins += ledger.read_origins(recorded[start : _find_end(recorded, start)])
        report_done(len(origins))
    return origins


def _find_end(recorded: Sequence[RecordedEvent], start: int) -> int:
    """Return where a page of events ends; it never separates the events of a transaction."""
    end = min(start + _EVENTS_AT_ONCE, len(recorded))
    while end < len(recorded) and recorded[end].transaction == recorded[end - 1].transaction:
        end += 1
    return end


def _read_pages_of_events(
    ledger: LedgerView, experiment: ExperimentId, cursor: int
) -> Iterator[list[RecordedEvent]]:
    while page := ledger.events(experiment, cursor, _EVENTS_AT_ONCE):
        last = max(recorded.cursor for recorded in page)
        yield page
        if last <= cursor:  # the ledger repeats itself; the replay reports it
            return
        cursor = last


def _read_state(
    ledger: LedgerView,
    experiment: ExperimentId,
    events: list[RecordedEvent],
    report_rounds: ReportDone,
) -> Snapshot:
    learners = read_pages(lambda start: ledger.learners(experiment, start, MAX_PAGE))
    rounds = read_pages(lambda start: ledger.rounds(experiment, start, MAX_PAGE))
    return Snapshot(
        experiment=ledger.experiment(experiment),
        current=tuple(ledger.current_weights(experiment)),
        learners=learners,
        rounds=rounds,
        ballots=_read_ballots(ledger, experiment, rounds, len(learners), report_rounds),
        events=events,
    )


def _read_ballots(
    ledger: LedgerView,
    experiment: ExperimentId,
    rounds: list[Round],
    learners: int,
    report_rounds: ReportDone,
) -> list[list[Ballot]]:
    rows: list[list[Ballot]] = [[] for _ in rounds]
    for first in range(0, len(rounds), _ROUNDS_AT_ONCE):
        some = rounds[first : first + _ROUNDS_AT_ONCE]
        for start in range(0, learners, MAX_PAGE):
            questions = [(experiment, round_.index, start, MAX_PAGE) for round_ in some]
            pages = ledger.ask_all(BALLOTS, questions)
            for row, page in zip(rows[first:], pages, strict=False):
                row += page
        report_rounds(first + len(some))
    return rows
