"""An experiment's history: the ledger's state joined with the scores in its events.

Proposers, electorates, ballots, tallies, outcomes and times come from queries; a ledger keeps them
permanently. Scores are recorded in events only. If a node has dropped old events, the scores in
them are absent and `History.scores_complete` is false.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from colearn_ledger.calls import BALLOTS
from colearn_ledger.ledger import LedgerUnavailable, LedgerView
from colearn_ledger.protocol import (
    MAX_PAGE,
    Account,
    Ballot,
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
_Key = tuple[int, Account]


@dataclass(frozen=True, slots=True)
class BallotRecord:
    """One learner's ballot in one round; its scores are absent if it reported none."""

    ballot: Ballot
    scores: Scores


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """A round with a row for each learner that has joined, in order of index.

    ``scores`` are the ones that the proposer reported for its proposal.
    """

    round: Round
    scores: Scores
    ballots: tuple[BallotRecord, ...]


@dataclass(frozen=True, slots=True)
class History:
    """The whole history of an experiment up to now.

    Args:
        experiment: its current state.
        learners: every learner that joined, in order of index.
        rounds: every round that has begun.
        scores_complete: whether the ledger still had every event.
    """

    experiment: Experiment
    learners: tuple[Learner, ...]
    rounds: tuple[RoundRecord, ...]
    scores_complete: bool

    def to_json(self) -> str:
        """Return the history as JSON; infinite scores become strings and absent ones null."""
        document = {
            "experiment": _to_dict_without(self.experiment, "round", "seed"),
            "learners": [
                _to_dict_without(learner, "experiment", "encryption_key")
                for learner in self.learners
            ],
            "rounds": [_round_to_dict(record) for record in self.rounds],
            "scores_complete": self.scores_complete,
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Return the history as CSV, with one row for each learner in each round."""
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        index_of = {learner.account: learner.index for learner in self.learners}
        for record in self.rounds:
            for row in record.ballots:
                writer.writerow(_csv_row(record, row, index_of[row.ballot.learner]))
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
    scores, complete = _read_scores(ledger, experiment)
    ballots = _read_ballots(ledger, experiment, rounds, learners)
    pairs = zip(rounds, ballots, strict=True)
    records = tuple(_round_record(round_, rows, scores) for round_, rows in pairs)
    return History(now, tuple(learners), records, complete)


def _round_record(round_: Round, ballots: list[Ballot], scores: dict[_Key, Scores]) -> RoundRecord:
    def scores_of(account: Account) -> Scores:
        return scores.get((round_.index, account), Scores())

    rows = tuple(
        BallotRecord(b, Scores() if b.learner == round_.proposer else scores_of(b.learner))
        for b in ballots
    )
    return RoundRecord(round_, scores_of(round_.proposer), rows)


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


def _read_scores(ledger: LedgerView, experiment: ExperimentId) -> tuple[dict[_Key, Scores], bool]:
    """Return the scores by round and account, and whether all events were available."""
    scores: dict[_Key, Scores] = {}
    cursor = -1
    try:
        while recorded := ledger.events(experiment, cursor, _EVENTS_AT_ONCE):
            cursor = recorded[-1].cursor
            for event in (r.event for r in recorded):
                if isinstance(event, WeightsProposed):
                    scores[event.round, event.proposer] = event.scores
                elif isinstance(event, VoteCast):
                    scores[event.round, event.learner] = event.vote.scores
    except LedgerUnavailable as error:
        _log.warning("some scores are missing from the history: %s", error)
        return scores, False
    return scores, True


# ------------------------------------------------------------------ writing


_COLUMNS = [
    "round",
    "outcome",
    "proposer",
    "eligible",
    "needed",
    "approvals",
    "rejections",
    "learner",
    "learner_index",
    "ballot",
    "vote_score",
    "test_score",
    "cid",
    "sha256",
    "size",
    "started_at",
    "proposed_at",
    "reveal_started_at",
    "closed_at",
    "by_deadline",
]


def _csv_row(record: RoundRecord, row: BallotRecord, learner_index: int) -> dict[str, Any]:
    round_ = record.round
    scores = record.scores if row.ballot.learner == round_.proposer else row.scores
    return {
        "round": round_.index,
        "outcome": round_.outcome.name.lower(),
        "proposer": round_.proposer,
        "eligible": round_.eligible,
        "needed": round_.needed,
        "approvals": round_.approvals,
        "rejections": round_.rejections,
        "learner": row.ballot.learner,
        "learner_index": learner_index,
        "ballot": _ballot_name(row.ballot, round_),
        "vote_score": "" if scores.vote_score is None else repr(scores.vote_score),
        "test_score": "" if scores.test_score is None else repr(scores.test_score),
        "cid": round_.content.cid if round_.content else "",
        "sha256": round_.content.sha256 if round_.content else "",
        "size": round_.content.size if round_.content else "",
        "started_at": round_.started_at,
        "proposed_at": _or_empty(round_.proposed_at),
        "reveal_started_at": _or_empty(round_.reveal_started_at),
        "closed_at": _or_empty(round_.closed_at),
        "by_deadline": str(round_.by_deadline).lower(),
    }


def _ballot_name(ballot: Ballot, round_: Round) -> str:
    if ballot.learner == round_.proposer:
        return "proposer"
    return ballot.state.name.lower() if ballot.eligible else "not_eligible"


def _or_empty(value: int | None) -> int | str:
    return "" if value is None else value


def _round_to_dict(record: RoundRecord) -> dict[str, Any]:
    round_ = _to_dict_without(record.round, "experiment", "commitments", "deadline")
    return {
        "round": round_.pop("index"),
        **round_,
        **to_dict(record.scores),
        "ballots": [
            {
                "learner": row.ballot.learner,
                "ballot": _ballot_name(row.ballot, record.round),
                **to_dict(row.scores),
            }
            for row in record.ballots
            if row.ballot.learner != record.round.proposer
        ],
    }


def _to_dict_without(value: Any, *left_out: str) -> dict[str, Any]:
    """Return a value as a dictionary, without the fields that the format excludes."""
    return {name: field for name, field in to_dict(value).items() if name not in left_out}
