"""Messages between an agent and a learner on another machine, including malformed ones."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_learner.conversion import approves, scores_of
from colearn_learner.errors import UnsupportedModel
from colearn_learner.interface import (
    ColearnModel,
    DiffPrivBudget,
    ErrorCodes,
    ModelFormat,
    ProposedWeights,
    TrainingSummary,
    Weights,
)
from colearn_learner.remote import learner_pb2 as pb
from colearn_learner.remote.addresses import Address, clean_token, is_address
from colearn_learner.remote.errors import BadMessage, InvalidAddress, InvalidToken, TooLarge
from colearn_learner.remote.messages import PART, Message, frames, read_message
from colearn_learner.remote.values import (
    answer_from_proto,
    answer_to_proto,
    model_from_bytes,
    model_to_bytes,
    weights_from_bytes,
    weights_to_bytes,
)

# ------------------------------------------------------------------ frames


def response(body: bytes | None = None, **fields: Any) -> Message[pb.ResponseHead]:
    return Message(pb.ResponseHead(**fields), body)


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 5])
def test_body_travels_in_parts_of_at_most_a_mebibyte(size: int):
    body = np.random.default_rng(size).bytes(size)
    for message in (response(body, instance="a"), Message(pb.RequestHead(holds=b"a"), body)):
        sent = list(frames(message))
        parts = [len(frame.part) for frame in sent[1:]]
        assert parts == [PART] * (size // PART) + [size % PART] * (size % PART > 0)
        assert read_message(sent, max_bytes=size) == message


def test_missing_body_differs_from_an_empty_one():
    assert read_message(frames(response()), max_bytes=0).body is None
    assert read_message(frames(response(b"")), max_bytes=0).body == b""


def test_too_large_body_is_refused_before_a_part_is_read():
    def send_frames() -> Iterator[pb.Response]:
        yield next(frames(response(b"12345")))
        raise AssertionError("a part was read")

    with pytest.raises(TooLarge, match="5 bytes are announced and 4 are allowed"):
        read_message(send_frames(), max_bytes=4)


def test_endless_body_is_refused_once_it_exceeds_the_announced_size():
    def send_frames() -> Iterator[pb.Response]:
        yield next(frames(response(b"12345")))
        for _ in range(6):
            yield pb.Response(part=b"1")
        raise AssertionError("reading continued")

    with pytest.raises(TooLarge, match="more than the 5"):
        read_message(send_frames(), max_bytes=100)


HEAD, BODY = frames(response(b"12345", instance="a"))


def head(**announced: Any) -> pb.Response:
    changed = pb.Response()
    changed.CopyFrom(HEAD)
    for name, value in announced.items():
        setattr(changed.head.body, name, value)
    return changed


def part(data: bytes) -> pb.Response:
    return pb.Response(part=data)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ([], "not a head"),
        ([pb.Response()], "not a head"),
        ([BODY], "not a head"),
        ([pb.Response(head=pb.ResponseHead(failure="x" * 70_000))], "65536 are allowed"),
        ([pb.Response(head=pb.ResponseHead()), BODY], "not announced"),
        ([HEAD], "0 bytes were received of the 5"),
        ([HEAD, part(b"1234")], "4 bytes were received of the 5"),
        ([HEAD, BODY, part(b"")], "a part has 0 bytes"),
        ([HEAD, BODY, HEAD], "a part has 0 bytes"),
        ([HEAD, pb.Response(), BODY], "a part has 0 bytes"),
        ([head(size=PART + 1), part(bytes(PART + 1))], "a part has 1048577 bytes"),
        ([HEAD, part(b"12346")], "its SHA-256 differs"),
        ([head(sha256=b"ab"), BODY], "its SHA-256 differs"),
    ],
)
def test_malformed_messages_are_refused(sent: list[pb.Response], error: str):
    with pytest.raises(BadMessage, match=error):
        read_message(sent, max_bytes=10 * PART)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=4))
def test_random_frames_raise_only_bad_message(sent: list[bytes]):
    received = []
    for data in sent:
        with suppress(DecodeError):
            received.append(pb.Response.FromString(data))
    with suppress(BadMessage):
        read_message(received, max_bytes=100)


def test_too_large_head_is_not_sent():
    with pytest.raises(BadMessage, match="the head has"):
        list(frames(response(failure="x" * 70_000)))


def test_repr_of_a_message_hides_its_weights():
    assert "12345" not in repr(response(b"12345"))


def test_generated_code_matches_the_proto_file():
    root = Path(__file__).parents[2]
    check = subprocess.run(
        [sys.executable, "scripts/build_proto.py", "--check"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr


# ------------------------------------------------------------------ values


def send_over_the_wire(proposed: Any) -> ProposedWeights:
    """Convert a learner's answer to a message and back, as the agent receives it."""
    (sent,) = frames(response(tested=answer_to_proto(proposed)))
    received = pb.Response.FromString(sent.SerializeToString())
    return answer_from_proto(read_message([received], max_bytes=0).head, Weights([1]))


def bits(score: float) -> bytes:
    return struct.pack(">d", score)


@settings(deadline=None)
@given(st.floats(), st.floats(), st.sampled_from([True, False, None]), st.booleans())
def test_scores_and_vote_survive_the_conversion(vote_score, test_score, vote, tested):
    answer = ProposedWeights(Weights([1]), vote_score, test_score, vote, tested)
    got = send_over_the_wire(answer)
    assert (got.vote, got.has_test_score) == (vote, tested)
    for mine, theirs in ((vote_score, got.vote_score), (test_score, got.test_score)):
        assert math.isnan(theirs) if math.isnan(mine) else bits(theirs) == bits(mine)
    assert approves(got) == approves(answer)
    assert scores_of(got) == scores_of(answer)


@pytest.mark.parametrize(
    "answer",
    [
        SimpleNamespace(vote_score=0.5, test_score=0.25, vote=True),  # all fields of the ancestor
        SimpleNamespace(vote_score=np.float32(0.5), test_score=np.array(2), vote=np.True_),
        SimpleNamespace(vote_score=None, test_score="much", vote=None),
        SimpleNamespace(),
        SimpleNamespace(vote_score=0.5, test_score=0, vote=1, has_test_score=False),
    ],
)
def test_objects_like_an_answer_are_converted_as_the_agent_would(answer: Any):
    got = send_over_the_wire(answer)
    assert (approves(got), scores_of(got)) == (approves(answer), scores_of(answer))


def test_response_to_a_test_without_scores_is_refused():
    with pytest.raises(BadMessage, match="no scores and no vote"):
        answer_from_proto(pb.ResponseHead(), Weights([1]))


BUDGET = DiffPrivBudget(1.0, 1e-5, 0.75, 1e-5)


@pytest.mark.parametrize(
    "summary",
    [
        None,
        TrainingSummary(),
        TrainingSummary(dp_budget=BUDGET),
        TrainingSummary(BUDGET, ErrorCodes.DP_BUDGET_EXCEEDED),
    ],
)
def test_weights_and_summary_survive_encoding(summary: TrainingSummary | None):
    tree = {
        "w": [np.arange(6.0).reshape(2, 3), np.array([math.nan, -math.inf])],
        "half": np.ones(3, dtype=ml_dtypes.bfloat16),
        "trees": (b"\x00\x01", "text", 7, True, 0.5, None),
    }
    weights = Weights(tree, training_summary=summary)
    assert weights_from_bytes(weights_to_bytes(weights)) == weights


def test_learner_that_did_not_train_may_send_no_weights():
    spent = Weights(None, TrainingSummary(BUDGET, ErrorCodes.DP_BUDGET_EXCEEDED))
    assert weights_from_bytes(weights_to_bytes(spent)) == spent


@pytest.mark.parametrize("body", [None, b"", b"\x80\x04K\x01.", b"\xff" * 100])
def test_other_bytes_are_not_accepted_as_weights(body: bytes | None):
    with pytest.raises(BadMessage):
        weights_from_bytes(body)


def make_onnx_model() -> onnx.ModelProto:
    float_1 = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    return onnx.helper.make_model(onnx.helper.make_graph([node], "g", float_1[:1], float_1[1:]))


def test_model_survives_encoding_as_onnx(tmp_path):
    model = make_onnx_model()
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    for exported in (
        ColearnModel(ModelFormat.ONNX, None, model),
        ColearnModel(ModelFormat.ONNX, str(path)),
        ColearnModel(ModelFormat.ONNX, None, model.SerializeToString()),
    ):
        assert model_from_bytes(model_to_bytes(exported)) == ColearnModel(
            ModelFormat.ONNX, None, model
        )


@pytest.mark.parametrize(
    "model",
    [
        ColearnModel(ModelFormat.PICKLE_WEIGHTS_ONLY, None, [1]),
        ColearnModel(ModelFormat.ONNX, None, object()),
        ColearnModel(ModelFormat.ONNX),
    ],
)
def test_model_in_another_format_is_refused(model: ColearnModel):
    with pytest.raises(UnsupportedModel, match="only a model in ONNX"):
        model_to_bytes(model)


def test_other_bytes_are_not_accepted_as_a_model():
    with pytest.raises(BadMessage, match="not contain an ONNX"):
        model_from_bytes(b"\xff\xff")


# ------------------------------------------------------------------ addresses and tokens


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("grpc://127.0.0.1:9995", Address("127.0.0.1", 9995, tls=False)),
        ("grpcs://gpu-1.example.org:443/", Address("gpu-1.example.org", 443, tls=True)),
        ("GRPCS://[2001:db8::1]:9995", Address("2001:db8::1", 9995, tls=True)),
    ],
)
def test_address_is_parsed_and_formatted(text: str, address: Address):
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        *("grpc://", "grpc://:1", "grpc://host", "grpc://host:0", "grpc://host:65536"),
        *("grpc://host:1/path", "grpc://host:x", "http://host:1", "host:1", "grpc://host:1?a=b"),
        *("grpc://user:hunter2@host:1", "grpc://::1:1", "grpc://[::1]", "grpc://host:١"),
    ],
)
def test_invalid_address_is_refused_and_not_repeated(text: str):
    with pytest.raises(InvalidAddress, match="grpc://host:port") as refused:
        Address.parse(text)
    assert "hunter2" not in str(refused.value)


def test_address_is_distinguished_from_a_factory():
    assert is_address("grpc://host")
    assert is_address("GRPCS://host:1")
    assert not is_address("package.module:factory")
    assert not is_address("grpc:factory")


def test_newline_of_a_token_file_is_removed():
    assert clean_token("0123456789abcdef\n") == "0123456789abcdef"


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("hunter2", "7 characters and needs at least 16"),
        ("", "empty"),
        ("correct horse battery staple", "a space"),
        ("pässword-pässword", "non-ASCII"),
        ("0123456789abcdef\nsecond-line", "control character"),
    ],
)
def test_invalid_token_is_refused_and_not_repeated(token: str, message: str):
    with pytest.raises(InvalidToken, match=message) as refused:
        clean_token(token)
    assert not token or token not in str(refused.value)
