"""The benches' fast networks, compared with the learners of the catalogue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.networks import Group, Network
from colearn_learner.catalogue.models import make_learner, model
from colearn_learner.catalogue.settings import Training
from colearn_learner.datasets import Data, Share, dataset, split
from colearn_learner.interface import Weights

NETWORK = Network(64, 32, 10)


def make_place(dtype, training, flipped=()):
    """Return a group and the catalogue's learners with the same records."""
    data = dataset("digits")
    records = data.load()
    records = Data(records.inputs.astype(dtype), records.targets)
    parts = split(records, task=data.task, n_learners=4, train_ratio=0.6, seed=3)
    shares = [
        replace(s, train=Data(s.train.inputs, 9 - s.train.targets)) if n in flipped else s
        for n, s in enumerate(parts.shares)
    ]
    chosen = model("mlp", data)
    learners = [make_learner(chosen, s, data=data, training=training) for s in shares]
    return Group(NETWORK, parts, training, flipped), learners, parts


@pytest.mark.parametrize("level", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_trainings_equal_the_learners(dtype, level):
    training = Training(0.1, passes=2, seed=5, level=level)
    group, learners, _ = make_place(dtype, training, flipped=(2,))
    for _ in range(2):
        current = learners[0].mli_get_current_weights().weights
        rows = group.train(NETWORK.to_row(current))
        assert rows.dtype == dtype
        proposals = [learner.mli_propose_weights().weights for learner in learners]
        wanted = np.array([NETWORK.to_row(each) for each in proposals])
        assert np.abs(rows - wanted).max() < (1e-12 if dtype == np.float64 else 1e-5)
        for learner in learners:
            learner.mli_accept_weights(Weights(proposals[1]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scores_equal_the_learners(dtype):
    group, learners, parts = make_place(dtype, Training(0.1, seed=5))
    rng = np.random.default_rng(1)
    size = sum(int(np.prod(shape)) for shape in NETWORK.shapes.values())
    scales = np.array([0.1, 0.3, 3.0, 300.0])[:, None]  # the last one reaches the clipped range
    rows = (scales * rng.standard_normal((4, size))).astype(dtype)
    wanted = [
        [each.mli_test_weights(Weights(NETWORK.to_tree(row))).vote_score for each in learners]
        for row in rows
    ]
    exact = 1e-12 if dtype == np.float64 else 1e-5
    assert group.score(rows) == pytest.approx(np.array(wanted), rel=exact)
    assert group.score_for(2, rows[1]) == pytest.approx(wanted[1][2], rel=exact)
    common = Share(parts.shares[0].train, parts.common_test, parts.common_test)
    data = dataset("digits")
    chosen, training = model("mlp", data), Training(0.1, seed=5)
    examiner = make_learner(chosen, common, data=data, training=training, shown_score=True)
    accuracy = examiner.mli_test_weights(Weights(NETWORK.to_tree(rows[0]))).test_score
    assert group.measure_accuracy(rows[0]) == accuracy


def test_weights_that_are_not_finite_score_nan():
    group, learners, _ = make_place(np.float64, Training(0.1, seed=5))
    rows = NETWORK.to_row(learners[0].mli_get_current_weights().weights)[None].repeat(2, axis=0)
    NETWORK.take_arrays(rows)["intercepts_0"][1, 0] = -np.inf  # the outputs stay finite
    assert np.isnan(group.score(rows)).tolist() == [[False] * 4, [True] * 4]
