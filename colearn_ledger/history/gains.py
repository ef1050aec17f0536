"""Draw how good weights are on somebody's own records, and through whose proposals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from colearn_ledger.history.cells import (
    draw_frames,
    finish_axes,
    measure_cell,
    name_rows,
    separate_cells,
    shorten_name,
)
from colearn_ledger.history.chart import Chart
from colearn_ledger.history.drawing import draw_scores
from colearn_ledger.optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BETTER, _WORSE, _EMPTY, _UNKNOWN = "#0072b2", "#d55e00", "#f7f7f7", "#e6e6e6"
_FAINTEST = 0.12
_DARK = 0.6  # share of the colour from which a number is white
_NUMBER_WIDTH = 30.0  # points that a number needs
_NUMBER_HEIGHT = 9.0


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much a learner's proposal was better than the weights before it.

    Args:
        round: the position of the round.
        learner: the position of the learner.
        gain: the difference of the scores, positive for better weights; NaN if it is not known.
        is_shared: whether it is that of a mean with proposals of other learners.
    """

    round: int
    learner: int
    gain: float
    is_shared: bool = False


def draw_gains(chart: Chart, gains: Sequence[Gain]) -> Figure:
    """Return a figure: the scores above, and a cell for each learner and round below.

    Raises:
        MissingPackage: matplotlib is not installed.
    """
    figures = import_optional("matplotlib.figure", extra="plot", purpose="plots")
    width = min(22.0, max(8.0, 4 + 0.45 * chart.n_rounds))
    cells = min(8.0, max(1.4, 0.5 + 0.26 * len(chart.learners)))
    figure: Figure = figures.Figure(figsize=(width, 4.2 + cells), layout="constrained")
    scores, below = figure.subplots(2, 1, sharex=True, height_ratios=(4.2, cells))
    draw_scores(scores, chart)
    _draw_cells(below, chart, gains)
    return figure


def _draw_cells(axes: Axes, chart: Chart, gains: Sequence[Gain]) -> None:
    from matplotlib.colors import to_rgb

    n_learners, n_rounds = len(chart.learners), chart.n_rounds
    largest = max((abs(each.gain) for each in gains if math.isfinite(each.gain)), default=0.0)
    colours = [[to_rgb(_EMPTY)] * n_rounds for _ in range(n_learners)]
    for each in gains:
        colours[each.learner][each.round] = _choose_colour(each.gain, largest)
    if n_rounds and n_learners:
        extent = (chart.first - 0.5, chart.first + n_rounds - 0.5, n_learners - 0.5, -0.5)
        axes.imshow(colours, extent=extent, aspect="auto", interpolation="nearest")
    width, height = measure_cell(axes, max(n_rounds, 1), max(n_learners, 1))
    if width >= _NUMBER_WIDTH and height >= _NUMBER_HEIGHT:
        _write_numbers(axes, chart, gains, largest)
    draw_frames(axes, chart, width=min(1.8, 0.18 * min(width, height)))
    separate_cells(axes, chart, width=min(1.5, 0.12 * min(width, height)))
    name_rows(axes, _label_learners(chart, gains), height)
    axes.set_xlabel(f"round\n{_explain(gains)}", fontsize=9)
    finish_axes(axes, chart)


def _choose_colour(gain: float, largest: float) -> tuple[float, float, float]:
    """Return a colour between white and blue for better weights, and vermilion for worse ones."""
    from matplotlib.colors import to_rgb

    if not math.isfinite(gain):
        return to_rgb(_UNKNOWN)
    share = _measure_strength(gain, largest)
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(_BETTER if gain >= 0 else _WORSE))
    return red, green, blue


def _measure_strength(gain: float, largest: float) -> float:
    return _FAINTEST + (1 - _FAINTEST) * math.sqrt(abs(gain) / largest) if largest else _FAINTEST


def _write_numbers(axes: Axes, chart: Chart, gains: Sequence[Gain], largest: float) -> None:
    for each in gains:
        is_known = math.isfinite(each.gain)
        is_dark = is_known and _measure_strength(each.gain, largest) > _DARK
        axes.text(
            chart.first + each.round,
            each.learner,
            f"{each.gain:+.2g}" if is_known else "?",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if is_dark else "black",
        )


def _label_learners(chart: Chart, gains: Sequence[Gain]) -> list[str]:
    """Return the learners' names, with the sum of their accepted gains if none is shared."""
    names = [shorten_name(name) for name in chart.learners]
    if any(each.is_shared for each in gains):
        return names
    sums: dict[int, float] = {}
    for each in gains:
        if math.isfinite(each.gain) and (each.round, each.learner) in chart.accepted:
            sums[each.learner] = sums.get(each.learner, 0.0) + each.gain
    return [f"{name}  {sums[n]:+.2g}" if n in sums else name for n, name in enumerate(names)]


def _explain(gains: Sequence[Gain]) -> str:
    text = "blue: its proposal was better than the weights before, orange: worse, framed: accepted"
    if any(each.is_shared for each in gains):
        return f"{text}\nProposals that were merged have the number of their mean."
    return f"{text}\nBeside a name: the sum of its accepted proposals."
