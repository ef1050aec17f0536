"""Convert a learner's values to and from protobuf and files of weights, without pickles."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from colearn_learner.conversion import scores_of, summary_from_json, summary_to_json
from colearn_learner.errors import MissingPackage, UnsupportedModel
from colearn_learner.interface import ColearnModel, ModelFormat, ProposedWeights, Weights
from colearn_learner.learners.onnx import onnx_file
from colearn_learner.remote import learner_pb2 as pb
from colearn_learner.remote.errors import BadMessage
from colearn_ledger.weights.codec import decode_weights, encode_weights
from colearn_ledger.weights.errors import WeightsError


def weights_to_bytes(weights: Any) -> bytes:
    """Encode a learner's `Weights` or a similar object, with the training summary.

    Raises:
        UnsupportedWeights: the weights are of a type that cannot be encoded.
    """
    summary = summary_to_json(getattr(weights, "training_summary", None))
    return encode_weights(weights.weights, summary=summary)


def weights_from_bytes(body: bytes | bytearray | None) -> Weights:
    """Decode a file of weights.

    NaN and infinity are allowed here; the agent refuses them.

    Raises:
        BadMessage: the body is missing or is not a file of weights.
    """
    if body is None:
        raise BadMessage("weights are missing from the message")
    try:
        decoded = decode_weights(body, allow_non_finite=True)
    except WeightsError as error:
        raise BadMessage(f"the message does not contain weights: {error}") from error
    return Weights(decoded.weights, training_summary=summary_from_json(decoded.summary))


def answer_to_proto(proposed: Any) -> pb.Tested:
    """Convert a learner's `ProposedWeights` or a similar object, without the weights.

    A score that is not a number becomes NaN.
    """
    scores = scores_of(
        SimpleNamespace(
            vote_score=getattr(proposed, "vote_score", None),
            test_score=getattr(proposed, "test_score", None),
        )
    )
    vote = getattr(proposed, "vote", None)
    tested = pb.Tested(
        vote_score=math.nan if scores.vote_score is None else scores.vote_score,
        test_score=math.nan if scores.test_score is None else scores.test_score,
        has_test_score=bool(getattr(proposed, "has_test_score", True)),
    )
    if vote is not None:
        tested.vote = bool(vote)
    return tested


def answer_from_proto(head: pb.ResponseHead, weights: Weights) -> ProposedWeights:
    """Return the scores and the vote in a response to Test.

    Args:
        head: head of the response.
        weights: the weights that were tested.

    Raises:
        BadMessage: the head has no scores and no vote.
    """
    if not head.HasField("tested"):
        raise BadMessage("the response to Test has no scores and no vote")
    tested = head.tested
    return ProposedWeights(
        weights=weights,
        vote_score=tested.vote_score,
        test_score=tested.test_score,
        vote=tested.vote if tested.HasField("vote") else None,
        has_test_score=tested.has_test_score,
    )


def model_to_bytes(model: ColearnModel) -> bytes:
    """Encode a complete model as an ONNX file.

    Raises:
        UnsupportedModel: the model is in another format.
    """
    file = onnx_file(model)
    if file is None:
        raise UnsupportedModel("only a model in ONNX can be fetched from another machine")
    return file


def model_from_bytes(body: bytes | bytearray | None) -> ColearnModel:
    """Decode the model in an ONNX file.

    Raises:
        MissingPackage: onnx is not installed.
        BadMessage: the body is not an ONNX file.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingPackage("ONNX needs: pip install 'colearn-ledger[onnx]'") from error
    try:
        model = onnx.load_model_from_string(bytes(body or b""))
    except DecodeError as error:
        raise BadMessage("the message does not contain an ONNX model") from error
    return ColearnModel(ModelFormat.ONNX, None, model)
