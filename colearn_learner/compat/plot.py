"""Plot the results of rounds: the scores, and how each learner voted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from colearn_learner.compat.results import Results, mean_score
from colearn_learner.errors import MissingPackage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREEN, _RED, _GREY = "#2a9d5c", "#d1495b", "#d0d0d0"

_MAX_NAMES = 18
"""Number of learners' names that fit beside an axis. With more learners, the scores have no
legend, because so many colours cannot be distinguished."""


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
        """Draw each learner's vote (dashed) and test scores and, in black, their means."""
        self._scores.clear()
        draw_scores(self._scores, results, self._score_name)
        self._pause()

    def plot_votes(self, results: Results) -> None:
        """Draw the votes: approved (green), rejected (red), proposed (tick: accepted, cross: not).

        Each learner has a row, and each round a column. With several proposers, green is a vote
        for at least one proposal.
        """
        self._votes.clear()
        draw_votes(self._votes, results)
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


def draw_scores(axes: Axes, results: Results, score_name: str, *, first: int = 0) -> None:
    """Draw each learner's vote (dashed) and test scores by round and, in black, their means.

    Args:
        axes: where to draw.
        results: results of the rounds.
        score_name: label of the scores.
        first: number of the first round and of the first learner.
    """
    rounds = range(first, first + len(results.data))
    n_learners = len(results.data[0].vote_scores) if results.data else 0
    dot: dict[str, Any] = {"marker": "o", "markersize": 2.5}  # a lone score has no line
    for n, colour in enumerate(_colours(n_learners)):
        votes = [result.vote_scores[n] for result in results.data]
        tests = [result.test_scores[n] for result in results.data]
        axes.plot(rounds, votes, "--", color=colour, alpha=0.6, linewidth=1, **dot)
        label = f"learner {first + n}" if n_learners <= _MAX_NAMES else None
        axes.plot(rounds, tests, "-", color=colour, linewidth=1, label=label, **dot)
    means = [mean_score(result.test_scores) for result in results.data]
    axes.plot(rounds, means, "-", color="black", linewidth=2, label="mean", **dot)
    axes.set_ylabel(score_name)
    axes.set_title("Test scores (dashed: vote scores)")
    # beside the lines, because no place among them is always free
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1.03), fontsize="small", frameon=False)
    _finish(axes, rounds)


def draw_votes(axes: Axes, results: Results, *, first: int = 0) -> None:
    """Draw the votes: approved (green), rejected (red), proposed (tick: accepted, cross: not).

    Args:
        axes: where to draw.
        results: results of the rounds.
        first: number of the first round and of the first learner.
    """
    from matplotlib.patches import Rectangle

    n_learners = len(results.data[0].votes) if results.data else 1
    size = min(12, max(4, 160 / n_learners))  # points; a row's height
    for x, result in enumerate(results.data, first):
        for y, vote in enumerate(result.votes):
            colour = _GREY if vote is None else _GREEN if vote else _RED
            axes.add_patch(Rectangle((x - 0.45, y - 0.45), 0.9, 0.9, color=colour))
        proposals = result.proposals
        if result.block_proposer is not None:
            proposals = {result.block_proposer: result.vote}
        for y, accepted in proposals.items():
            mark = "✓" if accepted else "✗"
            axes.text(x, y, mark, ha="center", va="center", fontsize=size)
    axes.set_ylim(n_learners - 0.5, -0.5)
    named = range(0, n_learners, -(-n_learners // _MAX_NAMES))
    axes.set_yticks(named, [f"learner {first + n}" for n in named])
    axes.set_xlabel("round (green: approved · red: rejected · mark: a proposer and the outcome)")
    _finish(axes, range(first, first + len(results.data)))


def _colours(n_learners: int) -> list[Any]:
    """Return a different colour for each learner."""
    if n_learners <= 10:
        return [f"C{n}" for n in range(n_learners)]
    from matplotlib import colormaps

    return list(colormaps["turbo"].resampled(n_learners)(range(n_learners)))


def _finish(axes: Any, rounds: range) -> None:
    axes.set_xlim(rounds.start - 0.6, rounds.start + max(len(rounds) - 0.4, 0.6))
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.spines[["top", "right"]].set_visible(False)
