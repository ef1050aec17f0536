"""An experiment's history: the ledger's state joined with what only its events contain.

Proposers, electorates, ballots, tallies, outcomes and times come from queries; a ledger keeps them
permanently. Scores and announcements are recorded in events only. If a node has dropped old events,
those in them are absent and `History.scores_complete` is false.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from colearn_ledger.calls import BALLOTS
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
    Round,
    Scores,
    VoteCast,
    WeightsProposed,
    to_dict,
)

_log = logging.getLogger(__name__)
_EVENTS_AT_ONCE = 1_000
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class BallotRecord:
    """One learner's ballot in one round.

    Args:
        ballot: the ballot as recorded on the ledger.
        current: its scores of the weights that the round started from.
        proposals: its scores of each proposal, by slot; empty if the ballot reported none.
    """

    ballot: Ballot
    current: Scores
    proposals: Mapping[int, Scores]


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """A round with a row for each learner that has joined, in order of index.

    ``scores`` are the ones that the proposers reported, one entry for each slot.
    """

    round: Round
    scores: tuple[Scores, ...]
    ballots: tuple[BallotRecord, ...]

    @property
    def accepted(self) -> tuple[int, ...]:
        """Return the slots whose proposals were accepted."""
        return tuple(i for i, slot in enumerate(self.round.slots) if slot.accepted)

    def find_slot(self, account: Account) -> int | None:
        """Return the slot in which an account was selected to propose."""
        proposers = [slot.proposer for slot in self.round.slots]
        return proposers.index(account) if account in proposers else None

    def scores_of(self, row: BallotRecord) -> dict[int, Scores]:
        """Return a learner's scores of the proposals by slot, with those of its own proposal."""
        slot = self.find_slot(row.ballot.learner)
        own = {} if slot is None or slot not in self.round.contents else {slot: self.scores[slot]}
        return {**row.proposals, **own}

    def approved_slots(self, ballot: Ballot) -> list[int]:
        """Return the slots that a ballot approves."""
        return [slot for slot in range(len(self.round.slots)) if ballot.approvals >> slot & 1]


@dataclass(frozen=True, slots=True)
class Announcement:
    """A file that a learner announced; ``time`` is in seconds since the epoch."""

    time: int
    learner: Account
    topic: str
    content: ContentRef


@dataclass(frozen=True, slots=True)
class History:
    """The whole history of an experiment up to now.

    Args:
        experiment: its current state.
        learners: every learner that joined, in order of index.
        rounds: every round that has begun.
        scores_complete: whether the ledger still had every event.
        announcements: every announcement, in order.
    """

    experiment: Experiment
    learners: tuple[Learner, ...]
    rounds: tuple[RoundRecord, ...]
    scores_complete: bool
    announcements: tuple[Announcement, ...] = ()

    def to_json(self) -> str:
        """Return the history as JSON; infinite scores become strings and absent ones null."""
        document = {
            "experiment": _to_dict_without(self.experiment, "round", "seed"),
            "learners": [
                _to_dict_without(learner, "experiment", "encryption_key")
                for learner in self.learners
            ],
            "rounds": [_round_to_dict(record) for record in self.rounds],
            "announcements": [to_dict(each) for each in self.announcements],
            "scores_complete": self.scores_complete,
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Return the history as CSV, with a row for each learner and slot in each round."""
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        index_of = {learner.account: learner.index for learner in self.learners}
        for record in self.rounds:
            for row in record.ballots:
                writer.writerows(_csv_rows(record, row, index_of[row.ballot.learner]))
        return text.getvalue()


def read_history(ledger: LedgerView, experiment: ExperimentId) -> History:
    """Read an experiment's history.

    Raises:
        UnknownExperiment: the ledger has no such experiment.
        LedgerUnavailable: the ledger did not answer the queries.
    """
    now = ledger.experiment(experiment)
    learners = _read_pages(lambda start: ledger.learners(experiment, start, MAX_PAGE))
    rounds = _read_pages(lambda start: ledger.rounds(experiment, start, MAX_PAGE))
    recorded = _read_events(ledger, experiment)
    ballots = _read_ballots(ledger, experiment, rounds, learners)
    pairs = zip(rounds, ballots, strict=True)
    records = tuple(_round_record(round_, rows, recorded) for round_, rows in pairs)
    announcements = tuple(recorded.announcements)
    return History(now, tuple(learners), records, recorded.complete, announcements)


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


def _read_pages(page: Callable[[int], list[_Row]]) -> list[_Row]:
    rows: list[_Row] = []
    while more := page(len(rows)):
        rows += more
        if len(more) < MAX_PAGE:
            break
    return rows


def _read_events(ledger: LedgerView, experiment: ExperimentId) -> _Recorded:
    """Read the events, as far as they are available."""
    found = _Recorded()
    cursor = -1
    try:
        while page := ledger.events(experiment, cursor, _EVENTS_AT_ONCE):
            cursor = page[-1].cursor
            for recorded in page:
                found.add(recorded)
    except LedgerUnavailable as error:
        _log.warning("some scores are missing from the history: %s", error)
        found.complete = False
    return found


# ------------------------------------------------------------------ writing


_COLUMNS = [
    "round",
    "outcome",
    "slot",
    "proposer",
    "state",
    "accepted",
    "eligible",
    "needed",
    "approvals",
    "learner",
    "learner_index",
    "ballot",
    "approves",
    "current_vote_score",
    "current_test_score",
    "vote_score",
    "test_score",
    "cid",
    "sha256",
    "size",
    "started_at",
    "proposed_at",
    "voting_started_at",
    "reveal_started_at",
    "closed_at",
    "by_deadline",
]


def _csv_rows(
    record: RoundRecord, row: BallotRecord, learner_index: int
) -> Iterator[dict[str, Any]]:
    round_, ballot = record.round, _ballot_name(record, row.ballot)
    scores = record.scores_of(row)
    for index, slot in enumerate(round_.slots):
        own = scores.get(index, Scores())
        votes = ballot == "cast" and slot.content is not None
        votes = votes and slot.proposer != row.ballot.learner
        yield {
            "round": round_.index,
            "outcome": round_.outcome.name.lower(),
            "slot": index,
            "proposer": slot.proposer,
            "state": slot.state.name.lower(),
            "accepted": str(slot.accepted).lower(),
            "eligible": round_.eligible,
            "needed": round_.needed,
            "approvals": slot.approvals,
            "learner": row.ballot.learner,
            "learner_index": learner_index,
            "ballot": ballot,
            "approves": str(bool(row.ballot.approvals >> index & 1)).lower() if votes else "",
            "current_vote_score": _score_text(row.current.vote_score),
            "current_test_score": _score_text(row.current.test_score),
            "vote_score": _score_text(own.vote_score),
            "test_score": _score_text(own.test_score),
            "cid": slot.content.cid if slot.content else "",
            "sha256": slot.content.sha256 if slot.content else "",
            "size": slot.content.size if slot.content else "",
            "started_at": round_.started_at,
            "proposed_at": _or_empty(slot.proposed_at),
            "voting_started_at": _or_empty(round_.voting_started_at),
            "reveal_started_at": _or_empty(round_.reveal_started_at),
            "closed_at": _or_empty(round_.closed_at),
            "by_deadline": str(round_.by_deadline).lower(),
        }


def _ballot_name(record: RoundRecord, ballot: Ballot) -> str:
    """Return the ballot's state, or the reason why the learner has no vote."""
    if ballot.eligible:
        return ballot.state.name.lower()
    only_proposal = record.find_slot(ballot.learner) in record.round.contents
    return "proposer" if only_proposal else "not_eligible"


def _score_text(score: float | None) -> str:
    return "" if score is None else repr(score)


def _or_empty(value: int | None) -> int | str:
    return "" if value is None else value


def _round_to_dict(record: RoundRecord) -> dict[str, Any]:
    round_ = _to_dict_without(record.round, "experiment", "commitments", "deadline", "slots")
    slots = zip(record.round.slots, record.scores, strict=True)
    return {
        "round": round_.pop("index"),
        **round_,
        "accepted": list(record.accepted),
        "slots": [{**to_dict(slot), **to_dict(scores)} for slot, scores in slots],
        "ballots": [_ballot_to_dict(record, row) for row in record.ballots],
        "counted": record.round.ballots,
    }


def _ballot_to_dict(record: RoundRecord, row: BallotRecord) -> dict[str, Any]:
    by_slot = [{"slot": slot, **to_dict(scores)} for slot, scores in row.proposals.items()]
    return {
        "learner": row.ballot.learner,
        "ballot": _ballot_name(record, row.ballot),
        "approvals": record.approved_slots(row.ballot),
        "current": to_dict(row.current),
        "scores": by_slot,
    }


def _to_dict_without(value: Any, *left_out: str) -> dict[str, Any]:
    """Return a value as a dictionary, without the fields that the format excludes."""
    return {name: field for name, field in to_dict(value).items() if name not in left_out}
