"""Compare the demo's defaults with other ways of voting, and with federated averaging.

Usage: .venv/bin/python bench/plural.py [--datasets digits wine …] [--models logistic mlp forest …]
           [--ways 5,0.25,leave-one-out 1,0.5,better-alone …] [--seeds 1 2 3] [--rounds 15]

The data, the division among five learners, the models and their training are those of
`colearn demo`. Ways of learning are run with the same seeds:

- experiments with `colearn_learner.simulation`, each with a number of proposers, a threshold and a
  vote rule. Of several proposals the accepted ones are averaged; of trees, the most approved one is
  chosen;
- FedAvg, the peer: a plain loop in this process. In each round all learners train from the common
  weights, which then become the mean of what they trained, weighted by their numbers of training
  records and without any vote. It trains the same learners as the experiments do. Trees have no
  mean, so there is no FedAvg of them.

FedAvg and five proposers train five times as often as one proposer in as many rounds; as the
learners train at the same time, a round takes about as long. After the last round, the weights are
tested on the demo's common test set, which no learner uses: the score shown to people (accuracy, or
the mean squared error of a regression) and the score that the learners vote by.

Finished cells are kept in a file, and a rerun skips them (`bench/cells.py`).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells import CellFile, measure_missing
from colearn_learner import simulation
from colearn_learner.catalogue.models import MODELS as CATALOGUE
from colearn_learner.catalogue.models import Model, make_learner, model
from colearn_learner.catalogue.settings import Training, score_of
from colearn_learner.datasets import Dataset, Share, Split, dataset, split
from colearn_learner.interface import Weights
from colearn_learner.learners.triton_guard import keep_triton_from_tensorflow
from colearn_ledger.protocol import Admission
from colearn_ledger.spec import DEFAULT_VOTING, VoteRule
from colearn_localnet.toolchains import cache_folder

LEARNERS, TRAIN_RATIO = 5, 0.6
DATASETS = ("breast-cancer", "digits", "wine", "iris", "diabetes")
MODELS = ("logistic", "linear", "mlp", "keras-mlp", "pytorch-mlp", "forest", "xgboost")
AVERAGED = ("logistic", "linear", "mlp", "keras-mlp", "pytorch-mlp")
"""The models whose weights have a mean."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way of learning: FedAvg with no proposers, or an experiment.

    Args:
        proposers: number of proposers in a round; 0 for FedAvg.
        threshold: vote threshold of an experiment.
        rule: vote rule of an experiment.
        max_distance: largest distance of a proposal that agents approve in an experiment.
    """

    proposers: int
    threshold: float = 0.0
    rule: VoteRule = VoteRule.BETTER_ALONE
    max_distance: float = DEFAULT_VOTING[Admission.ALLOWLIST].max_distance

    def __str__(self) -> str:
        if not self.proposers:
            return "FedAvg"
        return f"{self.proposers} at {self.threshold:g}, {self.rule}"

    @classmethod
    def parse(cls, text: str) -> Way:
        """Return the experiment that a text like ``5,0.25,leave-one-out`` describes.

        Raises:
            ValueError: it does not describe an experiment.
        """
        proposers, threshold, rule = text.split(",")
        return cls(int(proposers), float(threshold), VoteRule(rule))


WAYS = [
    Way(1, 0.5, VoteRule.BETTER_ALONE),
    Way(5, 0.5, VoteRule.BETTER_ALONE),
    *(Way(5, v.approval, v.rule, v.max_distance) for v in DEFAULT_VOTING.values()),
]
"""Classic rounds, the same with five proposers, and the defaults of strangers and of the demo."""


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
class Cell:
    """One way of learning with one data set, model and seed."""

    data: str
    model: str
    seed: int
    rounds: int
    way: Way

    @property
    def task(self) -> str:
        """Return what is learned, for the tables."""
        return f"{self.data}, {self.model}"


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of a cell: scores on the common test set, and numbers of proposals."""

    shown: float
    voted: float
    accepted: int
    proposed: int


def prepare(data_name: str, model_name: str, seed: int) -> Place:
    """Return the data, model and training of `colearn demo` with this seed."""
    data = dataset(data_name)
    chosen = model(model_name, data)
    shares = split(
        data.load(), task=data.task, n_learners=LEARNERS, train_ratio=TRAIN_RATIO, seed=seed
    )
    return Place(data, chosen, shares, Training(chosen.learning_rate, seed=seed))


def run_experiment(place: Place, way: Way, rounds: int) -> tuple[Any, int, int]:
    """Return the final weights of an experiment, and its numbers of accepted and all proposals."""
    score = score_of(place.data.task)
    result = simulation.run(
        place.make_learners(),
        rounds,
        vote_threshold=way.threshold,
        config=simulation.SimulationConfig(
            score_name=score.name,
            higher_is_better=score.higher_is_better,
            n_proposers=way.proposers,
            vote_rule=way.rule,
            max_distance=way.max_distance,
        ),
    )
    slots = [slot for record in result.history.rounds for slot in record.round.slots]
    return result.weights, sum(slot.accepted for slot in slots), len(slots)


def run_fedavg(place: Place, rounds: int) -> tuple[Any, int, int]:
    """Return the final weights of federated averaging, and twice the number of trainings."""
    learners = place.make_learners()
    sizes = [len(share.train) for share in place.split.shares]
    for _ in range(rounds):
        trained = [learner.mli_propose_weights().weights for learner in learners]
        for learner in learners:
            learner.mli_accept_weights(Weights(average(trained, sizes)))
    trainings = rounds * len(learners)
    return learners[0].mli_get_current_weights().weights, trainings, trainings


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


def examine(place: Place, weights: Any) -> tuple[float, float]:
    """Return the shown score and the vote score of weights on the common test set."""
    common = place.split.common_test
    share = Share(place.split.shares[0].train, common, common)

    def score(*, shown: bool) -> float:
        examiner = make_learner(
            place.model, share, data=place.data, training=place.training, shown_score=shown
        )
        return float(examiner.mli_test_weights(Weights(weights)).test_score)

    return score(shown=True), score(shown=False)


def measure(cells: Sequence[Cell]) -> list[Measured]:
    """Measure cells; a process can have those of Keras and of PyTorch."""
    keep_triton_from_tensorflow()
    results = []
    for cell in cells:
        place = prepare(cell.data, cell.model, cell.seed)
        if cell.way.proposers:
            weights, accepted, proposed = run_experiment(place, cell.way, cell.rounds)
        else:
            weights, accepted, proposed = run_fedavg(place, cell.rounds)
        results.append(Measured(*examine(place, weights), accepted, proposed))
    return results


def make_cells(options: argparse.Namespace) -> list[Cell]:
    """Return the cells that are asked for, those of the first seed first."""
    return [
        Cell(data, name, seed, options.rounds, way)
        for seed in options.seeds
        for data in options.datasets
        for name in options.models
        if dataset(data).task in CATALOGUE[name].tasks
        for way in [*options.ways, *([Way(0)] if name in AVERAGED else [])]
    ]


def format_rows(results: Mapping[Cell, Measured]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| task | seed | learning | score | vote score | accepted |",
        "|---|---:|---|---:|---:|---:|",
    ]
    for cell, found in results.items():
        scores = f"{format_score(found.shown)} | {format_score(found.voted)}"
        accepted = f"{found.accepted} of {found.proposed}"
        lines.append(f"| {cell.task} | {cell.seed} | {cell.way} | {scores} | {accepted} |")
    return "\n".join(lines)


def format_means(results: Mapping[Cell, Measured], get_score: Callable[[Measured], float]) -> str:
    """Return a Markdown table with the mean of a score over the seeds, a column for each way."""
    groups: dict[tuple[str, Way], list[float]] = {}
    for cell, found in results.items():
        groups.setdefault((cell.task, cell.way), []).append(get_score(found))
    ways = list(dict.fromkeys(way for _, way in groups))
    lines = [f"| task | {' | '.join(map(str, ways))} |", "|---|" + "---:|" * len(ways)]
    for task in dict.fromkeys(task for task, _ in groups):
        found_here = [groups.get((task, way)) for way in ways]
        entries = [format_score(statistics.mean(each)) if each else "" for each in found_here]
        lines.append(f"| {task} | {' | '.join(entries)} |")
    return "\n".join(lines)


def format_score(score: float) -> str:
    """Return a score with three digits after the point, or none if it is large."""
    return f"{score:.0f}" if score >= 1000 else f"{score:.3f}"


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--ways", nargs="+", type=Way.parse, default=WAYS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--cells", type=Path, default=cache_folder() / "bench" / "plural.jsonl", metavar="FILE"
    )
    options = parser.parse_args()
    cells, file = make_cells(options), CellFile[Cell, Measured](options.cells, Measured)
    missing = [[cell] for cell in file.find_missing(cells)]
    measure_missing(missing, file, measure, options.processes)
    results = file.select(cells)
    print(format_rows(results))
    print("\nscore shown to people\n\n" + format_means(results, lambda found: found.shown))
    print(
        "\nscore of the votes, lower is better\n\n"
        + format_means(results, lambda found: found.voted)
    )


if __name__ == "__main__":
    main()
