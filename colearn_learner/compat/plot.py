"""Pictures of the local driver's results: scores by round, and who voted how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from colearn_learner.compat.results import Results, mean_score
from colearn_learner.errors import MissingPackage

__all__ = ["ColearnPlot"]

_GREEN, _RED, _GREY = "#2a9d5c", "#d1495b", "#d0d0d0"

_LINES = 18
"""How many names of learners fit below each other beside an axis. Of more learners the scores
have no legend, as nobody could tell so many colours apart."""


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
        n_learners = len(results.data[0].vote_scores) if results.data else 0
        dot = {"marker": "o", "markersize": 2.5}  # a score between two absent ones has no line
        for n, colour in enumerate(self._colours(n_learners)):
            votes = [result.vote_scores[n] for result in results.data]
            tests = [result.test_scores[n] for result in results.data]
            axes.plot(rounds, votes, "--", color=colour, alpha=0.6, linewidth=1, **dot)
            label = f"learner {n}" if n_learners <= _LINES else None
            axes.plot(rounds, tests, "-", color=colour, linewidth=1, label=label, **dot)
        means = [mean_score(result.test_scores) for result in results.data]
        axes.plot(rounds, means, "-", color="black", linewidth=2, label="mean", **dot)
        axes.set_ylabel(self._score_name)
        axes.set_title("Test scores (dashed: vote scores)")
        axes.legend(  # beside the lines: there is no place among them that stays free
            loc="upper left",
            bbox_to_anchor=(1, 1.03),
            fontsize="small",
            frameon=False,
        )
        self._finish(axes, rounds)

    def plot_votes(self, results: Results) -> None:
        """Draw who approved (green), rejected (red), or proposed (tick: accepted, cross: not)."""
        from matplotlib.patches import Rectangle

        axes = self._votes
        axes.clear()
        n_learners = len(results.data[0].votes) if results.data else 1
        size = min(12, max(4, 160 / n_learners))  # points; a row's height
        for x, result in enumerate(results.data):
            for y, vote in enumerate(result.votes):
                colour = _GREY if vote is None else _GREEN if vote else _RED
                axes.add_patch(Rectangle((x - 0.45, y - 0.45), 0.9, 0.9, color=colour))
            if result.block_proposer is not None:
                mark = "✓" if result.vote else "✗"
                axes.text(x, result.block_proposer, mark, ha="center", va="center", fontsize=size)
        axes.set_ylim(n_learners - 0.5, -0.5)
        named = range(0, n_learners, -(-n_learners // _LINES))
        axes.set_yticks(named, [f"learner {n}" for n in named])
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

    def _colours(self, n_learners: int) -> list[Any]:
        """Return a colour for each learner, all different."""
        if n_learners <= 10:
            return [f"C{n}" for n in range(n_learners)]
        return list(self._plt.get_cmap("turbo").resampled(n_learners)(range(n_learners)))

    def _finish(self, axes: Any, rounds: range) -> None:
        axes.set_xlim(-0.6, max(len(rounds) - 0.4, 0.6))
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.spines[["top", "right"]].set_visible(False)
        if self._plt.get_backend().lower() != "agg":
            self._plt.pause(self._draw_time)
