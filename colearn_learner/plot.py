"""Pictures of the local driver's results: scores by round, and who voted how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from colearn_learner.errors import MissingPackage
from colearn_learner.results import Results, mean_score

__all__ = ["ColearnPlot"]

_GREEN, _RED, _GREY = "#2a9d5c", "#d1495b", "#d0d0d0"


class ColearnPlot:
    """A figure with the scores above and the votes below, drawn anew with each call.

    Args:
        score_name: what the scores are; shown at the axis.
        draw_time: seconds for which a window, where there is one, gets to draw itself.

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
        """Draw each learner's vote (dashed) and test scores and, in black, their means."""
        axes = self._scores
        axes.clear()
        rounds = range(len(results.data))
        for n in range(len(results.data[0].vote_scores) if results.data else 0):
            colour = f"C{n}"
            votes = [result.vote_scores[n] for result in results.data]
            tests = [result.test_scores[n] for result in results.data]
            axes.plot(rounds, votes, "--", color=colour, alpha=0.6, linewidth=1)
            axes.plot(rounds, tests, "-", color=colour, linewidth=1, label=f"learner {n}")
        means = [mean_score(result.test_scores) for result in results.data]
        axes.plot(rounds, means, "-", color="black", linewidth=2, label="mean")
        axes.set_ylabel(self._score_name)
        axes.set_title("Test scores (dashed: vote scores)")
        axes.legend(loc="best", fontsize="small", frameon=False)
        self._finish(axes, rounds)

    def plot_votes(self, results: Results) -> None:
        """Draw who approved (green), rejected (red), or proposed (tick: accepted, cross: not)."""
        from matplotlib.patches import Rectangle

        axes = self._votes
        axes.clear()
        for x, result in enumerate(results.data):
            for y, vote in enumerate(result.votes):
                colour = _GREY if vote is None else _GREEN if vote else _RED
                axes.add_patch(Rectangle((x - 0.45, y - 0.45), 0.9, 0.9, color=colour))
            if result.block_proposer is not None:
                mark = "✓" if result.vote else "✗"
                axes.text(x, result.block_proposer, mark, ha="center", va="center", fontsize=12)
        n_learners = len(results.data[0].votes) if results.data else 1
        axes.set_ylim(n_learners - 0.5, -0.5)
        axes.set_yticks(range(n_learners), [f"learner {n}" for n in range(n_learners)])
        axes.set_xlabel(
            "round (green: approved · red: rejected · mark: the proposer and the outcome)"
        )
        self._finish(axes, range(len(results.data)))

    def save(self, path: str | Path) -> None:
        """Write the figure as a picture; the ending of the name says which kind."""
        self.figure.savefig(path, dpi=120)

    def block(self) -> None:
        """Show the window until it is closed; returns at once where there is none."""
        self._plt.show(block=True)

    def _finish(self, axes: Any, rounds: range) -> None:
        axes.set_xlim(-0.6, max(len(rounds) - 0.4, 0.6))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
        if self._plt.get_backend().lower() != "agg":
            self._plt.pause(self._draw_time)
