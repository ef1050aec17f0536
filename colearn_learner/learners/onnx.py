"""Convert whole models to ONNX, for use elsewhere."""

from __future__ import annotations

import copy
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

from colearn_learner.errors import InvalidArgument, MissingPackage, UnsupportedModel
from colearn_learner.interface import ModelFormat
from colearn_ledger.text.strict_json import dump, load

_HOW_TO_INSTALL = "ONNX needs: pip install 'colearn-ledger[onnx]'"


def convert_model_to_onnx(model: Any, *, example: Any = None) -> Any:
    """Return a fitted scikit-learn, XGBoost, Keras or PyTorch model as an ``onnx.ModelProto``.

    The input of a scikit-learn or XGBoost model is named ``inputs``, shape (records, features),
    float32. The only input of a Keras or PyTorch model is named ``inputs`` too, and several inputs
    keep their names. Shapes and types are the model's; the number of records is left open.

    Args:
        model: a model of one of these kinds.
        example: inputs of a PyTorch model, a batch of at least one record, because a PyTorch
            model does not describe its inputs.

    Raises:
        MissingPackage: the converter is not installed.
        UnsupportedModel: the model is of another kind, was never called, or has no converter.
        InvalidArgument: an example is needed.
    """
    # a caller with a model of one of these frameworks has imported the framework
    keras, torch, xgboost = (sys.modules.get(name) for name in ("keras", "torch", "xgboost"))
    if keras is not None and isinstance(model, keras.Model):
        return _convert_keras(model, keras)
    if torch is not None and isinstance(model, torch.nn.Module):
        return _convert_torch(model, torch, example)
    if xgboost is not None and isinstance(model, xgboost.Booster | xgboost.XGBModel):
        return _convert_xgboost(model, xgboost)
    if hasattr(model, "n_features_in_"):
        return _convert_sklearn(model)
    raise UnsupportedModel(
        f"a {type(model).__name__} cannot be converted to ONNX; only fitted scikit-learn and "
        "XGBoost models, Keras models and PyTorch models can"
    )


def _convert_sklearn(model: Any) -> Any:
    try:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError as error:
        raise MissingPackage(_HOW_TO_INSTALL) from error
    inputs = [("inputs", FloatTensorType([None, model.n_features_in_]))]
    try:
        return to_onnx(model, initial_types=inputs)
    except (RuntimeError, NotImplementedError) as error:
        raise UnsupportedModel(
            f"skl2onnx cannot convert {type(model).__name__}: {error}"
        ) from error


def _convert_keras(model: Any, keras: Any) -> Any:
    try:
        import onnx
        import tf2onnx  # noqa: F401 - Keras calls it
    except ImportError as error:
        raise MissingPackage(_HOW_TO_INSTALL) from error
    inputs = getattr(model, "inputs", None) or []  # a subclassed model has no inputs
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
            raise UnsupportedModel(f"Keras cannot convert {model.name}: {error}") from error
    return proto


def _convert_torch(model: Any, torch: Any, example: Any) -> Any:
    if example is None:
        raise InvalidArgument(
            "a PyTorch model needs an example of its inputs; pass a batch of them as example"
        )
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch calls it
    except ImportError as error:
        raise MissingPackage(_HOW_TO_INSTALL) from error
    inputs = tuple(example) if isinstance(example, list | tuple) else (example,)
    # with fewer than two records, torch would treat their number as a constant
    two = tuple(torch.cat([i[:1], i[:1]]) for i in inputs)
    # it warns that torchvision is missing, which it does not need
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    try:
        program = torch.onnx.export(
            copy.deepcopy(model).eval(),
            two,
            input_names=["inputs"] if len(two) == 1 else None,
            dynamic_shapes=tuple({0: torch.export.Dim("records")} for _ in two),
            dynamo=True,
            verbose=False,
        )
        proto = program.model_proto
        onnx.checker.check_model(proto)
    except (RuntimeError, ValueError, TypeError, onnx.checker.ValidationError) as error:
        raise UnsupportedModel(f"torch cannot convert {type(model).__name__}: {error}") from error
    return proto


def _convert_xgboost(model: Any, xgboost: Any) -> Any:
    try:
        from onnxmltools import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType
    except ImportError as error:
        raise MissingPackage(_HOW_TO_INSTALL) from error
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if not booster.num_boosted_rounds():
        raise UnsupportedModel(
            "this XGBoost model cannot be converted to ONNX: it has no trees yet"
        )
    if model is booster:
        model = _set_covers(booster, xgboost)
    inputs = [("inputs", FloatTensorType([None, booster.num_features()]))]
    try:
        return convert_xgboost(model, initial_types=inputs)
    except (RuntimeError, NotImplementedError, ValueError, KeyError) as error:
        raise UnsupportedModel(f"onnxmltools cannot convert this XGBoost model: {error}") from error


def _set_covers(booster: Any, xgboost: Any) -> Any:
    """Return a booster of the same predictions that onnxmltools takes for what it is.

    It takes trees without a fractional cover (``sum_hessian``) for a regression, and those of
    `XGBoostLearner` have no covers.
    """
    document = load(bytes(booster.save_raw("json")))
    learner = document["learner"]
    if not learner["objective"]["name"].startswith(("binary:", "multi:")):
        return booster
    for tree in learner["gradient_booster"].get("model", {}).get("trees", ()):
        tree["sum_hessian"] = [0.5] * len(tree["sum_hessian"])
    copied = xgboost.Booster()
    copied.load_model(bytearray(dump(document)))
    return copied


def deser_model(model: Any) -> Any:
    """Return the ``onnx.ModelProto`` of its serialised bytes, checked.

    Raises:
        MissingPackage: onnx is not installed.
        UnsupportedModel: the bytes are not a valid ONNX model.
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
        raise UnsupportedModel(f"these bytes are not an ONNX model: {error}") from error
    return proto


def onnx_file(exported: Any) -> bytes | None:
    """Return the ONNX file of a `ColearnModel` or a similar object; None if it is not ONNX."""
    if getattr(getattr(exported, "model_format", None), "name", None) != ModelFormat.ONNX.name:
        return None
    if hasattr(exported.model, "SerializeToString"):
        return bytes(exported.model.SerializeToString())
    if isinstance(exported.model, bytes):
        return exported.model
    if exported.model is None and exported.model_file is not None:
        return Path(exported.model_file).read_bytes()
    return None
