"""XGBoost learners grow trees on real data and refuse hostile weights."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from colearn_learner import Weights
from colearn_learner.errors import InvalidArgument, InvalidData, UnsupportedModel, WeightsMismatch
from colearn_learner.learners.xgboost import XGBoostLearner
from colearn_ledger.weights.codec import decode_weights, encode_weights
from colearn_ledger.weights.schema import WeightsSchema

BINARY = {"objective": "binary:logistic", "max_depth": 3}
CLASSES = {"objective": "multi:softprob", "num_class": 10, "max_depth": 2}
SQUARES = {"objective": "reg:squarederror", "max_depth": 2, "base_score": 150.0}


def parts(load: Callable[..., Any], share: int) -> list[tuple[Any, Any]]:
    """Return the train, vote and test records of one of two learners."""
    inputs, targets = load(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(inputs))
    mine = np.array_split(order, 2)[share]
    return [(inputs[third], targets[third]) for third in np.array_split(mine, 3)]


def learner(
    params: dict[str, Any] = BINARY,
    load: Callable[..., Any] = load_breast_cancer,
    share: int = 0,
    **options: Any,
) -> XGBoostLearner:
    return XGBoostLearner({**params, "nthread": 1}, *parts(load, share), **options)


TASKS = [(BINARY, load_breast_cancer), (CLASSES, load_digits), (SQUARES, load_diabetes)]


@pytest.mark.parametrize(("params", "load"), TASKS)
class TestRounds:
    def test_each_round_adds_trees(self, params: Any, load: Any):
        learners = [learner(params, load, share, boost_rounds=2) for share in (0, 1)]
        schema = WeightsSchema.of(learners[0].mli_get_current_weights().weights)
        start, lengths = learners[1].mli_test_weights(learners[1].mli_get_current_weights()), []
        for number in range(4):
            proposal = learners[number % 2].mli_propose_weights()
            data = encode_weights(proposal.weights)
            lengths.append(len(data))
            for one in learners:
                one.mli_accept_weights(Weights(decode_weights(data, schema=schema).weights))
                assert one.mli_get_current_weights() == proposal
        assert lengths == sorted(set(lengths))
        trees = json.loads(proposal.weights["model"])["learner"]["gradient_booster"]["model"]
        assert len(trees["trees"]) == 4 * 2 * params.get("num_class", 1)
        end = learners[1].mli_test_weights(proposal)
        assert end.vote_score < 0.8 * start.vote_score
        assert end.test_score < 0.8 * start.test_score

    def test_first_weights_are_equal_and_independent_of_records(self, params: Any, load: Any):
        first = [learner(params, load, share).mli_get_current_weights() for share in (0, 1)]
        assert first[0] == first[1]

    def test_proposing_and_testing_preserve_the_current_weights(self, params: Any, load: Any):
        one = learner(params, load)
        before = one.mli_get_current_weights()
        proposal = one.mli_propose_weights()
        assert one.mli_test_weights(proposal).vote is True
        assert one.mli_get_current_weights() == before != proposal


def test_proposal_extends_the_current_trees():
    one = learner()
    one.mli_accept_weights(one.mli_propose_weights())
    current, proposal = one.mli_get_current_weights(), one.mli_propose_weights()
    assert get_trees(proposal)[:1] == get_trees(current)


def test_weights_do_not_count_records():
    one = learner()
    one.mli_accept_weights(one.mli_propose_weights())
    own = json.loads(bytes(one.model.save_raw("json")))
    assert not any(find_trees(own)[0]["sum_hessian"])
    for tree in get_trees(one.mli_propose_weights()):
        for name in ("sum_hessian", "loss_changes", "base_weights"):
            assert set(tree[name]) == {0.0}
            assert len(tree[name]) == len(tree["left_children"])


def get_trees(weights: Weights) -> list[Any]:
    trees: list[Any] = parse_document(weights)["learner"]["gradient_booster"]["model"]["trees"]
    return trees


def parse_document(weights: Weights) -> Any:
    return json.loads(weights.weights["model"])


def test_xgboost_itself_loads_the_weights():
    one = learner()
    proposal = one.mli_propose_weights()
    booster = xgboost.Booster()
    booster.load_model(bytearray(proposal.weights["model"]))
    inputs, targets = parts(load_breast_cancer, 0)[1]
    chance = booster.predict(xgboost.DMatrix(inputs))
    loss = -np.log(np.where(targets == 1, chance, 1 - chance)).mean()
    assert one.mli_test_weights(proposal).vote_score == pytest.approx(loss, rel=1e-5)


def test_seed_decides_the_trees_of_each_round():
    def proposals(seed: int) -> list[Weights]:
        one = learner({**BINARY, "subsample": 0.5}, seed=seed)
        return [one.mli_propose_weights(), one.mli_propose_weights()]

    assert proposals(1) == proposals(1)
    first, second = proposals(1)
    assert first != second
    assert first != proposals(2)[0]


def test_weights_omit_pruned_nodes():
    one = learner({**BINARY, "tree_method": "exact", "gamma": 5.0, "max_depth": 5}, boost_rounds=3)
    proposal = one.mli_propose_weights()
    one.train()
    raw = json.loads(one.model.save_raw("json"))
    trees = raw["learner"]["gradient_booster"]["model"]["trees"]
    assert any(tree["tree_param"]["num_deleted"] != "0" for tree in trees)
    assert all(tree["tree_param"]["num_deleted"] == "0" for tree in get_trees(proposal))
    inputs = xgboost.DMatrix(parts(load_breast_cancer, 0)[1][0])
    grown = learner(
        {**BINARY, "tree_method": "exact", "gamma": 5.0, "max_depth": 5}, boost_rounds=3
    )
    grown.train()
    one.mli_accept_weights(proposal)
    np.testing.assert_array_equal(one.model.predict(inputs), grown.model.predict(inputs))


class TestVotes:
    @pytest.mark.parametrize("approve", [True, False])
    def test_approve_equal_decides_on_an_equal_score(self, approve: bool):
        one = learner(approve_equal=approve)
        assert one.mli_test_weights(one.mli_get_current_weights()).vote is approve

    def test_criterion_may_be_a_function(self):
        one = learner(criterion="accuracy", minimise_criterion=False)
        assert one.mli_test_weights(one.mli_propose_weights()).vote_score > 0.8
        own = learner(criterion=lambda predictions, targets: math.nan)
        assert own.mli_test_weights(own.mli_propose_weights()).vote is False

    def test_test_score_is_absent_without_records(self):
        train, vote, _ = parts(load_breast_cancer, 0)
        tested = XGBoostLearner(BINARY, train, vote).mli_test_weights(
            XGBoostLearner(BINARY, train, vote).mli_propose_weights()
        )
        assert (tested.test_score, tested.has_test_score) == (0.0, False)


def change_tree(change: dict[str, Any]) -> Callable[[Any], None]:
    def apply(document: Any) -> None:
        tree = document["learner"]["gradient_booster"]["model"]["trees"][0]
        for name, value in change.items():
            tree[name] = value if not isinstance(value, tuple) else replace_at(tree[name], *value)

    return apply


def replace_at(values: list[Any], place: int, value: Any) -> list[Any]:
    changed = list(values)
    changed[place] = value
    return changed


def change_model(change: dict[str, Any]) -> Callable[[Any], None]:
    def apply(document: Any) -> None:
        document["learner"]["gradient_booster"]["model"].update(change)

    return apply


HOSTILE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "child far away": (change_tree({"left_children": (0, 10**6)}), "not one of its"),
    "negative child": (change_tree({"left_children": (0, -7)}), "not one of its"),
    "child beyond 32 bits": (change_tree({"left_children": (0, 2**40)}), "out of bounds"),
    "circle": (change_tree({"left_children": (1, 0)}), "not one of its"),
    "circle further down": (
        change_tree({"left_children": (3, 1), "right_children": (3, 2)}),
        "cycle",
    ),
    "one child of two": (change_tree({"left_children": (0, 2)}), "exactly one other"),
    "half a leaf": (change_tree({"right_children": (0, -1)}), "one child"),
    "unknown input": (change_tree({"split_indices": (0, 30)}), "not one of the 30"),
    "unknown input at a leaf": (change_tree({"split_indices": (-1, -9)}), "unknown input"),
    "parents in a circle": (change_tree({"parents": (0, 1)}), "parents"),
    "direction": (change_tree({"default_left": (0, 2)}), "parents"),
    "split type": (change_tree({"split_type": (0, 1)}), "unknown way"),
    "categories": (change_tree({"categories": [1]}), "categories"),
    "short part": (change_tree({"base_weights": [0.5]}), "different lengths"),
    "record counts": (change_tree({"sum_hessian": (0, 90.5)}), "statistics of its records"),
    "no nodes": (change_tree({"left_children": [], "right_children": []}), "no nodes"),
    "words": (change_tree({"split_conditions": (0, "1.0")}), "not a list of numbers"),
    "truth": (change_tree({"left_children": (0, True)}), "not a list of numbers"),
    "beyond float32": (change_tree({"split_conditions": (0, 1e300)}), "out of bounds"),
    "counted wrong": (change_tree({"tree_param": {"num_nodes": "9999999"}}), "wrong number"),
    "numbered wrong": (change_tree({"id": 5}), "wrong number"),
    "part missing": (lambda d: find_trees(d)[0].pop("parents"), "does not have the parts"),
    "no tree": (change_model({"trees": [7]}), "does not have the parts"),
    "no list": (change_model({"trees": {"0": 1}}), "not a list"),
    "tree of no class": (change_model({"tree_info": [99]}), "tree_info"),
    "rounds": (change_model({"iteration_indptr": [0, 5000]}), "iteration_indptr"),
    "number of trees": (
        change_model({"gbtree_model_param": {"num_parallel_tree": "1", "num_trees": "9"}}),
        "gbtree_model_param",
    ),
    "more parallel trees": (
        change_model({"gbtree_model_param": {"num_parallel_tree": "7", "num_trees": "1"}}),
        "gradient_booster",
    ),
    "other objective": (
        lambda d: d["learner"]["objective"].update(name="reg:squarederror"),
        "objective is",
    ),
    "more inputs": (
        lambda d: d["learner"]["learner_model_param"].update(num_feature="31"),
        "learner_model_param",
    ),
    "attributes": (lambda d: d["learner"]["attributes"].update(a="b"), "attributes"),
    "other booster": (
        lambda d: d["learner"]["gradient_booster"].update(name="dart"),
        "gradient_booster",
    ),
    "more at the top": (lambda d: d.update(config={}), "unknown parts"),
    "no learner": (lambda d: d.pop("learner"), "lacks 'learner'"),
}


def find_trees(document: Any) -> Any:
    return document["learner"]["gradient_booster"]["model"]["trees"]


class TestHostileWeights:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_model_is_refused(self, name: str):
        change, message = HOSTILE[name]
        one = learner()
        document = parse_document(one.mli_propose_weights())
        change(document)
        before = one.mli_get_current_weights()
        for use in (one.mli_test_weights, one.mli_accept_weights):
            with pytest.raises(WeightsMismatch, match=message):
                use(Weights({"model": json.dumps(document).encode()}))
        assert one.mli_get_current_weights() == before

    @pytest.mark.parametrize(
        "tree",
        [
            *(None, [], {}, {"model": "text"}, {"model": b"", "more": b""}),
            *({"model": data} for data in (b"", b"{}", b"[]", b"{L\x00", b"[" * 10_000, b"null")),
        ],
        ids=repr,
    )
    def test_weights_that_are_not_a_model_are_refused(self, tree: Any):
        with pytest.raises(WeightsMismatch):
            learner().mli_test_weights(Weights(tree))

    def test_nan_and_infinity_are_refused(self):
        one = learner()
        data = one.mli_propose_weights().weights["model"]
        value = str(get_trees(Weights({"model": data}))[0]["split_conditions"][0])
        for bad in (b"NaN", b"Infinity", b"1e999"):
            with pytest.raises(WeightsMismatch, match="not JSON"):
                one.mli_test_weights(Weights({"model": data.replace(value.encode(), bad, 1)}))

    def test_model_with_other_classes_or_inputs_is_refused(self):
        for params, load in TASKS[1:]:
            with pytest.raises(WeightsMismatch, match=r"learner_model_param|objective"):
                learner().mli_test_weights(learner(params, load).mli_propose_weights())

    def test_model_of_another_xgboost_version_is_accepted(self):
        one = learner()
        document = parse_document(one.mli_propose_weights())
        document["version"] = [3, 1, 9]
        assert one.mli_test_weights(Weights({"model": json.dumps(document).encode()})).vote is True


@pytest.mark.parametrize(
    ("params", "options", "error", "message"),
    [
        ({"booster": "gblinear"}, {}, UnsupportedModel, "gblinear"),
        ({"objective": "multi:softmax"}, {}, UnsupportedModel, "multi:softprob"),
        ({"objective": "binary:hinge"}, {}, UnsupportedModel, "probabilities"),
        ({"objective": "no:such"}, {}, InvalidArgument, "refuses the parameters"),
        ({}, {"boost_rounds": 0}, InvalidArgument, "boost_rounds is 0"),
        ({}, {"criterion": "auc"}, InvalidArgument, "auc"),
    ],
)
def test_invalid_arguments_are_refused_by_the_constructor(
    params: Any, options: Any, error: Any, message: str
):
    with pytest.raises(error, match=message):
        learner(BINARY | params, **options)


def test_invalid_records_are_refused_by_the_constructor():
    inputs, targets = load_breast_cancer(return_X_y=True)
    for bad in ((inputs, targets[:-1]), (inputs[:0], targets[:0]), (targets, targets)):
        with pytest.raises(InvalidData, match="train_data needs inputs"):
            XGBoostLearner(BINARY, bad, (inputs, targets))
    with pytest.raises(InvalidData, match="from 0 to 1"):
        XGBoostLearner(BINARY, (inputs, targets + 1), (inputs, targets))
