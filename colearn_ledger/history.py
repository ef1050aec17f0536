"""An experiment's history: from the ledger's state, with the scores joined in from its events.

Who proposed what, who was eligible, who voted how, the tally, the outcome and the times come from
queries and are there for ever. Scores live in events; where a node has dropped old events, they
are absent and `History.scores_complete` is false.
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
    ContentRef,
    Experiment,
    ExperimentId,
    Learner,
    Round,
    Scores,
    VoteCast,
    WeightsProposed,
)

__all__ = ["BallotRecord", "History", "RoundRecord", "read_history"]

_log = logging.getLogger(__name__)
_EVENTS_AT_ONCE = 1_000
_Row = TypeVar("_Row")
_Key = tuple[int, Account]


@dataclass(frozen=True, slots=True)
class BallotRecord:
    """One learner in one round; ``scores`` are absent where it gave none."""

    ballot: Ballot
    scores: Scores


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """A round with a row for each learner that has joined, in order of index.

    ``scores`` are the proposer's own of its proposal.
    """

    round: Round
    scores: Scores
    ballots: tuple[BallotRecord, ...]


@dataclass(frozen=True, slots=True)
class History:
    """All of an experiment, as far as it went.

    Args:
        experiment: as it is now.
        learners: everyone who joined, in order of index.
        rounds: all that began.
        scores_complete: whether the ledger still had every event.
    """

    experiment: Experiment
    learners: tuple[Learner, ...]
    rounds: tuple[RoundRecord, ...]
    scores_complete: bool

    def to_json(self) -> str:
        """Return the history as a JSON document; infinite scores are strings, absent ones null."""
        document = {
            "experiment": _experiment_to_json(self.experiment),
            "learners": [_learner_to_json(learner) for learner in self.learners],
            "rounds": [_round_to_json(record) for record in self.rounds],
            "scores_complete": self.scores_complete,
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Return the history as a table: one row for each learner in each round."""
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
        LedgerUnavailable: it did not answer the queries.
    """
    now = ledger.experiment(experiment)
    learners = _every(lambda start: ledger.learners(experiment, start, MAX_PAGE))
    rounds = _every(lambda start: ledger.rounds(experiment, start, MAX_PAGE))
    scores, complete = _scores(ledger, experiment)
    records = []
    for held, ballots in zip(rounds, _ballots(ledger, experiment, rounds, learners), strict=True):
        index = held.index
        rows = tuple(
            BallotRecord(b, Scores() if b.learner == held.proposer else _given(scores, index, b))
            for b in ballots
        )
        records.append(RoundRecord(held, scores.get((index, held.proposer), Scores()), rows))
    return History(now, tuple(learners), tuple(records), complete)


def _ballots(
    ledger: LedgerView, experiment: ExperimentId, rounds: list[Round], learners: list[Learner]
) -> list[list[Ballot]]:
    """Return the ballots of each round, a row for each learner."""
    rows: list[list[Ballot]] = [[] for _ in rounds]
    for start in range(0, len(learners), MAX_PAGE):
        questions = [(experiment, round_.index, start, MAX_PAGE) for round_ in rounds]
        pages = ledger.ask_all(BALLOTS, questions)
        for held, page in zip(rows, pages, strict=True):
            held += page[: len(learners) - start]  # whoever joined meanwhile is not among them
    return rows


def _given(scores: dict[_Key, Scores], index: int, ballot: Ballot) -> Scores:
    return scores.get((index, ballot.learner), Scores())


def _every(page: Callable[[int], list[_Row]]) -> list[_Row]:
    rows: list[_Row] = []
    while more := page(len(rows)):
        rows += more
        if len(more) < MAX_PAGE:
            break
    return rows


def _scores(ledger: LedgerView, experiment: ExperimentId) -> tuple[dict[_Key, Scores], bool]:
    """Return the scores by round and account, and whether all events could be read."""
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
        _log.warning("the history is without some scores: %s", error)
        return scores, False
    return scores, True


# ------------------------------------------------------------------ writing


_COLUMNS = [
    *("round", "outcome", "proposer", "eligible", "needed", "approvals", "rejections"),
    *("learner", "learner_index", "ballot", "vote_score", "test_score"),
    *("cid", "sha256", "size", "started_at", "proposed_at", "reveal_started_at", "closed_at"),
    "by_deadline",
]


def _csv_row(record: RoundRecord, row: BallotRecord, learner_index: int) -> dict[str, Any]:
    held = record.round
    proposed = row.ballot.learner == held.proposer
    scores = record.scores if proposed else row.scores
    return {
        "round": held.index,
        "outcome": held.outcome.name.lower(),
        "proposer": held.proposer,
        "eligible": held.eligible,
        "needed": held.needed,
        "approvals": held.approvals,
        "rejections": held.rejections,
        "learner": row.ballot.learner,
        "learner_index": learner_index,
        "ballot": _ballot_name(row.ballot, held),
        "vote_score": "" if scores.vote_score is None else repr(scores.vote_score),
        "test_score": "" if scores.test_score is None else repr(scores.test_score),
        "cid": held.content.cid if held.content else "",
        "sha256": held.content.sha256 if held.content else "",
        "size": held.content.size if held.content else "",
        "started_at": held.started_at,
        "proposed_at": _or_empty(held.proposed_at),
        "reveal_started_at": _or_empty(held.reveal_started_at),
        "closed_at": _or_empty(held.closed_at),
        "by_deadline": str(held.by_deadline).lower(),
    }


def _ballot_name(ballot: Ballot, held: Round) -> str:
    if ballot.learner == held.proposer:
        return "proposer"
    return ballot.state.name.lower() if ballot.eligible else "not_eligible"


def _or_empty(value: int | None) -> int | str:
    return "" if value is None else value


def _experiment_to_json(e: Experiment) -> dict[str, Any]:
    p = e.params
    return {
        "id": e.id,
        "creator": e.creator,
        "status": e.status.name.lower(),
        "created_at": e.created_at,
        "started_at": e.started_at,
        "ended_at": e.ended_at,
        "active_learners": e.active_learners,
        "joined_learners": e.joined_learners,
        "current": _content_to_json(e.current),
        "current_round": e.current_round,
        "params": {
            "name": p.name,
            "spec": _content_to_json(p.spec),
            "initial": _content_to_json(p.initial),
            "rounds": p.rounds,
            "min_learners": p.min_learners,
            "max_learners": p.max_learners,
            "approval_bps": p.approval_bps,
            "propose_window": p.propose_window,
            "vote_window": p.vote_window,
            "reveal_window": p.reveal_window,
            "selection": p.selection.name.lower(),
            "admission": p.admission.name.lower(),
            "late_join": p.late_join,
            "settle_early": p.settle_early,
            "max_strikes": p.max_strikes,
        },
    }


def _learner_to_json(learner: Learner) -> dict[str, Any]:
    return {
        "account": learner.account,
        "index": learner.index,
        "active": learner.active,
        "from_round": learner.from_round,
        "until_round": learner.until_round,
        "strikes": learner.strikes,
    }


def _round_to_json(record: RoundRecord) -> dict[str, Any]:
    held = record.round
    return {
        "round": held.index,
        "phase": held.phase.name.lower(),
        "outcome": held.outcome.name.lower(),
        "proposer": held.proposer,
        "eligible": held.eligible,
        "needed": held.needed,
        "approvals": held.approvals,
        "rejections": held.rejections,
        "content": _content_to_json(held.content),
        "vote_score": _score_to_json(record.scores.vote_score),
        "test_score": _score_to_json(record.scores.test_score),
        "started_at": held.started_at,
        "proposed_at": held.proposed_at,
        "reveal_started_at": held.reveal_started_at,
        "closed_at": held.closed_at,
        "by_deadline": held.by_deadline,
        "ballots": [
            {
                "learner": row.ballot.learner,
                "ballot": _ballot_name(row.ballot, held),
                "vote_score": _score_to_json(row.scores.vote_score),
                "test_score": _score_to_json(row.scores.test_score),
            }
            for row in record.ballots
            if row.ballot.learner != held.proposer
        ],
    }


def _content_to_json(content: ContentRef | None) -> dict[str, Any] | None:
    if content is None:
        return None
    return {"cid": content.cid, "sha256": content.sha256, "size": content.size}


def _score_to_json(score: float | None) -> float | str | None:
    infinite = score is not None and score in (float("inf"), float("-inf"))
    return str(score) if infinite else score
