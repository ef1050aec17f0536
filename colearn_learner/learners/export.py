"""Export a learner's current model as one file, for use without this package."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from colearn_learner.errors import UnsupportedModel
from colearn_learner.learners.onnx import onnx_file


def exported_model(learner: Any, model_format: str) -> bytes:
    """Return the file of a learner's current model.

    Args:
        learner: for ``onnx`` any learner with ``mli_get_current_model``; for ``keras`` a learner
            with a Keras model as its attribute ``model``.
        model_format: one of `MODEL_FORMATS`.

    Raises:
        UnsupportedModel: the learner has no model of this format.
        MissingPackage: a converter is not installed.
    """
    return MODEL_FORMATS[model_format](learner)


def _to_onnx(learner: Any) -> bytes:
    file = onnx_file(learner.mli_get_current_model())
    if file is None:
        raise UnsupportedModel(
            f"mli_get_current_model of this {type(learner).__name__} does not return an ONNX "
            "model; let it return one, or export the weights alone with --format safetensors"
        )
    return file


def _to_keras(learner: Any) -> bytes:
    keras, model = sys.modules.get("keras"), getattr(learner, "model", None)
    if keras is None or not isinstance(model, keras.Model):
        raise UnsupportedModel(
            f"this {type(learner).__name__} has no Keras model; export it with --format onnx"
        )
    try:  # an uncompiled copy, as custom losses and metrics would prevent loading it elsewhere
        bare = type(model).from_config(model.get_config())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UnsupportedModel(f"Keras cannot write {model.name}: {error}") from error
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory(prefix="colearn-") as folder:
        path = Path(folder, "model.keras")
        bare.save(path)
        return path.read_bytes()


MODEL_FORMATS: dict[str, Callable[[Any], bytes]] = {"onnx": _to_onnx, "keras": _to_keras}
"""The function that writes each format."""
