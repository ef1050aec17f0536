"""A learner for scikit-learn's forests: each proposal adds trees to those that were accepted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_learner.errors import InvalidData, UnsupportedModel, WeightsMismatch
from colearn_learner.interface import Weights
from colearn_learner.learners.base import Records, ScoredLearner, read_records
from colearn_learner.learners.sklearn import Criterion, find_criterion
from colearn_learner.learners.trees import (
    LEAF,
    check_at_least_one,
    check_tree,
    depth_of,
    read_bytes,
)

_NODE = np.dtype(
    [("left", "<i4"), ("right", "<i4"), ("feature", "<i4"), ("missing_left", "u1"), ("at", "<f8")]
)
"""A node in the weights. It omits how many records reached it, and how mixed they were."""

_UNDEFINED = -2
"""scikit-learn's value for the feature and the threshold of a leaf."""


class ForestLearner(ScoredLearner):
    """A learner around a ``RandomForest…`` or ``ExtraTrees…``, classifier or regressor.

    Its weights are a dict of bytes, little-endian: ``counts``, int32, the number of nodes of each
    tree; ``nodes``, 21 bytes each (left and right child, feature, direction of missing values,
    threshold); ``values``, float64, the shares of the classes, or the mean, at each node. They
    grow with every accepted round: give the experiment a ``max_bytes`` that suffices for the last.
    The first weights have no trees. All classes are then equally likely, or the prediction is 0.

    Args:
        model: an estimator with the settings of the trees; the learner uses a clone of it.
        train_data: inputs, shape (records, features), and targets, shape (records,).
        vote_data: inputs and targets to vote by.
        test_data: inputs and targets of the test score; None for no test score.
        trees_per_round: the number of trees that a proposal adds.
        classes: all classes of the experiment, the same at every learner, including those that a
            share lacks; None for regression, or to take them from ``train_data``.
        criterion: ``accuracy``, ``log_loss``, ``mean_squared_error``, ``r2``, or a function of
            (model, inputs, targets); by default ``accuracy``, or ``mean_squared_error``.
        minimise_criterion: whether smaller is better; None: as usual for the criterion.
        approve_equal: vote for a score equal to that of the current weights.
        seed: seed of the random numbers in training.

    Raises:
        UnsupportedModel: the model is not such a forest.
        InvalidArgument: an argument is out of its bounds.
        InvalidData: inputs and targets do not fit together, or ``classes`` lacks a class.
    """

    def __init__(
        self,
        model: Any,
        train_data: Any,
        vote_data: Any,
        test_data: Any = None,
        *,
        trees_per_round: int = 1,
        classes: Any = None,
        criterion: str | Criterion | None = None,
        minimise_criterion: bool | None = None,
        approve_equal: bool = True,
        seed: int = 0,
    ) -> None:
        """Score a forest without trees."""
        from sklearn.base import clone, is_classifier

        _check_kind(model)
        check_at_least_one(trees_per_round, "trees_per_round")
        chosen = criterion or ("accuracy" if is_classifier(model) else "mean_squared_error")
        is_loss = chosen in ("log_loss", "mean_squared_error")
        tests = None if test_data is None else read_records(test_data, "test_data", one_target=True)
        super().__init__(
            vote_loader=read_records(vote_data, "vote_data", one_target=True),
            test_loader=tests,
            minimise_criterion=is_loss if minimise_criterion is None else minimise_criterion,
            approve_equal=approve_equal,
        )
        self._settings = clone(model).set_params(warm_start=False)
        self._train_data = read_records(train_data, "train_data", one_target=True)
        self._classes = None
        if is_classifier(model):
            self._classes = np.unique(self._train_data[1] if classes is None else classes)
            self._check_classes(self._classes)
        self._criterion = chosen if callable(chosen) else find_criterion(chosen)
        self._trees_per_round = trees_per_round
        self._random = np.random.default_rng(seed)
        self.model = self._make_forest([])
        self.vote_score = self.test(self.vote_loader)

    def train(self) -> None:
        """Replace the model by one with further trees."""
        from sklearn.base import clone

        inputs, targets = self._train_data
        if self._classes is not None:
            targets = np.searchsorted(self._classes, targets)
        added = clone(self._settings).set_params(
            n_estimators=self._trees_per_round, random_state=int(self._random.integers(2**31))
        )
        added.fit(inputs, targets)
        known = None if self._classes is None else added.classes_
        new = [
            self._make_tree(*_split_tree(t.tree_, known, self._width)) for t in added.estimators_
        ]
        self.model = self._make_forest([*_trees_of(self.model), *new])

    def test(self, loader: Records) -> float:
        """Return the criterion of the model on records; NaN if it predicts NaN."""
        try:
            return float(self._criterion(self.model, *loader))
        except ValueError:  # scores refuse predictions that are not numbers
            return math.nan

    def set_weights(self, weights: Weights) -> None:
        """Replace the model by a forest of these weights, after a check of every tree.

        Raises:
            WeightsMismatch: the weights are not those of such a forest.
        """
        parts = read_bytes(weights.weights, ("counts", "nodes", "values"))
        counts, nodes, values = self._arrays(*parts)
        trees, start = [], 0
        for number, count in enumerate(counts.tolist()):
            part = nodes[start : start + count]
            what = f"tree {number}"
            ints = (part[name].astype(np.int64) for name in ("left", "right", "feature"))
            check_tree(*ints, features=self._features, what=what)
            if not np.isfinite(part["at"]).all() or part["missing_left"].max() > 1:
                raise WeightsMismatch(f"{what} has an invalid threshold or direction")
            trees.append(self._make_tree(part, values[start : start + count]))
            start += count
        self.model = self._make_forest(trees)

    def _copy_weights(self) -> dict[str, bytes]:
        parts = [_split_tree(tree.tree_, None, self._width) for tree in _trees_of(self.model)]
        nodes = [nodes for nodes, _ in parts]
        return {
            "counts": np.array([len(part) for part in nodes], "<i4").tobytes(),
            "nodes": b"".join(part.tobytes() for part in nodes),
            "values": b"".join(values.astype("<f8").tobytes() for _, values in parts),
        }

    @property
    def _features(self) -> int:
        return int(self._train_data[0].shape[1])

    @property
    def _width(self) -> int:
        """Return the number of values of a node."""
        return 1 if self._classes is None else len(self._classes)

    def _arrays(self, counts: bytes, nodes: bytes, values: bytes) -> tuple[Any, Any, Any]:
        """Return counts, nodes and values as arrays whose lengths fit together."""
        if len(counts) % 4 or len(nodes) % _NODE.itemsize or len(values) % (8 * self._width):
            raise WeightsMismatch(
                f"the weights are truncated, or a node does not have {self._width} values"
            )
        sizes = np.frombuffer(counts, "<i4").astype(np.int64)
        parts = np.frombuffer(nodes, _NODE)
        numbers = np.frombuffer(values, "<f8").reshape(-1, self._width)
        if (sizes < 1).any() or not sizes.sum() == len(parts) == len(numbers):
            raise WeightsMismatch(
                f"counts add up to {sizes.sum()} nodes, but there are {len(parts)} nodes and "
                f"{len(numbers)} values"
            )
        if not np.isfinite(numbers).all():
            raise WeightsMismatch("values contain NaN or infinity")
        return sizes, parts, numbers

    def _check_classes(self, classes: NDArray[Any]) -> None:
        targets = self._train_data[1]
        if unknown := sorted({*targets.tolist()} - {*classes.tolist()}):
            raise InvalidData(
                f"train_data has the class {unknown[0]!r}, which is not one of {classes.tolist()}"
            )

    # -------------------------------------------------------------- scikit-learn's objects

    def _make_forest(self, trees: list[Any]) -> Any:
        """Return a fitted forest of these trees; without trees, one with a single leaf."""
        from sklearn.base import clone

        forest = clone(self._settings)
        forest.has_no_trees_ = not trees
        forest.estimators_ = trees or [self._make_tree(*self._make_leaf())]
        forest.set_params(n_estimators=len(forest.estimators_))
        forest.n_features_in_, forest.n_outputs_ = self._features, 1
        if self._classes is not None:
            forest.classes_, forest.n_classes_ = self._classes, self._width
        return forest

    def _make_leaf(self) -> tuple[NDArray[Any], NDArray[Any]]:
        nodes = np.array([(LEAF, LEAF, _UNDEFINED, 0, _UNDEFINED)], _NODE)
        even = 0.0 if self._classes is None else 1 / self._width
        return nodes, np.full((1, self._width), even)

    def _make_tree(self, nodes: NDArray[Any], values: NDArray[Any]) -> Any:
        """Return a fitted tree of checked nodes."""
        from sklearn.base import clone
        from sklearn.tree._tree import NODE_DTYPE, Tree

        made = np.zeros(len(nodes), NODE_DTYPE)
        made["left_child"], made["right_child"] = nodes["left"], nodes["right"]
        leaf = nodes["left"] == LEAF
        made["feature"] = np.where(leaf, _UNDEFINED, nodes["feature"])
        made["threshold"] = np.where(leaf, _UNDEFINED, nodes["at"])
        made["missing_go_to_left"] = nodes["missing_left"]
        made["n_node_samples"], made["weighted_n_node_samples"] = 1, 1.0
        inner = Tree(self._features, np.array([self._width], np.intp), 1)
        inner.__setstate__(
            {
                "max_depth": depth_of(nodes["left"], nodes["right"]),
                "node_count": len(nodes),
                "nodes": made,
                "values": np.array(values, np.float64).reshape(len(nodes), 1, self._width),
            }
        )
        tree = clone(self._settings.estimator)
        tree.tree_, tree.n_features_in_, tree.n_outputs_ = inner, self._features, 1
        if self._classes is not None:
            tree.classes_, tree.n_classes_ = np.arange(self._width), self._width
        return tree


def _trees_of(forest: Any) -> list[Any]:
    return [] if forest.has_no_trees_ else list(forest.estimators_)


def _split_tree(tree: Any, known: Any, width: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the nodes and values of a tree; ``known`` are the classes it was fitted to."""
    nodes = np.empty(tree.node_count, _NODE)
    nodes["left"], nodes["right"] = tree.children_left, tree.children_right
    nodes["feature"], nodes["at"] = tree.feature, tree.threshold
    nodes["missing_left"] = tree.missing_go_to_left
    values = np.zeros((tree.node_count, width))
    values[:, slice(None) if known is None else known] = tree.value[:, 0, :]
    return nodes, values


def _check_kind(model: Any) -> None:
    from sklearn import ensemble

    kinds = (
        ensemble.RandomForestClassifier,
        ensemble.RandomForestRegressor,
        ensemble.ExtraTreesClassifier,
        ensemble.ExtraTreesRegressor,
    )
    if not isinstance(model, kinds):
        names = ", ".join(kind.__name__ for kind in kinds)
        raise UnsupportedModel(f"{type(model).__name__} is not a forest; use one of {names}")
