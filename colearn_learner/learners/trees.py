"""What learners of trees have in common: trees are added round by round, and strangers' checked.

The libraries walk through a tree in compiled code that trusts it. So a tree from a file is checked
before a library sees it: a child out of range would have it read foreign memory, a circle would
never end.
"""

from __future__ import annotations

import abc
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_learner.errors import InvalidArgument, InvalidData, WeightsMismatch
from colearn_learner.interface import MachineLearningInterface, ProposedWeights, Weights
from colearn_learner.learners.vote_rule import approves

__all__ = [
    "LEAF",
    "Records",
    "TreesLearner",
    "bytes_in",
    "check_steps",
    "check_tree",
    "depth_of",
    "records",
]

LEAF = -1
"""The children of a node that has none."""

Records = tuple[NDArray[Any], NDArray[Any]]
"""Inputs, shape (records, features), and targets, shape (records,)."""

_Ints = NDArray[np.integer[Any]]


def check_tree(left: _Ints, right: _Ints, feature: _Ints, *, features: int, what: str) -> None:
    """Check that nodes are one binary tree whose root is node 0 and whose children come later.

    Args:
        left: number of each node's left child, or `LEAF`; shape (nodes,).
        right: likewise.
        feature: which input each inner node looks at; shape (nodes,).
        features: how many inputs there are.
        what: which tree it is, for the message.

    Raises:
        WeightsMismatch: they are not; says how.
    """
    if not len(left) or not len(left) == len(right) == len(feature):
        raise WeightsMismatch(f"{what} has no nodes, or not as many of all their parts")
    inner = np.flatnonzero(left != LEAF)
    if not np.array_equal(inner, np.flatnonzero(right != LEAF)):
        raise WeightsMismatch(f"{what} has a node with one child")
    children = np.concatenate([left[inner], right[inner]])
    if children.size and not (children.min() > 0 and children.max() < len(left)):
        raise WeightsMismatch(f"{what} has a child that is none of its {len(left)} nodes")
    if not (children > np.concatenate([inner, inner])).all():
        raise WeightsMismatch(f"{what} goes in a circle: a child comes before its parent")
    if len(np.unique(children)) != len(children) or len(children) != len(left) - 1:
        raise WeightsMismatch(f"{what} has a node that is not the child of just one other")
    if inner.size and not (feature[inner].min() >= 0 and feature[inner].max() < features):
        raise WeightsMismatch(f"{what} looks at an input that is none of the {features}")


def depth_of(left: _Ints, right: _Ints) -> int:
    """Return how many steps a checked tree takes at most from its root to a leaf."""
    depths = np.zeros(len(left), np.int64)
    for node in np.flatnonzero(left != LEAF):  # parents come before their children
        depths[[left[node], right[node]]] = depths[node] + 1
    return int(depths.max())


def records(data: Any, name: str) -> Records:
    """Return inputs and targets as arrays.

    Raises:
        InvalidData: they do not go together, or there are none.
    """
    inputs, targets = (np.asarray(part) for part in data)
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1] or not len(inputs):
        raise InvalidData(
            f"{name} needs inputs of shape (records, features) and as many targets, one at least;"
            f" it has {inputs.shape} and {targets.shape}"
        )
    return inputs, targets


class TreesLearner(MachineLearningInterface):
    """The rounds of a learner whose model is a list of trees.

    A model is never changed: growing and reading make new ones. Its weights are a dict of bytes,
    which may be longer from round to round.
    """

    _model: Any
    _vote_data: Records
    _test_data: Records | None
    _minimise: bool
    _approve_equal: bool
    _baseline: float

    def mli_propose_weights(self) -> Weights:
        """Grow further trees on the current ones, and return them all; the current ones stay."""
        return Weights(weights=self._packed(self._grown(self._model)))

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        """Score weights and vote; the current ones stay.

        Raises:
            WeightsMismatch: they are no trees of such a model.
        """
        candidate = self._unpacked(weights.weights)
        score = self._scored(candidate, self._vote_data)
        tested = self._test_data is not None
        return ProposedWeights(
            weights=weights,
            vote_score=score,
            test_score=self._scored(candidate, self._test_data) if self._test_data else 0.0,
            vote=self.vote(score),
            has_test_score=tested,
        )

    def vote(self, new_score: float) -> bool:
        """Tell whether a vote score is better than the current weights' (NaN never is)."""
        return approves(
            new_score, self._baseline, minimise=self._minimise, or_equal=self._approve_equal
        )

    def mli_accept_weights(self, weights: Weights) -> None:
        """Replace the current weights and score them on the vote records anew.

        Raises:
            WeightsMismatch: they are no trees of such a model; the current ones stay.
        """
        self._model = self._unpacked(weights.weights)
        self._baseline = self._scored(self._model, self._vote_data)

    def mli_get_current_weights(self) -> Weights:
        """Return the current weights."""
        return Weights(weights=self._packed(self._model))

    @abc.abstractmethod
    def _grown(self, model: Any) -> Any:
        """Return a model with further trees."""

    @abc.abstractmethod
    def _packed(self, model: Any) -> dict[str, bytes]:
        """Return a model's weights."""

    @abc.abstractmethod
    def _unpacked(self, weights: Any) -> Any:
        """Return the model of weights, every tree of them checked."""

    @abc.abstractmethod
    def _score(self, model: Any, data: Records) -> float:
        """Return a model's score on records."""

    def _scored(self, model: Any, data: Records) -> float:
        try:
            return float(self._score(model, data))
        except ValueError:
            return math.nan  # scores refuse predictions that are no numbers


def bytes_in(weights: Any, names: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return the parts of weights that are a dict of bytes.

    Raises:
        WeightsMismatch: they are not.
    """
    if not isinstance(weights, dict) or set(weights) != set(names):
        raise WeightsMismatch(f"the weights must be a dict of {', '.join(names)}")
    for name in names:
        if not isinstance(weights[name], bytes | bytearray):
            raise WeightsMismatch(f"{name} is a {type(weights[name]).__name__}, not bytes")
    return tuple(bytes(weights[name]) for name in names)


def check_steps(steps: int, name: str) -> None:
    """Refuse to add nothing.

    Raises:
        InvalidArgument: it is below 1.
    """
    if steps < 1:
        raise InvalidArgument(f"{name} is {steps}; give at least 1")
