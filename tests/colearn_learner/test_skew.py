"""Training on shares that lack labels preserves what the model has learned about them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from colearn_learner import Weights
from colearn_learner.catalogue.baselines import compare
from colearn_learner.catalogue.models import make_learner, model
from colearn_learner.catalogue.settings import Training
from colearn_learner.compat import training
from colearn_learner.datasets import Data, Share, Split, dataset, split
from colearn_learner.learners.skew import LevelMlpLearner, log_shares

NETWORKS = ["mlp", "keras-mlp", "pytorch-mlp"]


@cache
def digits() -> Data:
    return dataset("digits").load()


def learner(
    name: str, records: Data, *, on: str = "digits", tests: Data, level: bool = True
) -> Any:
    data = dataset(on)
    how = Training(0.2, batch_size=16, seed=1, level=level)
    share = Share(records, tests, tests)
    return make_learner(model(name, data), share, data=data, training=how, shown_score=True)


def select_labels(some: Data, labels: range) -> Data:
    return some.take(np.flatnonzero(np.isin(some.targets, labels)))


def flatten(weights: Weights) -> np.ndarray[Any, Any]:
    tree = weights.weights
    arrays = tree.values() if isinstance(tree, dict) else tree
    return np.concatenate([np.ravel(a) for a in arrays])


class TestLogShares:
    def test_log_shares_add_half_a_record_to_each_class(self):
        shares = np.exp(log_shares(np.array([0, 0, 0, 2]), 3))
        assert np.allclose(shares, [3.5 / 5.5, 0.5 / 5.5, 1.5 / 5.5])

    def test_log_shares_of_absent_classes_are_finite(self):
        shares = log_shares(np.array([0, 1]), 10)
        assert shares.shape == (10,)
        assert np.isfinite(shares).all()
        assert np.isclose(np.exp(shares).sum(), 1)


@pytest.mark.parametrize("name", NETWORKS)
class TestTraining:
    def test_training_on_some_labels_preserves_the_others(self, name: str):
        first, second = digits().take(np.arange(800)), digits().take(np.arange(800, 1797))
        knows_all = learner(name, first, tests=select_labels(second, range(5, 10)))
        for _ in range(2):
            knows_all.mli_accept_weights(knows_all.mli_propose_weights())
        known = knows_all.mli_get_current_weights()
        before = knows_all.mli_test_weights(known).test_score

        def score_after_training(level: bool) -> float:
            few = select_labels(first, range(5))
            skewed = learner(name, few, tests=select_labels(second, range(5, 10)), level=level)
            skewed.mli_accept_weights(known)
            return float(skewed.mli_test_weights(skewed.mli_propose_weights()).test_score)

        level, plain = score_after_training(level=True), score_after_training(level=False)
        assert before > 0.7
        assert level > before - 0.1
        assert plain < level - 0.1

    def test_training_preserves_the_current_weights(self, name: str):
        few = select_labels(digits(), range(5)).take(np.arange(64))
        skewed = learner(name, few, tests=few)
        before = flatten(skewed.mli_get_current_weights())
        proposal = flatten(skewed.mli_propose_weights())
        assert np.array_equal(flatten(skewed.mli_get_current_weights()), before)
        assert not np.array_equal(proposal, before)

    @pytest.mark.parametrize("on", ["digits", "breast-cancer"])
    def test_correction_has_no_effect_on_evenly_distributed_labels(self, name: str, on: str):
        data = dataset(on)
        records = data.load()
        each = [np.flatnonzero(records.targets == k)[:8] for k in range(data.classes)]
        even = records.take(np.stack(each, axis=1).ravel())

        def propose(level: bool) -> np.ndarray[Any, Any]:
            one = learner(name, even, on=on, tests=even, level=level)
            return flatten(one.mli_propose_weights())

        assert np.allclose(propose(True), propose(False), atol=1e-5)


def test_network_with_one_output_is_corrected():
    data = dataset("breast-cancer")
    records = data.load()
    many, few = (
        select_labels(records, range(1)),
        select_labels(records, range(1, 2)).take(np.arange(5)),
    )
    mostly = Data(*(np.concatenate(p) for p in zip(_pair(many), _pair(few), strict=True)))

    def predict_benign(level: bool) -> float:
        one = learner("mlp", mostly, on="breast-cancer", tests=few, level=level)
        assert isinstance(one, LevelMlpLearner) is level
        for _ in range(2):
            one.mli_accept_weights(one.mli_propose_weights())
        return float(one.model.predict_proba(few.inputs)[:, 1].mean())

    assert predict_benign(level=True) > predict_benign(level=False) + 0.1


def _pair(records: Data) -> tuple[Any, Any]:
    return records.inputs, records.targets


def split_evenly(on: str) -> Split:
    data = dataset(on)
    return split(data.load(), task=data.task, n_learners=5, train_ratio=0.6, seed=1)


@pytest.mark.parametrize("name", ["mlp", "pytorch-mlp"])
@pytest.mark.parametrize("on", ["breast-cancer", "digits"])
def test_collective_beats_the_mean_alone_with_default_settings(name: str, on: str):
    data, parts = dataset(on), split_evenly(on)
    chosen = model(name, data)
    how = Training(chosen.learning_rate, seed=1)
    learners = [make_learner(chosen, s, data=data, training=how) for s in parts.shares]
    training.set_equal_weights(learners)
    for number in range(10):
        training.run_one_round(number, learners)
    agreed = learners[0].mli_get_current_weights().weights
    compared = compare([agreed], parts, model=chosen, data=data, trainings=[how] * 5, n_rounds=10)
    assert compared.collective > compared.mean_alone


def test_baselines_train_without_the_correction():
    data, parts = dataset("breast-cancer"), split_evenly("breast-cancer")
    chosen = model("mlp", data)
    how = Training(chosen.learning_rate, seed=1)
    start = make_learner(chosen, parts.shares[0], data=data, training=how)
    weights = start.mli_get_current_weights().weights

    def run_comparison(level: bool) -> Any:
        trainings = [replace(how, level=level)] * 5
        return compare([weights], parts, model=chosen, data=data, trainings=trainings, n_rounds=2)

    assert run_comparison(level=True) == run_comparison(level=False)
