"""Learners with an auditor's records, for `colearn audit --reevaluate`."""

from __future__ import annotations

from typing import Any

import numpy as np

from colearn_learner.interface import ProposedWeights, Weights
from tests.support.toyworld import TowardsTarget


def make(target: float = 1.0) -> TowardsTarget:
    return TowardsTarget(target)


class Failing(TowardsTarget):
    """Raises an error for weights that are further from 0 than a limit."""

    def __init__(self, limit: float) -> None:
        super().__init__(1.0)
        self.limit = limit

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        if float(np.abs(weights.weights[0]).max()) > self.limit:
            raise ArithmeticError("these weights are too large")
        return super().mli_test_weights(weights)


def make_failing(limit: float = -1.0) -> Failing:
    return Failing(limit)


class Undecided(TowardsTarget):
    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        return ProposedWeights(weights, float("nan"), float("nan"))


def make_undecided() -> Undecided:
    return Undecided(1.0)


def make_misfit() -> Any:
    learner = TowardsTarget(1.0)
    learner.weights = [np.zeros(4)]
    return learner
