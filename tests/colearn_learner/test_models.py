"""Every model of the catalogue, on every data set that it can learn."""

from __future__ import annotations

import importlib.util
import math
import time
from functools import cache
from typing import Any

import numpy as np
import pytest

from colearn_learner import Weights
from colearn_learner.catalogue.models import MODELS, make_learner, model
from colearn_learner.catalogue.settings import Training
from colearn_learner.datasets import DATASETS, Split, dataset, split
from colearn_learner.errors import MissingPackage, UnfitModel
from colearn_learner.names import UnknownName
from colearn_ledger.weights.codec import decode_weights, encode_weights

PAIRS = [(m, d.name) for m in MODELS for d in DATASETS.values() if d.task in MODELS[m].tasks]


@cache
def shares(name: str) -> Split:
    data = dataset(name)
    return split(data.load(), task=data.task, n_learners=2, train_ratio=0.6, seed=1)


def learner(name: str, on: str, *, share: int = 0, seed: int = 1, shown: bool = False) -> Any:
    data = dataset(on)
    chosen = model(name, data)
    return make_learner(
        chosen,
        shares(on).shares[share],
        data=data,
        training=Training(chosen.learning_rate, seed=seed),
        shown_score=shown,
    )


def arrays(weights: Weights) -> list[Any]:
    tree = weights.weights
    return list(tree.values()) if isinstance(tree, dict) else tree


def are_equal(one: Weights, other: Weights) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(other), strict=True))


@pytest.mark.parametrize(("name", "on"), PAIRS)
def test_learners_start_alike_and_training_improves_the_score(name: str, on: str):
    one, other = learner(name, on), learner(name, on, share=1)
    start = one.mli_get_current_weights()
    assert are_equal(start, other.mli_get_current_weights())
    proposal = one.mli_propose_weights()
    assert one.mli_test_weights(proposal).vote is True
    assert one.mli_test_weights(proposal).has_test_score


@pytest.mark.parametrize("name", ["mlp", "keras-mlp"])
def test_seed_decides_first_weights_and_training(name: str):
    def proposal(seed: int) -> Weights:
        if name == "keras-mlp":
            import keras

            keras.utils.set_random_seed(time.time_ns() % 1_000)  # must not matter
        return learner(name, "wine", seed=seed).mli_propose_weights()

    assert are_equal(proposal(3), proposal(3))
    assert not are_equal(proposal(3), proposal(4))
    first = [learner(name, "wine", seed=seed).mli_get_current_weights() for seed in (3, 4)]
    assert not are_equal(*first)


@pytest.mark.parametrize("name", MODELS)
def test_weights_can_be_encoded_and_decoded(name: str):
    on = next(d for m, d in PAIRS if m == name)
    weights = learner(name, on).mli_get_current_weights()
    assert are_equal(Weights(decode_weights(encode_weights(weights.weights)).weights), weights)


@pytest.mark.parametrize("name", ["mlp", "keras-mlp"])
class TestScores:
    """The voters' loss and the shown accuracy equal numpy's results."""

    def test_classification_scores_equal_those_of_numpy(self, name: str):
        votes, tests = shares("wine").shares[0].vote, shares("wine").shares[0].test
        voter, shown = learner(name, "wine"), learner(name, "wine", shown=True)
        start = voter.mli_get_current_weights()
        expected = softmax(forward(arrays(start), votes.inputs))
        loss = -np.mean(np.log(expected[np.arange(len(votes)), votes.targets]))
        assert math.isclose(voter.mli_test_weights(start).vote_score, loss, rel_tol=1e-5)
        right = forward(arrays(start), tests.inputs).argmax(axis=1) == tests.targets
        assert math.isclose(shown.mli_test_weights(start).test_score, right.mean(), rel_tol=1e-6)

    def test_regression_scores_equal_those_of_numpy(self, name: str):
        votes = shares("diabetes").shares[0].vote
        voter = learner(name, "diabetes")
        start = voter.mli_get_current_weights()
        error = forward(arrays(start), votes.inputs)[:, 0] - votes.targets
        score = voter.mli_test_weights(start).vote_score
        assert math.isclose(score, np.mean(error**2), rel_tol=1e-5)


def forward(weights: list[Any], inputs: Any) -> Any:
    """Return the last layer's outputs before activation, for arrays in either order."""
    (a, c), (b, d) = (sorted(weights, key=lambda w: -w.ndim)[i::2] for i in (0, 1))
    first, last = sorted((a, b), key=lambda kernel: kernel.shape[0] != inputs.shape[1])
    offset, end = sorted((c, d), key=lambda bias: len(bias) != first.shape[1])
    return np.maximum(inputs @ first + offset, 0) @ last + end


def softmax(values: Any) -> Any:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_unknown_or_unfit_model_is_refused():
    with pytest.raises(UnknownName, match="did you mean keras-mlp"):
        model("keras_mlp", dataset("wine"))
    with pytest.raises(UnfitModel, match="choose from: logistic, mlp, keras-mlp"):
        model("linear", dataset("wine"))


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [
        ("keras-mlp", "keras", "keras"),
        ("keras-mlp", "tensorflow", "keras"),
        ("mlp", "sklearn", "sklearn"),
    ],
)
def test_missing_framework_error_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, missing: str, extra: str
):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda package: None if package == missing else found(package)
    )
    with pytest.raises(MissingPackage, match=rf"pip install 'colearn-ledger\[{extra}\]'"):
        model(name, dataset("wine"))
