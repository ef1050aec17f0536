"""Measure five learners with skewed labels on digits: together, alone and with pooled data.

Usage: .venv/bin/python bench/digits.py [--models mlp keras-mlp pytorch-mlp] [--seeds 4 5 6]

A quarter of the 1,797 records is the test set, which no learner uses. The rest is divided among
five learners by label skew (Dirichlet α = 0.5). A learner trains on 60 % of its records, votes with
20 % and tests with 20 %. The experiment is `colearn_learner.simulation`, in which real agents on
`LocalLedger` propose in turn. For comparison, the same run trains the same network with the same
initial weights, rate and batches, but without votes, on each learner's training records alone and
on the pooled records. Both make as many passes over the records as there are rounds. On the pooled
records this takes five times as many gradient steps as the experiment, in which a round is one
learner's pass.

Each model runs in its own process. The script prints a table and, for each row, the distance from
the aims: at most two points below the pooled data, and above the mean of the learners alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from colearn_learner import simulation
from colearn_learner.catalogue.baselines import Comparison, compare
from colearn_learner.catalogue.models import make_learner, model
from colearn_learner.catalogue.settings import Training, score_of
from colearn_learner.datasets import Data, Division, Share, Split, dataset
from colearn_learner.datasets.splitting import divide

LEARNERS, ALPHA, COMMON_TEST = 5, 0.5, 0.25
MODELS = ("mlp", "keras-mlp", "pytorch-mlp")
POINTS = 0.02
"""Largest allowed distance of an experiment below the pooled data."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the experiments."""

    rounds: int
    threshold: float
    training: Training


@dataclass(frozen=True, slots=True)
class Row:
    """Accuracies of one experiment and its comparisons on the test set, from 0 to 1."""

    model: str
    seed: int
    accepted: int
    compared: Comparison
    seconds: float

    @property
    def behind(self) -> float:
        """Return the collective's distance below the pooled data."""
        return self.compared.together - self.compared.collective

    @property
    def reached(self) -> bool:
        """Return whether both aims are reached."""
        return self.behind <= POINTS and self.compared.collective > self.compared.mean_alone


def skewed_split(data: Data, seed: int) -> Split:
    """Return five learners' shares and the test set, all disjoint."""
    order = np.random.default_rng(seed).permutation(len(data))
    common, rest = np.split(order, [round(len(data) * COMMON_TEST)])
    owned = data.take(rest)
    division = Division(LEARNERS, how="label-skew", alpha=ALPHA, seed=seed)
    shares = tuple(
        Share(*(owned.take(part) for part in places))
        for places in divide(owned.targets, "classification", division)
    )
    return Split(shares, data.take(common))


def measure(name: str, seed: int, settings: Settings) -> Row:
    """Run one experiment and train its comparisons."""
    began, data = time.monotonic(), dataset("digits")
    chosen, parts = model(name, data), skewed_split(data.load(), seed)
    training = replace(settings.training, seed=seed)
    learners = [make_learner(chosen, s, data=data, training=training) for s in parts.shares]
    score = score_of(data.task)
    result = simulation.run(
        learners,
        settings.rounds,
        vote_threshold=settings.threshold,
        config=simulation.SimulationConfig(
            score_name=score.name, higher_is_better=score.higher_is_better
        ),
    )
    # gradient descent is stateless, so one training with all passes equals many with one pass
    compared = compare(
        [result.weights],
        parts,
        model=chosen,
        data=data,
        trainings=[replace(training, passes=training.passes * settings.rounds)] * LEARNERS,
        n_rounds=1,
    )
    accepted = sum(bool(r.vote) for r in result.results.data)
    return Row(name, seed, accepted, compared, time.monotonic() - began)


def measure_rows(name: str, seeds: Sequence[int], settings: Settings) -> list[Row]:
    """Measure one model with every seed."""
    rows = []
    for seed in seeds:
        rows.append(measure(name, seed, settings))
        print(f"{name}, seed {seed}: {rows[-1].seconds:.0f} s", file=sys.stderr, flush=True)
    return rows


def format_table(rows: Sequence[Row], settings: Settings) -> str:
    """Return the rows as a Markdown table with accuracies in per cent."""
    names = ("together", "behind", "mean alone", "best alone", "accepted", "aims")
    lines = [f"| model | seed | experiment | {' | '.join(names)} |", "|---" + "|---:" * 7 + "|---|"]
    for row in rows:
        c = row.compared
        values = (c.collective, c.together, row.behind, c.mean_alone, max(c.alone))
        cells = [f"{100 * value:.1f}" for value in values]
        end = f"{row.accepted} of {settings.rounds} | {'reached' if row.reached else 'missed'}"
        lines.append(f"| {row.model} | {row.seed} | {' | '.join(cells)} | {end} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[4, 5, 6])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--vote-threshold", type=float, default=0.25)
    parser.add_argument("--learning-rate", type=float, default=0.3)
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    training = Training(options.learning_rate, batch_size=options.batch_size, passes=1)
    settings = Settings(options.rounds, options.vote_threshold, training)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads do not help small networks
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(options.models), mp_context=context) as pool:
        measuring = [pool.submit(measure_rows, m, options.seeds, settings) for m in options.models]
        rows = [row for future in measuring for row in future.result()]
    print(format_table(rows, settings))
    for name in options.models:
        behind = [row.behind for row in rows if row.model == name]
        print(f"{name}: behind by {100 * statistics.mean(behind):.1f} points on average")


if __name__ == "__main__":
    main()
