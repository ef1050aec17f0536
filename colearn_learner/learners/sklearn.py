"""A learner for scikit-learn models that can continue training from given weights.

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

from colearn_learner.errors import InvalidArgument, UnsupportedModel, WeightsMismatch
from colearn_learner.interface import Weights
from colearn_learner.learners.base import Records, ScoredLearner, read_records

Criterion = Callable[[Any, Any, Any], float]
"""A score of (model, inputs, targets)."""


class SklearnLearner(ScoredLearner):
    """A learner around a scikit-learn model that has ``partial_fit`` or a warm start.

    Linear models (``SGDClassifier``, ``SGDRegressor``, ``Perceptron``, ... in steps, and
    ``LogisticRegression``, ``Lasso``, ``ElasticNet``, ``PoissonRegressor``, ... by a warm start)
    and multi-layer perceptrons (``MLPClassifier``, ``MLPRegressor``). Its weights are a dict of
    named arrays, copies of the model's own: ``coef_`` and ``intercept_``, or ``coefs_0``,
    ``intercepts_0``, ....

    With a warm start, a proposal is one ``fit`` that begins at the current weights. The model's
    ``max_iter`` limits how far it moves from them: fewer iterations keep more of what others
    learned.

    Args:
        model: an estimator; the learner uses a clone of it.
        train_data: inputs and targets to train on.
        vote_data: inputs and targets to vote by.
        test_data: inputs and targets of the test score; None for no test score.
        classes: all classes of the experiment, the same at every learner, including those that a
            share lacks; None for regression, or to take them from ``train_data``.
        criterion: ``accuracy``, ``log_loss``, ``mean_squared_error``, ``r2``, or a function of
            (model, inputs, targets).
        minimise_criterion: whether smaller is better.
        approve_equal: vote for a score equal to that of the current weights.
        batch_size: number of records in a training step, for models with ``partial_fit``.
        epochs: number of passes over ``train_data`` per round, for models with ``partial_fit``.
        seed: seed of the order of records.

    Raises:
        UnsupportedModel: the model cannot continue from given weights, or its weights are not
            coefficients.
        InvalidArgument: an argument is out of its bounds.
        InvalidData: inputs and targets do not fit together.
    """

    def __init__(
        self,
        model: Any,
        train_data: Any,
        vote_data: Any,
        test_data: Any = None,
        *,
        classes: Any = None,
        criterion: str | Criterion = "accuracy",
        minimise_criterion: bool = False,
        approve_equal: bool = True,
        batch_size: int = 32,
        epochs: int = 1,
        seed: int = 0,
    ) -> None:
        """Create the model's first weights and score them."""
        from sklearn.base import clone

        self._has_steps = hasattr(model, "partial_fit")
        if not self._has_steps and "warm_start" not in model.get_params():
            raise UnsupportedModel(
                f"{type(model).__name__} has neither partial_fit nor a warm start, so it cannot "
                "continue from the weights of others; take a model that has one of them, and "
                "scale inputs before they reach the learner, not in a Pipeline"
            )
        if batch_size < 1 or epochs < 1:
            raise InvalidArgument("batch_size and epochs must be at least 1")
        super().__init__(
            vote_loader=read_records(vote_data, "vote_data"),
            test_loader=None if test_data is None else read_records(test_data, "test_data"),
            minimise_criterion=minimise_criterion,
            approve_equal=approve_equal,
        )
        self._train_data = read_records(train_data, "train_data")
        self._criterion = criterion if callable(criterion) else find_criterion(criterion)
        self._batch_size, self._epochs = batch_size, epochs
        self._random = np.random.default_rng(seed)
        self._classes = self._find_classes(model, classes)
        self.model = self._initialise(clone(model))
        self.vote_score = self.test(self.vote_loader)

    def train(self) -> None:
        """Replace the model by a copy of it that was trained further."""
        trained = copy.deepcopy(self.model)
        inputs, targets = self._train_data
        if self._has_steps:
            for _ in range(self._epochs):
                order = self._random.permutation(len(inputs))
                for start in range(0, len(order), self._batch_size):
                    batch = order[start : start + self._batch_size]
                    trained.partial_fit(inputs[batch], targets[batch])
        else:
            self._fit(trained, inputs, targets)
        self.model = trained

    def test(self, loader: Records) -> float:
        """Return the criterion of the model on records; NaN if its weights are not finite."""
        if not all(np.isfinite(array).all() for array in _weights_of(self.model).values()):
            return math.nan  # a linear model would predict its first class for all records
        try:
            return float(self._criterion(self.model, *loader))
        except ValueError:  # scikit-learn refuses weights that turn an input into NaN
            return math.nan

    def set_weights(self, weights: Weights) -> None:
        """Replace the model by a copy of it with these weights.

        Raises:
            WeightsMismatch: the weights do not fit the model.
        """
        model = copy.deepcopy(self.model)
        own, given = _weights_of(model), weights.weights
        if not isinstance(given, dict) or set(given) != set(own):
            raise WeightsMismatch(f"the weights must be a dict of the arrays {', '.join(own)}")
        for name, array in own.items():
            new = np.asarray(given[name])
            if new.shape != array.shape:
                raise WeightsMismatch(f"{name} has shape {new.shape}; the model's is {array.shape}")
            _set_weight(model, name, np.array(new, dtype=array.dtype))
        self.model = model

    def _copy_weights(self) -> dict[str, NDArray[Any]]:
        return _weights_of(self.model)

    def _find_classes(self, model: Any, classes: Any) -> NDArray[Any] | None:
        from sklearn.base import is_classifier

        if not is_classifier(model):
            return None
        return np.unique(self._train_data[1] if classes is None else classes)

    def _initialise(self, model: Any) -> Any:
        """Let the model create its arrays by one step; set those of a linear model to zero.

        The step uses a synthetic record. So learners with the same seed start alike, and the
        first weights, which become public, do not depend on any learner's records.
        """
        record = np.zeros_like(self._train_data[0][:1])
        if not self._has_steps:
            model.set_params(warm_start=True)
            targets = np.ones(2) if self._classes is None else self._classes
            _fit_quietly(model, np.repeat(record, len(targets), axis=0), targets)
        elif self._classes is None:
            model.partial_fit(record, np.zeros(1))
        else:
            model.partial_fit(record, self._classes[:1], classes=self._classes)
        if not hasattr(model, "coefs_") and not hasattr(model, "coef_"):
            raise UnsupportedModel(
                f"the weights of {type(model).__name__} are not coefficients; for forests use "
                "colearn_learner.learners.forest"
            )
        if hasattr(model, "coef_"):
            model.coef_ = np.zeros_like(model.coef_)
            model.intercept_ = np.zeros_like(model.intercept_)
        return model

    def _fit(self, model: Any, inputs: Any, targets: Any) -> None:
        """Continue to fit a model; absent classes get a record of weight 0."""
        known: Any = [] if self._classes is None else self._classes
        absent = np.setdiff1d(known, targets)
        if not len(absent):
            _fit_quietly(model, inputs, targets)
            return
        weightless = np.zeros((len(absent), inputs.shape[1]), inputs.dtype)
        _fit_quietly(
            model,
            np.concatenate([inputs, weightless]),
            np.concatenate([targets, absent]),
            sample_weight=np.repeat([1.0, 0.0], [len(inputs), len(absent)]),
        )


def _fit_quietly(model: Any, inputs: Any, targets: Any, **kwargs: Any) -> None:
    """Fit without a warning that it stopped before convergence, which is intended here."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, targets, **kwargs)


def _weights_of(model: Any) -> dict[str, NDArray[Any]]:
    if hasattr(model, "coefs_"):
        layers = range(len(model.coefs_))
        return {f"coefs_{i}": np.array(model.coefs_[i]) for i in layers} | {
            f"intercepts_{i}": np.array(model.intercepts_[i]) for i in layers
        }
    return {"coef_": np.array(model.coef_), "intercept_": np.array(model.intercept_)}


def _set_weight(model: Any, name: str, array: NDArray[Any]) -> None:
    if not hasattr(model, "coefs_"):
        setattr(model, name, array)
        return
    kind, _, layer = name.rpartition("_")
    getattr(model, f"{kind}_")[int(layer)][...] = array


def find_criterion(name: str) -> Criterion:
    """Return the score with this name.

    Raises:
        InvalidArgument: there is no such score.
    """
    from sklearn import metrics

    def log_loss(model: Any, inputs: Any, targets: Any) -> float:
        probabilities = model.predict_proba(inputs)
        return float(metrics.log_loss(targets, probabilities, labels=model.classes_))

    def of_predictions(score: Callable[[Any, Any], float]) -> Criterion:
        return lambda model, inputs, targets: float(score(targets, model.predict(inputs)))

    scores = {
        "accuracy": of_predictions(metrics.accuracy_score),
        "log_loss": log_loss,
        "mean_squared_error": of_predictions(metrics.mean_squared_error),
        "r2": of_predictions(metrics.r2_score),
    }
    if name not in scores:
        raise InvalidArgument(f"there is no criterion {name!r}; choose from: {', '.join(scores)}")
    return scores[name]
