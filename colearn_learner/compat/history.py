"""Convert an experiment's history to the results of the local driver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from colearn_learner.compat.results import Result, Results, mean_score
from colearn_ledger.history import BallotRecord, History, RoundRecord
from colearn_ledger.protocol import Account, BallotState, Outcome


def results_of(history: History) -> Results:
    """Convert a history to the local driver's `Results`, with one `Result` per round."""
    index_of = {learner.account: learner.index for learner in history.learners}
    return Results([_round_result(record, index_of) for record in history.rounds])


def _round_result(record: RoundRecord, index_of: Mapping[Account, int]) -> Result:
    result = Result(vote=record.round.outcome == Outcome.ACCEPTED)
    slots = record.round.slots
    if len(slots) == 1:
        result.block_proposer = index_of[slots[0].proposer]
    else:
        result.proposals = {
            index_of[slot.proposer]: slot.accepted for slot in slots if slot.content is not None
        }
    for row in record.ballots:
        cast = row.ballot.state == BallotState.CAST
        result.votes.append(bool(row.ballot.approvals) if cast else None)
        vote_score, test_score = _mean_scores(record, row)
        result.vote_scores.append(vote_score)
        result.test_scores.append(test_score)
    return result


def _mean_scores(record: RoundRecord, row: BallotRecord) -> tuple[float, float]:
    """Return a learner's mean scores of the accepted proposals, or of all if none is accepted."""
    slots = record.accepted or tuple(record.round.contents)
    scores = [score for slot, score in record.scores_of(row).items() if slot in slots]
    return _mean(s.vote_score for s in scores), _mean(s.test_score for s in scores)


def _mean(scores: Iterable[float | None]) -> float:
    return mean_score([score for score in scores if score is not None])
