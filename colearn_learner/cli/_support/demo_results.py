"""The plan of a demo, and the report about its results."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from colearn_learner.catalogue.models import Model
from colearn_learner.catalogue.settings import Training, score_of
from colearn_learner.cli._support.output import command_name
from colearn_learner.datasets import Dataset, Split

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from colearn_learner.catalogue.baselines import Comparison
    from colearn_learner.simulation import SimulationResult


@dataclass(frozen=True, slots=True)
class Plan:
    """The checked options of a demo, with its data and model."""

    data: Dataset
    model: Model
    split: Split
    trainings: tuple[Training, ...]
    n_proposers: int
    n_rounds: int
    vote_threshold: float
    ledger: Literal["local", "evm"]
    secret_ballots: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """A completed demo: what it learned, its files and its duration in seconds."""

    plan: Plan
    result: SimulationResult
    comparison: Comparison
    paths: dict[str, Path]
    seconds: float


def print_results(console: Console, finished: Finished) -> None:
    """Print what a demo learned, and where its files are."""
    plan, result, comparison = finished.plan, finished.result, finished.comparison
    console.print(_comparison_table(plan, comparison))
    accepted, proposed = _count_proposals(result)
    gas = f", {result.cost:,} gas" if result.cost else ""
    console.print(
        f"{accepted} of {proposed} proposals accepted, {finished.seconds:.1f} s{gas}."
        f"\nFinal weights {result.content.cid}",
        highlight=False,
        soft_wrap=True,
    )
    for what, path in finished.paths.items():
        console.print(f"  {what:<8} {path}", highlight=False, soft_wrap=True)
    me = command_name()
    console.print(
        "\nTry next:\n"
        f"  {me} demo --secret-ballots          # voters cannot copy each other's ballots\n"
        f"  {me} demo --dataset digits --model mlp --n-learners 8\n"
        f"  {me} demo --n-proposers 1           # one learner proposes in each round\n"
        f"  {me} demo --vote-threshold 1        # all voters must approve\n"
        f"  {me} datasets                       # list the data sets\n"
        f"  {me} models                         # list the models",
        highlight=False,
        soft_wrap=True,
    )


def _count_proposals(result: SimulationResult) -> tuple[int, int]:
    """Return the number of accepted proposals and of all proposals."""
    slots = [slot for record in result.history.rounds for slot in record.round.slots]
    return sum(slot.accepted for slot in slots), sum(slot.content is not None for slot in slots)


def _comparison_table(plan: Plan, comparison: Comparison) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    shown = score_of(plan.data.task, shown=True)
    direction = "" if shown.higher_is_better else ", lower is better"
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{shown.name}{direction}, on records that no learner has")
    table.add_column("", justify="right", no_wrap=True)
    table.add_row(
        "learning together, data kept apart", f"{comparison.collective:.3f}", style="bold green"
    )
    table.add_row("   best model after any round", f"{comparison.best_accepted:.3f}", style="dim")
    table.add_row("best learner alone", f"{comparison.best_alone:.3f}")
    table.add_row("each learner alone, mean", f"{comparison.mean_alone:.3f}")
    for i, score in enumerate(comparison.alone):
        table.add_row(f"   learner {i} alone", f"{score:.3f}", style="dim")
    table.add_row("all data in one place", f"{comparison.together:.3f}")
    return table


def summarise(finished: Finished) -> dict[str, Any]:
    """Return the results of a demo, for JSON."""
    plan, result, comparison = finished.plan, finished.result, finished.comparison
    shown = score_of(plan.data.task, shown=True)
    accepted, proposed = _count_proposals(result)
    return {
        "dataset": plan.data.name,
        "model": plan.model.name,
        "ledger": plan.ledger,
        "rounds": plan.n_rounds,
        "proposers": plan.n_proposers,
        "proposed": proposed,
        "accepted": accepted,
        "score": {"name": shown.name, "higher_is_better": shown.higher_is_better},
        "collective": comparison.collective,
        "alone": list(comparison.alone),
        "mean_alone": comparison.mean_alone,
        "best_alone": comparison.best_alone,
        "best_accepted": comparison.best_accepted,
        "together": comparison.together,
        "weights": {
            "cid": result.content.cid,
            "sha256": hashlib.sha256(result.weights_file).hexdigest(),
        },
        "gas": result.cost,
        "seconds": round(finished.seconds, 3),
        "files": {what: str(path) for what, path in finished.paths.items()},
    }
