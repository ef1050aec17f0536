"""Files that are not weights, each with the error that it must raise, and random damage."""

from __future__ import annotations

import json
import struct
from io import BytesIO
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.weights.codec import check_weights, decode_weights, encode_weights
from colearn_ledger.weights.errors import (
    CorruptHeader,
    CorruptStructure,
    InvalidTensor,
    MismatchedWeights,
    NonFiniteWeights,
    OversizedWeights,
    TrailingBytes,
    TruncatedWeights,
    UnknownFormat,
    WeightsError,
)
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.tensorfile import MAX_HEADER
from colearn_ledger.weights.tree import MAX_DEPTH

TREE = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": [True, 3, None, "text", b"\0\1"]}
GOOD = encode_weights(TREE, summary={"epsilon": 0.5})
SCHEMA = WeightsSchema.of(TREE)


def raw(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def file_of(header: Any, body: bytes = b"") -> bytes:
    return raw(json.dumps(header).encode(), body)


def info(structure: Any, summary: Any = None, version: Any = 1) -> dict[str, str]:
    document = {"structure": structure, "summary": summary, "version": version}
    return {"colearn": json.dumps(document)}


def one(**changes: Any) -> bytes:
    """Return a file with one tensor of two float32 and a changed header entry."""
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}
    return file_of({"__metadata__": info({"list": ["array"]}), "0": entry}, bytes(8))


def two(first: list[int], second: list[int], size: int) -> bytes:
    def entry(offsets: list[int]) -> dict[str, Any]:
        return {"dtype": "U8", "shape": [offsets[1] - offsets[0]], "data_offsets": offsets}

    header = {"0": entry(first), "1": entry(second)}
    return file_of({"__metadata__": info({"list": ["array"] * 2}), **header}, bytes(size))


def with_structure(structure: Any, **tensors: Any) -> bytes:
    """Return a file with a structure and these tensors (by default U8 of one byte)."""
    return file_of({"__metadata__": info(structure), **tensors})


def meta(metadata: Any) -> bytes:
    return file_of({} if metadata is None else {"__metadata__": metadata})


def meta_text(text: str) -> bytes:
    return meta({"colearn": text})


def leaf(kind: str, dtype: str, shape: list[int], body: bytes) -> bytes:
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(body)]}
    return file_of({"__metadata__": info({"list": [kind]}), "0": entry}, body)


def nest(depth: int) -> Any:
    node: Any = "none"
    for _ in range(depth):
        node = {"list": [node]}
    return node


def float_file(dtype: Any, bits: bytes) -> bytes:
    return encode_weights([np.frombuffer(bits, dtype)])


EMPTY_ENTRY = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
GOOD_HEADER = GOOD[8 : 8 + struct.unpack("<Q", GOOD[:8])[0]]
BODY = GOOD[8 + len(GOOD_HEADER) :]

BAD: dict[str, tuple[bytes, type[WeightsError]]] = {
    # file frame
    "empty file": (b"", TruncatedWeights),
    "seven bytes": (GOOD[:7], TruncatedWeights),
    "length only": (GOOD[:8], TruncatedWeights),
    "header cut": (GOOD[: 8 + len(GOOD_HEADER) // 2], TruncatedWeights),
    "header only": (GOOD[: 8 + len(GOOD_HEADER)], TruncatedWeights),
    "last byte lost": (GOOD[:-1], TruncatedWeights),
    "one byte more": (GOOD + b"\0", TrailingBytes),
    "two files": (GOOD + GOOD, TrailingBytes),
    "a megabyte more": (GOOD + bytes(2**20), TrailingBytes),
    "header length of 2^64 - 1": (b"\xff" * 8 + GOOD[8:], OversizedWeights),
    "header length of 2^63": (struct.pack("<Q", 2**63) + GOOD[8:], OversizedWeights),
    "header length above the limit": (
        struct.pack("<Q", MAX_HEADER + 1) + GOOD[8:],
        OversizedWeights,
    ),
    "header length at the limit": (struct.pack("<Q", MAX_HEADER) + GOOD[8:], TruncatedWeights),
    "header length big-endian": (GOOD[:8][::-1] + GOOD[8:], OversizedWeights),
    "header length one short": (raw(GOOD_HEADER.rstrip()[:-1], b"}" + BODY), CorruptHeader),
    "header length zero": (raw(b"", BODY), CorruptHeader),
    # not safetensors at all
    "zeros": (bytes(100), CorruptHeader),
    "a numpy file": (b"\x93NUMPY\x01\x00v\x00" + bytes(100), OversizedWeights),
    "a zip archive": (b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(100), OversizedWeights),
    "a serialised Python object": (
        b"\x80\x04\x95\x0e\x00\x00\x00\x00\x00\x00\x00]",
        OversizedWeights,
    ),
    "plain text": (b"these are not weights, are they?", OversizedWeights),
    # text of the header
    "not UTF-8": (raw(b'{"\xff\xfe": 1}'), CorruptHeader),
    "not JSON": (raw(b"{]"), CorruptHeader),
    "a list": (raw(b"[]"), CorruptHeader),
    "null": (raw(b"null"), CorruptHeader),
    "a number": (raw(b"17"), CorruptHeader),
    "two documents": (raw(GOOD_HEADER + GOOD_HEADER, BODY), CorruptHeader),
    "a byte order mark": (raw(b"\xef\xbb\xbf" + GOOD_HEADER, BODY), CorruptHeader),
    "a key twice": (raw(b'{"a":{},"a":{}}'), CorruptHeader),
    "a key twice in an entry": (
        raw(b'{"a":{"dtype":"U8","dtype":"I8","shape":[],"data_offsets":[0,1]}}', b"\0"),
        CorruptHeader,
    ),
    "NaN": (raw(b'{"a":NaN}'), CorruptHeader),
    "Infinity": (raw(b'{"a":-Infinity}'), CorruptHeader),
    "a number beyond float64": (raw(b'{"a":1e999}'), CorruptHeader),
    "a number of 5,000 digits": (raw(b'{"a":' + b"9" * 5_000 + b"}"), CorruptHeader),
    "a lone surrogate": (raw(b'{"\\ud800":{}}'), CorruptHeader),
    "100,000 open brackets": (raw(b'{"a":' + b"[" * 100_000), CorruptHeader),
    "100,000 nested lists": (raw(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), CorruptHeader),
    "100,000 nested objects": (raw(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), CorruptHeader),
    # entry of a tensor
    "entry is a list": (file_of({"a": []}), CorruptHeader),
    "entry lacks dtype": (file_of({"a": {"shape": [], "data_offsets": [0, 1]}}), CorruptHeader),
    "entry has more": (one(more=1), CorruptHeader),
    "unknown dtype": (one(dtype="F128"), CorruptHeader),
    "complex dtype": (one(dtype="C64", shape=[1]), CorruptHeader),
    "dtype in lower case": (one(dtype="f32"), CorruptHeader),
    "dtype is a list": (one(dtype=["F32"]), CorruptHeader),
    "dtype is null": (one(dtype=None), CorruptHeader),
    "shape is a number": (one(shape=2), CorruptHeader),
    "shape is negative": (one(shape=[-2]), CorruptHeader),
    "shape twice negative": (one(shape=[-1, -2]), CorruptHeader),
    "shape of floats": (one(shape=[2.0]), CorruptHeader),
    "shape of booleans": (one(shape=[True, 2]), CorruptHeader),
    "shape of strings": (one(shape=["2"]), CorruptHeader),
    "shape with null": (one(shape=[None]), CorruptHeader),
    "shape of 65 dimensions": (one(shape=[1] * 64 + [2]), CorruptHeader),
    "shape too large for its bytes": (one(shape=[3]), CorruptHeader),
    "shape too small for its bytes": (one(shape=[1]), CorruptHeader),
    "shape that overflows to 8 bytes": (one(shape=[2**62 + 2]), CorruptHeader),
    "shape that overflows to 0": (one(shape=[2**32, 2**32], data_offsets=[0, 0]), CorruptHeader),
    "huge shape with a zero": (one(shape=[0, 2**62, 4], data_offsets=[0, 0]), CorruptHeader),
    "shape of 2^70": (one(shape=[2**70]), CorruptHeader),
    "shape promises a terabyte": (one(shape=[2**38], data_offsets=[0, 2**40]), TruncatedWeights),
    "offsets are one number": (one(data_offsets=[8]), CorruptHeader),
    "offsets are three numbers": (one(data_offsets=[0, 8, 16]), CorruptHeader),
    "offsets are strings": (one(data_offsets=["0", "8"]), CorruptHeader),
    "offsets reversed": (one(data_offsets=[8, 0]), CorruptHeader),
    "offsets negative": (one(data_offsets=[-8, 0]), CorruptHeader),
    "offsets beyond 2^64": (one(data_offsets=[2**64, 2**64 + 8]), CorruptHeader),
    "offsets behind the end": (one(data_offsets=[8, 16]), CorruptHeader),
    "offsets of floats": (one(data_offsets=[0, 8.0]), CorruptHeader),
    # layout of the tensors
    "tensors overlap": (two([0, 4], [2, 6], 6), CorruptHeader),
    "tensors are the same bytes": (two([0, 4], [0, 4], 4), CorruptHeader),
    "a gap between tensors": (two([0, 4], [5, 9], 9), CorruptHeader),
    "a gap before the first": (two([1, 4], [4, 6], 6), CorruptHeader),
    "an empty tensor within another": (two([0, 4], [2, 2], 4), CorruptHeader),
    "bytes no tensor has": (two([0, 4], [4, 6], 7), TrailingBytes),
    "tensors longer than the file": (two([0, 4], [4, 6], 5), TruncatedWeights),
    # metadata
    "no metadata": (meta(None), UnknownFormat),
    "another program's metadata": (meta({"format": "pt"}), UnknownFormat),
    "metadata with more": (meta({**info("none"), "format": "np"}), UnknownFormat),
    "metadata is a list": (meta([]), UnknownFormat),
    "metadata is null": (file_of({"__metadata__": None}), UnknownFormat),
    "metadata is an object": (meta({"colearn": {}}), CorruptHeader),
    "metadata is not JSON": (meta_text("{"), CorruptHeader),
    "metadata is a list of JSON": (meta_text("[]"), CorruptHeader),
    "metadata has a key twice": (
        meta_text('{"structure":"none","summary":null,"version":1,"version":1}'),
        CorruptHeader,
    ),
    "metadata with NaN": (
        meta_text('{"structure":"none","summary":{"x":NaN},"version":1}'),
        CorruptHeader,
    ),
    "metadata with a lone surrogate": (
        meta_text('{"structure":"none","summary":{"x":"\\udfff"},"version":1}'),
        CorruptHeader,
    ),
    "metadata nests 100,000 levels": (meta_text("[" * 100_000 + "]" * 100_000), CorruptHeader),
    "version 2": (meta(info("none", version=2)), UnknownFormat),
    "version 0": (meta(info("none", version=0)), UnknownFormat),
    "version is a string": (meta(info("none", version="1")), CorruptHeader),
    "version is true": (meta(info("none", version=True)), CorruptHeader),
    "no version": (meta_text('{"structure":"none","summary":null}'), CorruptHeader),
    "no structure": (meta_text('{"summary":null,"version":1}'), CorruptHeader),
    "metadata's document has more": (
        meta_text('{"structure":"none","summary":null,"version":1,"x":1}'),
        CorruptHeader,
    ),
    "summary is a list": (meta(info("none", summary=[])), CorruptHeader),
    "summary is a string": (meta(info("none", summary="x")), CorruptHeader),
    # structure
    "structure is a number": (with_structure(1), CorruptStructure),
    "structure is null": (with_structure(None), CorruptStructure),
    "structure of an unknown leaf": (with_structure("set"), CorruptStructure),
    "structure of an unknown branch": (with_structure({"set": []}), CorruptStructure),
    "structure is an empty object": (with_structure({}), CorruptStructure),
    "structure of two branches": (with_structure({"list": [], "tuple": []}), CorruptStructure),
    "list of a string": (with_structure({"list": "none"}), CorruptStructure),
    "list of an object": (with_structure({"list": {"0": "none"}}), CorruptStructure),
    "dict of an object": (with_structure({"dict": {"a": "none"}}), CorruptStructure),
    "dict with half a pair": (with_structure({"dict": [["a"]]}), CorruptStructure),
    "dict with a numeric key": (with_structure({"dict": [[1, "none"]]}), CorruptStructure),
    "dict with a key twice": (
        with_structure({"dict": [["a", "none"], ["a", "none"]]}),
        CorruptStructure,
    ),
    "one level too deep": (with_structure(nest(MAX_DEPTH + 1)), CorruptStructure),
    "300 levels deep": (with_structure(nest(300)), CorruptStructure),
    "a leaf without its tensor": (with_structure({"list": ["array"]}), CorruptStructure),
    "a tensor without its leaf": (with_structure({"list": []}, x=EMPTY_ENTRY), CorruptStructure),
    "a tensor for None": (
        with_structure({"list": ["none"]}, **{"0": EMPTY_ENTRY}),
        CorruptStructure,
    ),
    "a tensor named otherwise": (
        with_structure({"list": ["array"]}, a=EMPTY_ENTRY),
        CorruptStructure,
    ),
    "a float of 32 bits": (leaf("float", "F32", [], bytes(4)), CorruptStructure),
    "a float with a dimension": (leaf("float", "F64", [1], bytes(8)), CorruptStructure),
    "an int of 8 bits": (leaf("int", "I8", [], bytes(1)), CorruptStructure),
    "a bool of U8": (leaf("bool", "U8", [], bytes(1)), CorruptStructure),
    "a scalar with a dimension": (leaf("scalar", "F32", [1], bytes(4)), CorruptStructure),
    "bytes of I8": (leaf("bytes", "I8", [2], bytes(2)), CorruptStructure),
    "bytes of two dimensions": (leaf("bytes", "U8", [1, 2], bytes(2)), CorruptStructure),
    "a string of no dimension": (leaf("str", "U8", [], bytes(1)), CorruptStructure),
    # values
    "a string that is not UTF-8": (leaf("str", "U8", [2], b"\xff\xfe"), InvalidTensor),
    "a string cut within a letter": (leaf("str", "U8", [1], "é".encode()[:1]), InvalidTensor),
    "a bool of 2": (leaf("bool", "BOOL", [], b"\x02"), InvalidTensor),
    "an array with a bool of 255": (leaf("array", "BOOL", [3], b"\x00\x01\xff"), InvalidTensor),
    "float16 NaN": (float_file(np.float16, b"\x01\x7c"), NonFiniteWeights),
    "float16 infinity": (float_file(np.float16, b"\x00\x3c\x00\xfc"), NonFiniteWeights),
    "float32 signalling NaN": (float_file(np.float32, b"\x01\x00\x80\x7f"), NonFiniteWeights),
    "float32 infinity": (float_file(np.float32, b"\x00\x00\x80\x7f"), NonFiniteWeights),
    "float64 NaN": (float_file(np.float64, struct.pack("<d", float("nan"))), NonFiniteWeights),
    "a float of NaN": (encode_weights(float("nan")), NonFiniteWeights),
    "a scalar of infinity": (encode_weights(np.float32("inf")), NonFiniteWeights),
    "bfloat16 NaN": (float_file(ml_dtypes.bfloat16, b"\xc0\x7f"), NonFiniteWeights),
    "bfloat16 infinity": (float_file(ml_dtypes.bfloat16, b"\x80\xff"), NonFiniteWeights),
    "float8_e4m3 NaN": (float_file(ml_dtypes.float8_e4m3fn, b"\x7f"), NonFiniteWeights),
    "float8_e5m2 NaN": (float_file(ml_dtypes.float8_e5m2, b"\x7e"), NonFiniteWeights),
    "float8_e5m2 infinity": (float_file(ml_dtypes.float8_e5m2, b"\x7c"), NonFiniteWeights),
}

WRONG_FOR_SCHEMA: dict[str, tuple[Any, type[WeightsError]]] = {
    "another name": ({"A": TREE["a"], "b": TREE["b"]}, MismatchedWeights),
    "another shape": ({**TREE, "a": TREE["a"].T}, MismatchedWeights),
    "another data type": ({**TREE, "a": TREE["a"].astype(np.float64)}, MismatchedWeights),
    "one more": ({**TREE, "c": 1}, MismatchedWeights),
    "one less": ({"a": TREE["a"]}, MismatchedWeights),
    "a tuple for a list": ({**TREE, "b": tuple(TREE["b"])}, MismatchedWeights),
    "an empty array": ({**TREE, "a": np.empty((0, 3), np.float32)}, MismatchedWeights),
    "too many bytes": ({**TREE, "b": [*TREE["b"][:4], bytes(2**23)]}, OversizedWeights),
}


def test_corpus_is_large_and_its_original_files_are_valid():
    assert len(BAD) + len(WRONG_FOR_SCHEMA) >= 60
    decoded = decode_weights(GOOD, schema=SCHEMA)
    assert decoded.weights["b"] == TREE["b"]
    decode_weights(one())
    decode_weights(two([0, 4], [4, 6], 6))
    decode_weights(with_structure(nest(MAX_DEPTH)))
    decode_weights(raw(GOOD_HEADER + b" \n\t ", BODY))


@pytest.mark.parametrize(("data", "error"), BAD.values(), ids=list(BAD))
def test_bad_file_raises_its_specific_error(data: bytes, error: type[WeightsError]):
    with pytest.raises(WeightsError) as caught:
        decode_weights(data)
    assert type(caught.value) is error
    assert 10 < len(str(caught.value)) < 400
    assert str(caught.value).isprintable()
    with pytest.raises(error):
        check_weights(BytesIO(data), None)


@pytest.mark.parametrize(
    ("weights", "error"), WRONG_FOR_SCHEMA.values(), ids=list(WRONG_FOR_SCHEMA)
)
def test_weights_of_another_schema_are_refused(weights: Any, error: type[WeightsError]):
    data = encode_weights(weights)
    decode_weights(data)
    with pytest.raises(error):
        decode_weights(data, schema=SCHEMA)
    with pytest.raises(error):
        check_weights(BytesIO(data), SCHEMA)


@pytest.mark.parametrize("length", range(0, len(GOOD), 7))
def test_file_cut_at_any_byte_is_truncated(length: int):
    with pytest.raises(TruncatedWeights):
        decode_weights(GOOD[:length], schema=SCHEMA)


def test_hostile_name_is_escaped_and_shortened_in_the_message():
    name = "\x1b[2J\n" + "x" * 10_000
    with pytest.raises(CorruptHeader) as caught:
        decode_weights(file_of({"__metadata__": info("none"), name: []}))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


class TestRandomDamage:
    """A randomly damaged file can be decoded, or raises a `WeightsError`; nothing else happens."""

    def check(self, data: bytes) -> None:
        for schema in (None, SCHEMA):
            try:
                weights = decode_weights(data, schema=schema).weights
            except WeightsError:
                with pytest.raises(WeightsError):
                    check_weights(BytesIO(data), schema)
                continue
            encode_weights(weights)
            check_weights(BytesIO(data), schema)

    @given(st.binary(max_size=200))
    def test_random_bytes_decode_or_fail(self, data: bytes):
        self.check(data)

    @given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=8))
    def test_changed_bytes_decode_or_fail(self, changes: list[tuple[int, int]]):
        data = bytearray(GOOD)
        for at, value in changes:
            data[at] = value
        self.check(bytes(data))

    @given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.binary(max_size=12))
    def test_replaced_section_decodes_or_fails(self, begin: int, end: int, instead: bytes):
        self.check(GOOD[:begin] + instead + GOOD[end:])

    @given(st.integers(0, len(GOOD_HEADER)), st.integers(0, len(GOOD_HEADER)), st.text(max_size=8))
    def test_replaced_section_of_the_header_decodes_or_fails(
        self, begin: int, end: int, instead: str
    ):
        self.check(raw(GOOD_HEADER[:begin] + instead.encode() + GOOD_HEADER[end:], BODY))

    json_values = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.sampled_from(["array", "float", "str", "none", "F32", "U8", "dtype", "0"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["list", "dict", "tuple", "dtype", "shape", "data_offsets", "0"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    )

    @given(json_values, json_values, st.binary(max_size=16))
    def test_any_json_in_the_header_decodes_or_fails(self, structure: Any, entry: Any, body: bytes):
        self.check(file_of({"__metadata__": info(structure), "0": entry}, body))

    @given(
        st.sampled_from(["BOOL", "U8", "F16", "BF16", "F64", "I64"]),
        st.lists(st.integers(0, 4) | st.integers(0, 2**65), max_size=4),
        st.sampled_from(["array", "scalar", "float", "int", "bool", "bytes", "str"]),
        st.binary(max_size=32),
    )
    def test_any_leaf_decodes_or_fails(self, dtype: str, shape: list[int], kind: str, body: bytes):
        self.check(leaf(kind, dtype, shape, body))
