"""A learner of your own, with numpy alone.

Change `load_records` to read your records and `MyLearner` to train your model. Then, in this
file's folder:

    python starter_module.py          # simulate a whole experiment on this machine
    colearn learner check starter_module:make_learner --learner-arg learner=0
    colearn experiment create --spec experiment.toml --key NAME --store folder:/path
    colearn agent run --experiment REF --key NAME \
        --learner starter_module:make_learner --learner-arg learner=0
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_learner import (
    ColearnModel,
    ModelFormat,
    ProposedWeights,
    Weights,
    print_results,
)
from colearn_learner.simulation import SimulationConfig, run

Array = NDArray[Any]
STEPS, RATE = 10, 0.5


def make_learner(learner: int, of: int = 3) -> MyLearner:
    """Return one learner; agents call this.

    Args:
        learner: number of the learner, from 0.
        of: number of learners.
    """
    return MyLearner(*divide(*load_records(learner, of)))


class MyLearner:
    """A logistic regression, trained by gradient descent."""

    def __init__(
        self, train: tuple[Array, Array], vote: tuple[Array, Array], test: tuple[Array, Array]
    ) -> None:
        """Start with weights of zero: one for each input, and the constant."""
        self.train, self.vote, self.test = train, vote, test
        self.weights = np.zeros(train[0].shape[1] + 1)
        self.vote_score = loss(self.weights, *vote)

    def mli_propose_weights(self) -> Weights:
        """Train from the current weights, which do not change, and return new ones."""
        inputs, classes = self.train
        weights = self.weights.copy()
        for _ in range(STEPS):
            wrong = predict(weights, inputs) - classes
            weights -= RATE * np.append(inputs.T @ wrong, wrong.sum()) / len(classes)
        return Weights(weights)

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        """Score weights on this learner's records, and approve better ones."""
        score = loss(weights.weights, *self.vote)
        return ProposedWeights(
            weights=weights,
            vote_score=score,
            test_score=loss(weights.weights, *self.test),
            vote=bool(score < self.vote_score),  # False if the score is NaN
        )

    def mli_accept_weights(self, weights: Weights) -> None:
        """Make a copy of these the current weights."""
        self.weights = weights.weights.copy()
        self.vote_score = loss(self.weights, *self.vote)

    def mli_get_current_weights(self) -> Weights:
        """Return a copy of the current weights."""
        return Weights(self.weights.copy())

    def mli_get_current_model(self) -> ColearnModel:
        """Return the model, for use elsewhere."""
        return ColearnModel(ModelFormat.PICKLE_WEIGHTS_ONLY, "", self.weights.copy())


def predict(weights: Array, inputs: Array) -> Array:
    """Return the probability of class 1 for each record."""
    return np.asarray(1 / (1 + np.exp(-(inputs @ weights[:-1] + weights[-1]))))


def loss(weights: Array, inputs: Array, classes: Array) -> float:
    """Return the mean log loss."""
    probability = np.clip(predict(weights, inputs), 1e-9, 1 - 1e-9)
    return float(-np.log(np.where(classes == 1, probability, 1 - probability)).mean())


def load_records(learner: int, of: int) -> tuple[Array, Array]:
    """Return one learner's records: inputs (records, 4) and their classes, 0 or 1.

    Replace this by your own, such as ``numpy.loadtxt("records.csv", delimiter=",")``. Scale the
    inputs alike at all learners. These records are invented and divided among the learners.
    """
    if not 0 <= learner < of:
        raise ValueError(f"learner={learner} is not valid with of={of}; count from 0")
    random = np.random.default_rng(1)
    inputs = random.normal(size=(900, 4))
    classes = inputs @ [2.0, -1.0, 0.5, 0.0] + random.normal(size=900) > 0
    return inputs[learner::of].astype(np.float32), classes[learner::of].astype(np.int64)


def divide(inputs: Array, classes: Array) -> list[tuple[Array, Array]]:
    """Return the records to train on (60 %), to vote by and to test with (20 % each)."""
    a, b = int(0.6 * len(classes)), int(0.8 * len(classes))
    parts = (slice(a), slice(a, b), slice(b, None))
    return [(inputs[part], classes[part]) for part in parts]


if __name__ == "__main__":
    config = SimulationConfig(score_name="log loss", higher_is_better=False, n_proposers=3)
    print_results(run([make_learner(n) for n in range(3)], 10, config=config).results)
