"""A model exported as ONNX gives the same outputs on another runtime."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier, SGDRegressor

from colearn_learner import ModelFormat, convert_model_to_onnx, deser_model
from colearn_learner.errors import UnsupportedModel
from colearn_learner.learners.keras import KerasLearner
from colearn_learner.learners.sklearn import SklearnLearner

INPUTS, TARGETS = load_iris(return_X_y=True)
INPUTS = INPUTS.astype("float32")
DATA = (INPUTS, TARGETS)


def run_model(proto: Any, *inputs: Any) -> list[Any]:
    """Run a serialised model and return all its outputs."""
    import onnxruntime

    session = onnxruntime.InferenceSession(proto.SerializeToString())
    named = zip(session.get_inputs(), inputs, strict=True)
    return session.run(None, {slot.name: array for slot, array in named})


def dense(units: int, activation: str | None = None) -> Any:
    import keras

    return keras.layers.Dense(units, activation=activation)


def keras_learner() -> KerasLearner:
    import keras

    model = keras.Sequential([keras.Input((4,)), dense(8, "relu"), dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return KerasLearner(model, DATA, DATA, model_fit_kwargs={"epochs": 3})


def test_keras_export_has_the_current_weights():
    learner = keras_learner()
    learner.mli_accept_weights(learner.mli_propose_weights())
    exported = learner.mli_get_current_model()
    assert exported.model_format is ModelFormat.ONNX
    (probabilities,) = run_model(exported.model, INPUTS)
    np.testing.assert_allclose(
        probabilities, learner.model.predict(INPUTS, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_keras_proposal_does_not_change_the_export():
    learner = keras_learner()
    (before,) = run_model(learner.mli_get_current_model().model, INPUTS)
    learner.mli_propose_weights()
    (after,) = run_model(learner.mli_get_current_model().model, INPUTS)
    np.testing.assert_array_equal(before, after)


def test_keras_image_model_with_dropout_is_exported():
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            dense(10, "softmax"),
        ]
    )
    images = np.random.default_rng(1).random((5, 8, 8, 1), dtype="float32")
    (found,) = run_model(convert_model_to_onnx(model), images)
    np.testing.assert_allclose(found, model.predict(images, verbose=0), rtol=1e-5, atol=1e-6)


def test_keras_inputs_keep_their_names_and_order():
    import keras

    left, right = keras.Input((4,)), keras.Input((2,))
    model = keras.Model([left, right], dense(1)(keras.layers.Concatenate()([left, right])))
    both = [INPUTS, INPUTS[:, :2]]
    expected = model(both)
    (found,) = run_model(convert_model_to_onnx(model), *both)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", [SGDClassifier(random_state=1), SGDRegressor(random_state=1)])
def test_scikit_learn_export_has_the_current_weights(model: Any):
    learner = SklearnLearner(model, DATA, DATA, criterion=lambda m, x, y: float(m.score(x, y)))
    learner.mli_accept_weights(learner.mli_propose_weights())
    exported = learner.mli_get_current_model().model
    assert exported.graph.input[0].name == "inputs"
    found = run_model(exported, INPUTS)[0].ravel()
    np.testing.assert_allclose(found, learner.model.predict(INPUTS), rtol=1e-5, atol=1e-5)


def test_model_survives_serialisation():
    model = keras_learner().mli_get_current_model().model
    assert deser_model(model.SerializeToString()) == model
    assert [slot.name for slot in model.graph.input] == ["inputs"]


def make_unbuilt_model() -> Any:
    import keras

    return keras.Sequential([dense(2)])


def make_model_without_converter() -> Any:
    import keras
    import tensorflow as tf

    class Logarithm(keras.layers.Layer):
        def call(self, matrix: Any) -> Any:
            return tf.linalg.logm(tf.cast(matrix, tf.complex64))

    return keras.Sequential([keras.Input((3, 3)), Logarithm()])


@pytest.mark.parametrize("make", [object, make_unbuilt_model, make_model_without_converter])
def test_unsupported_models_are_refused(make: Any):
    with pytest.raises(UnsupportedModel, match="cannot"):
        convert_model_to_onnx(make())


@pytest.mark.parametrize("data", [b"no model", b"", 7])
def test_bytes_that_are_not_a_model_are_refused(data: Any):
    with pytest.raises(UnsupportedModel, match="not an ONNX model"):
        deser_model(data)


@pytest.mark.parametrize("blocked", ["skl2onnx", "tf2onnx", "onnx"])
def test_missing_package_error_names_the_package_to_install(blocked: str):
    convert = {
        "skl2onnx": "from sklearn.linear_model import SGDClassifier;"
        " convert_model_to_onnx(SGDClassifier().fit([[0.0], [1.0]], [0, 1]))",
        "tf2onnx": "import keras; convert_model_to_onnx(keras.Sequential([keras.Input((1,))]))",
        "onnx": "deser_model(b'')",
    }[blocked]
    program = (
        f"import sys; sys.modules[{blocked!r}] = None;"
        f"from colearn_learner import convert_model_to_onnx, deser_model; {convert}"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "MissingPackage: ONNX needs: pip install 'colearn-ledger[onnx]'" in run.stderr
