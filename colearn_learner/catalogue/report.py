"""What a run leaves in its folder: a plot, the history, the final weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colearn_learner.simulation import SimulationResult
from colearn_ledger.history import History, RoundRecord
from colearn_ledger.protocol import BallotState, Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["mean_score", "write_plot", "write_report"]

_ACCEPTED, _REJECTED, _MISSING, _PROPOSER = "#2a9d5c", "#d1495b", "#c9ced6", "#2f4b7c"


def write_report(
    result: SimulationResult, folder: Path, *, score_name: str, lines: Sequence[tuple[str, float]]
) -> dict[str, Path]:
    """Write the four files of a run and return their paths by what they are.

    Args:
        result: of the simulation.
        folder: where to; it is there already.
        score_name: what the voters' scores measure.
        lines: the bars of the comparison, a label and a score each.
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
    write_plot(result.history, paths["plot"], score_name=score_name, lines=lines)
    return paths


def mean_score(record: RoundRecord) -> float | None:
    """Return the mean of the test scores that learners reported of a round's proposal."""
    scores = [record.scores.test_score, *(row.scores.test_score for row in record.ballots)]
    present = [s for s in scores if s is not None and math.isfinite(s)]
    return math.fsum(present) / len(present) if present else None


def write_plot(
    history: History, path: Path, *, score_name: str, lines: Sequence[tuple[str, float]] = ()
) -> None:
    """Draw scores and votes per round, and the comparison beside them, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.5), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(2.6, 1), height_ratios=(1.5, 1))
    scores = figure.add_subplot(grid[0, 0])
    votes = figure.add_subplot(grid[1, 0], sharex=scores)
    _draw_scores(scores, history, score_name)
    _draw_votes(votes, history)
    if lines:
        _draw_comparison(figure.add_subplot(grid[:, 1]), lines)
    figure.savefig(path, dpi=130)


def _draw_scores(axes: Axes, history: History, score_name: str) -> None:
    rounds = [r.round.index + 1 for r in history.rounds]
    for learner in history.learners:
        own = [_reported(record, learner.account) for record in history.rounds]
        axes.plot(rounds, own, color="#9aa5b8", linewidth=0.9, alpha=0.8)
    means = [mean_score(record) for record in history.rounds]
    axes.plot(rounds, [math.nan if m is None else m for m in means], color="black", linewidth=1.8)
    for index, record, mean in zip(rounds, history.rounds, means, strict=True):
        if mean is not None:
            accepted = record.round.outcome == Outcome.ACCEPTED
            axes.plot(index, mean, "o" if accepted else "X", ms=8, color=_colour(accepted))
    axes.set_ylabel(f"{score_name} on own test records")
    axes.set_title("Every proposal as the learners scored it (black: mean)", fontsize=11)
    axes.tick_params(labelbottom=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_votes(axes: Axes, history: History) -> None:
    from matplotlib.patches import Rectangle

    for record in history.rounds:
        column = record.round.index + 1
        for row, ballot in enumerate(record.ballots):
            proposed = ballot.ballot.learner == record.round.proposer
            colour = _PROPOSER if proposed else _ballot_colour(ballot.ballot.state)
            corner = (column - 0.45, row - 0.42)
            axes.add_patch(Rectangle(corner, 0.9, 0.84, facecolor=colour, edgecolor="white"))
            if proposed:
                mark = "✓" if record.round.outcome == Outcome.ACCEPTED else "✗"
                axes.text(column, row, mark, color="white", ha="center", va="center", fontsize=12)
    n_rounds, n_learners = len(history.rounds), len(history.learners)
    axes.set_xlim(0.4, n_rounds + 0.6)
    axes.set_ylim(n_learners - 0.5, -0.5)
    axes.set_yticks(range(n_learners), [f"learner {i + 1}" for i in range(n_learners)])
    axes.set_xticks(range(1, n_rounds + 1, max(1, n_rounds // 15)))
    axes.set_xlabel("round (blue: proposer and outcome · green: approved · red: rejected)")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _draw_comparison(axes: Axes, lines: Sequence[tuple[str, float]]) -> None:
    labels, values = zip(*lines, strict=True)
    colours = [_PROPOSER if label == "collective" else _MISSING for label in labels]
    bars = axes.barh(range(len(values)), values, color=colours)
    axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=9)
    axes.set_yticks(range(len(values)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, max(values) * 1.2)
    axes.set_title("On records that nobody had", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)


def _reported(record: RoundRecord, account: str) -> float:
    own = account == record.round.proposer
    found: Any = record.scores.test_score if own else None
    for row in () if own else record.ballots:
        if row.ballot.learner == account:
            found = row.scores.test_score
    return math.nan if found is None else float(found)


def _ballot_colour(state: BallotState) -> str:
    counted = state in (BallotState.APPROVED, BallotState.REJECTED)
    return _colour(state == BallotState.APPROVED) if counted else _MISSING


def _colour(good: bool) -> str:
    return _ACCEPTED if good else _REJECTED
