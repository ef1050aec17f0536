"""Learners for scikit-learn models that train in steps, or go on from where they were.

Forests are in `colearn_learner.learners.forest`.

Source: scikit-learn's incremental learning interface (``partial_fit``) and ``warm_start``.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_learner.errors import InvalidArgument, InvalidData, UnsupportedModel, WeightsMismatch
from colearn_learner.interface import (
    ColearnModel,
    MachineLearningInterface,
    ModelFormat,
    ProposedWeights,
    Weights,
)
from colearn_learner.learners.vote_rule import approves

__all__ = ["SklearnLearner"]

Data = tuple[Any, Any]
"""Inputs, shape (records, features), and targets, shape (records,)."""


class SklearnLearner(MachineLearningInterface):
    """A learner around a scikit-learn model that has ``partial_fit`` or a warm start.

    Linear models (``SGDClassifier``, ``SGDRegressor``, ``Perceptron``, ... in steps, and
    ``LogisticRegression``, ``Lasso``, ``ElasticNet``, ``PoissonRegressor``, ... by a warm start)
    and multi-layer perceptrons (``MLPClassifier``, ``MLPRegressor``). Its weights are a dict of
    named arrays, copies of the model's own: ``coef_`` and ``intercept_``, or ``coefs_0``,
    ``intercepts_0``, ....

    By a warm start a proposal is one ``fit`` that begins at the current weights. The model's
    ``max_iter`` says how far it goes from them: few iterations leave more of what others learned.

    Args:
        model: an estimator; it is cloned, and the given one is left alone.
        train_data: what it trains on.
        vote_data: what it votes by.
        test_data: what it reports a test score on; None for no test score.
        classes: all classes of the experiment, the same at every learner, shares that lack one
            included; None for regression, or to take them from ``train_data``.
        criterion: ``accuracy``, ``log_loss``, ``mean_squared_error``, ``r2``, or a function of
            (model, inputs, targets).
        minimise_criterion: whether smaller is better.
        approve_equal: vote for a score equal to that of the current weights.
        batch_size: records of a training step, where it trains in steps.
        epochs: passes over ``train_data`` in a round, where it trains in steps.
        seed: of the order of records.

    Raises:
        UnsupportedModel: the model does not go on from where it was, or its weights are no arrays.
        InvalidArgument: an argument is out of its bounds.
        InvalidData: inputs and targets do not go together.
    """

    def __init__(
        self,
        model: Any,
        train_data: Data,
        vote_data: Data,
        test_data: Data | None = None,
        *,
        classes: Any = None,
        criterion: str | Callable[[Any, Any, Any], float] = "accuracy",
        minimise_criterion: bool = False,
        approve_equal: bool = True,
        batch_size: int = 32,
        epochs: int = 1,
        seed: int = 0,
    ) -> None:
        """Make the model's first weights and score them."""
        from sklearn.base import clone

        self._in_steps = hasattr(model, "partial_fit")
        if not self._in_steps and "warm_start" not in model.get_params():
            raise UnsupportedModel(
                f"{type(model).__name__} has neither partial_fit nor a warm start: it can't go on "
                "from the weights of others"
            )
        if batch_size < 1 or epochs < 1:
            raise InvalidArgument("batch_size and epochs must be at least 1")
        self._train_data = _arrays(train_data, "train_data")
        self._vote_data = _arrays(vote_data, "vote_data")
        self._test_data = None if test_data is None else _arrays(test_data, "test_data")
        self._score = criterion if callable(criterion) else _named_score(criterion)
        self._minimise = minimise_criterion
        self._approve_equal = approve_equal
        self._batch_size, self._epochs = batch_size, epochs
        self._order = np.random.default_rng(seed)
        self._classes = self._known_classes(model, classes)
        self._model = self._initialised(clone(model))
        self._baseline = self._scored(self._model, self._vote_data)

    def mli_propose_weights(self) -> Weights:
        """Train a copy of the model for ``epochs`` and return its weights."""
        trained = copy.deepcopy(self._model)
        inputs, targets = self._train_data
        if not self._in_steps:
            self._fit(trained, inputs, targets)
            return Weights(weights=_weights_of(trained))
        for _ in range(self._epochs):
            order = self._order.permutation(len(inputs))
            for start in range(0, len(order), self._batch_size):
                batch = order[start : start + self._batch_size]
                trained.partial_fit(inputs[batch], targets[batch])
        return Weights(weights=_weights_of(trained))

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        """Score weights on the vote and test records and vote; the current ones stay.

        Raises:
            WeightsMismatch: the weights do not fit the model.
        """
        candidate = self._with(weights)
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
            WeightsMismatch: the weights do not fit the model; the current ones stay.
        """
        self._model = self._with(weights)
        self._baseline = self._scored(self._model, self._vote_data)

    def mli_get_current_weights(self) -> Weights:
        """Return a copy of the current weights."""
        return Weights(weights=_weights_of(self._model))

    def mli_get_current_model(self) -> ColearnModel:
        """Return the current model as ONNX; its input has shape (None, features), float32."""
        from colearn_learner.learners.onnx import convert_model_to_onnx

        return ColearnModel(ModelFormat.ONNX, "", convert_model_to_onnx(self._model))

    def _known_classes(self, model: Any, classes: Any) -> NDArray[Any] | None:
        from sklearn.base import is_classifier

        if not is_classifier(model):
            return None
        return np.unique(self._train_data[1] if classes is None else classes)

    def _initialised(self, model: Any) -> Any:
        """Let the model make its arrays, by one step, and set a linear one's to zero.

        The step is on a made-up record: learners of one seed start alike, and the first weights,
        which become public, have nothing of anybody's records.
        """
        nothing = np.zeros_like(self._train_data[0][:1])
        if not self._in_steps:
            model.set_params(warm_start=True)
            known = np.ones(2) if self._classes is None else self._classes
            _fit_quietly(model, np.repeat(nothing, len(known), axis=0), known)
        elif self._classes is None:
            model.partial_fit(nothing, np.zeros(1))
        else:
            model.partial_fit(nothing, self._classes[:1], classes=self._classes)
        if not hasattr(model, "coefs_") and not hasattr(model, "coef_"):
            raise UnsupportedModel(
                f"the weights of {type(model).__name__} are no coefficients; for forests there is "
                "colearn_learner.learners.forest"
            )
        if hasattr(model, "coef_"):
            model.coef_ = np.zeros_like(model.coef_)
            model.intercept_ = np.zeros_like(model.intercept_)
        return model

    def _fit(self, model: Any, inputs: Any, targets: Any) -> None:
        """Fit a model to the records, from its own weights on; classes that they lack count too."""
        known: Any = [] if self._classes is None else self._classes
        absent = np.setdiff1d(known, targets)
        if not len(absent):
            _fit_quietly(model, inputs, targets)
            return
        weightless = np.zeros((len(absent), inputs.shape[1]), inputs.dtype)
        weight = np.repeat([1.0, 0.0], [len(inputs), len(absent)])
        everything = np.concatenate([inputs, weightless]), np.concatenate([targets, absent])
        _fit_quietly(model, *everything, sample_weight=weight)

    def _with(self, weights: Weights) -> Any:
        model = copy.deepcopy(self._model)
        own, given = _weights_of(model), weights.weights
        if not isinstance(given, dict) or set(given) != set(own):
            raise WeightsMismatch(f"the weights must be a dict of the arrays {', '.join(own)}")
        for name, array in own.items():
            new = np.asarray(given[name])
            if new.shape != array.shape:
                raise WeightsMismatch(f"{name} has shape {new.shape}; {array.shape} is wanted")
            _set(model, name, np.array(new, dtype=array.dtype))
        return model

    def _scored(self, model: Any, data: Data) -> float:
        if not all(np.isfinite(array).all() for array in _weights_of(model).values()):
            return math.nan  # a linear model would predict its first class and score by it
        try:
            return float(self._score(model, *data))
        except ValueError:
            return math.nan  # scikit-learn's scorers refuse weights that make NaN of an input


def _fit_quietly(model: Any, inputs: Any, targets: Any, **kwargs: Any) -> None:
    """Fit; to stop short of convergence is meant here."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, targets, **kwargs)


def _arrays(data: Data, name: str) -> Data:
    inputs, targets = (np.asarray(part) for part in data)
    if len(inputs) != len(targets) or not len(inputs):
        raise InvalidData(f"{name} needs as many targets as inputs, and one at least")
    return inputs, targets


def _weights_of(model: Any) -> dict[str, NDArray[Any]]:
    if hasattr(model, "coefs_"):
        layers = range(len(model.coefs_))
        return {f"coefs_{i}": np.array(model.coefs_[i]) for i in layers} | {
            f"intercepts_{i}": np.array(model.intercepts_[i]) for i in layers
        }
    return {"coef_": np.array(model.coef_), "intercept_": np.array(model.intercept_)}


def _set(model: Any, name: str, array: NDArray[Any]) -> None:
    if not hasattr(model, "coefs_"):
        setattr(model, name, array)
        return
    kind, _, layer = name.rpartition("_")
    getattr(model, f"{kind}_")[int(layer)][...] = array


def _named_score(name: str) -> Callable[[Any, Any, Any], float]:
    from sklearn import metrics

    def log_loss(model: Any, inputs: Any, targets: Any) -> float:
        guessed = model.predict_proba(inputs)
        return float(metrics.log_loss(targets, guessed, labels=model.classes_))

    def predicted(score: Callable[[Any, Any], float]) -> Callable[[Any, Any, Any], float]:
        return lambda model, inputs, targets: float(score(targets, model.predict(inputs)))

    scores = {
        "accuracy": predicted(metrics.accuracy_score),
        "log_loss": log_loss,
        "mean_squared_error": predicted(metrics.mean_squared_error),
        "r2": predicted(metrics.r2_score),
    }
    if name not in scores:
        raise InvalidArgument(f"no criterion is named {name!r}; there are {', '.join(scores)}")
    return scores[name]
