"""scikit-learn and Keras learners: one set of rules for both, on real data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LogisticRegression,
    PoissonRegressor,
    SGDClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

from colearn_learner import Weights
from colearn_learner.errors import InvalidArgument, UnsupportedModel, WeightsMismatch
from colearn_learner.learners.keras import KerasLearner
from colearn_learner.learners.sklearn import SklearnLearner

INPUTS, TARGETS = load_digits(return_X_y=True)
INPUTS = INPUTS.astype("float32") / 16


def share(start: int, stop: int) -> tuple[Any, Any]:
    return INPUTS[start:stop], TARGETS[start:stop]


def linear(**options: Any) -> SklearnLearner:
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, random_state=1)
    return SklearnLearner(
        model, share(0, 600), share(600, 900), share(900, 1200), classes=range(10), **options
    )


def logistic(**options: Any) -> SklearnLearner:
    model = LogisticRegression(**{"max_iter": 5, **options})
    return SklearnLearner(
        *(model, share(0, 600), share(600, 900), share(900, 1200)),
        classes=range(10),
        criterion="log_loss",
        minimise_criterion=True,
    )


def perceptron() -> SklearnLearner:
    model = MLPClassifier((16,), random_state=1)
    return SklearnLearner(
        model, share(0, 600), share(600, 900), share(900, 1200), classes=range(10)
    )


def keras_model() -> Any:
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def keras_learner(**options: Any) -> KerasLearner:
    chosen = {"model_fit_kwargs": {"epochs": 1}, "test_loader": share(900, 1200)} | options
    return KerasLearner(keras_model(), share(0, 600), share(600, 900), **chosen)


def arrays(weights: Weights) -> list[Any]:
    tree = weights.weights
    return list(tree.values()) if isinstance(tree, dict) else tree


def are_equal(one: Weights, other: Weights) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(other), strict=True))


@pytest.mark.parametrize("make", [linear, logistic, perceptron, keras_learner])
class TestEveryLearner:
    def test_proposing_and_testing_preserve_the_current_weights(self, make: Any):
        learner = make()
        before = learner.mli_get_current_weights()
        proposal = learner.mli_propose_weights()
        learner.mli_test_weights(proposal)
        assert are_equal(before, learner.mli_get_current_weights())
        assert not are_equal(before, proposal)

    def test_returned_proposal_never_changes(self, make: Any):
        learner = make()
        proposal = learner.mli_propose_weights()
        kept = [np.array(a) for a in arrays(proposal)]
        learner.mli_accept_weights(proposal)
        learner.mli_propose_weights()
        assert all(np.array_equal(a, b) for a, b in zip(kept, arrays(proposal), strict=True))

    def test_learner_approves_its_own_better_weights(self, make: Any):
        learner = make()
        tested = learner.mli_test_weights(learner.mli_propose_weights())
        assert tested.vote is True
        assert tested.has_test_score

    def test_accepted_weights_become_current_and_set_the_score_to_beat(self, make: Any):
        learner = make()
        start = learner.mli_get_current_weights()
        proposal = learner.mli_propose_weights()
        learner.mli_accept_weights(proposal)
        assert are_equal(proposal, learner.mli_get_current_weights())
        assert learner.mli_test_weights(start).vote is False

    def test_nan_weights_are_rejected(self, make: Any):
        learner = make()
        bad = learner.mli_get_current_weights()
        for array in arrays(bad):
            array[...] = math.nan
        assert learner.mli_test_weights(bad).vote is False

    def test_weights_that_do_not_fit_change_nothing(self, make: Any):
        learner = make()
        before = learner.mli_get_current_weights()
        for bad in (Weights(weights=[]), Weights(weights={"coef_": np.zeros(3)}), Weights(None)):
            with pytest.raises(WeightsMismatch):
                learner.mli_accept_weights(bad)
        assert are_equal(before, learner.mli_get_current_weights())


def test_same_seed_trains_the_same_weights():
    assert are_equal(linear(seed=3).mli_propose_weights(), linear(seed=3).mli_propose_weights())
    assert not are_equal(linear(seed=3).mli_propose_weights(), linear(seed=4).mli_propose_weights())


@pytest.mark.parametrize("approve", [True, False])
def test_approve_equal_decides_on_an_equal_score(approve: bool):
    learner = linear(approve_equal=approve)
    assert learner.mli_test_weights(learner.mli_get_current_weights()).vote is approve


def test_keras_rejects_an_equal_score():
    learner = keras_learner()
    assert learner.mli_test_weights(learner.mli_get_current_weights()).vote is False


def test_test_score_without_records_is_zero_and_marked_absent():
    tested = keras_learner(test_loader=None).mli_propose_weights()
    score = keras_learner(test_loader=None).mli_test_weights(tested)
    assert (score.test_score, score.has_test_score) == (0.0, False)


def test_learner_supports_classes_that_its_share_lacks():
    few = TARGETS < 3
    learner = SklearnLearner(
        SGDClassifier(), (INPUTS[few], TARGETS[few]), share(0, 100), classes=range(10)
    )
    assert learner.mli_propose_weights().weights["coef_"].shape == (10, 64)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (KNeighborsClassifier(), "neither partial_fit nor a warm start"),
        (GaussianNB(), "not coefficients"),
        (RandomForestClassifier(n_estimators=1), r"colearn_learner\.learners\.forest"),
    ],
)
def test_models_that_cannot_continue_training_are_refused(model: Any, why: str):
    with pytest.raises(UnsupportedModel, match=why):
        SklearnLearner(model, share(0, 10), share(10, 20))


def test_warm_start_continues_from_the_current_weights():
    learner = logistic(max_iter=1)
    losses = [learner.vote_score]
    for _ in range(4):
        learner.mli_accept_weights(learner.mli_propose_weights())
        losses.append(learner.vote_score)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.7 * losses[1]


def test_warm_start_supports_classes_that_its_share_lacks():
    few = TARGETS < 3
    learner = SklearnLearner(
        LogisticRegression(max_iter=5),
        (INPUTS[few], TARGETS[few]),
        share(0, 100),
        classes=range(10),
    )
    proposal = learner.mli_propose_weights()
    assert proposal.weights["coef_"].shape == (10, 64)
    learner.mli_accept_weights(proposal)
    assert learner.mli_test_weights(proposal).vote_score > 0.2


@pytest.mark.parametrize("model", [Lasso(alpha=0.01), ElasticNet(alpha=0.01), PoissonRegressor()])
def test_regressions_train_by_warm_start(model: Any):
    inputs, targets = load_diabetes(return_X_y=True)
    records = (inputs * 20, targets / 75)
    learner = SklearnLearner(
        model, records, records, criterion="mean_squared_error", minimise_criterion=True
    )
    start = learner.vote_score
    tested = learner.mli_test_weights(learner.mli_propose_weights())
    assert tested.vote is True
    assert tested.vote_score < 0.7 * start


def test_keras_arguments_are_checked_in_the_constructor():
    with pytest.raises(InvalidArgument, match=r"model\.fit"):
        keras_learner(model_fit_kwargs={"epoch": 1})
    with pytest.raises(InvalidArgument, match="auc"):
        keras_learner(criterion="auc")


def test_keras_optimizer_is_reset_without_compiling_again():
    learner = keras_learner(model_fit_kwargs={"epochs": 1, "shuffle": False})
    first = learner.mli_propose_weights()
    traced = learner.model.train_function
    assert are_equal(first, learner.mli_propose_weights())
    assert learner.model.train_function is traced


def test_keras_optimizer_state_can_be_kept():
    fixed = {"epochs": 1, "shuffle": False}
    learner = keras_learner(model_fit_kwargs=fixed, need_reset_optimizer=False)
    assert not are_equal(learner.mli_propose_weights(), learner.mli_propose_weights())
