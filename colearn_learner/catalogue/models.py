"""The models of the catalogue: how to make a learner of each from one share of a data set."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from colearn_learner.catalogue.nets import keras_learner, keras_mlp, pytorch_learner, pytorch_mlp
from colearn_learner.datasets import Data, Dataset, Share, Task
from colearn_learner.errors import LearnerError, MissingPackage
from colearn_learner.names import find_name

__all__ = [
    "MODELS",
    "Model",
    "Score",
    "Training",
    "UnfitModel",
    "default_model",
    "make_learner",
    "model",
    "score_of",
]


class UnfitModel(LearnerError):
    """The model can not be trained on the data set."""


@dataclass(frozen=True, slots=True)
class Score:
    """What is measured, and which direction is better."""

    name: str
    higher_is_better: bool


_VOTE_SCORE: dict[Task, Score] = {
    "classification": Score("log loss", higher_is_better=False),
    "regression": Score("mean squared error", higher_is_better=False),
}
_SHOWN_SCORE: dict[Task, Score] = {
    "classification": Score("accuracy", higher_is_better=True),
    "regression": Score("mean squared error", higher_is_better=False),
}


def score_of(task: Task, *, shown: bool = False) -> Score:
    """Return what voters vote by, or what people are shown in the end."""
    return (_SHOWN_SCORE if shown else _VOTE_SCORE)[task]


@dataclass(frozen=True, slots=True)
class Training:
    """How a learner trains; one proposal is ``passes`` passes over its records.

    Args:
        learning_rate: of each step.
        batch_size: records of a step.
        passes: over the records.
        seed: of the first weights and of the order of records.
        level: a network's training leaves out how frequent each label is with the learner; see
            `colearn_learner.learners.skew`. Who trains alone has no use for it.
    """

    learning_rate: float
    batch_size: int = 32
    passes: int = 2
    seed: int = 42
    level: bool = True


Framework = Literal["sklearn", "keras", "pytorch", "xgboost"]
"""Also the name of the extra that installs it."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the catalogue.

    Args:
        name: what it is called on the command line.
        tasks: what it can learn.
        learning_rate: by default.
        summary: one line for people.
        framework: what trains it.
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
        UnknownName: there is none; names those that are near.
        UnfitModel: it does not do the data set's task.
        MissingPackage: its framework is not installed; says how to install it.
    """
    found = MODELS[find_name("model", name, MODELS)]
    if data.task not in found.tasks:
        fitting = ", ".join(m.name for m in MODELS.values() if data.task in m.tasks)
        raise UnfitModel(
            f"the model {name} does not do {data.task}, which {data.name} is; choose {fitting}"
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
        data: which data set they are of.
        training: how it trains; its seed makes the start, and must be the same for all learners.
        shown_score: measure what people are shown in place of what voters vote by.
    """
    score = score_of(data.task, shown=shown_score)
    return _FRAMEWORKS[chosen.framework].learner(
        chosen.build(data, training), share, score, data=data, training=training
    )


def _pair(data: Data) -> tuple[Any, Any]:
    return data.inputs, data.targets


# ------------------------------------------------------------------ scikit-learn


def _sklearn_learner(
    built: Any, share: Share, score: Score, *, data: Dataset, training: Training
) -> Any:
    from colearn_learner.learners.forest import ForestLearner
    from colearn_learner.learners.skew import LevelMlpLearner
    from colearn_learner.learners.sklearn import SklearnLearner

    records = [_pair(part) for part in (share.train, share.vote, share.test)]
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
        # the learner cuts the batches; by itself the model takes one of up to 200 records whole
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
        *(_pair(part) for part in (share.train, share.vote, share.test)),
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
    """How a framework's models become learners, and the packages that this needs."""

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
            *("logistic", ("classification",), 0.02),
            "logistic regression, trained by stochastic gradient descent",
            "sklearn",
            _linear,
        ),
        Model(
            *("linear", ("regression",), 0.005),
            "linear regression, trained by stochastic gradient descent",
            "sklearn",
            _linear,
        ),
        Model(
            *("mlp", ("classification", "regression"), 0.1),
            "a neural network with one hidden layer of 32 units, trained by gradient descent",
            "sklearn",
            _mlp,
        ),
        Model(
            *("keras-mlp", ("classification", "regression"), 0.1),
            "the same network in Keras",
            "keras",
            keras_mlp,
        ),
        Model(
            *("pytorch-mlp", ("classification", "regression"), 0.1),
            "the same network in PyTorch",
            "pytorch",
            pytorch_mlp,
        ),
        Model(
            *("forest", ("classification", "regression"), 0.0),
            "a random forest: each proposal adds ten trees",
            "sklearn",
            _forest,
        ),
        Model(
            *("xgboost", ("classification", "regression"), 0.3),
            "boosted trees of XGBoost: each proposal boosts twice",
            "xgboost",
            _boosted,
        ),
    )
}
