"""A learner that does not match an experiment is refused; the error names the wrong weights."""

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


class LearnerWithWeights:
    """A learner that returns the given weights."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree

    def mli_get_current_weights(self) -> Weights:
        return Weights(self.tree)


def make_iris_learner() -> SklearnLearner:
    return SklearnLearner(SGDClassifier(), IRIS, IRIS)


def get_schema(learner: Any) -> WeightsSchema:
    return WeightsSchema.of(learner.mli_get_current_weights().weights)


def test_learner_with_the_same_model_fits():
    check_fit(make_iris_learner(), get_schema(make_iris_learner()))


def test_fit_allows_grown_byte_arrays():
    forest = ForestLearner(RandomForestRegressor(), DIABETES, DIABETES)
    schema = get_schema(forest)
    forest.mli_accept_weights(forest.mli_propose_weights())
    check_fit(forest, schema)


def test_fit_ignores_nan_values():
    weights = make_iris_learner().mli_get_current_weights()
    weights.weights["coef_"][...] = np.nan
    check_fit(LearnerWithWeights(weights.weights), get_schema(make_iris_learner()))


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (SklearnLearner(SGDRegressor(), DIABETES, DIABETES, criterion="r2"), r"'coef_' is F64 "),
        (ForestLearner(RandomForestRegressor(), DIABETES, DIABETES), "'coef_' is missing"),
        (LearnerWithWeights({"coef_": np.zeros((3, 4))}), "'intercept_' is missing"),
        (
            LearnerWithWeights({"coef_": np.zeros((3, 4), "f4"), "intercept_": np.zeros(3)}),
            "'coef_' is F32",
        ),
        (
            LearnerWithWeights(
                {**make_iris_learner().mli_get_current_weights().weights, "z": np.zeros(1)}
            ),
            "'z' is not in",
        ),
        (LearnerWithWeights({"coef_": object()}), "'coef_' is a object"),
    ],
)
def test_error_names_the_first_weights_that_differ(learner: Any, message: str):
    with pytest.raises(LearnerDoesNotFit, match=message):
        check_fit(learner, get_schema(make_iris_learner()))
