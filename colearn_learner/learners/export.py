"""A learner's current model as one file, for use without this package."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from colearn_learner.errors import UnsupportedModel
from colearn_learner.learners.onnx import onnx_file

__all__ = ["MODEL_FORMATS", "exported_model"]


def exported_model(learner: Any, model_format: str) -> bytes:
    """Return the file of a learner's current model.

    Args:
        learner: any learner with ``mli_get_current_model`` for ``onnx``; one that has a Keras
            model as ``model`` for ``keras``.
        model_format: one of `MODEL_FORMATS`.

    Raises:
        UnsupportedModel: the learner has no model of this format.
        MissingPackage: a converter is not installed.
    """
    return MODEL_FORMATS[model_format](learner)


def _onnx(learner: Any) -> bytes:
    file = onnx_file(learner.mli_get_current_model())
    if file is None:
        raise UnsupportedModel(
            f"mli_get_current_model of this {type(learner).__name__} gives no ONNX model"
        )
    return file


def _keras(learner: Any) -> bytes:
    keras, model = sys.modules.get("keras"), getattr(learner, "model", None)
    if keras is None or not isinstance(model, keras.Model):
        raise UnsupportedModel(
            f"this {type(learner).__name__} has no Keras model; --format onnx takes other learners"
        )
    try:  # a copy that is not compiled: losses and metrics of one's own hinder who loads it
        bare = type(model).from_config(model.get_config())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UnsupportedModel(f"Keras can't write {model.name}: {error}") from error
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory(prefix="colearn-") as folder:
        path = Path(folder, "model.keras")
        bare.save(path)
        return path.read_bytes()


MODEL_FORMATS: dict[str, Callable[[Any], bytes]] = {"onnx": _onnx, "keras": _keras}
"""What makes a file of each format."""
