"""Learners of the Keras experiment that have no model to export, or fail to export one."""

from __future__ import annotations

from typing import Any

from colearn_learner.catalogue.factories import share
from colearn_learner.interface import Weights


class WithoutModel:
    def __init__(self) -> None:
        learner = share("breast-cancer", 0, of=5, model="keras-mlp")
        self.weights = learner.mli_get_current_weights()

    def mli_propose_weights(self) -> Weights:
        return self.weights

    def mli_test_weights(self, weights: Weights) -> Any:
        raise NotImplementedError

    def mli_accept_weights(self, weights: Weights) -> None:
        self.weights = weights

    def mli_get_current_weights(self) -> Weights:
        return self.weights

    def mli_get_current_model(self) -> Any:
        return None


class FailingExport(WithoutModel):
    def mli_get_current_model(self) -> Any:
        raise ValueError("out of order")


def make_without_model() -> WithoutModel:
    return WithoutModel()


def make_failing_export() -> FailingExport:
    return FailingExport()
