"""Forest learners grow trees on real data and refuse hostile weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)

from colearn_learner import Weights
from colearn_learner.errors import InvalidArgument, InvalidData, UnsupportedModel, WeightsMismatch
from colearn_learner.learners.forest import _NODE, ForestLearner
from colearn_learner.learners.trees import check_tree, depth_of
from colearn_ledger.weights.codec import decode_weights, encode_weights
from colearn_ledger.weights.schema import WeightsSchema


def parts(load: Callable[..., Any], share: int) -> list[tuple[Any, Any]]:
    inputs, targets = load(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(inputs))
    mine = np.array_split(order, 2)[share]
    return [(inputs[third], targets[third]) for third in np.array_split(mine, 3)]


def iris(model: Any = None, share: int = 0, **options: Any) -> ForestLearner:
    model = RandomForestClassifier(max_depth=4) if model is None else model
    return ForestLearner(model, *parts(load_iris, share), classes=range(3), **options)


def diabetes(model: Any = None, share: int = 0, **options: Any) -> ForestLearner:
    model = RandomForestRegressor(max_depth=4) if model is None else model
    return ForestLearner(model, *parts(load_diabetes, share), **options)


KINDS = [
    (iris, RandomForestClassifier(max_depth=4)),
    (iris, ExtraTreesClassifier(max_leaf_nodes=8)),
    (diabetes, RandomForestRegressor(max_depth=4)),
    (diabetes, ExtraTreesRegressor(max_leaf_nodes=20)),
]


@pytest.mark.parametrize(("make", "model"), KINDS)
class TestRounds:
    def test_each_round_adds_trees(self, make: Any, model: Any):
        learners = [make(model, share, trees_per_round=3, seed=share) for share in (0, 1)]
        first = learners[0].mli_get_current_weights()
        assert first == learners[1].mli_get_current_weights()
        schema = WeightsSchema.of(first.weights)
        start = learners[1].mli_test_weights(first)
        for number in range(4):
            proposal = learners[number % 2].mli_propose_weights()
            read = decode_weights(encode_weights(proposal.weights), schema=schema).weights
            for one in learners:
                one.mli_accept_weights(Weights(read))
                assert one.mli_get_current_weights() == proposal
            assert len(np.frombuffer(proposal.weights["counts"], "<i4")) == 3 * (number + 1)
        end = learners[1].mli_test_weights(proposal)
        if make is iris:
            assert min(end.vote_score, end.test_score) > 0.85 > start.vote_score
        else:
            assert max(end.vote_score, end.test_score) < 0.5 * start.vote_score

    def test_proposing_and_testing_preserve_the_current_weights(self, make: Any, model: Any):
        one = make(model)
        before = one.mli_get_current_weights()
        proposal = one.mli_propose_weights()
        assert one.mli_test_weights(proposal).vote is True
        assert one.mli_get_current_weights() == before != proposal

    def test_loaded_forest_predicts_like_the_trained_one(self, make: Any, model: Any):
        one = make(model, trees_per_round=4)
        inputs = one.vote_loader[0]
        one.train()
        trained = one.model
        one.set_weights(one.mli_get_current_weights())
        assert one.model is not trained
        np.testing.assert_array_equal(one.model.predict(inputs), trained.predict(inputs))


def test_forest_predicts_like_that_of_scikit_learn():
    (inputs, targets), (others, _), _ = parts(load_iris, 0)
    one = ForestLearner(
        RandomForestClassifier(), (inputs, targets), (inputs, targets), trees_per_round=5, seed=3
    )
    seed = int(np.random.default_rng(3).integers(2**31))
    own = RandomForestClassifier(n_estimators=5, random_state=seed).fit(inputs, targets)
    one.mli_accept_weights(one.mli_propose_weights())
    np.testing.assert_allclose(
        one.model.predict_proba(others), own.predict_proba(others), rtol=1e-12
    )


def test_learner_supports_classes_that_its_share_lacks():
    inputs, targets = load_iris(return_X_y=True)
    few = (inputs[targets != 1], targets[targets != 1] * 10)
    all_of_them = (inputs, targets * 10)
    one = ForestLearner(RandomForestClassifier(), few, all_of_them, classes=[0, 10, 20])
    other = ForestLearner(RandomForestClassifier(), all_of_them, all_of_them)
    proposal = one.mli_propose_weights()
    other.mli_accept_weights(proposal)
    assert other.model.predict_proba(inputs).shape == (150, 3)
    assert 0.5 < other.mli_test_weights(proposal).vote_score < 0.7
    with pytest.raises(InvalidData, match="class 20, which is not one of"):
        ForestLearner(RandomForestClassifier(), few, all_of_them, classes=[0, 10])


def test_seed_decides_the_trees_of_each_round():
    def proposals(seed: int) -> list[Weights]:
        one = iris(seed=seed)
        return [one.mli_propose_weights(), one.mli_propose_weights()]

    assert proposals(1) == proposals(1)
    assert proposals(1)[0] != proposals(1)[1]
    assert proposals(1)[0] != proposals(2)[0]


def test_missing_values_take_the_trained_direction():
    inputs, targets = load_iris(return_X_y=True)
    inputs = inputs.copy()
    inputs[::4, 2] = math.nan
    model = RandomForestClassifier(max_depth=4)
    one = ForestLearner(model, (inputs, targets), (inputs, targets), trees_per_round=5)
    one.train()
    trained = one.model
    one.set_weights(one.mli_get_current_weights())
    assert one.model is not trained
    np.testing.assert_array_equal(one.model.predict_proba(inputs), trained.predict_proba(inputs))
    assert any(tree.tree_.missing_go_to_left.any() for tree in one.model.estimators_)


def test_weights_omit_record_counts_of_nodes():
    one = iris()
    one.mli_accept_weights(one.mli_propose_weights())
    tree = one.model.estimators_[0].tree_
    assert set(tree.n_node_samples) == {1}


class TestVotes:
    @pytest.mark.parametrize("approve", [True, False])
    def test_approve_equal_decides_on_an_equal_score(self, approve: bool):
        one = iris(approve_equal=approve)
        assert one.mli_test_weights(one.mli_get_current_weights()).vote is approve

    @pytest.mark.parametrize("criterion", ["log_loss", "accuracy"])
    def test_criterion_decides_the_better_direction(self, criterion: str):
        one = iris(criterion=criterion, trees_per_round=20)
        assert one.mli_test_weights(one.mli_propose_weights()).vote is True

    def test_nan_score_is_rejected(self):
        one = iris(criterion=lambda *_: math.nan)
        assert one.mli_test_weights(one.mli_propose_weights()).vote is False


def change_nodes(place: int, **change: Any) -> Callable[[dict[str, bytes]], None]:
    def apply(weights: dict[str, bytes]) -> None:
        nodes = np.frombuffer(weights["nodes"], _NODE).copy()
        for name, value in change.items():
            nodes[name][place] = value
        weights["nodes"] = nodes.tobytes()

    return apply


def change_values(value: float) -> Callable[[dict[str, bytes]], None]:
    def apply(weights: dict[str, bytes]) -> None:
        values = np.frombuffer(weights["values"]).copy()
        values[0] = value
        weights["values"] = values.tobytes()

    return apply


HOSTILE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "child far away": (change_nodes(0, right=10**6), "not one of its"),
    "negative child": (change_nodes(0, left=-2), "not one of its"),
    "root again": (change_nodes(0, left=0), "not one of its"),
    "circle": (change_nodes(2, left=1, right=2), "cycle"),
    "one node twice": (change_nodes(0, left=1, right=1), "exactly one other"),
    "half a leaf": (change_nodes(0, left=-1), "one child"),
    "unknown input": (change_nodes(0, feature=4), "not one of the 4"),
    "negative input": (change_nodes(0, feature=-3), "not one of the 4"),
    "threshold": (change_nodes(0, at=math.nan), "threshold"),
    "direction": (change_nodes(0, missing_left=2), "direction"),
    "values": (change_values(math.inf), "NaN or infinity"),
    "cut off": (lambda w: w.update(nodes=w["nodes"][:-1]), "truncated"),
    "a node less": (lambda w: w.update(nodes=w["nodes"][: -_NODE.itemsize]), "counts add up"),
    "values of others": (lambda w: w.update(values=w["values"][:-8]), "3 values"),
    "no values": (lambda w: w.update(values=b""), "counts add up"),
    "empty tree": (lambda w: w.update(counts=w["counts"] + bytes(4)), "counts add up"),
    "negative count": (
        lambda w: w.update(counts=w["counts"] + np.array([5, -5], "<i4").tobytes()),
        "counts add up",
    ),
    "text": (lambda w: w.update(counts="text"), "counts is a str"),
    "part missing": (lambda w: w.pop("counts"), "dict of counts, nodes, values"),
    "part too many": (lambda w: w.update(more=b""), "dict of counts, nodes, values"),
}


class TestHostileWeights:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_tree_is_refused(self, name: str):
        change, message = HOSTILE[name]
        one = iris()
        bad = one.mli_propose_weights()
        change(bad.weights)
        before = one.mli_get_current_weights()
        for use in (one.mli_test_weights, one.mli_accept_weights):
            with pytest.raises(WeightsMismatch, match=message):
                use(bad)
        assert one.mli_get_current_weights() == before

    @pytest.mark.parametrize("tree", [None, [], {}, b"bytes"], ids=repr)
    def test_weights_that_are_not_a_forest_are_refused(self, tree: Any):
        with pytest.raises(WeightsMismatch):
            iris().mli_accept_weights(Weights(tree))

    def test_random_nodes_are_either_trees_or_refused(self):
        numbers = np.random.default_rng(7)
        accepted = 0
        for _ in range(3000):
            size = int(numbers.integers(1, 6))
            left, right = numbers.integers(-1, size, (2, size))
            try:
                check_tree(left, right, np.zeros(size, int), features=1, what="it")
            except WeightsMismatch:
                continue
            accepted += 1
            reached = [0]
            for node in reached:  # ends because each node is reached once
                reached += [int(n) for n in (left[node], right[node]) if n != -1]
            assert sorted(reached) == list(range(size))
        assert accepted > 100


def test_depth_is_that_of_the_longest_path():
    left, right = np.array([1, 3, -1, -1, 5, -1, -1]), np.array([2, 4, -1, -1, 6, -1, -1])
    check_tree(left, right, np.zeros(7, int), features=1, what="it")
    assert depth_of(left, right) == 3
    assert depth_of(np.array([-1]), np.array([-1])) == 0


def test_invalid_arguments_are_refused_by_the_constructor():
    with pytest.raises(UnsupportedModel, match="GradientBoostingClassifier is not a forest"):
        iris(GradientBoostingClassifier())
    with pytest.raises(InvalidArgument, match="trees_per_round is 0"):
        iris(trees_per_round=0)
    with pytest.raises(InvalidArgument, match="auc"):
        iris(criterion="auc")
