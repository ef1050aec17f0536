from __future__ import annotations

import struct
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load

from colearn_ledger.weights.codec import decode_weights, encode_weights, write_weights
from colearn_ledger.weights.errors import (
    CorruptHeader,
    InvalidSchema,
    MismatchedWeights,
    NonFiniteWeights,
    OversizedWeights,
    UnsupportedWeights,
)
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.tensorfile import DTYPES, MAX_HEADER
from colearn_ledger.weights.unixfs import content_of
from tests.support.weights import read_weights

FLOATS = ["float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2"]


def dtype(name: str) -> np.dtype:
    return np.dtype(getattr(ml_dtypes, name, name))


def are_identical(a: Any, b: Any) -> bool:
    """Return whether two trees are identical in types, order and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(are_identical(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(are_identical(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray | np.generic):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    return a == b


def round_trip(weights: Any, **options: Any) -> Any:
    return decode_weights(encode_weights(weights), **options).weights


numbers = st.sampled_from(sorted(DTYPES)).map(DTYPES.get)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    kind, shape = draw(numbers), draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
    size = int(np.prod(shape)) * kind.itemsize
    raw = draw(st.binary(min_size=size, max_size=size))
    if kind == np.bool_:
        raw = bytes(b & 1 for b in raw)
    array = np.frombuffer(raw, kind).reshape(shape) if raw else np.empty(shape, kind)
    return array.T if draw(st.booleans()) else array


leaves = (
    arrays()
    | arrays().filter(lambda a: a.shape == ()).map(lambda a: a[()])
    | st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=20)
    | st.text(max_size=20)
)
keys = st.text(alphabet="a0/~_", max_size=4) | st.sampled_from(["__metadata__", "weights", ""])
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)


class TestRoundTrip:
    @given(trees)
    def test_every_tree_is_read_back_with_equal_bits_and_types(self, tree: Any):
        schema = WeightsSchema.from_json(WeightsSchema.of(tree).to_json())
        assert are_identical(round_trip(tree, allow_non_finite=True, schema=schema), tree)

    @given(trees)
    def test_equal_weights_have_equal_bytes(self, tree: Any):
        again = round_trip(tree, allow_non_finite=True)
        assert encode_weights(again) == encode_weights(tree)

    @pytest.mark.parametrize("code", sorted(DTYPES))
    @pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (7,), (2, 3, 4)])
    def test_every_data_type_is_read_back_in_every_kind_of_shape(
        self, code: str, shape: tuple[int, ...]
    ):
        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(DTYPES[code])
        assert are_identical(round_trip([array]), [array])

    @pytest.mark.parametrize("name", ["float16", "float32", "float64", "uint64", "int16"])
    def test_big_endian_arrays_are_read_back_in_native_order(self, name: str):
        native = np.array([1, 2, 300], name)
        assert are_identical(round_trip(native.astype(native.dtype.newbyteorder(">"))), native)

    def test_views_are_written_as_the_elements_they_contain(self):
        whole = np.arange(24.0).reshape(4, 6)
        for view in (whole[::2, 1::3], whole.T, whole[::-1], np.broadcast_to(whole[0], (3, 6))):
            assert are_identical(round_trip(view), np.array(view, order="C"))

    def test_payload_of_nan_is_kept(self):
        bits = np.array([0x7FA00001, 0xFFC12345], "<u4")
        for array in (bits.view("<f4"), bits.byteswap().view(">f4")):
            out = round_trip(array, allow_non_finite=True)
            assert out.view(np.uint32).tolist() == bits.tolist()

    def test_largest_and_smallest_integers_are_read_back(self):
        array = np.array([0, 2**64 - 1], np.uint64)
        assert are_identical(round_trip([array, -(2**63), 2**63 - 1]), [array, -(2**63), 2**63 - 1])

    def test_array_that_occurs_twice_is_read_back_as_two(self):
        array = np.ones(3)
        first, second = round_trip([array, array])
        first[0] = 5
        assert second.tolist() == [1, 1, 1]

    def test_ordered_dicts_and_bytearrays_become_dicts_and_bytes(self):
        out = round_trip(OrderedDict(b=bytearray(b"x"), a=[1]))
        assert are_identical(out, {"b": b"x", "a": [1]})

    @pytest.mark.parametrize("is_shared", [False, True])
    @pytest.mark.parametrize("offset", [0, 1])
    def test_arrays_are_aligned_and_writable_and_share_only_writable_memory(
        self, offset: int, is_shared: bool
    ):
        file = encode_weights([np.ones(3, np.int8), np.arange(5.0)])
        data = bytearray(offset) + file
        view = memoryview(data if is_shared else bytes(data))[offset:]
        small, large = decode_weights(view).weights
        assert large.flags.aligned
        assert large.flags.writeable
        assert np.shares_memory(large, np.frombuffer(view, np.uint8)) == (is_shared and not offset)
        assert np.shares_memory(small, np.frombuffer(view, np.uint8)) == is_shared
        small[:] = 0
        assert (bytes(view) == file) != is_shared

    def test_summary_is_read_back(self):
        summary = {
            "dp_budget": {"target_epsilon": 1.5, "consumed_delta": 1e-05},
            "error_code": None,
        }
        assert decode_weights(encode_weights(1, summary=summary)).summary == summary
        assert decode_weights(encode_weights(1)).summary is None
        assert encode_weights(1, summary=summary) != encode_weights(1)

    def test_base_is_read_back(self):
        assert decode_weights(encode_weights(1, base="0f" * 32)).base == "0f" * 32
        assert decode_weights(encode_weights(1)).base is None

    @pytest.mark.parametrize("base", ["", "0f" * 31, "0F" * 32, "0g" * 32, "0f" * 32 + "\n", 5])
    def test_malformed_base_is_refused(self, base: Any):
        with pytest.raises(CorruptHeader, match="base is not a sha256"):
            decode_weights(encode_weights(1, base=base))

    def test_large_arrays_are_read_back(self):
        tree = {"w": np.random.default_rng(0).normal(size=(1000, 1000)), "b": np.zeros(1000)}
        assert are_identical(round_trip(tree), tree)


class TestOtherReaders:
    def test_safetensors_reads_a_dict_of_arrays_by_its_keys(self):
        tree = {"layer.weight": np.ones((2, 3), np.float32), "layer.bias": np.zeros(3)}
        read = load(encode_weights(tree))
        assert {k: v.tolist() for k, v in read.items()} == {k: v.tolist() for k, v in tree.items()}

    def test_names_of_nested_tensors_are_paths(self):
        assert set(load(encode_weights({"a": [1, {"b/c": np.ones(1)}]}))) == {"a/0", "a/1/b~1c"}


Point = namedtuple("Point", "x y")
CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


class TestUnsupportedWeights:
    @pytest.mark.parametrize(
        ("weights", "reason"),
        [
            ([np.ones(2, np.complex64)], "'0' has the data type complex64"),
            ([np.array(["a"])], "data type <U1"),
            ([np.array([object()])], "data type object"),
            ([np.array([1], "datetime64[s]")], "datetime64"),
            (np.longdouble(1), "'weights' has the data type"),
            ({"x": np.ma.array([1.0], mask=[True])}, "'x' is a MaskedArray"),
            ({"x": {1, 2}}, "'x' is a set"),
            ([1j], "'0' is a complex"),
            (object(), "'weights' is a object"),
            ([Point(1, 2)], "'0' is a Point"),
            ({1: 2}, "keys of dicts must be strings"),
            ([2**63], "'0' is an integer beyond 64 bits"),
            ([-(2**63) - 1], "beyond 64 bits"),
            (["\ud800"], "UTF-8 cannot encode"),
            ({"\ud800": None}, "not JSON"),
            (CIRCLE, "contain themselves"),
        ],
        ids=lambda v: v if isinstance(v, str) else "",
    )
    def test_unsupported_value_is_refused_with_its_path(self, weights: Any, reason: str):
        with pytest.raises(UnsupportedWeights, match=reason):
            encode_weights(weights)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, "\ud800"])
    def test_summary_that_is_not_json_is_refused(self, value: Any):
        with pytest.raises(UnsupportedWeights, match="summary"):
            encode_weights([], summary={"x": value})

    def test_header_above_the_size_limit_is_refused(self):
        with pytest.raises(UnsupportedWeights, match=str(MAX_HEADER)):
            encode_weights([], summary={"x": "a" * MAX_HEADER})

    def test_sixty_four_levels_pass_and_sixty_five_are_refused(self):
        tree: Any = np.ones(1)
        for _ in range(64):
            tree = [tree]
        assert are_identical(round_trip(tree), tree)
        with pytest.raises(UnsupportedWeights, match="64 levels"):
            encode_weights([tree])


class TestFiniteness:
    @pytest.mark.parametrize("name", FLOATS)
    @pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
    def test_one_non_finite_number_among_many_is_refused(self, name: str, value: str):
        array = np.ones(1000, dtype(name))
        array[613] = float(value)
        data = encode_weights({"good": np.ones(3), "bad": array})
        with pytest.raises(NonFiniteWeights, match="'bad' holds NaN or infinity"):
            decode_weights(data)
        assert decode_weights(data, allow_non_finite=True).weights["bad"].shape == (1000,)

    @pytest.mark.parametrize("value", [float("nan"), float("-inf"), np.float32("inf")])
    def test_non_finite_scalars_are_refused(self, value: Any):
        with pytest.raises(NonFiniteWeights):
            decode_weights(encode_weights([value]))

    @pytest.mark.parametrize("name", FLOATS)
    def test_extreme_values_of_each_type_are_accepted(self, name: str):
        limits = ml_dtypes.finfo(dtype(name))
        round_trip([np.array([limits.max, limits.min, limits.tiny, 0], dtype(name))])


EXAMPLE = {
    "dense": [np.ones((4, 3), np.float32), np.zeros(3, np.float32)],
    "steps": 7,
    "trees": b"abc",
    "state": (None, np.float16(1)),
}


def change(**places: Any) -> dict[str, Any]:
    return {**EXAMPLE, **places}


class TestSchema:
    schema = WeightsSchema.of(EXAMPLE)

    def test_weights_like_the_example_match(self):
        other = change(
            dense=[np.full((4, 3), 9, np.float32), np.ones(3, np.float32)],
            trees=b"much longer than before",
            steps=8,
        )
        assert are_identical(round_trip(other, schema=self.schema), other)

    @pytest.mark.parametrize(
        ("weights", "reason"),
        [
            (
                change(dense=[np.ones((3, 4), np.float32), EXAMPLE["dense"][1]]),
                "'dense/0' is F32",
            ),
            (
                change(dense=[EXAMPLE["dense"][0], np.zeros(4, np.float32)]),
                "'dense/1' is F32",
            ),
            (change(dense=[EXAMPLE["dense"][0], np.zeros(3)]), r"'dense/1' is F64 \[3\]"),
            (
                change(dense=[EXAMPLE["dense"][0], np.zeros((3, 1), np.float32)]),
                r"\[3, 1\]",
            ),
            (change(dense=EXAMPLE["dense"][:1]), "'dense/1' is missing"),
            (
                change(dense=[*EXAMPLE["dense"], np.ones(1)]),
                "'dense/2' is not in the schema",
            ),
            (change(extra=1), "'extra' is not in the schema"),
            (change(dense=tuple(EXAMPLE["dense"])), "lists and dicts around them differ"),
            (
                change(dense=dict(zip("01", EXAMPLE["dense"], strict=True))),
                "lists and dicts around",
            ),
            (change(state=(1, np.float16(1))), "'state/0' is not in the schema"),
            (change(state=(None, None)), "'state/1' is missing"),
            (change(state=(None, np.array(1, np.float16))), "'state/1' is array"),
            (change(steps=7.0), "'steps' is float, the schema requires int"),
            (change(steps=True), "'steps' is bool"),
            (change(trees="abc"), "'trees' is str"),
            (change(trees=np.frombuffer(b"abc", np.uint8)), "'trees' is array"),
            (dict(reversed(EXAMPLE.items())), "lists and dicts around them differ"),
            (np.ones(3), "'dense/0' is missing"),
            ([], "'dense/0' is missing"),
        ],
        ids=lambda v: v if isinstance(v, str) else "",
    )
    def test_error_names_the_first_difference(self, weights: Any, reason: str):
        with pytest.raises(MismatchedWeights, match=reason):
            decode_weights(encode_weights(weights), schema=self.schema)

    def test_schema_limits_the_size_of_the_file(self):
        data = encode_weights(EXAMPLE)
        decode_weights(data, schema=WeightsSchema.of(EXAMPLE, max_bytes=len(data)))
        with pytest.raises(OversizedWeights, match=str(len(data) - 1)):
            decode_weights(data, schema=WeightsSchema.of(EXAMPLE, max_bytes=len(data) - 1))

    def test_default_limit_leaves_room_for_a_summary(self):
        data = encode_weights(EXAMPLE, summary={"note": "x" * 100_000})
        decode_weights(data, schema=self.schema)

    def test_schema_is_read_back_from_json(self):
        assert WeightsSchema.from_json(self.schema.to_json()) == self.schema

    @pytest.mark.parametrize(
        "damage",
        [
            lambda s: None,
            lambda s: [],
            lambda s: {**s, "more": 1},
            lambda s: {**s, "tensors": []},
            lambda s: {**s, "tensors": {}},
            lambda s: {**s, "tensors": {**s["tensors"], "x": {"dtype": "F32", "shape": []}}},
            lambda s: {**s, "tensors": {**s["tensors"], "steps": {"dtype": "F32", "shape": []}}},
            lambda s: {**s, "tensors": {**s["tensors"], "steps": {"dtype": "I64"}}},
            lambda s: {**s, "tensors": {**s["tensors"], "steps": {"dtype": [], "shape": []}}},
            lambda s: {**s, "tensors": {**s["tensors"], "steps": {"dtype": "I65", "shape": []}}},
            lambda s: {**s, "tensors": {**s["tensors"], "dense/0": make_entry([-1])}},
            lambda s: {**s, "tensors": {**s["tensors"], "dense/0": make_entry([True])}},
            lambda s: {**s, "tensors": {**s["tensors"], "dense/0": make_entry([2**63])}},
            lambda s: {**s, "tensors": {**s["tensors"], "dense/0": make_entry([2**62] * 2)}},
            lambda s: {**s, "tensors": {**s["tensors"], "dense/0": make_entry([1] * 65)}},
            lambda s: {**s, "tensors": {**s["tensors"], "dense/0": make_entry("4")}},
            lambda s: {**s, "structure": "none"},
            lambda s: {**s, "structure": {"list": "none"}},
            lambda s: {**s, "structure": {"set": []}},
            lambda s: {**s, "structure": {"list": [], "tuple": []}},
            lambda s: {**s, "structure": {"dict": [["a", "none"], ["a", "none"]]}},
            lambda s: {**s, "structure": 5},
            lambda s: {**s, "structure": "dragon"},
            lambda s: {**s, "max_bytes": 0},
            lambda s: {**s, "max_bytes": True},
            lambda s: {**s, "max_bytes": 100.0},
            lambda s: {**s, "max_bytes": 5},
            lambda s: {**s, "max_bytes": 2**63},
        ],
    )
    def test_malformed_schema_is_refused(self, damage: Any):
        with pytest.raises(InvalidSchema):
            WeightsSchema.from_json(damage(self.schema.to_json()))


def make_entry(shape: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape}


class TestStorage:
    def test_stored_weights_are_encoded_with_their_summary(self, tmp_path: Path):
        store = DirectoryStore(tmp_path)
        content = write_weights(store, EXAMPLE, {"epsilon": 0.5})
        assert content == content_of(encode_weights(EXAMPLE, summary={"epsilon": 0.5}))
        read = read_weights(store, content, schema=WeightsSchema.of(EXAMPLE))
        assert are_identical(read.weights, EXAMPLE)
        assert read.summary == {"epsilon": 0.5}
