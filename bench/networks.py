"""Train and score the catalogue's `mlp` for all learners of a round at once.

A round with ten learners takes ten trainings and hundreds of scores. `SklearnLearner` takes them
one by one; here, they are a few products of stacked matrices. Weights are rows of a matrix: those
of `coefs_0`, `coefs_1`, `intercepts_0` and `intercepts_1`, in this order.
`tests/bench/test_networks.py` checks that trainings and scores equal those of the learners that
`colearn_learner.catalogue` makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_learner.catalogue.settings import Training
from colearn_learner.datasets import Share, Split
from colearn_learner.learners.skew import log_shares

PENALTY = 1e-4
"""Weight of the L2 penalty, the default of scikit-learn's ``MLPClassifier``."""

Rows = NDArray[Any]
"""Weights, shape (n, parameters)."""


@dataclass(frozen=True, slots=True)
class Network:
    """The sizes of a network with one hidden layer."""

    inputs: int
    hidden: int
    classes: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its arrays, in the order in which a row has them."""
        return {
            "coefs_0": (self.inputs, self.hidden),
            "coefs_1": (self.hidden, self.classes),
            "intercepts_0": (self.hidden,),
            "intercepts_1": (self.classes,),
        }

    def take_arrays(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """Return views of the arrays of all rows, each of shape (n, *shape of the array)."""
        views, start = {}, 0
        for name, shape in self.shapes.items():
            end = start + int(np.prod(shape))
            views[name] = rows[:, start:end].reshape(len(rows), *shape)
            start = end
        return views

    def to_tree(self, row: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return a row as the dict that a learner takes."""
        return {name: arrays[0] for name, arrays in self.take_arrays(row[None]).items()}

    def to_row(self, tree: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """Return a learner's dict as a row."""
        return np.concatenate([tree[name].ravel() for name in self.shapes])

    def compute_outputs(self, rows: Rows, inputs: NDArray[Any]) -> NDArray[Any]:
        """Return the outputs of each row for each record, shape (n, records, classes)."""
        arrays = self.take_arrays(rows)
        hidden = np.matmul(inputs, arrays["coefs_0"]) + arrays["intercepts_0"][:, None]
        np.maximum(hidden, 0, out=hidden)
        return np.matmul(hidden, arrays["coefs_1"]) + arrays["intercepts_1"][:, None]


class Group:
    """The learners with their records.

    Args:
        network: their network.
        split: their records and the common test set, with flat inputs.
        training: their training configuration.
        flipped: the learners that train with each label c replaced by the last label - c.
        trainings: number of trainings that they have made before, in another process.
    """

    def __init__(
        self,
        network: Network,
        split: Split,
        training: Training,
        flipped: Sequence[int] = (),
        trainings: int = 0,
    ) -> None:
        self.network, self.size = network, len(split.shares)
        self._training = training
        self._test = split.common_test
        self._vote = _join_votes(split.shares)
        targets = [share.train.targets for share in split.shares]
        for learner in flipped:
            targets[learner] = network.classes - 1 - targets[learner]
        joined = np.concatenate([share.train.inputs for share in split.shares])
        self._inputs = np.concatenate([joined, np.zeros_like(joined[:1])])  # the last one pads
        self._wanted = np.zeros((len(self._inputs), network.classes), joined.dtype)
        self._wanted[np.arange(len(joined)), np.concatenate(targets)] = 1
        self._sizes = [len(each) for each in targets]
        self._starts = np.cumsum([0, *self._sizes])
        self._offsets = np.array([log_shares(each, network.classes) for each in targets])
        self._random = [np.random.default_rng(training.seed) for _ in targets]
        for random, count in zip(self._random, self._sizes, strict=True):
            for _ in range(trainings * training.passes):
                random.permutation(count)

    def train(self, current: NDArray[Any]) -> Rows:
        """Return what each learner proposes after training from the current weights."""
        rows = np.repeat(current[None], self.size, axis=0)
        arrays = self.network.take_arrays(rows)
        order = np.argsort(self._sizes)[::-1]  # so that learners without more batches come last
        if self._training.level:
            arrays["intercepts_1"][...] += self._offsets[order]
        for batch in self._form_batches(order):
            self._step({name: array[: len(batch)] for name, array in arrays.items()}, batch)
        if self._training.level:
            arrays["intercepts_1"][...] -= self._offsets[order]
        return rows[np.argsort(order)]

    def score(self, rows: Rows) -> NDArray[np.float64]:
        """Return each row's log loss on each learner's vote records, shape (n, learners)."""
        inputs, targets, starts = self._vote
        losses = self._compute_losses(rows, inputs, targets)
        counts = np.diff([*starts, len(targets)])
        return np.add.reduceat(losses, starts, axis=1) / counts

    def score_for(self, learner: int, row: NDArray[Any]) -> float:
        """Return a row's log loss on one learner's vote records."""
        inputs, targets, starts = self._vote
        part = slice(*[*starts, len(targets)][learner : learner + 2])
        return float(self._compute_losses(row[None], inputs[part], targets[part]).mean())

    def measure_accuracy(self, row: NDArray[Any]) -> float:
        """Return a row's accuracy on the common test set."""
        outputs = self.network.compute_outputs(row[None], self._test.inputs)[0]
        return float((outputs.argmax(axis=1) == self._test.targets).mean())

    def _compute_losses(
        self, rows: Rows, inputs: NDArray[Any], targets: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Return the log loss of each record, shape (n, records); NaN if a row is not finite."""
        with np.errstate(all="ignore"):
            outputs = self.network.compute_outputs(rows, inputs)
            outputs -= outputs.max(axis=2, keepdims=True)
            wanted = outputs[:, np.arange(len(targets)), targets]
            logs = (wanted - np.log(np.exp(outputs).sum(axis=2))).astype(np.float64)
        eps = float(np.finfo(rows.dtype).eps)  # scikit-learn clips the probabilities
        losses = -np.clip(logs, np.log(eps), np.log1p(-eps))
        losses[~np.isfinite(rows).all(axis=1)] = np.nan
        return losses

    def _form_batches(self, order: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        """Yield the records of each step, shape (learners with another batch, batch size)."""
        size, sequences = self._training.batch_size, []
        for learner in order:
            count, passes = self._sizes[learner], []
            for _ in range(self._training.passes):
                padded = np.full(-(-count // size) * size, -1)
                drawn = self._random[learner].permutation(count)
                padded[:count] = drawn + self._starts[learner]
                passes.append(padded.reshape(-1, size))
            sequences.append(np.concatenate(passes))
        for step in range(len(sequences[0])):
            yield np.array([each[step] for each in sequences if step < len(each)])

    def _step(self, arrays: dict[str, NDArray[Any]], batch: NDArray[np.intp]) -> None:
        """Take a step of gradient descent, in place."""
        inputs, present = self._inputs[batch], batch >= 0
        share = 1 / present.sum(axis=1)[:, None, None].astype(inputs.dtype)
        hidden = np.matmul(inputs, arrays["coefs_0"]) + arrays["intercepts_0"][:, None]
        np.maximum(hidden, 0, out=hidden)
        outputs = np.matmul(hidden, arrays["coefs_1"]) + arrays["intercepts_1"][:, None]
        outputs -= outputs.max(axis=2, keepdims=True)
        np.exp(outputs, out=outputs)
        outputs /= outputs.sum(axis=2, keepdims=True)
        errors = (outputs - self._wanted[batch]) * present[:, :, None] * share
        inner = np.matmul(errors, arrays["coefs_1"].transpose(0, 2, 1)) * (hidden > 0)
        rate = np.asarray(self._training.learning_rate, inputs.dtype)
        for layer, (given, error) in enumerate(((inputs, inner), (hidden, errors))):
            coefs = arrays[f"coefs_{layer}"]
            slope = np.matmul(given.transpose(0, 2, 1), error) + PENALTY * share * coefs
            coefs -= rate * slope
            arrays[f"intercepts_{layer}"][...] -= rate * error.sum(axis=1)


def _join_votes(
    shares: Sequence[Share],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.intp]]:
    """Return all vote records, and the index of each learner's first."""
    parts = [share.vote for share in shares]
    starts = np.cumsum([0, *(len(part) for part in parts)])[:-1]
    inputs = np.concatenate([part.inputs for part in parts])
    return inputs, np.concatenate([part.targets for part in parts]), starts
