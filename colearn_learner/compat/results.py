"""Results of the local driver's rounds, and their statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from colearn_learner.interface import TrainingSummary


@dataclass
class Result:
    """The result of one round. Every list has one entry for each learner, in their order.

    With several proposers, a vote is whether the learner approved any proposal, and a score is the
    learner's mean over the accepted proposals, or over all proposals if none was accepted.

    Args:
        vote: whether a proposal was accepted.
        votes: each learner's vote; None for the proposer's, which does not count.
        test_scores: of the proposal on each learner's test records.
        vote_scores: of the proposal on each learner's vote records.
        training_summaries: the learners' training summaries; None for a learner without one.
        block_proposer: the proposer's index; None with several proposers, if all learners trained,
            or if none did.
        proposals: with several proposers, whether the proposal was accepted, by proposer's index.
    """

    vote: bool = False
    votes: list[bool | None] = field(default_factory=list)
    test_scores: list[float] = field(default_factory=list)
    vote_scores: list[float] = field(default_factory=list)
    training_summaries: list[TrainingSummary | None] = field(default_factory=list)
    block_proposer: int | None = None
    proposals: dict[int, bool] = field(default_factory=dict)


@dataclass
class Results:
    """The results of rounds in order, and statistics of their scores.

    The statistics are empty until `process_statistics` is called: ``h_test_scores`` and
    ``h_vote_scores`` have one list for each learner with one score for each round,
    ``mean_test_scores`` and ``mean_vote_scores`` one mean for each round.
    """

    data: list[Result] = field(default_factory=list)
    h_test_scores: list[list[float]] = field(default_factory=list, init=False)
    h_vote_scores: list[list[float]] = field(default_factory=list, init=False)
    mean_test_scores: list[float] = field(default_factory=list, init=False)
    mean_vote_scores: list[float] = field(default_factory=list, init=False)

    def process_statistics(self) -> None:
        """Compute the statistics from ``data``; a score that is NaN counts as absent."""
        self.h_test_scores = _by_learner([result.test_scores for result in self.data])
        self.h_vote_scores = _by_learner([result.vote_scores for result in self.data])
        self.mean_test_scores = [mean_score(result.test_scores) for result in self.data]
        self.mean_vote_scores = [mean_score(result.vote_scores) for result in self.data]


def print_results(results: Results) -> None:
    """Print the last round: outcome, votes, scores, and privacy budgets where there are any."""
    for line in _lines(results):
        print(line)  # noqa: T201 - printing is its purpose


def _lines(results: Results) -> list[str]:
    if not results.data:
        return ["there are no rounds yet"]
    last = results.data[-1]
    lines = [f"result {len(results.data) - 1}: {_outcome(last)}"]
    lines.append("learner  vote     vote score  test score")
    rows = zip(last.votes, last.vote_scores, last.test_scores, strict=False)
    for learner, (vote, vote_score, test_score) in enumerate(rows):
        cast = "none" if vote is None else "approve" if vote else "reject"
        lines.append(f"{learner:>7}  {cast:<7}  {vote_score:>10.5g}  {test_score:>10.5g}")
    means = (mean_score(last.vote_scores), mean_score(last.test_scores))
    lines.append(f"{'mean':>7}  {'':<7}  {means[0]:>10.5g}  {means[1]:>10.5g}")
    return lines + _budget_lines(last.training_summaries)


def _outcome(result: Result) -> str:
    if result.proposals:
        accepted = [str(n) for n, is_accepted in result.proposals.items() if is_accepted]
        chosen = f", of learners {', '.join(accepted)}" if accepted else ""
        return f"{len(accepted)} of {len(result.proposals)} proposals accepted{chosen}"
    if result.block_proposer is None:
        return "there was no vote"
    return (
        f"proposal of learner {result.block_proposer} {'accepted' if result.vote else 'rejected'}"
    )


def _budget_lines(summaries: Sequence[TrainingSummary | None]) -> list[str]:
    budgets = {
        learner: summary.dp_budget
        for learner, summary in enumerate(summaries)
        if summary is not None and summary.dp_budget is not None
    }
    if not budgets:
        return []
    lines = ["learner  epsilon spent  of target  delta spent  of target"]
    for learner, budget in budgets.items():
        epsilon = f"{budget.consumed_epsilon:>13.4g}  {budget.target_epsilon:>9.4g}"
        delta = f"{budget.consumed_delta:>11.3g}  {budget.target_delta:>9.3g}"
        lines.append(f"{learner:>7}  {epsilon}  {delta}")
    return lines


def _by_learner(rounds: Sequence[Sequence[float]]) -> list[list[float]]:
    """Turn scores by round into scores by learner, with NaN for absent scores."""
    n_learners = max((len(scores) for scores in rounds), default=0)
    return [
        [scores[learner] if learner < len(scores) else math.nan for scores in rounds]
        for learner in range(n_learners)
    ]


def mean_score(scores: Sequence[float]) -> float:
    """Return the mean of the scores that are not NaN; NaN if there are none."""
    present = [score for score in scores if not math.isnan(score)]
    return math.fsum(present) / len(present) if present else math.nan
