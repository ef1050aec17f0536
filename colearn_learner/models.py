"""The models of the catalogue: how to make a learner of each from one share of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from colearn_learner.datasets import Data, Dataset, Share, Task
from colearn_learner.errors import LearnerError
from colearn_learner.names import find_name

__all__ = [
    "MODELS",
    "MissingExtra",
    "Model",
    "Score",
    "Training",
    "UnfitModel",
    "default_model",
    "make_learner",
    "model",
    "score_of",
]


class MissingExtra(LearnerError):
    """A package that is not installed is needed; says how to install it."""


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
    """How a learner trains; one proposal is ``passes`` passes over its records."""

    learning_rate: float
    batch_size: int = 32
    passes: int = 2
    seed: int = 42


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the catalogue.

    Args:
        name: what it is called on the command line.
        tasks: what it can learn.
        learning_rate: by default.
        summary: one line for people.
        build: returns the estimator.
    """

    name: str
    tasks: tuple[Task, ...]
    learning_rate: float
    summary: str
    build: Callable[[Task, Training], Any]


def model(name: str, data: Dataset) -> Model:
    """Return a model by name.

    Raises:
        UnknownName: there is none; names those that are near.
        UnfitModel: it does not do the data set's task.
    """
    found = MODELS[find_name("model", name, MODELS)]
    if data.task not in found.tasks:
        fitting = ", ".join(m.name for m in MODELS.values() if data.task in m.tasks)
        raise UnfitModel(
            f"the model {name} does not do {data.task}, which {data.name} is; choose {fitting}"
        )
    return found


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
    from colearn_learner.sklearn import SklearnLearner

    score = score_of(data.task, shown=shown_score)
    return SklearnLearner(
        chosen.build(data.task, training),
        _pair(share.train),
        _pair(share.vote),
        _pair(share.test),
        classes=np.arange(data.classes) if data.classes else None,
        criterion=score.name.replace(" ", "_"),
        minimise_criterion=not score.higher_is_better,
        batch_size=training.batch_size,
        epochs=training.passes,
        seed=training.seed,
    )


def _pair(data: Data) -> tuple[Any, Any]:
    return data.inputs, data.targets


def _linear(task: Task, training: Training) -> Any:
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    common = {
        "learning_rate": "constant",
        "eta0": training.learning_rate,
        "random_state": training.seed,
    }
    if task == "regression":
        return SGDRegressor(**common)
    return SGDClassifier(loss="log_loss", **common)


def _mlp(task: Task, training: Training) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPRegressor if task == "regression" else MLPClassifier
    return kind(
        hidden_layer_sizes=(32,),
        learning_rate_init=training.learning_rate,
        batch_size=training.batch_size,
        random_state=training.seed,
    )


MODELS = {
    entry.name: entry
    for entry in (
        Model(
            *("logistic", ("classification",), 0.02),
            "logistic regression, trained by stochastic gradient descent",
            _linear,
        ),
        Model(
            *("linear", ("regression",), 0.005),
            "linear regression, trained by stochastic gradient descent",
            _linear,
        ),
        Model(
            *("mlp", ("classification", "regression"), 0.005),
            "a neural network with one hidden layer of 32 units, trained by Adam",
            _mlp,
        ),
    )
}
