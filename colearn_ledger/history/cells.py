"""Draw cells of learners and rounds, and what all pictures of rounds have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from colearn_ledger.history.chart import Chart
from colearn_ledger.text.escaping import escape_controls

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAME_HEIGHT = 11.0  # points that a learner's name needs
_LONGEST_NAME = 18


def draw_frames(axes: Axes, chart: Chart, width: float) -> None:
    """Frame the cells of accepted proposals."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    corners = [(chart.first + n - 0.44, learner - 0.42) for n, learner in sorted(chart.accepted)]
    frames = [Rectangle(corner, 0.88, 0.84) for corner in corners]
    axes.add_collection(
        PatchCollection(frames, facecolor="none", edgecolor="black", linewidth=width, zorder=3)
    )


def separate_cells(axes: Axes, chart: Chart, width: float) -> None:
    """Draw white lines between the cells."""
    line: dict[str, Any] = {"color": "white", "linewidth": width, "zorder": 2}
    start, n_rounds, n_learners = chart.first - 0.5, chart.n_rounds, len(chart.learners)
    axes.vlines([start + n for n in range(1, n_rounds)], -0.5, n_learners - 0.5, **line)
    axes.hlines([n - 0.5 for n in range(1, n_learners)], start, start + n_rounds, **line)


def measure_cell(axes: Axes, n_rounds: int, n_learners: int) -> tuple[float, float]:
    """Return about how wide and high a cell is, in points."""
    figure = axes.get_figure(root=True)
    width, height = (8.0, 6.0) if figure is None else figure.get_size_inches()
    share = axes.get_position()
    return 72 * width * share.width / n_rounds, 72 * height * share.height / n_learners


def name_rows(axes: Axes, names: Sequence[str], height: float) -> None:
    """Write names beside rows of cells, as many as fit.

    Args:
        axes: the axes of the cells.
        names: the names, from the top.
        height: the height of a cell, in points.
    """
    named = range(0, len(names), math.ceil(_NAME_HEIGHT / height))
    axes.set_yticks(named, [escape_text(names[n]) for n in named], fontsize=8)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.spines[:].set_visible(False)


def finish_axes(axes: Axes, chart: Chart) -> None:
    """Set the limits and ticks of the rounds."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(chart.first - 0.5, chart.first + max(chart.n_rounds, 1) - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=20, integer=True, min_n_ticks=1))
    if axes.spines["left"].get_visible():
        axes.spines[["top", "right"]].set_visible(False)


def shorten_name(name: str) -> str:
    """Return a name that is short enough to be written beside cells."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def escape_text(text: str) -> str:
    """Escape what matplotlib would interpret or cannot draw in the texts of strangers."""
    return escape_controls(text, keep="\n").replace("\\", r"\\").replace("$", r"\$")
