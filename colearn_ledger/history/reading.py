"""Read an experiment's history from a ledger.

Proposers, electorates, ballots, tallies, outcomes and times come from queries; a ledger keeps them
permanently. Scores and announcements are recorded in events only. If a node has dropped old events,
those in them are absent and `History.scores_complete` is false.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from colearn_ledger.calls import BALLOTS
from colearn_ledger.history.records import (
    Announcement,
    BallotRecord,
    History,
    RoundRecord,
    ScoreKind,
)
from colearn_ledger.ledger import LedgerUnavailable, LedgerView, RecordedEvent
from colearn_ledger.protocol import (
    MAX_PAGE,
    Account,
    Announced,
    Ballot,
    ContentRef,
    Experiment,
    ExperimentId,
    Learner,
    LedgerError,
    Round,
    Scores,
    VoteCast,
    WeightsProposed,
)

if TYPE_CHECKING:
    from colearn_ledger.weights.store import ContentStore

_log = logging.getLogger(__name__)
_EVENTS_AT_ONCE = 1_000
_SPEC_TIMEOUT = 10.0  # seconds
_Row = TypeVar("_Row")


def read_history(
    ledger: LedgerView,
    experiment: ExperimentId,
    *,
    store: ContentStore | None = None,
    names: Mapping[Account, str] | None = None,
) -> History:
    """Read an experiment's history. A view of the ledger suffices; no wallet is needed.

    Args:
        ledger: the ledger.
        experiment: the id of the experiment.
        store: a store with the experiment's specification, which names the score; if that cannot
            be fetched, `History.score` is None and a warning is logged.
        names: names of accounts, for people; see `colearn_ledger.keys.names.find_names`.

    Raises:
        UnknownExperiment: the ledger has no such experiment.
        LedgerUnavailable: the ledger did not answer the queries.
    """
    now = ledger.experiment(experiment)
    learners = read_pages(lambda start: ledger.learners(experiment, start, MAX_PAGE))
    rounds = read_pages(lambda start: ledger.rounds(experiment, start, MAX_PAGE))
    recorded = _read_events(ledger, experiment)
    ballots = _read_ballots(ledger, experiment, rounds, learners)
    return History(
        now,
        tuple(learners),
        _join_records(rounds, ballots, recorded),
        recorded.complete,
        tuple(recorded.announcements),
        score=None if store is None else _try_score(store, now.params.spec),
        names=dict(names or {}),
    )


def make_history(
    experiment: Experiment,
    learners: Sequence[Learner],
    rounds: Sequence[Round],
    ballots: Sequence[list[Ballot]],
    events: Iterable[RecordedEvent],
) -> History:
    """Return the history that `read_history` would read, from answers that were read before.

    Args:
        experiment: its current state.
        learners: every learner, in order of index.
        rounds: every round that has begun.
        ballots: the ballots of each round, with a row for each learner.
        events: every event.
    """
    recorded = _Recorded()
    for event in events:
        recorded.add(event)
    records = _join_records(rounds, ballots, recorded)
    return History(experiment, tuple(learners), records, True, tuple(recorded.announcements))


def _join_records(
    rounds: Sequence[Round], ballots: Sequence[list[Ballot]], recorded: _Recorded
) -> tuple[RoundRecord, ...]:
    pairs = zip(rounds, ballots, strict=True)
    return tuple(_round_record(round_, rows, recorded) for round_, rows in pairs)


def read_score(store: ContentStore, spec: ContentRef) -> ScoreKind:
    """Fetch an experiment's specification, and return what its scores measure.

    Raises:
        ContentUnavailable, ContentTooLarge, WrongReference: it could not be fetched.
        SpecError: the file is not a specification.
    """
    from colearn_ledger.spec import ExperimentSpec

    read = ExperimentSpec.read(store, spec, timeout=_SPEC_TIMEOUT)
    return ScoreKind(read.score_name, read.higher_is_better)


def _try_score(store: ContentStore, spec: ContentRef) -> ScoreKind | None:
    try:
        return read_score(store, spec)
    except LedgerError as error:
        _log.warning("the name of the score is unknown: %s", error)
        return None


@dataclass(slots=True)
class _Recorded:
    """What the events contain: scores by round and slot or voter, and announcements."""

    proposals: dict[tuple[int, int], Scores] = field(default_factory=dict)
    ballots: dict[tuple[int, Account], tuple[Scores, ...]] = field(default_factory=dict)
    announcements: list[Announcement] = field(default_factory=list)
    complete: bool = True

    def add(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        if isinstance(event, WeightsProposed):
            self.proposals[event.round, event.slot] = event.scores
        elif isinstance(event, VoteCast):
            self.ballots[event.round, event.learner] = event.vote.scores
        elif isinstance(event, Announced):
            self.announcements.append(
                Announcement(recorded.time, event.learner, event.topic, event.content)
            )


def _round_record(round_: Round, ballots: list[Ballot], recorded: _Recorded) -> RoundRecord:
    slots = range(len(round_.slots))
    scores = tuple(recorded.proposals.get((round_.index, slot), Scores()) for slot in slots)
    rows = []
    for ballot in ballots:
        current, *others = recorded.ballots.get((round_.index, ballot.learner)) or [Scores()]
        # after a reorganisation, the ballot's event may be newer than the round that was read
        proposals = dict(zip(round_.contents, others, strict=False))
        rows.append(BallotRecord(ballot, current, proposals))
    return RoundRecord(round_, scores, tuple(rows))


def _read_ballots(
    ledger: LedgerView, experiment: ExperimentId, rounds: list[Round], learners: list[Learner]
) -> list[list[Ballot]]:
    """Return the ballots of each round, with a row for each learner."""
    rows: list[list[Ballot]] = [[] for _ in rounds]
    for start in range(0, len(learners), MAX_PAGE):
        questions = [(experiment, round_.index, start, MAX_PAGE) for round_ in rounds]
        pages = ledger.ask_all(BALLOTS, questions)
        for row, page in zip(rows, pages, strict=True):
            row += page[: len(learners) - start]  # skip learners that joined meanwhile
    return rows


def read_pages(page: Callable[[int], list[_Row]]) -> list[_Row]:
    """Return all rows of a query.

    Args:
        page: returns at most `MAX_PAGE` rows from a position on.
    """
    rows: list[_Row] = []
    while more := page(len(rows)):
        rows += more
        if len(more) < MAX_PAGE:
            break
    return rows


def iterate_events(ledger: LedgerView, experiment: ExperimentId) -> Iterator[RecordedEvent]:
    """Yield the events of an experiment in order, read by pages."""
    cursor = -1
    while page := ledger.events(experiment, cursor, _EVENTS_AT_ONCE):
        cursor = page[-1].cursor
        yield from page


def _read_events(ledger: LedgerView, experiment: ExperimentId) -> _Recorded:
    """Read the events, as far as they are available."""
    found = _Recorded()
    try:
        for recorded in iterate_events(ledger, experiment):
            found.add(recorded)
    except LedgerUnavailable as error:
        _log.warning("some scores are missing from the history: %s", error)
        found.complete = False
    return found
