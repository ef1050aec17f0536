"""List the models of the catalogue, and make a learner of one from a share of a data set."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from colearn_learner.catalogue.nets import keras_learner, keras_mlp, pytorch_learner, pytorch_mlp
from colearn_learner.catalogue.settings import Score, Training, score_of
from colearn_learner.datasets import Dataset, Share, Task
from colearn_learner.errors import MissingPackage, UnfitModel
from colearn_learner.names import find_name

Framework = Literal["sklearn", "keras", "pytorch", "xgboost"]
"""A framework; also the name of the extra that installs it."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the catalogue.

    Args:
        name: its name on the command line.
        tasks: the tasks it can learn.
        learning_rate: the default learning rate.
        summary: one-line description for people.
        framework: the framework that trains it.
        build: returns the framework's own model; equal seeds give equal first weights.
    """

    name: str
    tasks: tuple[Task, ...]
    learning_rate: float
    summary: str
    framework: Framework
    build: Callable[[Dataset, Training], Any]


def model(name: str, data: Dataset) -> Model:
    """Return a model by name.

    Raises:
        UnknownName: there is no such model; the message suggests similar names.
        UnfitModel: the model cannot learn the data set's task.
        MissingPackage: its framework is not installed; the message contains the command for it.
    """
    found = MODELS[find_name("model", name, MODELS)]
    if data.task not in found.tasks:
        fitting = ", ".join(m.name for m in MODELS.values() if data.task in m.tasks)
        raise UnfitModel(
            f"the model {name} cannot learn {data.name}, a {data.task}; choose from: {fitting}"
        )
    _find_packages(found)
    return found


def _find_packages(chosen: Model) -> None:
    """Look for the framework's packages without importing them, which can take seconds."""
    for package in _FRAMEWORKS[chosen.framework].packages:
        if importlib.util.find_spec(package) is None:
            raise MissingPackage(
                f"the model {chosen.name} needs {package}, which is not installed: "
                f"pip install 'colearn-ledger[{chosen.framework}]'"
            )


def default_model(data: Dataset) -> str:
    """Return the name of the simplest model for a data set."""
    return next(m.name for m in MODELS.values() if data.task in m.tasks)


def make_learner(
    chosen: Model, share: Share, *, data: Dataset, training: Training, shown_score: bool = False
) -> Any:
    """Return a learner of a model on one share of a data set.

    Args:
        chosen: the model.
        share: the learner's records.
        data: the data set of the records.
        training: the training configuration. Its seed determines the first weights and must be
            the same for all learners.
        shown_score: vote by the score shown to people.
    """
    score = score_of(data.task, shown=shown_score)
    return _FRAMEWORKS[chosen.framework].learner(
        chosen.build(data, training), share, score, data=data, training=training
    )


def _to_pairs(share: Share) -> tuple[tuple[Any, Any], ...]:
    parts = (share.train, share.vote, share.test)
    return tuple((part.inputs, part.targets) for part in parts)


# ------------------------------------------------------------------ scikit-learn


def _sklearn_learner(
    built: Any, share: Share, score: Score, *, data: Dataset, training: Training
) -> Any:
    from colearn_learner.learners.forest import ForestLearner
    from colearn_learner.learners.skew import LevelMlpLearner
    from colearn_learner.learners.sklearn import SklearnLearner

    records = _to_pairs(share)
    common: dict[str, Any] = {
        "classes": np.arange(data.classes) if data.classes else None,
        "criterion": score.name.replace(" ", "_"),
        "minimise_criterion": not score.higher_is_better,
        "seed": training.seed,
    }
    if hasattr(built, "partial_fit"):
        common |= {"batch_size": training.batch_size, "epochs": training.passes}
        if training.level and hasattr(built, "hidden_layer_sizes") and data.classes:
            return LevelMlpLearner(built, *records, **common)
        return SklearnLearner(built, *records, **common)
    return ForestLearner(built, *records, **common, trees_per_round=training.passes * 5)


def _linear(data: Dataset, training: Training) -> Any:
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    common = {
        "learning_rate": "constant",
        "eta0": training.learning_rate,
        "random_state": training.seed,
    }
    if data.task == "regression":
        return SGDRegressor(**common)
    return SGDClassifier(loss="log_loss", **common)


def _mlp(data: Dataset, training: Training) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPRegressor if data.task == "regression" else MLPClassifier
    return kind(
        hidden_layer_sizes=(32,),
        solver="sgd",
        momentum=0.0,
        learning_rate_init=training.learning_rate,
        # the learner forms the batches; with 'auto' the model does not divide up to 200 records
        batch_size="auto" if training.batch_size <= 200 else training.batch_size,
        random_state=training.seed,
    )


def _forest(data: Dataset, training: Training) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    if data.task == "regression":
        return RandomForestRegressor(max_depth=6, min_samples_leaf=3)
    return RandomForestClassifier(max_depth=6, min_samples_leaf=3)


# ------------------------------------------------------------------ XGBoost


def _xgboost_learner(
    built: Any, share: Share, score: Score, *, data: Dataset, training: Training
) -> Any:
    from colearn_learner.learners.xgboost import XGBoostLearner

    return XGBoostLearner(
        built,
        *_to_pairs(share),
        boost_rounds=training.passes,
        criterion=score.name.replace(" ", "_"),
        minimise_criterion=not score.higher_is_better,
        seed=training.seed,
    )


def _boosted(data: Dataset, training: Training) -> Any:
    kind: dict[str, Any] = {"objective": "reg:squarederror", "base_score": 0.0}
    if data.classes == 2:
        kind = {"objective": "binary:logistic"}
    elif data.classes:
        kind = {"objective": "multi:softprob", "num_class": data.classes}
    return {**kind, "max_depth": 3, "eta": training.learning_rate, "nthread": 1}


# ------------------------------------------------------------------ the catalogue


@dataclass(frozen=True, slots=True)
class _Framework:
    """The function that makes learners of a framework's models, and the packages it needs."""

    learner: Callable[..., Any]
    packages: tuple[str, ...]


_FRAMEWORKS: dict[Framework, _Framework] = {
    "sklearn": _Framework(_sklearn_learner, ("sklearn",)),
    "keras": _Framework(keras_learner, ("keras", "tensorflow")),
    "pytorch": _Framework(pytorch_learner, ("torch",)),
    "xgboost": _Framework(_xgboost_learner, ("xgboost",)),
}

MODELS = {
    entry.name: entry
    for entry in (
        Model(
            name="logistic",
            tasks=("classification",),
            learning_rate=0.02,
            summary="logistic regression, trained by stochastic gradient descent",
            framework="sklearn",
            build=_linear,
        ),
        Model(
            name="linear",
            tasks=("regression",),
            learning_rate=0.005,
            summary="linear regression, trained by stochastic gradient descent",
            framework="sklearn",
            build=_linear,
        ),
        Model(
            name="mlp",
            tasks=("classification", "regression"),
            learning_rate=0.1,
            summary="a neural network with a hidden layer of 32 units, trained by gradient descent",
            framework="sklearn",
            build=_mlp,
        ),
        Model(
            name="keras-mlp",
            tasks=("classification", "regression"),
            learning_rate=0.1,
            summary="the same network in Keras",
            framework="keras",
            build=keras_mlp,
        ),
        Model(
            name="pytorch-mlp",
            tasks=("classification", "regression"),
            learning_rate=0.1,
            summary="the same network in PyTorch",
            framework="pytorch",
            build=pytorch_mlp,
        ),
        Model(
            name="forest",
            tasks=("classification", "regression"),
            learning_rate=0.0,
            summary="a random forest: each proposal adds ten trees",
            framework="sklearn",
            build=_forest,
        ),
        Model(
            name="xgboost",
            tasks=("classification", "regression"),
            learning_rate=0.3,
            summary="boosted trees of XGBoost: each proposal boosts twice",
            framework="xgboost",
            build=_boosted,
        ),
    )
}
