"""Compare how fast and how well groups learn: by votes, by Flower's strategies, alone, together.

Usage: .venv/bin/python bench/learning.py [--quick] [--data digits mnist] [--learners 5 10 20]

A cell is one way of learning with one data set, number of learners, division of the records, and
seed. All ways have the same network, shares, first weights and batches (`bench/places.py`):

- classic: agents on `LocalLedger`, one proposer per round; plural: several of them. They train on
  60 % of their records, and vote with 20 %.
- FedAvg, FedProx (μ = 0.1): Flower's strategies in Flower's simulation, with the same training
  records. Flower runs in an environment of its own (`bench/flower_environment.py`).
- accept all: plural rounds that accept every proposal, in a plain loop. FedAvg weighs learners by
  their numbers of records, which strangers cannot check; our mean does not.
- alone: each learner by itself, the mean of their accuracies; together: one learner with the
  training records of all. Both make one pass over the records in each round.

Accuracy is measured on a common test set, which no learner uses. Each cell runs on one core, with
Flower's server and clients on the same one, and two cells run at a time. The row with unequal data
gives the last of ten learners ten times the records of the first: Flower weighs the learners by
their numbers of records, and we do not. Finished cells are kept in a file, and a rerun skips them.

The bench first checks that a round of Flower's FedAvg is equal to one in a plain loop.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from bench.cells import CellFile, form_batches, measure_missing
from bench.flower_environment import FlowerJob, prepare_flower, run_flower, show
from bench.learning_cells import (
    Cell,
    Measured,
    Way,
    choose_batch,
    measure,
    rounds_to_reach,
)
from bench.places import DATASETS, DIVISIONS, Place, describe_clients, load_dataset, run_fedavg
from colearn_ledger.protocol import Admission
from colearn_ledger.spec import DEFAULT_VOTING, VoteRule
from colearn_localnet.errors import InstallFailed
from colearn_localnet.toolchains import cache_folder

SHOWN_ROUNDS = (5, 10, 20, 40)
GOAL = 0.9
PEERS = {
    "FedAvg": Way("FedAvg", "flower", strategy="FedAvg"),
    "FedProx": Way("FedProx", "flower", strategy="FedProx", options=(("proximal_mu", 0.1),)),
    "accept-all": Way("accept all", "mean"),
    "alone": Way("alone", "alone"),
    "together": Way("together", "together"),
}
VOTING = DEFAULT_VOTING[Admission.ALLOWLIST]
DEFAULT = (0, VOTING.approval, VOTING.rule.value)
VARIED = 10
"""Number of learners with which numbers of proposers, thresholds and vote rules are varied."""

Results = Mapping[Cell, Measured]


def make_ways(options: argparse.Namespace, learners: int) -> Iterator[Way]:
    """Yield the ways of learning that are asked for."""
    if "classic" in options.ways:
        yield Way("classic", "votes", 1, VOTING.approval, VoteRule.BETTER_ALONE.value)
    if "plural" in options.ways:
        for k, threshold, rule in dict.fromkeys(vary(options) if learners == VARIED else [DEFAULT]):
            name = f"plural k={k or min(learners, 16)}, {threshold:g}, {rule}"
            yield Way(name, "votes", k, threshold, rule)
    yield from (way for name, way in PEERS.items() if name in options.ways)


def vary(options: argparse.Namespace) -> Iterator[tuple[int, float, str]]:
    """Yield numbers of proposers, with the default rule, and rules, with all as proposers."""
    yield from ((k, VOTING.approval, VOTING.rule.value) for k in options.proposers)
    yield from itertools.product([0], options.thresholds, options.rules)


def make_cells(options: argparse.Namespace) -> list[Cell]:
    """Return all cells that are asked for, those of the first seed first."""
    cells = []
    for seed, data, n, division in itertools.product(
        options.seeds, options.data, options.learners, options.divisions
    ):
        if division == "unequal" and n != VARIED:
            continue
        place = Place(data, n, division, seed, level=not options.no_level)
        cells += [Cell(place, way, options.rounds) for way in make_ways(options, n)]
    return cells


def check_flower(place: Place, rounds: int = 2) -> float:
    """Return the largest difference between weights of Flower's FedAvg and of a plain loop.

    Raises:
        InstallFailed: Flower cannot be installed, or its run failed.
    """
    job = FlowerJob(strategy="FedAvg", rounds=rounds, **describe_clients(place))
    found = run_flower([job], show)[0].weights
    plain = run_fedavg(place, rounds)
    return max(float(np.abs(found[name] - plain[name]).max()) for name in plain)


def format_table(results: Results, data: str) -> Table:
    """Return the table of one data set: means over the seeds, accuracies in per cent."""
    rounds = sorted({n for cell in results for n in SHOWN_ROUNDS if n <= cell.rounds})
    table = Table(box=MARKDOWN, title=None)
    for name in ("learners", "division", "learning"):
        table.add_column(name, no_wrap=True)
    for name in (*(f"round {n}" for n in rounds), "90 % after", "s a round", "accepted"):
        table.add_column(name, justify="right", no_wrap=True)
    groups: dict[tuple[int, str, str], list[Measured]] = {}
    for cell, measured in results.items():
        if cell.place.data == data:
            key = (cell.place.learners, cell.place.division, cell.way.name)
            groups.setdefault(key, []).append(measured)
    for (learners, division, way), found in groups.items():
        table.add_row(str(learners), division, way, *format_row(found, rounds))
    return table


def format_row(found: Sequence[Measured], rounds: Sequence[int]) -> list[str]:
    """Return the cells of a row, from the results of several seeds."""
    curve = [statistics.mean(values) for values in zip(*(m.accuracy for m in found), strict=True)]
    seconds = statistics.mean(m.round_seconds for m in found)
    reached = rounds_to_reach(curve, GOAL)
    proposals = sum(m.proposals for m in found)
    return [
        *(f"{100 * curve[n]:.1f}" for n in rounds),
        "never" if reached is None else str(reached),
        f"{seconds:.2f}" if seconds else "",
        f"{100 * sum(m.accepted for m in found) / proposals:.0f} %" if proposals else "",
    ]


def draw_plot(results: Results, data: str, path: Path) -> None:
    """Draw accuracy against rounds, one panel for each number of learners and division."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    chosen = {cell: m for cell, m in results.items() if cell.place.data == data}
    sizes = sorted({cell.place.learners for cell in chosen})
    divisions = [d for d in DIVISIONS if any(cell.place.division == d for cell in chosen)]
    shared = {"sharex": True, "sharey": True, "squeeze": False, "layout": "constrained"}
    size = (4 * len(divisions), 3 * len(sizes) + 0.5)
    figure, axes = pyplot.subplots(len(sizes), len(divisions), figsize=size, **shared)
    for (row, n), (column, division) in itertools.product(enumerate(sizes), enumerate(divisions)):
        axis = axes[row][column]
        axis.set_title(f"{n} learners, {division}")
        axis.grid(alpha=0.3)
        here = [c for c in chosen if (c.place.learners, c.place.division) == (n, division)]
        for way in dict.fromkeys(cell.way for cell in here):
            curves = [chosen[cell].accuracy for cell in here if cell.way == way]
            axis.plot(np.mean(np.array(curves), axis=0) * 100, label=way.name)
        axis.set(xlabel="rounds", ylabel="accuracy, %", ylim=(40, 100))
    names = dict(zip(*reversed(axes[0][0].get_legend_handles_labels()), strict=True))
    figure.legend(names.values(), names, loc="outside lower center", ncols=4, fontsize=7)
    figure.savefig(path, dpi=120)


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    rules = [rule.value for rule in VoteRule]
    parser.add_argument("--data", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--learners", nargs="+", type=int, default=[5, 10, 20])
    parser.add_argument("--divisions", nargs="+", choices=DIVISIONS, default=list(DIVISIONS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[101, 102, 103])
    parser.add_argument("--rounds", type=int, default=40)
    ways = ["classic", "plural", *PEERS]
    parser.add_argument("--ways", nargs="+", choices=ways, default=ways)
    varied = f"with {VARIED} learners"
    parser.add_argument(
        "--proposers", nargs="*", type=int, default=[4], help=f"{varied}: other numbers than all"
    )
    parser.add_argument("--thresholds", nargs="+", type=float, default=[0.25, 0.5], help=varied)
    parser.add_argument("--rules", nargs="+", choices=rules, default=rules, help=varied)
    parser.add_argument("--no-level", action="store_true", help="train without logit adjustment")
    parser.add_argument("--quick", action="store_true", help="digits, 5 learners, 1 seed, 5 rounds")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--cells", type=Path, default=cache_folder() / "bench" / "learning.jsonl", metavar="FILE"
    )
    parser.add_argument("--plot", metavar="FILE", help="file name with {} for the data set")
    options = parser.parse_args(arguments)
    if options.quick:
        options.data, options.learners, options.seeds, options.rounds = ["digits"], [5], [101], 5
        options.divisions = [d for d in options.divisions if d != "unequal"]
    return options


def main() -> None:
    """Measure what is missing, and print the tables."""
    options = parse_options()
    cells, file = make_cells(options), CellFile[Cell, Measured](options.cells, Measured)
    missing = file.find_missing(cells)
    show(f"{len(cells)} cells, {len(cells) - len(missing)} of them in {options.cells}")
    if any(cell.place.data == "mnist" for cell in missing):
        load_dataset("mnist")  # fetches the files
    try:
        if any(cell.way.kind == "flower" for cell in missing):
            prepare_flower(show)
            difference = check_flower(missing[0].place)
            show(f"Flower's FedAvg differs from a plain loop by at most {difference:.1e}")
            if difference > 1e-5:
                sys.exit("learning: Flower trains other weights than a plain loop does")
        measure_missing(form_batches(missing, choose_batch), file, measure, options.processes)
    except InstallFailed as error:
        sys.exit(f"learning: {error}")
    results = file.select(cells)
    for data in options.data:
        print(f"\n{data}:")
        Console(width=160).print(format_table(results, data))
        if options.plot:
            draw_plot(results, data, Path(options.plot.format(data)))
    minutes = file.sum_seconds(cells) / 60
    print(f"\n{len(results)} cells took {minutes:.0f} min in all, {options.processes} at a time")


if __name__ == "__main__":
    main()
