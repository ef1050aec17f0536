"""Whole models as ONNX, for use elsewhere."""

from __future__ import annotations

from typing import Any

from colearn_learner.errors import MissingPackage, UnsupportedModel

__all__ = ["convert_model_to_onnx", "deser_model"]


def convert_model_to_onnx(model: Any) -> Any:
    """Return a fitted scikit-learn model as an ``onnx.ModelProto``.

    Its input ``inputs`` has shape (records, features), float32. Models of other frameworks are
    not converted yet.

    Raises:
        MissingPackage: skl2onnx is not installed.
        UnsupportedModel: the model is of another kind, or has no converter.
    """
    if not hasattr(model, "n_features_in_"):
        raise UnsupportedModel(
            f"a {type(model).__name__} can't be converted to ONNX: "
            "only fitted scikit-learn models can"
        )
    try:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError as error:
        raise MissingPackage("ONNX needs: pip install 'colearn-ledger[onnx]'") from error
    inputs = [("inputs", FloatTensorType([None, model.n_features_in_]))]
    try:
        return to_onnx(model, initial_types=inputs)
    except (RuntimeError, NotImplementedError) as error:
        raise UnsupportedModel(f"skl2onnx can't convert {type(model).__name__}: {error}") from error


def deser_model(model: Any) -> Any:
    """Return the ``onnx.ModelProto`` of its serialised bytes, checked.

    Raises:
        MissingPackage: onnx is not installed.
        UnsupportedModel: the bytes are no valid ONNX model.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingPackage("ONNX needs: pip install 'colearn-ledger[onnx]'") from error
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load_model_from_string(bytes(model))
        onnx.checker.check_model(proto)
    except (DecodeError, onnx.checker.ValidationError, TypeError) as error:
        raise UnsupportedModel(f"these bytes are no ONNX model: {error}") from error
    return proto
