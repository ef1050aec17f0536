"""Plot the results of the local driver like those of an experiment on a ledger."""

from __future__ import annotations

import math
from pathlib import Path

from colearn_learner.compat.results import Result, Results, mean_score
from colearn_learner.errors import MissingPackage
from colearn_ledger.history.chart import Chart, Point
from colearn_ledger.history.drawing import draw_scores, draw_votes
from colearn_ledger.history.marks import Mark


class ColearnPlot:
    """Plot the scores above the votes; each call draws the figure again.

    Args:
        score_name: label of the axis of the scores.
        draw_time: seconds that a window, if there is one, gets to draw itself.

    Raises:
        MissingPackage: matplotlib is not installed.
    """

    def __init__(self, score_name: str = "user-defined score", draw_time: float = 0.01) -> None:
        """Open the figure."""
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise MissingPackage("plots need: pip install 'colearn-ledger[plot]'") from error
        self._plt = plt
        self._score_name = score_name
        self._draw_time = draw_time
        self.figure, (self._scores, self._votes) = plt.subplots(
            2, 1, figsize=(9, 7), height_ratios=(3, 2), layout="constrained"
        )

    def plot_results_and_votes(self, results: Results) -> None:
        """Draw the scores and the votes of all rounds so far."""
        self.plot_results(results)
        self.plot_votes(results)

    def plot_results(self, results: Results) -> None:
        """Draw the group's mean score as a step line, and each proposal as a mark."""
        self._scores.clear()
        draw_scores(self._scores, chart_of_results(results, self._score_name))
        self._pause()

    def plot_votes(self, results: Results) -> None:
        """Draw a cell with a mark for each learner and round."""
        self._votes.clear()
        draw_votes(self._votes, chart_of_results(results, self._score_name))
        self._pause()

    def save(self, path: str | Path) -> None:
        """Write the figure to a file; the ending of its name selects the format."""
        self.figure.savefig(path, dpi=120)

    def block(self) -> None:
        """Show the window until it is closed; return at once if there is no window."""
        self._plt.show(block=True)

    def _pause(self) -> None:
        if self._plt.get_backend().lower() != "agg":
            self._plt.pause(self._draw_time)


def chart_of_results(results: Results, score_name: str) -> Chart:
    """Return the picture's data of results; scores are means over all learners.

    A result without a proposal has the scores of the learners' own weights, as that of
    `initial_result`.
    """
    names = [f"learner {n}" for n in range(len(results.data[0].votes) if results.data else 0)]
    votes, tests = [[math.nan]], [[math.nan]]
    for result in results.data:
        is_adopted = result.vote or not _proposals(result)
        votes.append(result.vote_scores if is_adopted else votes[-1])
        tests.append(result.test_scores if is_adopted else tests[-1])
    return Chart(
        title="",
        score=score_name,
        higher_is_better=None,
        learners=tuple(names),
        group=tuple(map(mean_score, votes)),
        test=tuple(map(mean_score, tests)),
        low=tuple(min(_known(scores)) for scores in votes),
        high=tuple(max(_known(scores)) for scores in votes),
        points=tuple(
            Point(n, mean_score(result.vote_scores), result.vote)
            for n, result in enumerate(results.data)
            if _proposals(result)
        ),
        marks=tuple(_marks(result) for result in results.data),
        plural=any(result.proposals for result in results.data),
        accepted=frozenset(
            (n, learner)
            for n, result in enumerate(results.data)
            for learner, accepted in _proposals(result).items()
            if accepted
        ),
    )


def _proposals(result: Result) -> dict[int, bool]:
    """Return whether the proposal of each proposer was accepted."""
    if result.block_proposer is not None:
        return {result.block_proposer: result.vote}
    return result.proposals


def _marks(result: Result) -> tuple[Mark, ...]:
    proposals = _proposals(result)
    if not proposals:
        return tuple(Mark.OUTSIDE for _ in result.votes)
    return tuple(
        _mark(vote, is_proposer=learner in proposals) for learner, vote in enumerate(result.votes)
    )


def _mark(vote: bool | None, *, is_proposer: bool) -> Mark:
    if vote is None:
        return Mark.PROPOSER if is_proposer else Mark.MISSING
    return Mark.APPROVED if vote else Mark.REJECTED


def _known(scores: list[float]) -> list[float]:
    return [score for score in scores if math.isfinite(score)] or [math.nan]
