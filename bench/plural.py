"""Compare one proposer per round with five, and with federated averaging, on the demo's digits.

Usage: .venv/bin/python bench/plural.py [--models logistic mlp] [--seeds 1 2 3 4 5] [--rounds 15]

The data, the division among five learners, the models and their training are those of
`colearn demo --dataset digits`. Three ways of learning are run with the same seeds:

- one proposer: `colearn_learner.simulation` with a learner that proposes in turn;
- five proposers: the same with five proposers, whose accepted proposals are averaged;
- FedAvg, the peer: a plain loop in this process. In each round all learners train from the common
  weights, which then become the mean of what they trained, weighted by their numbers of training
  records and without any vote. It trains the same learners as the experiments do.

FedAvg and five proposers train five times as often as one proposer in as many rounds; as the
learners train at the same time, a round takes about as long. After the last round, the weights are
tested on the demo's common test set, which no learner uses: accuracy and log loss, and the mean of
both over the seeds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np

from colearn_learner import simulation
from colearn_learner.catalogue.models import Model, make_learner, model
from colearn_learner.catalogue.settings import Training, score_of
from colearn_learner.datasets import Dataset, Share, Split, dataset, split
from colearn_learner.interface import Weights
from colearn_ledger.spec import VoteRule

LEARNERS, TRAIN_RATIO = 5, 0.6
MODELS = ("logistic", "mlp")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of all runs."""

    rounds: int
    threshold: float
    rule: VoteRule


@dataclass(frozen=True, slots=True)
class Place:
    """The data, model and training of one seed."""

    data: Dataset
    model: Model
    split: Split
    training: Training

    def make_learners(self) -> list[Any]:
        """Return a new learner for each share, all with the same first weights."""
        return [
            make_learner(self.model, share, data=self.data, training=self.training)
            for share in self.split.shares
        ]


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one way of learning: scores on the common test set, and accepted proposals."""

    model: str
    seed: int
    way: str
    accuracy: float
    log_loss: float
    accepted: str
    seconds: float


def prepare(name: str, seed: int) -> Place:
    """Return the data, model and training of `colearn demo` with this seed."""
    data = dataset("digits")
    chosen = model(name, data)
    shares = split(
        data.load(), task=data.task, n_learners=LEARNERS, train_ratio=TRAIN_RATIO, seed=seed
    )
    return Place(data, chosen, shares, Training(chosen.learning_rate, seed=seed))


def run_experiment(place: Place, settings: Settings, proposers: int) -> tuple[Any, str]:
    """Return the final weights of an experiment, and how many proposals were accepted."""
    score = score_of(place.data.task)
    result = simulation.run(
        place.make_learners(),
        settings.rounds,
        vote_threshold=settings.threshold,
        config=simulation.SimulationConfig(
            score_name=score.name,
            higher_is_better=score.higher_is_better,
            n_proposers=proposers,
            vote_rule=settings.rule,
        ),
    )
    slots = [slot for record in result.history.rounds for slot in record.round.slots]
    return result.weights, f"{sum(slot.accepted for slot in slots)} of {len(slots)}"


def run_fedavg(place: Place, settings: Settings) -> tuple[Any, str]:
    """Return the final weights of federated averaging."""
    learners = place.make_learners()
    sizes = [len(share.train) for share in place.split.shares]
    for _ in range(settings.rounds):
        trained = [learner.mli_propose_weights().weights for learner in learners]
        for learner in learners:
            learner.mli_accept_weights(Weights(average(trained, sizes)))
    return learners[0].mli_get_current_weights().weights, "all"


def average(trees: Sequence[Any], sizes: Sequence[int]) -> Any:
    """Return the weighted mean of trees of arrays; what is not floating is the first tree's."""
    first = trees[0]
    if isinstance(first, Mapping):
        return {key: average([tree[key] for tree in trees], sizes) for key in first}
    if isinstance(first, list | tuple):
        return type(first)(average(parts, sizes) for parts in zip(*trees, strict=True))
    if isinstance(first, np.ndarray) and first.dtype.kind == "f":
        return np.average(np.stack(trees), axis=0, weights=sizes).astype(first.dtype)
    return first


WAYS: Mapping[str, Callable[[Place, Settings], tuple[Any, str]]] = {
    "one proposer": lambda place, settings: run_experiment(place, settings, 1),
    "five proposers": lambda place, settings: run_experiment(place, settings, LEARNERS),
    "FedAvg": run_fedavg,
}
"""The ways of learning, by name."""


def examine(place: Place, weights: Any) -> tuple[float, float]:
    """Return accuracy and log loss of weights on the common test set."""
    common = place.split.common_test
    share = Share(place.split.shares[0].train, common, common)

    def score(*, shown: bool) -> float:
        examiner = make_learner(
            place.model, share, data=place.data, training=place.training, shown_score=shown
        )
        return float(examiner.mli_test_weights(Weights(weights)).test_score)

    return score(shown=True), score(shown=False)


def measure(name: str, seed: int, settings: Settings) -> list[Row]:
    """Run every way of learning with one model and seed."""
    rows = []
    for way, run in WAYS.items():
        began, place = time.monotonic(), prepare(name, seed)
        weights, accepted = run(place, settings)
        scores = examine(place, weights)
        rows.append(Row(name, seed, way, *scores, accepted, time.monotonic() - began))
    print(f"{name}, seed {seed}: {sum(r.seconds for r in rows):.0f} s", file=sys.stderr, flush=True)
    return rows


def add_means(rows: Sequence[Row]) -> list[Row]:
    """Return the rows and, for each model and way, a row with the means over the seeds."""
    shown = list(rows)
    for name in dict.fromkeys(row.model for row in rows):
        for way in WAYS:
            same = [row for row in rows if (row.model, row.way) == (name, way)]
            mean = replace(
                same[0],
                seed=-1,
                accuracy=statistics.mean(row.accuracy for row in same),
                log_loss=statistics.mean(row.log_loss for row in same),
                accepted="",
                seconds=statistics.mean(row.seconds for row in same),
            )
            shown.append(mean)
    return shown


def format_table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table; accuracy is in per cent."""
    lines = [
        "| model | seed | learning | accuracy | log loss | accepted | seconds |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        seed = "mean" if row.seed < 0 else str(row.seed)
        scores = f"{100 * row.accuracy:.1f} | {row.log_loss:.3f}"
        lines.append(
            f"| {row.model} | {seed} | {row.way} | {scores} | {row.accepted} | {row.seconds:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--vote-threshold", type=float, default=0.5)
    parser.add_argument(
        "--vote-rule", choices=[rule.value for rule in VoteRule], default="better-alone"
    )
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    settings = Settings(options.rounds, options.vote_threshold, VoteRule(options.vote_rule))
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads do not help small networks
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        running = [
            pool.submit(measure, name, seed, settings)
            for name in options.models
            for seed in options.seeds
        ]
        rows = [row for future in running for row in future.result()]
    print(format_table(add_means(rows)))


if __name__ == "__main__":
    main()
