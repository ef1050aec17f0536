"""The interface's data types: fields, defaults and values, as learners of `colearn` use them."""

from __future__ import annotations

import abc
import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import colearn_learner
from colearn_learner import (
    ColearnModel,
    DiffPrivBudget,
    DiffPrivConfig,
    ErrorCodes,
    Learner,
    MachineLearningInterface,
    ModelFormat,
    ProposedWeights,
    TrainingSummary,
    Weights,
)
from colearn_learner.errors import InvalidValue, UnsupportedModel

BUDGET: dict[str, Any] = {
    "target_epsilon": 1.0,
    "target_delta": 1e-5,
    "consumed_epsilon": 0.25,
    "consumed_delta": 1e-6,
}
CONFIG: dict[str, Any] = {
    "target_epsilon": 1.0,
    "target_delta": 1e-5,
    "max_grad_norm": 1.5,
    "noise_multiplier": 1.1,
}
FULL: dict[type[Any], dict[str, Any]] = {
    Weights: {"weights": [1.0], "training_summary": TrainingSummary()},
    ProposedWeights: {"weights": Weights(), "vote_score": 0.5, "test_score": 0.25, "vote": True},
    TrainingSummary: {
        "dp_budget": DiffPrivBudget(**BUDGET),
        "error_code": ErrorCodes.DP_BUDGET_EXCEEDED,
    },
    DiffPrivBudget: BUDGET,
    DiffPrivConfig: CONFIG,
    ColearnModel: {"model_format": ModelFormat.ONNX, "model_file": "m.onnx", "model": b"model"},
}
ADDED = {ProposedWeights: ["has_test_score"]}
"""Fields that the ancestor lacks; they come last, so that positions stay the same."""

OPTIONAL: dict[type[Any], dict[str, Any]] = {
    Weights: {"weights": None, "training_summary": None},
    ProposedWeights: {"vote": None, "has_test_score": True},
    TrainingSummary: {"dp_budget": None, "error_code": None},
    ColearnModel: {"model_file": None, "model": None},
}


@pytest.mark.parametrize("kind", FULL, ids=lambda kind: kind.__name__)
class TestEveryType:
    def test_fields_are_the_ancestors_in_order(self, kind: type[Any]):
        names = [field.name for field in fields(kind)]
        assert names == [*FULL[kind], *ADDED.get(kind, [])]

    def test_keywords_become_attributes(self, kind: type[Any]):
        made = kind(**FULL[kind])
        assert {name: getattr(made, name) for name in FULL[kind]} == FULL[kind]

    def test_optional_fields_have_the_ancestors_defaults(self, kind: type[Any]):
        optional = OPTIONAL.get(kind, {})
        required = {k: v for k, v in FULL[kind].items() if k not in optional}
        made = kind(**required)
        assert {name: getattr(made, name) for name in optional} == optional

    def test_other_fields_are_required(self, kind: type[Any]):
        for name in FULL[kind].keys() - OPTIONAL.get(kind, {}).keys():
            with pytest.raises(TypeError, match=name):
                kind(**{k: v for k, v in FULL[kind].items() if k != name})

    def test_unknown_field_is_refused(self, kind: type[Any]):
        with pytest.raises(TypeError, match="vote_scores"):
            kind(**FULL[kind], vote_scores=1.0)

    def test_fields_can_be_assigned(self, kind: type[Any]):
        made = kind(**FULL[kind])
        for name in FULL[kind]:
            setattr(made, name, None)
            assert getattr(made, name) is None

    def test_values_with_equal_fields_are_equal(self, kind: type[Any]):
        made = kind(**FULL[kind])
        assert made == kind(**FULL[kind])
        last = list(FULL[kind])[-1]
        setattr(made, last, "something else")
        assert made != kind(**FULL[kind])
        assert made != FULL[kind]

    def test_mutable_values_have_no_hash(self, kind: type[Any]):
        with pytest.raises(TypeError, match="unhashable"):
            hash(kind(**FULL[kind]))

    def test_package_exports_the_type(self, kind: type[Any]):
        assert getattr(colearn_learner, kind.__name__) is kind


def test_enumerations_have_the_ancestors_values():
    assert {code.name: code.value for code in ErrorCodes} == {"DP_BUDGET_EXCEEDED": 1}
    assert {form.name: form.value for form in ModelFormat} == {
        "PICKLE_WEIGHTS_ONLY": 1,
        "ONNX": 2,
    }


class TestNumbers:
    @pytest.mark.parametrize(
        "score", [0.5, np.float32(0.5), np.array(0.5), np.array([0.5]), "0.5"], ids=repr
    )
    def test_any_kind_of_number_becomes_a_float(self, score: Any):
        made = ProposedWeights(weights=Weights(), vote_score=score, test_score=score)
        assert (type(made.vote_score), type(made.test_score)) == (float, float)
        assert (made.vote_score, made.test_score) == (0.5, 0.5)
        assert DiffPrivConfig(**{**CONFIG, "max_grad_norm": score}).max_grad_norm == 0.5

    def test_score_may_be_nan(self):
        made = ProposedWeights(weights=Weights(), vote_score=math.nan, test_score=math.inf)
        assert math.isnan(made.vote_score)
        assert made.test_score == math.inf

    @pytest.mark.parametrize("score", [None, "high", [0.5], np.array([0.5, 0.6])], ids=repr)
    def test_score_that_is_not_a_number_is_refused_by_name(self, score: Any):
        with pytest.raises(InvalidValue, match=r"ProposedWeights\.vote_score"):
            ProposedWeights(weights=Weights(), vote_score=score, test_score=0.0)
        with pytest.raises(InvalidValue, match=r"ProposedWeights\.test_score"):
            ProposedWeights(weights=Weights(), vote_score=0.0, test_score=score)
        for kind, whole in ((DiffPrivBudget, BUDGET), (DiffPrivConfig, CONFIG)):
            for name in whole:
                with pytest.raises(InvalidValue, match=rf"{kind.__name__}\.{name}"):
                    kind(**{**whole, name: score})


class TestVotes:
    @pytest.mark.parametrize(
        ("given", "vote"),
        [
            (True, True),
            (False, False),
            (None, None),
            (1, True),
            (0, False),
            (np.bool_(True), True),
            (np.array(False), False),
        ],
        ids=repr,
    )
    def test_vote_is_converted_to_true_false_or_none(self, given: Any, vote: bool | None):
        made = ProposedWeights(weights=Weights(), vote_score=0, test_score=0, vote=given)
        assert made.vote is vote

    @pytest.mark.parametrize("given", ["maybe", 2, [], np.array([True, False])], ids=repr)
    def test_other_votes_are_refused(self, given: Any):
        with pytest.raises(InvalidValue, match=r"ProposedWeights\.vote"):
            ProposedWeights(weights=Weights(), vote_score=0, test_score=0, vote=given)


class TestWeights:
    def test_weights_are_not_copied(self):
        tree = {"layers": [np.zeros(3)]}
        assert Weights(weights=tree).weights is tree

    def test_weights_are_equal_if_elements_shapes_and_types_are(self):
        def weights(*arrays: Any) -> Weights:
            return Weights(weights={"layers": list(arrays)})

        assert weights(np.zeros(3), np.ones((2, 2))) == weights(np.zeros(3), np.ones((2, 2)))
        assert weights(np.zeros(3)) != weights(np.array([0.0, 0.0, 1.0]))
        assert weights(np.zeros(4)) != weights(np.zeros((2, 2)))
        assert weights(np.zeros(3)) != weights(np.zeros(3, dtype="int64"))
        assert weights(np.zeros(3)) != weights(np.zeros(3), np.zeros(3))
        assert Weights([np.zeros(3)]) != Weights((np.zeros(3),))

    def test_training_summary_is_part_of_equality(self):
        exceeded = TrainingSummary(error_code=ErrorCodes.DP_BUDGET_EXCEEDED)
        assert Weights([1.0]) != Weights([1.0], training_summary=exceeded)

    def test_proposed_weights_require_a_weights_value(self):
        with pytest.raises(InvalidValue, match="must be a Weights"):
            ProposedWeights(weights=np.zeros(3), vote_score=0, test_score=0)  # type: ignore[arg-type]


class TestNested:
    """Dicts and plain values become the nested types, as pydantic did for the ancestor."""

    def test_nested_dicts_become_values(self):
        summary = {"dp_budget": BUDGET, "error_code": 1}
        made = ProposedWeights(
            weights={"weights": [1], "training_summary": summary},  # type: ignore[arg-type]
            vote_score=0,
            test_score=0,
        )
        assert made.weights.weights == [1]
        assert made.weights.training_summary == TrainingSummary(
            dp_budget=DiffPrivBudget(**BUDGET), error_code=ErrorCodes.DP_BUDGET_EXCEEDED
        )

    @pytest.mark.parametrize("value", [2, ModelFormat.ONNX])
    def test_enumeration_values_become_members(self, value: Any):
        assert ColearnModel(model_format=value).model_format is ModelFormat.ONNX

    def test_unknown_enumeration_value_error_lists_the_known_ones(self):
        with pytest.raises(InvalidValue, match=r"PICKLE_WEIGHTS_ONLY \(1\), ONNX \(2\)"):
            ColearnModel(model_format=3)  # type: ignore[arg-type]
        with pytest.raises(InvalidValue, match=r"DP_BUDGET_EXCEEDED \(1\)"):
            TrainingSummary(error_code=7)  # type: ignore[arg-type]


METHODS = {
    "mli_propose_weights",
    "mli_test_weights",
    "mli_accept_weights",
    "mli_get_current_weights",
    "mli_get_current_model",
}


class TestMachineLearningInterface:
    def test_methods_except_the_export_are_abstract(self):
        assert issubclass(MachineLearningInterface, abc.ABC)
        assert MachineLearningInterface.__abstractmethods__ == METHODS - {"mli_get_current_model"}
        with pytest.raises(TypeError, match="abstract"):
            MachineLearningInterface()  # type: ignore[abstract]

    def test_learner_without_export_names_the_missing_method(self):
        """Learners for the published version of the `colearn` library have four methods."""
        four = dict.fromkeys(METHODS - {"mli_get_current_model"}, lambda self, *_: None)
        learner = type("IrisLearner", (MachineLearningInterface,), four)()
        assert isinstance(learner, Learner)
        with pytest.raises(UnsupportedModel, match="IrisLearner has no method mli_get_current"):
            learner.mli_get_current_model()

    def test_any_object_with_the_five_methods_is_a_learner(self):
        whole = type("Whole", (), dict.fromkeys(METHODS, lambda self, *_: None))
        assert isinstance(whole(), Learner)
        for name in METHODS:
            rest = dict.fromkeys(METHODS - {name}, lambda self, *_: None)
            assert not isinstance(type("Part", (), rest)(), Learner)
