"""What travels between an agent and a learner on another machine, and what of it is refused."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_learner.conversion import scores_of, vote_of
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
from colearn_learner.remote.addresses import Address, checked_token, is_address
from colearn_learner.remote.errors import BadMessage, InvalidAddress, InvalidToken, TooLarge
from colearn_learner.remote.messages import PART, Message, frames, read_message
from colearn_learner.remote.values import (
    answer_in,
    answer_to_json,
    model_in,
    model_to_bytes,
    weights_in,
    weights_to_bytes,
)

# ------------------------------------------------------------------ frames


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 5])
def test_a_body_arrives_in_parts_of_a_mebibyte_at_most(size: int):
    body = np.random.default_rng(size).bytes(size)
    sent = list(frames(Message({"a": 1}, body)))
    assert [len(part) for part in sent[1:]] == [PART] * (size // PART) + [size % PART] * (
        size % PART > 0
    )
    assert read_message(sent, max_bytes=size) == Message({"a": 1}, body)


def test_no_body_is_not_an_empty_one():
    assert read_message(frames(Message({})), max_bytes=0).body is None
    assert read_message(frames(Message({}, b"")), max_bytes=0).body == b""


def test_too_large_a_body_is_refused_before_a_part_of_it_is_taken():
    def sent() -> Iterator[bytes]:
        yield next(frames(Message({}, b"12345")))
        raise AssertionError("a part was taken")

    with pytest.raises(TooLarge, match="5 bytes are announced and 4 are allowed"):
        read_message(sent(), max_bytes=4)


def test_a_body_that_never_ends_is_left_when_it_is_longer_than_announced():
    def sent() -> Iterator[bytes]:
        yield next(frames(Message({}, b"12345")))
        for _ in range(6):
            yield b"1"
        raise AssertionError("it was read on")

    with pytest.raises(TooLarge, match="more than the 5 bytes"):
        read_message(sent(), max_bytes=100)


HEAD, BODY = frames(Message({"a": 1}, b"12345"))


def head(**announced: Any) -> bytes:
    whole = json.loads(HEAD)
    return json.dumps({**whole, "body": {**whole["body"], **announced}}).encode()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ([], "a head of 1 to"),
        ([b""], "a head of 1 to"),
        ([b"[" * 70_000], "a head of 1 to 65536 bytes has to come first, not 70000"),
        ([b"[" * 60_000], "not JSON"),
        ([b"\x80\x04K\x01."], "not JSON"),  # a pickle
        ([b"{}"], "not a head"),
        ([b"[]"], "not a head"),
        ([b'{"head": [], "body": null}'], "no JSON object"),
        ([b'{"head": {}, "body": null}', b"x"], "not announced"),
        ([b'{"head": {}, "body": {"bytes": 5}}', b"12345"], "by its bytes and its sha256"),
        ([b'{"head": {"a": NaN}, "body": null}'], "not JSON"),
        ([head(bytes=-1), BODY], "by a number of bytes"),
        ([head(bytes=True), b"1"], "by a number of bytes"),
        ([head(bytes=5.0), BODY], "by a number of bytes"),
        ([head(sha256=None), BODY], "by a number of bytes"),
        ([HEAD], "0 bytes came of the 5"),
        ([HEAD, b"1234"], "4 bytes came of the 5"),
        ([HEAD, BODY, b""], "a part has 0 bytes"),
        ([HEAD, b"", BODY], "a part has 0 bytes"),
        ([head(bytes=PART + 1), bytes(PART + 1)], "a part has 1048577 bytes"),
        ([HEAD, b"12346"], "their SHA-256 differs"),
        ([head(sha256="ab"), BODY], "their SHA-256 differs"),
    ],
)
def test_what_is_no_message_is_refused(sent: list[bytes], said: str):
    with pytest.raises(BadMessage, match=said):
        read_message(sent, max_bytes=10 * PART)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=4))
def test_nothing_that_comes_is_worse_than_a_bad_message(sent: list[bytes]):
    with pytest.raises(BadMessage):
        read_message(sent, max_bytes=100)


@pytest.mark.parametrize("unsendable", [{"a": math.nan}, {"a": "\ud800"}, {"a": "x" * 70_000}])
def test_a_head_that_can_not_travel_is_refused_where_it_is_made(unsendable: dict[str, Any]):
    with pytest.raises(BadMessage, match="the head"):
        list(frames(Message(unsendable)))


def test_messages_do_not_show_weights():
    assert "12345" not in repr(Message({}, b"12345"))


# ------------------------------------------------------------------ values


def over_the_wire(proposed: Any) -> ProposedWeights:
    """Return what arrives, the JSON strict and canonical."""
    (sent,) = frames(Message({"tested": answer_to_json(proposed)}))
    return answer_in(read_message([sent], max_bytes=0).head["tested"], Weights([1]))


def bits(score: float) -> bytes:
    return struct.pack(">d", score)


@settings(deadline=None)
@given(st.floats(), st.floats(), st.sampled_from([True, False, None]), st.booleans())
def test_what_a_learner_says_of_weights_arrives_as_it_is(vote_score, test_score, vote, tested):
    said = ProposedWeights(Weights([1]), vote_score, test_score, vote, tested)
    got = over_the_wire(said)
    assert (got.vote, got.has_test_score) == (vote, tested)
    for mine, theirs in ((vote_score, got.vote_score), (test_score, got.test_score)):
        assert math.isnan(theirs) if math.isnan(mine) else bits(theirs) == bits(mine)
    assert vote_of(got) == vote_of(said)
    assert scores_of(got) == scores_of(said)


@pytest.mark.parametrize(
    "said",
    [
        SimpleNamespace(vote_score=0.5, test_score=0.25, vote=True),  # the ancestor's has no more
        SimpleNamespace(vote_score=np.float32(0.5), test_score=np.array(2), vote=np.True_),
        SimpleNamespace(vote_score=None, test_score="much", vote=None),
        SimpleNamespace(),
        SimpleNamespace(vote_score=0.5, test_score=0, vote=1, has_test_score=False),
    ],
)
def test_what_looks_like_an_answer_means_the_same_at_the_agent(said: Any):
    assert vote_of(over_the_wire(said)) == vote_of(said)


GOOD = answer_to_json(ProposedWeights(Weights([1]), 0.5, 0.5, vote=True))


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        {**GOOD, "more": 1},
        {**GOOD, "vote": 1},
        {**GOOD, "vote": "true"},
        {**GOOD, "vote_score": 0.5},
        {**GOOD, "vote_score": "much"},
        {**GOOD, "test_score": "0x1p+99999"},
        {**GOOD, "test_score": None},
        {**GOOD, "has_test_score": None},
    ],
)
def test_an_answer_that_says_nothing_clear_is_refused(wrong: Any):
    with pytest.raises(BadMessage):
        answer_in(wrong, Weights([1]))


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
def test_weights_travel_with_their_summary(summary: TrainingSummary | None):
    tree = {
        "w": [np.arange(6.0).reshape(2, 3), np.array([math.nan, -math.inf])],
        "half": np.ones(3, dtype=ml_dtypes.bfloat16),
        "trees": (b"\x00\x01", "text", 7, True, 0.5, None),
    }
    weights = Weights(tree, training_summary=summary)
    assert weights_in(weights_to_bytes(weights)) == weights


def test_a_learner_that_did_not_train_need_have_no_weights():
    spent = Weights(None, TrainingSummary(BUDGET, ErrorCodes.DP_BUDGET_EXCEEDED))
    assert weights_in(weights_to_bytes(spent)) == spent


@pytest.mark.parametrize("body", [None, b"", b"\x80\x04K\x01.", b"\xff" * 100])
def test_what_are_no_weights_is_refused(body: bytes | None):
    with pytest.raises(BadMessage):
        weights_in(body)


def an_onnx_model() -> onnx.ModelProto:
    float_1 = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    return onnx.helper.make_model(onnx.helper.make_graph([node], "g", float_1[:1], float_1[1:]))


def test_a_model_travels_as_onnx(tmp_path):
    model = an_onnx_model()
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    for held in (
        ColearnModel(ModelFormat.ONNX, None, model),
        ColearnModel(ModelFormat.ONNX, str(path)),
        ColearnModel(ModelFormat.ONNX, None, model.SerializeToString()),
    ):
        assert model_in(model_to_bytes(held)) == ColearnModel(ModelFormat.ONNX, None, model)


@pytest.mark.parametrize(
    "model",
    [
        ColearnModel(ModelFormat.PICKLE_WEIGHTS_ONLY, None, [1]),
        ColearnModel(ModelFormat.ONNX, None, object()),
        ColearnModel(ModelFormat.ONNX),
    ],
)
def test_a_model_in_another_form_does_not_travel(model: ColearnModel):
    with pytest.raises(UnsupportedModel, match="only a model in ONNX"):
        model_to_bytes(model)


def test_bytes_that_are_no_model_are_refused():
    with pytest.raises(BadMessage, match="no ONNX"):
        model_in(b"\xff\xff")


# ------------------------------------------------------------------ addresses and tokens


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("grpc://127.0.0.1:9995", Address("127.0.0.1", 9995, tls=False)),
        ("grpcs://gpu-1.example.org:443/", Address("gpu-1.example.org", 443, tls=True)),
        ("GRPCS://[2001:db8::1]:9995", Address("2001:db8::1", 9995, tls=True)),
    ],
)
def test_an_address_is_read_and_shown(text: str, address: Address):
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
def test_what_is_no_address_is_refused_and_not_repeated(text: str):
    with pytest.raises(InvalidAddress, match="grpc://host:port") as refused:
        Address.parse(text)
    assert "hunter2" not in str(refused.value)


def test_an_address_is_told_from_a_factory():
    assert is_address("grpc://host")
    assert is_address("GRPCS://host:1")
    assert not is_address("package.module:factory")
    assert not is_address("grpc:factory")


def test_a_token_loses_the_newline_of_its_file():
    assert checked_token("0123456789abcdef\n") == "0123456789abcdef"


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("hunter2", "7 characters, at least 16"),
        ("", "empty"),
        ("correct horse battery staple", "a space"),
        ("pässword-pässword", "beyond ASCII"),
        ("0123456789abcdef\nsecond-line", "control character"),
    ],
)
def test_a_bad_token_is_refused_and_not_repeated(token: str, said: str):
    with pytest.raises(InvalidToken, match=said) as refused:
        checked_token(token)
    assert not token or token not in str(refused.value)
