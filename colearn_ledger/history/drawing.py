"""Draw an experiment: the group's score and the proposals above, the ballots below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colearn_ledger.history.cells import (
    draw_frames,
    escape_text,
    finish_axes,
    measure_cell,
    name_rows,
    separate_cells,
    shorten_name,
)
from colearn_ledger.history.chart import Chart, Point, SidePanel
from colearn_ledger.history.marks import Mark, explain_marks
from colearn_ledger.optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GROUP, _TEST, _BAND = "#000000", "#777777", "#0072b2"
_ACCEPTED, _REJECTED = "#0072b2", "#d55e00"
"""Blue and vermilion differ for colour-blind readers, and in brightness."""

_CELLS = {
    Mark.APPROVED: ("#bcd9ec", "#00476f"),
    Mark.REJECTED: ("#d55e00", "#ffffff"),
    Mark.PROPOSER: ("#ffffff", "#000000"),
    Mark.COMMITTED: ("#ece2f0", "#5e3c99"),
    Mark.MISSING: ("#f6e8b1", "#7a5c00"),
    Mark.OUTSIDE: ("#f2f2f2", "#999999"),
}
"""The colours of a cell and of its mark."""

_MOST_MARKS = 30_000
"""The most cells with marks; smaller ones could not be read, and would make a page huge."""

_LABEL_HEIGHT = 0.04  # of a number beside the scores, as a share of their height
_LOG_FROM = 4.0
"""The ratio of a loss's largest to its smallest value from which the axis is logarithmic."""

_WIDENED = 0.3
"""The share of its length by which rejected proposals may widen the axis at either end."""


def draw_chart(chart: Chart, panel: SidePanel | None = None) -> Figure:
    """Return a figure of a suitable size.

    Raises:
        MissingPackage: matplotlib is not installed.
    """
    figures = import_optional("matplotlib.figure", extra="plot", purpose="plots")
    width = min(22.0, max(8.0, 4 + 0.3 * chart.n_rounds))
    votes = min(8.0, max(1.4, 0.5 + 0.24 * len(chart.learners)))
    beside = 4.2 if panel else 0.0
    size = (width + beside, 4.2 + votes)
    figure: Figure = figures.Figure(figsize=size, layout="constrained")
    columns = (width, beside) if panel else (width,)
    grid = figure.add_gridspec(2, len(columns), height_ratios=(4.2, votes), width_ratios=columns)
    if panel:
        draw_panel(figure.add_subplot(grid[:, 1]), panel)
    scores = figure.add_subplot(grid[0, 0])
    draw_scores(scores, chart)
    draw_votes(figure.add_subplot(grid[1, 0], sharex=scores), chart)
    return figure


def draw_scores(axes: Axes, chart: Chart) -> None:
    """Draw the group's score as a step line, and each proposal as a mark.

    The line steps where a round closes. The axis covers the group's scores and accepted proposals;
    rejected proposals that are far worse become arrows at its edge.
    """
    end = chart.first + chart.n_rounds - 0.5
    x = [chart.first - 0.5, *range(chart.first, chart.first + chart.n_rounds), end]
    if chart.group:
        low, high, test, group = map(_repeat_last, (chart.low, chart.high, chart.test, chart.group))
        what = "the group's model"
        if any(map(math.isfinite, low)):
            axes.fill_between(
                x,
                low,
                high,
                step="post",
                color=_BAND,
                alpha=0.1,
                linewidth=0,
                label="lowest to highest learner",
            )
        line: dict[str, Any] = {"drawstyle": "steps-post", "label": f"{what}, on test records"}
        axes.plot(x, test, color=_TEST, linewidth=1, linestyle="--", **line)
        axes.plot(x, group, color=_GROUP, linewidth=2, **{**line, "label": what})
    axis = _Axis.fitting(chart)
    if axis is not None:
        axis.apply(axes)
        _draw_points(axes, chart.points, axis)
        _label_ends(axes, chart)
    scale = " (log scale)" if axis and axis.logarithmic else ""
    axes.set_ylabel(escape_text(chart.score) + scale)
    axes.set_title(escape_text(chart.title), loc="left", fontsize=11, pad=34)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    where: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0)}
    if axes.get_legend_handles_labels()[1]:
        axes.legend(**where, fontsize=8, frameon=False, ncols=3, borderpad=0.2)
    finish_axes(axes, chart)


def draw_votes(axes: Axes, chart: Chart) -> None:
    """Draw a cell with a mark for each learner and round.

    A frame around a cell means that the learner's proposal was accepted.
    """
    from matplotlib.colors import to_rgb

    n_learners, n_rounds = len(chart.learners), chart.n_rounds
    extent = (chart.first - 0.5, chart.first + n_rounds - 0.5, n_learners - 0.5, -0.5)
    if n_rounds and n_learners:
        columns = [[to_rgb(_CELLS[mark][0]) for mark in marks] for marks in chart.marks]
        rows = [list(row) for row in zip(*columns, strict=True)]
        axes.imshow(rows, extent=extent, aspect="auto", interpolation="nearest")
    cell = measure_cell(axes, max(n_rounds, 1), max(n_learners, 1))
    if n_rounds * n_learners <= _MOST_MARKS:
        _draw_marks(axes, chart, size=min(11.0, 0.72 * min(cell)))
    draw_frames(axes, chart, width=min(1.8, 0.18 * min(cell)))
    separate_cells(axes, chart, width=min(1.5, 0.12 * min(cell)))
    name_rows(axes, [shorten_name(name) for name in chart.learners], cell[1])
    used = {mark for marks in chart.marks for mark in marks}
    framed = ", framed: its proposal was accepted" if chart.accepted else ""
    axes.set_xlabel(f"round\n{explain_marks(used, plural=chart.plural)}{framed}", fontsize=9)
    finish_axes(axes, chart)


def draw_panel(axes: Axes, panel: SidePanel) -> None:
    """Draw labels and scores as dots, the first of which stands out.

    The axis does not begin at 0, so that small differences are visible.
    """
    labels, values = zip(*panel.values, strict=True)
    y = range(len(values))
    colours = [_ACCEPTED, *["#8c8c8c"] * (len(values) - 1)]
    span = (max(values) - min(values)) or abs(max(values)) or 1.0
    left, right = min(values) - 0.12 * span, max(values) + 0.06 * span
    axes.hlines(y, left, values, color=colours, linewidth=1)
    axes.scatter(values, y, color=colours, s=[90, *[40] * (len(values) - 1)], zorder=3)
    for n, value in enumerate(values):
        style: dict[str, Any] = {"va": "center", "fontweight": "normal" if n else "bold"}
        place = axes.get_yaxis_transform()
        axes.text(1.03, n, f"{value:.3f}", transform=place, fontsize=9, **style)
    axes.axvline(values[0], color=_ACCEPTED, linewidth=0.8, linestyle=":")
    axes.set_yticks(y, [escape_text(label) for label in labels])
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xlim(left, right)
    axes.set_title(escape_text(panel.title), fontsize=11)
    axes.set_xlabel(escape_text(panel.score))
    axes.spines[["top", "right"]].set_visible(False)


def _draw_points(axes: Axes, points: Sequence[Point], axis: _Axis) -> None:
    """Draw proposals: discs were accepted, crosses rejected, arrows are beyond the axis."""
    low, high = axis.low, axis.high
    inside = [point for point in points if low <= point.score <= high]
    for accepted, label, style in (
        (False, "proposal, rejected", {"marker": "x", "color": _REJECTED, "linewidth": 1.4}),
        (True, "proposal, accepted", {"marker": "o", "color": _ACCEPTED}),
    ):
        chosen = [point for point in inside if point.accepted == accepted]
        if any(point.accepted == accepted for point in points):
            x, y = [point.round for point in chosen], [point.score for point in chosen]
            axes.scatter(x, y, s=26, zorder=3, label=label, **style)
    for edge, marker, beyond in (
        (high, "^", [point for point in points if point.score > high]),
        (low, "v", [point for point in points if point.score < low]),
    ):
        if beyond:
            axes.scatter(
                [point.round for point in beyond],
                [edge] * len(beyond),
                s=26,
                zorder=3,
                marker=marker,
                color=_REJECTED,
                clip_on=False,
                label="proposal, rejected, beyond the axis",
            )


def _label_ends(axes: Axes, chart: Chart) -> None:
    """Write the last known scores of the group beside the ends of its lines, side by side."""
    ends: list[tuple[tuple[float, float], dict[str, Any]]] = []
    for scores, colour, weight in ((chart.group, _GROUP, "bold"), (chart.test, _TEST, "normal")):
        known = [(n, score) for n, score in enumerate(scores) if math.isfinite(score)]
        if known:
            n, score = known[-1]
            place = (chart.first + min(n, chart.n_rounds - 0.5), score)
            ends.append((place, {"color": colour, "fontweight": weight}))
    heights = [axes.transAxes.inverted().transform(axes.transData.transform(p))[1] for p, _ in ends]
    are_close = len(ends) == 2 and abs(heights[0] - heights[1]) < _LABEL_HEIGHT
    for (place, style), height in zip(ends, heights, strict=True):
        away = ("bottom" if height == max(heights) else "top") if are_close else "center"
        options: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "va": away}
        axes.annotate(f"{place[1]:.4g}", place, xytext=(4, 0), **options, **style)


@dataclass(frozen=True, slots=True)
class _Axis:
    """The range of the scores' axis, and whether it is logarithmic."""

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def fitting(cls, chart: Chart) -> _Axis | None:
        """Return the axis; rejected proposals widen it only by a share of its length.

        A loss that falls far gets a logarithmic axis, because its last improvements would be
        invisible otherwise.
        """
        accepted = [point.score for point in chart.points if point.accepted]
        rejected = [point.score for point in chart.points if not point.accepted]
        core = [s for s in (*chart.group, *chart.test, *accepted) if math.isfinite(s)] or rejected
        if not core:
            return None
        low, high = min(core), max(core)
        is_log = chart.higher_is_better is False and low > 0 and high >= _LOG_FROM * low
        more = (high / low) ** _WIDENED if is_log else _WIDENED * (high - low)
        lowest, highest = (low / more, high * more) if is_log else (low - more, high + more)
        near = [score for score in rejected if lowest <= score <= highest]
        return cls(min([low, *near]), max([high, *near]), is_log)

    def apply(self, axes: Axes) -> None:
        """Set the scale and the limits, with a margin."""
        if self.logarithmic:
            from matplotlib.ticker import LogLocator, NullLocator

            margin = (self.high / self.low) ** 0.05
            axes.set_yscale("log")
            axes.set_ylim(self.low / margin, self.high * margin)
            decades = math.log10(self.high / self.low)
            axes.yaxis.set_major_locator(LogLocator(subs=_choose_ticks(decades)))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter("{x:g}")
        else:
            margin = 0.05 * ((self.high - self.low) or abs(self.high) or 1.0)
            axes.set_ylim(self.low - margin, self.high + margin)


def _choose_ticks(decades: float) -> tuple[float, ...]:
    """Return the multiples of a power of ten that a logarithmic axis has ticks at."""
    if decades < 1.2:
        return (1, 1.5, 2, 3, 5, 7)
    return (1, 2, 5) if decades < 2.5 else (1,)


def _draw_marks(axes: Axes, chart: Chart, size: float) -> None:
    for mark, (_, colour) in _CELLS.items():
        places = [
            (chart.first + n, learner)
            for n, marks in enumerate(chart.marks)
            for learner, other in enumerate(marks)
            if other is mark
        ]
        if places:
            x, y = zip(*places, strict=True)
            # a symbol fills the size of its marker, but the dot has to remain a dot
            dot = mark is Mark.OUTSIDE
            marker, width = ("o", 0.25 * size) if dot else (f"${mark.symbol}$", size)
            axes.scatter(x, y, s=width**2, marker=marker, color=colour, linewidth=0)


def _repeat_last(scores: Sequence[float]) -> list[float]:
    return [*scores, scores[-1]]
