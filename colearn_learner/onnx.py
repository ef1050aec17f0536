"""Whole models as ONNX, for use elsewhere."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from colearn_learner.errors import MissingPackage, UnsupportedModel

__all__ = ["convert_model_to_onnx", "deser_model"]

_HOW_TO_INSTALL = "ONNX needs: pip install 'colearn-ledger[onnx]'"


def convert_model_to_onnx(model: Any) -> Any:
    """Return a fitted scikit-learn model or a Keras model as an ``onnx.ModelProto``.

    The input of a scikit-learn model is named ``inputs``, shape (records, features), float32. A
    Keras model's only input is named ``inputs`` too, and several inputs have the names that they
    have in Keras; shapes and types are the model's, the number of records is free.

    Raises:
        MissingPackage: the converter is not installed.
        UnsupportedModel: the model is of another kind, was never called, or has no converter.
    """
    if hasattr(model, "n_features_in_"):
        return _of_sklearn(model)
    keras = sys.modules.get("keras")  # who holds a Keras model has imported it
    if keras is not None and isinstance(model, keras.Model):
        return _of_keras(model, keras)
    raise UnsupportedModel(
        f"a {type(model).__name__} can't be converted to ONNX: "
        "only fitted scikit-learn models and Keras models can"
    )


def _of_sklearn(model: Any) -> Any:
    try:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError as error:
        raise MissingPackage(_HOW_TO_INSTALL) from error
    inputs = [("inputs", FloatTensorType([None, model.n_features_in_]))]
    try:
        return to_onnx(model, initial_types=inputs)
    except (RuntimeError, NotImplementedError) as error:
        raise UnsupportedModel(f"skl2onnx can't convert {type(model).__name__}: {error}") from error


def _of_keras(model: Any, keras: Any) -> Any:
    try:
        import onnx
        import tf2onnx  # noqa: F401 - Keras calls it
    except ImportError as error:
        raise MissingPackage(_HOW_TO_INSTALL) from error
    inputs = getattr(model, "inputs", None) or []  # a subclassed model has none
    named = [keras.InputSpec(shape=i.shape, dtype=i.dtype, name="inputs") for i in inputs]
    with tempfile.TemporaryDirectory(prefix="colearn-") as folder:
        path = Path(folder, "model.onnx")
        try:
            model.export(
                path,
                format="onnx",
                verbose=False,
                input_signature=named if len(named) == 1 else None,
            )
            proto = onnx.load(path)
            onnx.checker.check_model(proto)
        except (ValueError, TypeError, RuntimeError, onnx.checker.ValidationError) as error:
            raise UnsupportedModel(f"Keras can't convert {model.name}: {error}") from error
    return proto


def deser_model(model: Any) -> Any:
    """Return the ``onnx.ModelProto`` of its serialised bytes, checked.

    Raises:
        MissingPackage: onnx is not installed.
        UnsupportedModel: the bytes are no valid ONNX model.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingPackage(_HOW_TO_INSTALL) from error
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load_model_from_string(bytes(model))
        onnx.checker.check_model(proto)
    except (DecodeError, onnx.checker.ValidationError, TypeError) as error:
        raise UnsupportedModel(f"these bytes are no ONNX model: {error}") from error
    return proto
