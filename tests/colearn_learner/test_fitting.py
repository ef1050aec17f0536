"""A learner that does not fit an experiment is refused, with the name of the wrong weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import SGDClassifier, SGDRegressor

from colearn_learner import Weights
from colearn_learner.agent.fit import LearnerDoesNotFit, check_fit
from colearn_learner.learners.forest import ForestLearner
from colearn_learner.learners.sklearn import SklearnLearner
from colearn_ledger.weights.schema import WeightsSchema

IRIS, DIABETES = load_iris(return_X_y=True), load_diabetes(return_X_y=True)


class Holding:
    """A learner with exactly these weights."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree

    def mli_get_current_weights(self) -> Weights:
        return Weights(self.tree)


def iris() -> SklearnLearner:
    return SklearnLearner(SGDClassifier(), IRIS, IRIS)


def schema_of(learner: Any) -> WeightsSchema:
    return WeightsSchema.of(learner.mli_get_current_weights().weights)


def test_a_learner_of_the_same_model_fits():
    check_fit(iris(), schema_of(iris()))


def test_one_whose_bytes_are_longer_by_now_fits():
    forest = ForestLearner(RandomForestRegressor(), DIABETES, DIABETES)
    schema = schema_of(forest)
    forest.mli_accept_weights(forest.mli_propose_weights())
    check_fit(forest, schema)


def test_values_that_are_no_numbers_do_not_count():
    weights = iris().mli_get_current_weights()
    weights.weights["coef_"][...] = np.nan
    check_fit(Holding(weights.weights), schema_of(iris()))


@pytest.mark.parametrize(
    ("learner", "named"),
    [
        (SklearnLearner(SGDRegressor(), DIABETES, DIABETES, criterion="r2"), r"'coef_' is F64 "),
        (ForestLearner(RandomForestRegressor(), DIABETES, DIABETES), "'coef_' is missing"),
        (Holding({"coef_": np.zeros((3, 4))}), "'intercept_' is missing"),
        (Holding({"coef_": np.zeros((3, 4), "f4"), "intercept_": np.zeros(3)}), "'coef_' is F32"),
        (Holding({**iris().mli_get_current_weights().weights, "z": np.zeros(1)}), "'z' is not in"),
        (Holding({"coef_": object()}), "'coef_' is a object"),
    ],
)
def test_the_first_weights_that_differ_are_named(learner: Any, named: str):
    with pytest.raises(LearnerDoesNotFit, match=named):
        check_fit(learner, schema_of(iris()))
