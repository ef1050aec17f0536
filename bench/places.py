"""Data, model and learners of one cell of a bench: the same for every way of learning.

The records of digits or of MNIST are divided among learners, evenly or with skewed labels. All ways
of learning use the catalogue's PyTorch network with the same first weights, rate and batches: the
order of a learner's records in its nth training is the same in all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from bench.plural import average
from colearn_learner.catalogue.models import make_learner, model
from colearn_learner.catalogue.settings import Training
from colearn_learner.datasets import Data, Dataset, Division, Share, Split, dataset, load
from colearn_learner.datasets.splitting import divide
from colearn_learner.interface import Weights
from scripts.fetch_mnist import mnist_folder

DATASETS = ("digits", "mnist")
DIVISIONS = ("iid", "0.5", "0.1", "unequal")
"""In equal numbers at random, with label skew of this α, and at random in unequal numbers."""

TEST_RECORDS = {"digits": 449, "mnist": 10_000}
SHARED_RECORDS = {"digits": 1_348, "mnist": 20_000}
TRAINING = {
    "digits": Training(0.3, batch_size=16, passes=1),
    "mnist": Training(0.1, batch_size=32, passes=1),
}
Trees = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """What a cell is about.

    Args:
        data: name of the data set.
        learners: number of learners.
        division: one of `DIVISIONS`.
        seed: seed of the division, the first weights and the batches.
        level: whether training corrects for the learner's label shares.
    """

    data: str
    learners: int
    division: str
    seed: int
    level: bool = True

    @property
    def training(self) -> Training:
        """Return the configuration of every learner's training."""
        return replace(TRAINING[self.data], seed=self.seed, level=self.level)

    def split(self) -> Split:
        """Return the learners' shares and the common test set."""
        return split_records(self)

    def make_learners(self) -> list[Any]:
        """Return new learners, all with the same first weights."""
        return [self._make_learner(share, self.training) for share in self.split().shares]

    def make_lone_learners(self) -> list[Any]:
        """Return new learners that train alone, without the correction for label shares."""
        training = replace(self.training, level=False)
        return [self._make_learner(share, training) for share in self.split().shares]

    def make_joint_learner(self) -> Any:
        """Return a new learner that has the training records of all."""
        shares = self.split().shares
        train = Data(
            np.concatenate([share.train.inputs for share in shares]),
            np.concatenate([share.train.targets for share in shares]),
        )
        joint = Share(train, shares[0].vote, shares[0].test)
        return self._make_learner(joint, replace(self.training, level=False))

    def examine(self, weights: Trees) -> float:
        """Return the accuracy of weights on the common test set."""
        return float(_examiner(self).mli_test_weights(Weights(dict(weights))).test_score)

    def _make_learner(self, share: Share, training: Training, *, shown: bool = False) -> Any:
        data = load_dataset(self.data)
        chosen = model("pytorch-mlp", data)
        return make_learner(chosen, share, data=data, training=training, shown_score=shown)


@functools.lru_cache(maxsize=1)
def load_dataset(name: str) -> Dataset:
    """Return a data set with inputs of shape (records, features)."""
    if name == "digits":
        return dataset("digits")
    found = load("mnist", mnist_folder())
    flat = found.data.flat()
    return replace(found.dataset, load=lambda: flat)


@functools.lru_cache(maxsize=2)
def split_records(place: Place) -> Split:
    """Divide the records; all learners' records and the common test set are disjoint."""
    data = load_dataset(place.data).load()
    order = np.random.default_rng(place.seed).permutation(len(data))
    tested, shared = TEST_RECORDS[place.data], SHARED_RECORDS[place.data]
    owned = data.take(order[tested : tested + shared])
    division = make_division(place)
    shares = tuple(
        Share(*(owned.take(part) for part in places))
        for places in divide(owned.targets, "classification", division)
    )
    return Split(shares, data.take(order[:tested]))


def make_division(place: Place) -> Division:
    """Return the division of a place; in an unequal one, the last has n times the first's."""
    common: dict[str, Any] = {"seed": place.seed}
    if place.division == "unequal":
        total = place.learners * (place.learners + 1) / 2
        fractions = tuple((i + 1) / total for i in range(place.learners))
        return Division(place.learners, how="by-size", fractions=fractions, **common)
    if place.division == "iid":
        return Division(place.learners, **common)
    return Division(place.learners, how="label-skew", alpha=float(place.division), **common)


@functools.lru_cache(maxsize=1)
def _examiner(place: Place) -> Any:
    split = place.split()
    first = split.shares[0].train.take(np.arange(1))
    share = Share(first, split.common_test.take(np.arange(1)), split.common_test)
    return place._make_learner(share, place.training, shown=True)


def train_once(learner: Any, weights: Trees, proximal_mu: float = 0.0) -> Trees:
    """Return what a learner makes of weights, with FedProx's proximal term if μ is not 0."""
    learner.set_weights(Weights(dict(weights)))
    starts = [p.detach().clone() for p in learner.model.parameters()]
    criterion = learner.criterion

    def with_proximal_term(outputs: Any, labels: Any) -> Any:
        pairs = zip(learner.model.parameters(), starts, strict=True)
        distance = sum((parameter - start).square().sum() for parameter, start in pairs)
        return criterion(outputs, labels) + proximal_mu / 2 * distance

    if proximal_mu:
        learner.criterion = with_proximal_term
    try:
        learner.train()
    finally:
        learner.criterion = criterion
    trained: Trees = learner.mli_get_current_weights().weights
    return trained


def run_fedavg(place: Place, rounds: int) -> Trees:
    """Return the final weights of federated averaging in a plain loop."""
    sizes = [len(share.train) for share in place.split().shares]
    *_, final = _iterate_means(place, rounds, len(sizes), sizes)
    return final


def train_and_average(place: Place, rounds: int, proposers: int) -> list[float]:
    """Return the accuracies of rounds that accept every proposal, before and after each round.

    The proposers take turns as with ``round_robin``. Their mean is not weighted.
    """
    sizes = [1] * place.learners
    return [place.examine(each) for each in _iterate_means(place, rounds, proposers, sizes)]


def _iterate_means(
    place: Place, rounds: int, proposers: int, sizes: Sequence[int]
) -> Iterator[Trees]:
    """Yield the first weights, and after each round the mean of what learners in turn trained."""
    learners = place.make_learners()
    weights: Trees = learners[0].mli_get_current_weights().weights
    yield weights
    for start in range(0, rounds * proposers, proposers):
        chosen = [(start + i) % len(learners) for i in range(proposers)]
        trained = [train_once(learners[i], weights) for i in chosen]
        weights = average(trained, [sizes[i] for i in chosen])
        yield weights


class FlowerClients:
    """A place's learners as clients of Flower; see `bench.flower_peer.Clients`.

    A client may run in another process each time, so the state of its generator, from which the
    order of its records follows, travels with it.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._learners = place.make_learners()

    def start(self) -> Trees:
        """Return the first weights."""
        weights: Trees = self._learners[0].mli_get_current_weights().weights
        return weights

    def train(
        self, client: int, weights: Trees, state: Trees | None, proximal_mu: float
    ) -> tuple[Trees, Trees, int]:
        """Train weights; return them, the client's new state, and its number of records."""
        learner = self._learners[client]
        generator = learner.train_loader.generator
        if state is None:
            generator.manual_seed(self._place.training.seed)
        else:
            generator.set_state(torch.from_numpy(np.array(state["order"])))
        trained = train_once(learner, weights, proximal_mu)
        records = len(self._place.split().shares[client].train)
        return trained, {"order": generator.get_state().numpy()}, records

    def examine(self, weights: Trees) -> float:
        """Return the accuracy of weights on the common test set."""
        return self._place.examine(weights)


def make_clients(**place: Any) -> FlowerClients:
    """Return a place's clients; the arguments are the place's fields."""
    torch.set_num_threads(1)
    return FlowerClients(Place(**place))


def describe_clients(place: Place) -> Mapping[str, Any]:
    """Return the fields of a `FlowerJob` that make a place's clients."""
    return {
        "clients": "bench.places:make_clients",
        "arguments": asdict(place),
        "n_clients": place.learners,
    }


def train_alone(learner: Any, rounds: int, score: Callable[[Trees], float]) -> list[float]:
    """Return the scores of a learner that trains on its own, before and after each round."""
    weights: Trees = learner.mli_get_current_weights().weights
    scores = [score(weights)]
    for _ in range(rounds):
        weights = train_once(learner, weights)
        scores.append(score(weights))
    return scores


def mean_of(columns: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of several lists, element by element."""
    return [float(value) for value in np.mean(np.array(columns), axis=0)]
