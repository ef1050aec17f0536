"""A learner for XGBoost: each proposal adds trees to those that were accepted.

Source: the JSON model format of XGBoost, doc/model.schema in its repository.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_learner.errors import InvalidArgument, InvalidData, UnsupportedModel, WeightsMismatch
from colearn_learner.interface import Weights
from colearn_learner.learners.base import Records, ScoredLearner, read_records
from colearn_learner.learners.trees import LEAF, check_at_least_one, check_tree, read_bytes
from colearn_ledger.text.strict_json import InvalidJson, dump, load

Array = NDArray[Any]
Criterion = Callable[[Array, Array], float]
"""A score of (predictions, targets)."""

_ROOT_PARENT = 2**31 - 1
_LARGEST = float(np.finfo(np.float32).max)

_INTS = ("left_children", "right_children", "parents", "split_indices", "default_left")
_FLOATS = ("base_weights", "loss_changes", "split_conditions", "sum_hessian")
_STATISTICS = ("base_weights", "loss_changes", "sum_hessian")
"""Sums over the training records of each node, of which no prediction or training makes use."""
_OF_NODES = (*_INTS, *_FLOATS, "split_type")
_EMPTY = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_KEYS = {*_OF_NODES, *_EMPTY, "id", "tree_param"}
_COUNTED = {"gbtree_model_param", "iteration_indptr", "tree_info", "trees"}


class XGBoostLearner(ScoredLearner):
    """A learner of boosted trees, for regression and classification.

    Its weights are a dict of one entry, ``model``: the model in XGBoost's JSON format, as bytes.
    They grow with every accepted round: give the experiment a ``max_bytes`` that suffices for the
    last. The first weights have no trees and do not depend on any records. Statistics of the nodes
    (``sum_hessian``, which counts records, ``loss_changes`` and ``base_weights``) are zero, so the
    importance of inputs cannot be computed from them. The values of leaves, which predict, still
    depend on sums over the records of each leaf.

    Args:
        params: XGBoost's parameters, the same at every learner except for those that only affect
            training: ``objective``, ``num_class``, ``max_depth``, ``eta`` and so on.
            ``base_score``, the prediction without trees, is 0.5 by default and never estimated.
        train_data: inputs, shape (records, features), and targets, shape (records,): numbers, or
            for a classification the number of a class, from 0.
        vote_data: inputs and targets to vote by.
        test_data: inputs and targets of the test score; None for no test score.
        boost_rounds: number of boosting rounds of a proposal; each adds one tree, or one for
            each class.
        criterion: ``log_loss``, ``accuracy``, ``mean_squared_error``, or a function of
            (predictions, targets) with predictions as the objective returns them; by default
            ``log_loss`` for a classification and ``mean_squared_error`` otherwise.
        minimise_criterion: whether smaller is better.
        approve_equal: vote for a score equal to that of the current weights.
        seed: seed of the random numbers in training.

    Raises:
        UnsupportedModel: the booster is not ``gbtree``, or the objective does not predict
            probabilities or numbers.
        InvalidArgument: an argument is out of its bounds.
        InvalidData: inputs and targets do not fit together, or a target is not a class.
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        train_data: Any,
        vote_data: Any,
        test_data: Any = None,
        *,
        boost_rounds: int = 1,
        criterion: str | Criterion | None = None,
        minimise_criterion: bool = True,
        approve_equal: bool = True,
        seed: int = 0,
    ) -> None:
        """Score a model without trees."""
        import xgboost

        check_at_least_one(boost_rounds, "boost_rounds")
        tests = None if test_data is None else read_records(test_data, "test_data", one_target=True)
        super().__init__(
            vote_loader=read_records(vote_data, "vote_data", one_target=True),
            test_loader=tests,
            minimise_criterion=minimise_criterion,
            approve_equal=approve_equal,
        )
        self._params = {"base_score": 0.5, **params}
        self._objective = str(self._params.setdefault("objective", "reg:squarederror"))
        self._check_params()
        train = read_records(train_data, "train_data", one_target=True)
        self._check_classes(train, "train_data")
        self._criterion = _find_criterion(criterion, classifies=self._classifies)
        self._boost_rounds = boost_rounds
        self._random = np.random.default_rng(seed)
        self._xgboost = xgboost
        try:
            self._train_data = xgboost.DMatrix(*train, nthread=self._params.get("nthread"))
            self.model = xgboost.train(self._params, self._train_data, num_boost_round=0)
        except xgboost.core.XGBoostError as error:
            raise InvalidArgument(
                f"XGBoost refuses the parameters: {_first_line(error)}"
            ) from error
        self._empty = load(bytes(self.model.save_raw("json")))
        self._features = train[0].shape[1]
        self.vote_score = self.test(self.vote_loader)

    @property
    def _classifies(self) -> bool:
        return self._objective.startswith(("binary:", "multi:"))

    def train(self) -> None:
        """Replace the model by one with further trees."""
        seed = int(self._random.integers(2**31))
        self.model = self._xgboost.train(
            {**self._params, "seed": seed},
            self._train_data,
            num_boost_round=self._boost_rounds,
            xgb_model=self.model,
        )

    def test(self, loader: Records) -> float:
        """Return the criterion of the model on records; NaN if it predicts NaN."""
        try:
            inputs = self._xgboost.DMatrix(loader[0], nthread=self._params.get("nthread"))
            predictions = np.asarray(self.model.predict(inputs), np.float64)
            return float(self._criterion(predictions, loader[1]))
        except ValueError:  # scores may refuse predictions that are not numbers
            return math.nan

    def set_weights(self, weights: Weights) -> None:
        """Replace the model by one with these trees, after a check of every tree.

        The new model contains only checked values and this learner's own settings.

        Raises:
            WeightsMismatch: the weights are not those of such a model.
        """
        (data,) = read_bytes(weights.weights, ("model",))
        try:
            given = load(data)
        except InvalidJson as error:
            raise WeightsMismatch(f"model is not JSON: {error}") from error
        document = copy.deepcopy(self._empty)
        own, theirs = _model_in(document), self._check_config_matches(given)
        trees = theirs["trees"]
        groups = self._groups * self._parallel
        if not isinstance(trees, list) or len(trees) % groups:
            raise WeightsMismatch(
                f"the model's trees are not a list of whole rounds, {groups} each"
            )
        own["trees"] = [_read_tree(t, n, self._features) for n, t in enumerate(trees)]
        own["gbtree_model_param"]["num_trees"] = str(len(trees))
        own["tree_info"] = [n // self._parallel % self._groups for n in range(len(trees))]
        own["iteration_indptr"] = list(range(0, len(trees) + 1, groups))
        for name in _COUNTED:
            if theirs[name] != own[name] and name != "trees":
                raise WeightsMismatch(f"the model's {name} does not fit its {len(trees)} trees")
        booster = self._xgboost.Booster({"nthread": self._params.get("nthread", 0)})
        booster.load_model(bytearray(dump(document)))
        self.model = booster

    def _copy_weights(self) -> dict[str, bytes]:
        document = load(bytes(self.model.save_raw("json")))
        trees = _model_in(document)["trees"]
        _model_in(document)["trees"] = [_drop_statistics(_drop_deleted(tree)) for tree in trees]
        return {"model": dump(document)}

    def _check_config_matches(self, given: Any) -> dict[str, Any]:
        """Refuse a model whose configuration differs from ours; return its part with the trees."""
        try:
            theirs = _model_in(given)
            rest = {**given, "version": None}
            rest["learner"] = {**given["learner"], "gradient_booster": _config_of(given)}
        except (KeyError, TypeError) as error:
            raise WeightsMismatch(f"model is not an XGBoost model: it lacks {error}") from error
        own = {**self._empty, "version": None}
        own["learner"] = {**self._empty["learner"], "gradient_booster": _config_of(self._empty)}
        for name in sorted({*rest["learner"], *own["learner"]}):
            mine, its = own["learner"].get(name), rest["learner"].get(name)
            if mine != its:
                raise WeightsMismatch(f"the model's {name} is {its!r:.200}, this learner's {mine}")
        if rest != own or set(theirs) != set(_model_in(self._empty)):
            raise WeightsMismatch("the model has unknown parts, or lacks some of this learner's")
        return theirs

    @property
    def _groups(self) -> int:
        return max(1, int(self._params.get("num_class", 0)))

    @property
    def _parallel(self) -> int:
        return int(self._params.get("num_parallel_tree", 1))

    def _check_params(self) -> None:
        if (booster := self._params.get("booster", "gbtree")) != "gbtree":
            raise UnsupportedModel(f"the booster {booster} does not add trees; use gbtree")
        predicts_all = self._objective in ("binary:logistic", "multi:softprob")
        if self._classifies and not predicts_all:
            raise UnsupportedModel(
                f"{self._objective} does not predict probabilities; use binary:logistic or "
                "multi:softprob"
            )

    def _check_classes(self, data: Records, name: str) -> None:
        if not self._classifies:
            return
        last = max(2, self._groups) - 1
        targets = data[1]
        if not np.isin(targets, np.arange(last + 1)).all():
            raise InvalidData(
                f"{name} has targets that are not a class: give numbers from 0 to {last}"
            )


def _model_in(document: Any) -> dict[str, Any]:
    model = document["learner"]["gradient_booster"]["model"]
    if not isinstance(model, dict):
        raise WeightsMismatch("model is not an XGBoost model: it has no trees")
    return model


def _config_of(document: Any) -> dict[str, Any]:
    """Return the booster's part of a model without its trees and their number."""
    booster = document["learner"]["gradient_booster"]
    fixed = {k: v for k, v in booster["model"].items() if k not in _COUNTED}
    parallel = booster["model"]["gbtree_model_param"]["num_parallel_tree"]
    return {**booster, "model": {**fixed, "num_parallel_tree": parallel}}


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


# ------------------------------------------------------------------ trees


def _drop_deleted(tree: dict[str, Any]) -> dict[str, Any]:
    """Return one of XGBoost's trees without the nodes that pruning left behind."""
    if tree["tree_param"]["num_deleted"] == "0":
        return tree
    left, right = (np.array(tree[name]) for name in ("left_children", "right_children"))
    kept = [0]
    for node in kept:
        if left[node] != LEAF:
            kept += [int(left[node]), int(right[node])]
    new = np.full(len(left) + 1, LEAF)  # the last entry maps LEAF to itself
    new[sorted(kept)] = np.arange(len(kept))
    parts = {name: [tree[name][node] for node in sorted(kept)] for name in _OF_NODES}
    for name in ("left_children", "right_children"):
        parts[name] = new[parts[name]].tolist()
    parts["parents"] = [_ROOT_PARENT, *new[parts["parents"][1:]].tolist()]
    param = {**tree["tree_param"], "num_deleted": "0", "num_nodes": str(len(kept))}
    return {**tree, **parts, "tree_param": param}


def _drop_statistics(tree: dict[str, Any]) -> dict[str, Any]:
    """Return one of XGBoost's trees without the sums that reveal how many records reached a node.

    Several sums give the number together, so all of them become zero.
    """
    return {**tree, **{name: [0.0] * len(tree[name]) for name in _STATISTICS}}


def _read_tree(tree: Any, number: int, features: int) -> dict[str, Any]:
    """Return a stranger's tree after checking that XGBoost can traverse it safely.

    Raises:
        WeightsMismatch: the tree is not valid; the message contains the reason.
    """
    what = f"tree {number}"
    if not isinstance(tree, dict) or set(tree) != _KEYS:
        raise WeightsMismatch(f"{what} does not have the parts of an XGBoost tree")
    if any(tree[name] for name in _EMPTY):
        raise WeightsMismatch(f"{what} splits by categories, which is not supported")
    ints = {name: _numbers(tree[name], int, f"{what}'s {name}") for name in (*_INTS, "split_type")}
    floats = {name: _numbers(tree[name], float, f"{what}'s {name}") for name in _FLOATS}
    left, right = ints["left_children"], ints["right_children"]
    check_tree(left, right, ints["split_indices"], features=features, what=what)
    if {len(part) for part in (*ints.values(), *floats.values())} != {len(left)}:
        raise WeightsMismatch(f"{what} has parts of different lengths")
    if any(floats[name].any() for name in _STATISTICS):
        raise WeightsMismatch(
            f"{what} has statistics of its records, which proposals must not reveal; set "
            f"{', '.join(_STATISTICS)} to zero"
        )
    if not np.isin(ints["split_indices"], np.arange(features)).all() or ints["split_type"].any():
        raise WeightsMismatch(f"{what} splits by an unknown input or in an unknown way")
    parents = np.full(len(left), _ROOT_PARENT)
    inner = np.flatnonzero(left != LEAF)
    parents[left[inner]] = parents[right[inner]] = inner
    if (
        not np.array_equal(parents, ints["parents"])
        or not np.isin(ints["default_left"], (0, 1)).all()
    ):
        raise WeightsMismatch(f"{what} has parents that do not match its children")
    param = {
        "num_deleted": "0",
        "num_feature": str(features),
        "num_nodes": str(len(left)),
        "size_leaf_vector": "1",
    }
    if tree["tree_param"] != param or tree["id"] != number:
        raise WeightsMismatch(f"{what} states a wrong number of nodes or inputs")
    parts = {name: part.tolist() for name, part in {**ints, **floats}.items()}
    return {**parts, **{name: [] for name in _EMPTY}, "id": number, "tree_param": param}


def _numbers(value: Any, kind: type[int] | type[float], what: str) -> NDArray[Any]:
    allowed = (int,) if kind is int else (int, float)
    if not isinstance(value, list) or any(type(n) not in allowed for n in value):
        raise WeightsMismatch(f"{what} is not a list of numbers")
    limit = 2**31 if kind is int else _LARGEST
    if any(not -limit <= n <= limit for n in value):
        raise WeightsMismatch(f"{what} has a number that is out of bounds")
    return np.array(value, np.int64 if kind is int else np.float64)


# ------------------------------------------------------------------ scores


def _log_loss(predictions: Array, targets: Array) -> float:
    chosen = _probability_of(predictions, targets)
    return float(-np.log(np.clip(chosen, 1e-15, 1.0)).mean())


def _accuracy(predictions: Array, targets: Array) -> float:
    guessed = predictions > 0.5 if predictions.ndim == 1 else predictions.argmax(axis=1)
    return float((guessed == targets).mean())


def _mean_squared_error(predictions: Array, targets: Array) -> float:
    return float(((predictions - targets) ** 2).mean())


def _probability_of(predictions: Array, targets: Array) -> Array:
    """Return the predicted probability of each record's own class."""
    if predictions.ndim == 1:
        return np.where(targets == 1, predictions, 1 - predictions)
    chosen: Array = predictions[np.arange(len(targets)), targets.astype(int)]
    return chosen


def _find_criterion(given: str | Criterion | None, *, classifies: bool) -> Criterion:
    if callable(given):
        return given
    scores = {
        "log_loss": _log_loss,
        "accuracy": _accuracy,
        "mean_squared_error": _mean_squared_error,
    }
    name = given or ("log_loss" if classifies else "mean_squared_error")
    if name not in scores:
        raise InvalidArgument(f"there is no criterion {name!r}; choose from: {', '.join(scores)}")
    return scores[name]
