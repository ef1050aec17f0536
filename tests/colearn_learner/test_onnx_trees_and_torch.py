"""Exported PyTorch, XGBoost and forest models give the same outputs as the learner's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from torch import nn

from colearn_learner import ModelFormat, convert_model_to_onnx, deser_model
from colearn_learner.errors import InvalidArgument, UnsupportedModel
from colearn_learner.learners.forest import ForestLearner
from colearn_learner.learners.pytorch import PytorchLearner
from colearn_learner.learners.xgboost import XGBoostLearner

torch.set_num_threads(1)

IRIS, CANCER, DIABETES = (
    (inputs.astype("float32"), targets)
    for inputs, targets in (
        d(return_X_y=True) for d in (load_iris, load_breast_cancer, load_diabetes)
    )
)


def run_model(proto: Any, *inputs: Any) -> list[Any]:
    """Run a serialised model and return all its outputs."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        deser_model(proto.SerializeToString()).SerializeToString()
    )
    named = zip(session.get_inputs(), inputs, strict=True)
    return session.run(None, {slot.name: array for slot, array in named})


class TestPytorch:
    def test_export_has_the_current_weights_for_any_number_of_records(self):
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Flatten(),
            nn.Linear(144, 3),
        )
        images = torch.rand(20, 1, 8, 8)
        batch = [(images, torch.arange(20) % 3)]
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        one = PytorchLearner(model, optimizer, batch, criterion=nn.CrossEntropyLoss())
        one.mli_accept_weights(one.mli_propose_weights())
        before, training = one.mli_get_current_weights(), model.training
        exported = one.mli_get_current_model()
        assert exported.model_format is ModelFormat.ONNX
        assert [slot.name for slot in exported.model.graph.input] == ["inputs"]
        assert (one.mli_get_current_weights(), model.training) == (before, training)
        model.eval()
        for count in (1, 7, 20):
            (found,) = run_model(exported.model, images[:count].numpy())
            expected = model(images[:count]).detach().numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)

    def test_model_needs_an_example_of_its_inputs(self):
        with pytest.raises(InvalidArgument, match="example"):
            convert_model_to_onnx(nn.Linear(2, 2))

    def test_layer_without_converter_is_refused(self):
        class Odd(nn.Module):
            def forward(self, inputs: Any) -> Any:
                return torch.linalg.matrix_exp(inputs)

        with pytest.raises(UnsupportedModel, match="torch cannot convert Odd"):
            convert_model_to_onnx(Odd(), example=torch.rand(2, 3, 3))


class TestXGBoost:
    @pytest.mark.parametrize(
        ("params", "data"),
        [
            ({"objective": "binary:logistic"}, CANCER),
            ({"objective": "multi:softprob", "num_class": 3}, IRIS),
            ({"base_score": 150.0}, DIABETES),
        ],
    )
    def test_export_has_the_current_trees(self, params: Any, data: Any):
        one = XGBoostLearner({**params, "max_depth": 3, "nthread": 1}, data, data, boost_rounds=5)
        one.mli_accept_weights(one.mli_propose_weights())
        expected = one.model.predict(xgboost.DMatrix(data[0]))
        found = run_model(one.mli_get_current_model().model, data[0])[-1]
        if params.get("objective") == "binary:logistic":
            found = found[:, 1]
        np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)

    def test_model_without_trees_is_refused(self):
        with pytest.raises(UnsupportedModel, match="no trees yet"):
            XGBoostLearner({}, DIABETES, DIABETES).mli_get_current_model()


def test_classification_forest_is_exported():
    one = ForestLearner(RandomForestClassifier(max_depth=4), IRIS, IRIS, trees_per_round=5)
    one.mli_accept_weights(one.mli_propose_weights())
    classes, chances = run_model(one.mli_get_current_model().model, IRIS[0])
    np.testing.assert_array_equal(classes, one.model.predict(IRIS[0]))
    expected = one.model.predict_proba(IRIS[0])
    np.testing.assert_allclose([[row[c] for c in range(3)] for row in chances], expected, atol=1e-5)


def test_regression_forest_is_exported():
    model = ExtraTreesRegressor(max_depth=4, random_state=1)
    one = ForestLearner(model, DIABETES, DIABETES, trees_per_round=5)
    one.mli_accept_weights(one.mli_propose_weights())
    (found,) = run_model(one.mli_get_current_model().model, DIABETES[0])
    np.testing.assert_allclose(found.ravel(), one.model.predict(DIABETES[0]), rtol=1e-4)
