"""Compare vote rules in a plain loop: how well a group learns, honest and attacked.

Usage: .venv/bin/python bench/vote_rules.py [--quick] [--rules V1 V12] [--cells FILE]

A run is a plain loop (`bench/voting.py`), so that hundreds take minutes. The objections to copies
and far-off proposals, the rules V1 and V7, and the test of the mean are the product's own code
(`colearn_learner.agent.screening`, `.judge`); other rules are in `bench/candidates.py`, the attacks
in `bench/attacks.py`.

The network is the catalogue's `mlp`. A quarter of the digits, or 5,000 records of MNIST, is the
test set, which no learner uses; the rest, or 20,000 records of MNIST, is divided with skewed labels
(Dirichlet). A learner trains on 60 % of its records and votes with 20 %. The dishonest approve each
other and reject everyone else, except in the attacks `always-yes` and `always-no`.

Finished runs are kept in a file, and a rerun skips them (`bench/cells.py`).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path

from bench.attacks import ATTACKS
from bench.candidates import CANDIDATES, REFERENCES
from bench.cells import CellFile, measure_missing
from bench.voting import ROUNDS, Cell, Outcome, mean_accuracy, run
from colearn_localnet.toolchains import cache_folder

REPORTED = (4, 5, 6)
"""Seeds of reported tables; rules were chosen with the seeds 1, 2 and 3."""


def list_cells(options: argparse.Namespace) -> list[Cell]:
    """Return the runs to make, in an order in which a partial result is useful."""
    situations = [("honest", 0)] if 0 in options.dishonest else []
    numbers = [number for number in options.dishonest if number]
    situations += itertools.product(options.attacks, numbers)
    cells = []
    for seed, (attack, dishonest), name, alpha, level in itertools.product(
        options.seeds, situations, options.datasets, options.alphas, options.adjustments
    ):
        rounds = options.rounds or ROUNDS[name]
        for rule in options.rules:
            for threshold in [0.0] if rule in REFERENCES else options.thresholds:
                cells.append(
                    Cell(
                        data=name,
                        alpha=alpha,
                        level=level == "adjusted",
                        rule=rule,
                        threshold=threshold,
                        attack=attack,
                        dishonest=dishonest,
                        seed=seed,
                        learners=options.learners,
                        rounds=rounds,
                    )
                )
    return cells


def run_all(cells: Sequence[Cell]) -> list[Outcome]:
    """Run cells and return their outcomes."""
    return [run(cell) for cell in cells]


def format_table(results: dict[Cell, Outcome]) -> str:
    """Return a Markdown table: a row for each situation, a column for each rule and threshold.

    Entries are the mean accuracy after each of the last five rounds in per cent, over the seeds.
    With attacks, the share of dishonest proposals that were accepted follows, also in per cent.
    """
    grouped: dict[tuple[str, str], list[Outcome]] = {}
    for cell, outcome in results.items():
        grouped.setdefault((_describe_situation(cell), _describe_rule(cell)), []).append(outcome)
    rows = dict.fromkeys(situation for situation, _ in grouped)
    columns = dict.fromkeys(rule for _, rule in grouped)
    lines = [f"| situation | {' | '.join(columns)} |", "|---" + "|---:" * len(columns) + "|"]
    for row in rows:
        entries = [
            _format_entry(grouped.get((row, column), []), is_attacked="honest" not in row)
            for column in columns
        ]
        lines.append(f"| {row} | {' | '.join(entries)} |")
    return "\n".join(lines)


def _describe_rule(cell: Cell) -> str:
    return f"{cell.rule} {cell.threshold:g}" if cell.threshold else cell.rule


def _describe_situation(cell: Cell) -> str:
    adjusted = "adjusted" if cell.level else "plain"
    what = cell.attack if cell.attack == "honest" else f"{cell.dishonest} {cell.attack}"
    return f"{cell.data} {cell.alpha:g} {adjusted}, {what}"


def _format_entry(outcomes: Sequence[Outcome], *, is_attacked: bool) -> str:
    if not outcomes:
        return "–"
    accuracy = mean_accuracy(outcomes)
    if not is_attacked:
        return f"{accuracy:.1f}"
    bad = 100 * statistics.mean(outcome.accepted_dishonest or 0.0 for outcome in outcomes)
    return f"{accuracy:.1f} ({bad:.0f})"


def main() -> None:
    """Run the cells and print the table."""
    rules = [*REFERENCES, *CANDIDATES]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--datasets", nargs="+", choices=["digits", "mnist"], default=["digits"])
    parser.add_argument("--alphas", nargs="+", type=float, default=[0.5, 0.1])
    parser.add_argument(
        "--adjustments", nargs="+", choices=["adjusted", "plain"], default=["adjusted", "plain"]
    )
    parser.add_argument("--rules", nargs="+", choices=rules, default=rules)
    parser.add_argument("--thresholds", nargs="+", type=float, default=[0.25, 0.4, 0.5])
    parser.add_argument("--attacks", nargs="+", choices=list(ATTACKS), default=list(ATTACKS))
    parser.add_argument("--dishonest", nargs="+", type=int, default=[0, 2, 4])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(REPORTED))
    parser.add_argument("--learners", type=int, default=10)
    parser.add_argument("--rounds", type=int, help="default: 30 on digits, 15 on MNIST")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cells", type=Path, default=cache_folder() / "bench" / "vote_rules.jsonl")
    parser.add_argument("--quick", action="store_true", help="one seed, 10 rounds, two attacks")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.rounds = options.seeds[:1], 10
        options.attacks, options.alphas = options.attacks[:2], options.alphas[:1]
        options.adjustments = options.adjustments[:1]
    cells, file = list_cells(options), CellFile[Cell, Outcome](options.cells, Outcome)
    missing = [[cell] for cell in file.find_missing(cells)]
    measure_missing(missing, file, run_all, options.processes)
    print(format_table(file.select(cells)))


if __name__ == "__main__":
    main()
