"""A learner for scikit-learn's forests: each proposal adds trees to those that were accepted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_learner.errors import InvalidData, UnsupportedModel, WeightsMismatch
from colearn_learner.interface import ColearnModel, ModelFormat
from colearn_learner.learners.sklearn import _named_score
from colearn_learner.learners.trees import (
    LEAF,
    Records,
    TreesLearner,
    bytes_in,
    check_steps,
    check_tree,
    depth_of,
    records,
)

__all__ = ["ForestLearner"]

_NODE = np.dtype(
    [("left", "<i4"), ("right", "<i4"), ("feature", "<i4"), ("missing_left", "u1"), ("at", "<f8")]
)
"""A node as it travels: not how many records came to it, nor how mixed they were."""

_NOTHING = -2
"""What scikit-learn gives a leaf for its feature and threshold."""


class ForestLearner(TreesLearner):
    """A learner around a ``RandomForest…`` or ``ExtraTrees…``, classifier or regressor.

    Its weights are a dict of bytes, little-endian: ``counts``, int32, the nodes of each tree;
    ``nodes``, 21 bytes each (left and right child, feature, where missing values go, threshold);
    ``values``, float64, the shares of the classes, or the mean, at each node. They grow with every
    accepted round: give the experiment a ``max_bytes`` that leaves room for the last. The first
    weights have no trees, and then every class is as likely, or 0 predicted.

    Args:
        model: an estimator, whose settings its trees have; the given one is left alone.
        train_data: inputs, shape (records, features), and targets, shape (records,).
        vote_data: what it votes by.
        test_data: what it reports a test score on; None for no test score.
        trees_per_round: how many trees a proposal adds.
        classes: all classes of the experiment, the same at every learner, shares that lack one
            included; None for regression, or to take them from ``train_data``.
        criterion: ``accuracy``, ``log_loss``, ``mean_squared_error``, ``r2``, or a function of
            (model, inputs, targets); by default ``accuracy``, or ``mean_squared_error``.
        minimise_criterion: whether smaller is better; None: as the criterion's name has it.
        approve_equal: vote for a score equal to that of the current weights.
        seed: of what is random in the training.

    Raises:
        UnsupportedModel: the model is no such forest.
        InvalidArgument: an argument is out of its bounds.
        InvalidData: inputs and targets do not go together, or a class is none of ``classes``.
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
        criterion: str | Callable[[Any, Any, Any], float] | None = None,
        minimise_criterion: bool | None = None,
        approve_equal: bool = True,
        seed: int = 0,
    ) -> None:
        """Score a forest without trees."""
        from sklearn.base import clone, is_classifier

        _check_kind(model)
        check_steps(trees_per_round, "trees_per_round")
        self._settings = clone(model).set_params(warm_start=False)
        self._train_data = records(train_data, "train_data")
        self._vote_data = records(vote_data, "vote_data")
        self._test_data = None if test_data is None else records(test_data, "test_data")
        self._classes = None
        if is_classifier(model):
            self._classes = np.unique(self._train_data[1] if classes is None else classes)
            self._check_classes(self._classes)
        name = criterion or ("mean_squared_error" if self._classes is None else "accuracy")
        self._score_of = name if callable(name) else _named_score(name)
        smaller = name in ("log_loss", "mean_squared_error")
        self._minimise = smaller if minimise_criterion is None else minimise_criterion
        self._approve_equal = approve_equal
        self._trees_per_round = trees_per_round
        self._random = np.random.default_rng(seed)
        self._model = self._forest([])
        self._baseline = self._scored(self._model, self._vote_data)

    def mli_get_current_model(self) -> ColearnModel:
        """Return the current model as ONNX; its input has shape (None, features), float32."""
        from colearn_learner.learners.onnx import convert_model_to_onnx

        return ColearnModel(ModelFormat.ONNX, "", convert_model_to_onnx(self._model))

    @property
    def _features(self) -> int:
        return int(self._train_data[0].shape[1])

    @property
    def _width(self) -> int:
        """Return how many values a node has."""
        return 1 if self._classes is None else len(self._classes)

    def _grown(self, model: Any) -> Any:
        from sklearn.base import clone

        inputs, targets = self._train_data
        if self._classes is not None:
            targets = np.searchsorted(self._classes, targets)
        added = clone(self._settings).set_params(
            n_estimators=self._trees_per_round, random_state=int(self._random.integers(2**31))
        )
        added.fit(inputs, targets)
        known = None if self._classes is None else added.classes_
        new = [self._tree(*_parts(t.tree_, known, self._width)) for t in added.estimators_]
        return self._forest([*_trees(model), *new])

    def _packed(self, model: Any) -> dict[str, bytes]:
        parts = [_parts(tree.tree_, None, self._width) for tree in _trees(model)]
        nodes = [nodes for nodes, _ in parts]
        return {
            "counts": np.array([len(part) for part in nodes], "<i4").tobytes(),
            "nodes": b"".join(part.tobytes() for part in nodes),
            "values": b"".join(values.astype("<f8").tobytes() for _, values in parts),
        }

    def _unpacked(self, weights: Any) -> Any:
        counts, nodes, values = self._arrays(*bytes_in(weights, ("counts", "nodes", "values")))
        trees, start = [], 0
        for number, count in enumerate(counts.tolist()):
            part = nodes[start : start + count]
            what = f"tree {number}"
            ints = (part[name].astype(np.int64) for name in ("left", "right", "feature"))
            check_tree(*ints, features=self._features, what=what)
            if not np.isfinite(part["at"]).all() or part["missing_left"].max() > 1:
                raise WeightsMismatch(f"{what} has a threshold that is no number, or no direction")
            trees.append(self._tree(part, values[start : start + count]))
            start += count
        return self._forest(trees)

    def _arrays(self, counts: bytes, nodes: bytes, values: bytes) -> tuple[Any, Any, Any]:
        """Return what the bytes hold, checked to be of one length."""
        if len(counts) % 4 or len(nodes) % _NODE.itemsize or len(values) % (8 * self._width):
            raise WeightsMismatch(f"the weights are cut off, or have not {self._width} values each")
        sizes = np.frombuffer(counts, "<i4").astype(np.int64)
        parts = np.frombuffer(nodes, _NODE)
        numbers = np.frombuffer(values, "<f8").reshape(-1, self._width)
        if (sizes < 1).any() or not sizes.sum() == len(parts) == len(numbers):
            raise WeightsMismatch(
                f"counts say {sizes.sum()} nodes; there are {len(parts)}, and {len(numbers)} values"
            )
        if not np.isfinite(numbers).all():
            raise WeightsMismatch("values holds NaN or infinity")
        return sizes, parts, numbers

    def _score(self, model: Any, data: Records) -> float:
        return self._score_of(model, *data)

    def _check_classes(self, classes: NDArray[Any]) -> None:
        targets = self._train_data[1]
        if unknown := sorted({*targets.tolist()} - {*classes.tolist()}):
            raise InvalidData(
                f"train_data has the class {unknown[0]!r}, which is none of {classes.tolist()}"
            )

    # -------------------------------------------------------------- making scikit-learn's objects

    def _forest(self, trees: list[Any]) -> Any:
        """Return a fitted forest of these trees; of none, one that knows nothing."""
        from sklearn.base import clone

        forest = clone(self._settings)
        forest.knows_nothing_ = not trees
        forest.estimators_ = trees or [self._tree(*self._stump())]
        forest.set_params(n_estimators=len(forest.estimators_))
        forest.n_features_in_, forest.n_outputs_ = self._features, 1
        if self._classes is not None:
            forest.classes_, forest.n_classes_ = self._classes, self._width
        return forest

    def _stump(self) -> tuple[NDArray[Any], NDArray[Any]]:
        nodes = np.array([(LEAF, LEAF, _NOTHING, 0, _NOTHING)], _NODE)
        even = 0.0 if self._classes is None else 1 / self._width
        return nodes, np.full((1, self._width), even)

    def _tree(self, nodes: NDArray[Any], values: NDArray[Any]) -> Any:
        """Return a fitted tree of checked nodes."""
        from sklearn.base import clone
        from sklearn.tree._tree import NODE_DTYPE, Tree

        made = np.zeros(len(nodes), NODE_DTYPE)
        made["left_child"], made["right_child"] = nodes["left"], nodes["right"]
        leaf = nodes["left"] == LEAF
        made["feature"] = np.where(leaf, _NOTHING, nodes["feature"])
        made["threshold"] = np.where(leaf, _NOTHING, nodes["at"])
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


def _trees(forest: Any) -> list[Any]:
    return [] if forest.knows_nothing_ else list(forest.estimators_)


def _parts(tree: Any, known: Any, width: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return nodes and values of a tree that was fitted to some of the classes."""
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
        raise UnsupportedModel(f"{type(model).__name__} is no forest; there are {names}")
