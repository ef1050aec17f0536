"""Compare votes and Flower's robust aggregation when some learners are dishonest.

Usage: .venv/bin/python bench/dishonest.py [--quick] [--data digits mnist] [--dishonest 2 3 4]

Ten learners all propose in every round. Data, network and attacks are those of
`bench/vote_rules.py`, with skewed labels (Dirichlet, α = 0.5) and logit adjustment, on seeds that
were not used to choose rules. A column is a way of merging:

- the vote rules and thresholds that `colearn experiment create` gives to `open` and to `allowlist`
  experiments, in a plain loop with the product's own judgement (`bench/voting.py`);
- Flower's FedAvg, FedMedian, Krum, trimmed mean and Bulyan, in Flower's simulation with the same
  learners as clients. Each robust one is configured for the largest number of attackers among ten
  clients for which it is defined: Krum for 3, the trimmed mean for 4, and Bulyan for 1.

The dishonest know all honest proposals, approve each other and reject everyone else, except in the
attacks `always-yes` and `always-no`. In these two only the ballots are dishonest, so they do not
exist in Flower.

Finished runs are kept in a file, and a rerun skips them (`bench/cells.py`).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.attacks import ATTACKS, BALLOT_ATTACKS
from bench.candidates import CANDIDATES
from bench.cells import CellFile, form_batches, measure_missing
from bench.flower_environment import FlowerJob, prepare_flower, run_flower, show
from bench.voting import ROUNDS, Cell, Outcome, divide_data, mean_accuracy, run
from colearn_ledger.protocol import Admission
from colearn_ledger.spec import DEFAULT_VOTING
from colearn_localnet.errors import InstallFailed
from colearn_localnet.toolchains import cache_folder

LEARNERS, ALPHA = 10, 0.5
SEEDS = (201, 202, 203)


@dataclass(frozen=True, slots=True)
class Way:
    """A way of merging proposals.

    Args:
        rule: name of a candidate of `bench/candidates.py`, or of a strategy of Flower's.
        threshold: vote threshold; 0 for a strategy.
        max_distance: the largest allowed distance, which the attackers use.
        options: the strategy's options.
    """

    rule: str
    threshold: float = 0.0
    max_distance: float = DEFAULT_VOTING[Admission.OPEN].max_distance
    options: Mapping[str, Any] = field(default_factory=dict)


def _find_default(admission: Admission) -> Way:
    voting = DEFAULT_VOTING[admission]
    names = (
        name
        for name, candidate in CANDIDATES.items()
        if candidate.rule is None and candidate.product == voting.rule
    )
    return Way(next(names), voting.approval, voting.max_distance)


WAYS = {
    "open": _find_default(Admission.OPEN),
    "allowlist": _find_default(Admission.ALLOWLIST),
    "FedAvg": Way("FedAvg"),
    "FedMedian": Way("FedMedian"),
    "Krum": Way("Krum", options={"num_malicious_nodes": 3}),
    "trimmed": Way("FedTrimmedAvg", options={"beta": 0.4}),
    "Bulyan": Way("Bulyan", options={"num_malicious_nodes": 1}),
}
SUMMARIES: dict[str, Callable[[Sequence[float]], float]] = {"mean": statistics.mean, "worst": min}
"""Over the attacks that exist in Flower, too."""

STRATEGIES = {way.rule: way for way in WAYS.values() if not way.threshold}


def list_cells(options: argparse.Namespace) -> list[Cell]:
    """Return the runs to make, those of the first seed first."""
    situations = [("honest", 0), *itertools.product(options.attacks, options.dishonest)]
    cells = []
    for seed, data, (attack, dishonest), name in itertools.product(
        options.seeds, options.data, situations, options.ways
    ):
        way = WAYS[name]
        if attack in BALLOT_ATTACKS and way.rule in STRATEGIES:
            continue
        cells.append(
            Cell(
                data=data,
                alpha=ALPHA,
                level=True,
                rule=way.rule,
                threshold=way.threshold,
                attack=attack,
                dishonest=dishonest,
                seed=seed,
                learners=LEARNERS,
                rounds=options.rounds or ROUNDS[data],
                max_distance=way.max_distance,
            )
        )
    return cells


def measure(cells: Sequence[Cell]) -> list[Outcome]:
    """Return the outcomes of a batch: one run with votes, or several runs of Flower's.

    Raises:
        InstallFailed: Flower cannot be installed, or a run of it failed.
    """
    if cells[0].rule not in STRATEGIES:
        return [run(cell) for cell in cells]
    jobs = [
        FlowerJob(
            strategy=cell.rule,
            clients="bench.attacked:make_clients",
            n_clients=cell.learners,
            rounds=cell.rounds,
            options=STRATEGIES[cell.rule].options,
            arguments=asdict(cell),
        )
        for cell in cells
    ]
    results = run_flower(jobs, lambda line: None)
    return [Outcome(list(result.accuracy[1:]), None, None) for result in results]


def choose_batch(cell: Cell) -> str | None:
    """Return what the cells of a batch have in common, or None for a cell on its own."""
    return cell.data if cell.rule in STRATEGIES else None


def format_table(results: Mapping[Cell, Outcome], data: str) -> str:
    """Return the Markdown table of a data set: a row for each situation, a column for each way.

    Entries are the mean accuracy after each of the last five rounds in per cent, over the seeds. Of
    votes, the shares of honest and dishonest proposals that were accepted follow, also in per cent.
    """
    names = {(way.rule, way.threshold): name for name, way in WAYS.items()}
    found: dict[tuple[int, str], dict[str, list[Outcome]]] = {}
    for cell, outcome in results.items():
        if cell.data == data:
            row = found.setdefault((cell.dishonest, cell.attack), {})
            row.setdefault(names[cell.rule, cell.threshold], []).append(outcome)
    columns = [name for name in WAYS if any(name in row for row in found.values())]
    lines = [f"| dishonest | {' | '.join(columns)} |", "|---" + "|---:" * len(columns) + "|"]
    for dishonest, rows in itertools.groupby(sorted(found, key=_order), key=lambda key: key[0]):
        keys = list(rows)
        for key in keys:
            title = "none" if not dishonest else f"{dishonest} {key[1]}"
            entries = [_format_entry(found[key].get(name, ()), key[0] > 0) for name in columns]
            lines.append(f"| {title} | {' | '.join(entries)} |")
        if dishonest:
            shared = [found[key] for key in keys if key[1] not in BALLOT_ATTACKS]
            for title, summarise in SUMMARIES.items():
                entries = [_format_summary(shared, name, summarise) for name in columns]
                lines.append(f"| **{dishonest}, {title}** | {' | '.join(entries)} |")
    return "\n".join(lines)


def _order(key: tuple[int, str]) -> tuple[int, int]:
    return key[0], -1 if key[1] == "honest" else list(ATTACKS).index(key[1])


def _format_summary(
    rows: Iterable[Mapping[str, Sequence[Outcome]]],
    name: str,
    summarise: Callable[[Sequence[float]], float],
) -> str:
    values = [mean_accuracy(row[name]) for row in rows if name in row]
    return f"**{summarise(values):.1f}**" if values else "–"


def _format_entry(outcomes: Sequence[Outcome], is_attacked: bool) -> str:
    if not outcomes:
        return "–"
    accuracy = f"{mean_accuracy(outcomes):.1f}"
    if any(outcome.accepted_honest is None for outcome in outcomes):
        return accuracy
    honest = 100 * statistics.mean(outcome.accepted_honest or 0.0 for outcome in outcomes)
    if not is_attacked:
        return f"{accuracy} ({honest:.0f})"
    bad = 100 * statistics.mean(outcome.accepted_dishonest or 0.0 for outcome in outcomes)
    return f"{accuracy} ({honest:.0f}, {bad:.0f})"


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=list(ROUNDS), default=list(ROUNDS))
    parser.add_argument("--dishonest", nargs="+", type=int, default=[2, 3, 4])
    parser.add_argument("--attacks", nargs="+", choices=list(ATTACKS), default=list(ATTACKS))
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--rounds", type=int, help="default: 30 on digits, 15 on MNIST")
    parser.add_argument(
        "--quick", action="store_true", help="digits, 2 dishonest, two attacks, 1 seed, 10 rounds"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--cells", type=Path, default=cache_folder() / "bench" / "dishonest.jsonl", metavar="FILE"
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.data, options.dishonest, options.rounds = ["digits"], [2], 10
        options.attacks, options.seeds = ["reversed", "noise"], [SEEDS[0]]
    return options


def main() -> None:
    """Run what is missing, and print the tables."""
    options = parse_options()
    cells, file = list_cells(options), CellFile[Cell, Outcome](options.cells, Outcome)
    missing = file.find_missing(cells)
    show(f"{len(cells)} cells, {len(cells) - len(missing)} of them in {options.cells}")
    if any(cell.data == "mnist" for cell in missing):
        divide_data("mnist", ALPHA, LEARNERS, SEEDS[0])  # fetches the files
    try:
        if any(cell.rule in STRATEGIES for cell in missing):
            prepare_flower(show)
        measure_missing(form_batches(missing, choose_batch), file, measure, options.processes)
    except InstallFailed as error:
        sys.exit(f"dishonest: {error}")
    for data in options.data:
        print(f"\n{data}:\n\n{format_table(file.select(cells), data)}")
    minutes = file.sum_seconds(cells) / 60
    print(f"\n{len(cells)} cells took {minutes:.0f} min in all, {options.processes} at a time")


if __name__ == "__main__":
    main()
