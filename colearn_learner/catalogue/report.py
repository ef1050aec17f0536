"""Write the files of a run: a plot, the history, the final weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from colearn_learner.compat.plot import draw_scores, draw_votes
from colearn_learner.compat.results import Results
from colearn_learner.simulation import SimulationResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLLECTIVE, _OTHER = "#2f4b7c", "#c9ced6"


def write_report(
    result: SimulationResult, folder: Path, *, score_name: str, lines: Sequence[tuple[str, float]]
) -> dict[str, Path]:
    """Write the four files of a run and return their paths by kind.

    Args:
        result: the result of the simulation.
        folder: an existing folder.
        score_name: name of the score that learners vote by.
        lines: label and score of each bar of the comparison.
    """
    paths = {
        "plot": folder / "plot.png",
        "history": folder / "history.json",
        "table": folder / "history.csv",
        "weights": folder / "weights.safetensors",
    }
    paths["history"].write_text(result.history.to_json(), encoding="utf-8")
    paths["table"].write_text(result.history.to_csv(), encoding="utf-8")
    paths["weights"].write_bytes(result.weights_file)
    _write_plot(result.results, paths["plot"], score_name, lines)
    return paths


def _write_plot(
    results: Results, path: Path, score_name: str, lines: Sequence[tuple[str, float]]
) -> None:
    """Draw scores and votes by round, and the comparison beside them, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6.5), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(2.6, 1), height_ratios=(1.5, 1))
    scores = figure.add_subplot(grid[0, 0])
    draw_scores(scores, results, score_name, first=1)  # the plot counts rounds and learners from 1
    draw_votes(figure.add_subplot(grid[1, 0], sharex=scores), results, first=1)
    if lines:
        _draw_comparison(figure.add_subplot(grid[:, 1]), lines)
    figure.savefig(path, dpi=130)


def _draw_comparison(axes: Axes, lines: Sequence[tuple[str, float]]) -> None:
    labels, values = zip(*lines, strict=True)
    colours = [_COLLECTIVE if label == "collective" else _OTHER for label in labels]
    bars = axes.barh(range(len(values)), values, color=colours)
    axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=9)
    axes.set_yticks(range(len(values)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, max(values) * 1.2)
    axes.set_title("On records that no learner had", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
