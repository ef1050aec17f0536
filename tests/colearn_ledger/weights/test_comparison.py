from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.weights.codec import decode_weights, encode_weights
from colearn_ledger.weights.comparison import hash_tensors, measure_distance

TREE: dict[str, Any] = {
    "a": np.arange(6.0).reshape(2, 3),
    "b": [np.ones(2, np.float32), 3, 0.5, "text", b"bytes", None, True],
    "c": np.ones(4, ml_dtypes.bfloat16),
}


class TestHash:
    def test_header_and_byte_order_make_no_difference(self):
        data = encode_weights(TREE, summary={"epochs": 3}, base="ab" * 32)
        assert hash_tensors(decode_weights(data).weights) == hash_tensors(TREE)
        swapped = {**TREE, "a": TREE["a"].astype(">f8")}
        assert hash_tensors(swapped) == hash_tensors(TREE)
        assert hash_tensors({**TREE, "a": np.asfortranarray(TREE["a"])}) == hash_tensors(TREE)

    @pytest.mark.parametrize(
        "change",
        [
            {"a": TREE["a"].reshape(3, 2)},
            {"a": TREE["a"].astype(np.float32)},
            {"a": -TREE["a"]},
            {"c": TREE["c"].view(np.uint16)},
            {"b": tuple(TREE["b"])},
            {"b": [*TREE["b"], None]},
            {"d": np.zeros(0)},
        ],
        ids=str,
    )
    def test_any_other_difference_changes_the_hash(self, change):
        assert hash_tensors({**TREE, **change}) != hash_tensors(TREE)


class TestDistance:
    def test_distance_is_the_l2_norm_of_the_difference_of_all_floating_tensors(self):
        other = {
            **TREE,
            "a": TREE["a"] + 2,
            "b": [TREE["b"][0] + 1, 9, 1.5, "x", b"y", None, False],
        }
        assert measure_distance(TREE, other) == pytest.approx(math.sqrt(6 * 4 + 2 * 1 + 1))
        assert measure_distance(other, TREE) == measure_distance(TREE, other)

    def test_large_arrays_are_added_up_in_parts(self):
        zeros = np.zeros((700, 1_000), np.float32)
        assert measure_distance([zeros], [zeros + 1]) == pytest.approx(math.sqrt(700_000))

    @given(st.sampled_from([np.float16, np.float32, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn]))
    def test_narrow_data_types_are_compared_in_float64(self, dtype):
        array = np.full(3, 240, dtype)
        assert measure_distance([array], [-array]) == pytest.approx(480 * math.sqrt(3))

    def test_overflow_is_an_infinite_distance(self):
        largest = np.full(2, np.finfo(np.float64).max)
        assert measure_distance([largest], [-largest]) == math.inf

    def test_weights_without_floating_tensors_have_distance_zero(self):
        assert measure_distance([b"a", 1, np.arange(3)], [b"b", 2, np.arange(3) + 1]) == 0.0
