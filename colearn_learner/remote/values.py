"""Between a learner's values and what travels: files of weights and JSON, never pickles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from colearn_learner.conversion import scores_of, summary_from_json, summary_to_json
from colearn_learner.errors import MissingPackage, UnsupportedModel
from colearn_learner.interface import ColearnModel, ModelFormat, ProposedWeights, Weights
from colearn_learner.learners.onnx import onnx_file
from colearn_learner.remote.errors import BadMessage
from colearn_ledger.weights.codec import decode_weights, encode_weights
from colearn_ledger.weights.errors import WeightsError

__all__ = [
    "answer_in",
    "answer_to_json",
    "model_in",
    "model_to_bytes",
    "weights_in",
    "weights_to_bytes",
]

_FIELDS = {"vote_score", "test_score", "vote", "has_test_score"}


def weights_to_bytes(weights: Any) -> bytes:
    """Return the file of a learner's `Weights`, or of what looks like it, summary included.

    Raises:
        UnsupportedWeights: they are of a type that can not travel.
    """
    summary = summary_to_json(getattr(weights, "training_summary", None))
    return encode_weights(weights.weights, summary=summary)


def weights_in(body: bytes | bytearray | None) -> Weights:
    """Return the weights in a file; NaN and infinity too, it is the agent who refuses them.

    Raises:
        BadMessage: it is no file of weights.
    """
    if body is None:
        raise BadMessage("weights have to come, and none did")
    try:
        decoded = decode_weights(body, allow_non_finite=True)
    except WeightsError as error:
        raise BadMessage(f"what came are no weights: {error}") from error
    return Weights(decoded.weights, training_summary=summary_from_json(decoded.summary))


def answer_to_json(proposed: Any) -> dict[str, Any]:
    """Return a learner's `ProposedWeights`, or what looks like it, without the weights.

    A score travels as its bits in hexadecimal, so that NaN and infinity do; one that is no number
    is NaN.
    """
    scores = scores_of(
        SimpleNamespace(
            vote_score=getattr(proposed, "vote_score", None),
            test_score=getattr(proposed, "test_score", None),
        )
    )
    vote = getattr(proposed, "vote", None)
    return {
        "vote_score": _bits(scores.vote_score),
        "test_score": _bits(scores.test_score),
        "vote": None if vote is None else bool(vote),
        "has_test_score": bool(getattr(proposed, "has_test_score", True)),
    }


def answer_in(value: Any, weights: Weights) -> ProposedWeights:
    """Return what a learner said of weights that it was given.

    Raises:
        BadMessage: the JSON is none that `answer_to_json` writes.
    """
    if not isinstance(value, Mapping) or set(value) != _FIELDS:
        raise BadMessage(f"what a learner says of weights has {', '.join(sorted(_FIELDS))}")
    vote, has_test_score = value["vote"], value["has_test_score"]
    if type(vote) not in (bool, type(None)) or type(has_test_score) is not bool:
        raise BadMessage("a vote is true, false or null, and has_test_score true or false")
    return ProposedWeights(
        weights=weights,
        vote_score=_score(value["vote_score"]),
        test_score=_score(value["test_score"]),
        vote=vote,
        has_test_score=has_test_score,
    )


def model_to_bytes(model: ColearnModel) -> bytes:
    """Return a whole model as an ONNX file.

    Raises:
        UnsupportedModel: it is held in another way.
    """
    file = onnx_file(model)
    if file is None:
        raise UnsupportedModel("only a model in ONNX can be fetched from another machine")
    return file


def model_in(body: bytes | bytearray | None) -> ColearnModel:
    """Return the model in an ONNX file.

    Raises:
        MissingPackage: onnx is not installed.
        BadMessage: it is no ONNX file.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingPackage("ONNX needs: pip install 'colearn-ledger[onnx]'") from error
    try:
        model = onnx.load_model_from_string(bytes(body or b""))
    except DecodeError as error:
        raise BadMessage("what came is no ONNX model") from error
    return ColearnModel(ModelFormat.ONNX, None, model)


def _bits(score: float | None) -> str:
    return (math.nan if score is None else score).hex()


def _score(value: Any) -> float:
    try:
        return float.fromhex(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadMessage("a score is a floating point number in hexadecimal") from error
