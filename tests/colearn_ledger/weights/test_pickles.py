"""Pickled and empty weights are detected before they are read."""

from __future__ import annotations

import gzip
import io
import os
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.weights.codec import decode_weights, encode_weights
from colearn_ledger.weights.errors import EmptyWeights, PickledWeights
from colearn_ledger.weights.pickles import check_initial_weights, check_no_pickle, is_pickle


class RunsACommand:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


def npy_of_objects() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object))
    return file.getvalue()


def torch_file() -> bytes:
    import torch

    file = io.BytesIO()
    torch.save({"weight": torch.zeros(2)}, file)
    return file.getvalue()


class TestIsPickle:
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    @pytest.mark.parametrize("value", [RunsACommand(), np.arange(20_000)], ids=["command", "array"])
    def test_every_protocol_is_recognised(self, protocol: int, value: Any):
        assert is_pickle(pickle.dumps(value, protocol))

    def test_bytes_after_the_end_do_not_hide_a_pickle(self):
        assert is_pickle(pickle.dumps(RunsACommand()) + b"and more")

    def test_pickle_of_more_operations_than_are_read_is_recognised(self):
        assert is_pickle(pickle.dumps([[n] for n in range(20_000)]))

    def test_file_of_torch_is_recognised(self):
        assert is_pickle(torch_file())

    def test_numpy_file_of_objects_is_recognised(self):
        assert is_pickle(npy_of_objects())

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\x80",
            b"N.",  # a pickle of None in protocol 0, but also ordinary text
            b'{"learner": {"objective": "binary:logistic"}}',
            b"\x80\x04 is how this begins, but not how a pickle goes on",
            np.arange(-500, 500, dtype="<i4").tobytes(),
            gzip.compress(b"anything", mtime=0),
        ],
    )
    def test_other_bytes_are_not_mistaken_for_a_pickle(self, data: bytes):
        assert not is_pickle(data)

    @given(st.lists(st.floats(width=32), max_size=50))
    def test_arrays_of_floats_are_not_mistaken_for_a_pickle(self, numbers: list[float]):
        assert not is_pickle(np.array(numbers, "<f4").tobytes())


PICKLE = pickle.dumps({"slopes": 1.0})


class TestCheckNoPickle:
    @pytest.mark.parametrize(
        ("weights", "where"),
        [
            (PICKLE, "the weights contain"),
            ({"model": PICKLE}, "'model'"),
            ([np.zeros(3), {"trees": (bytearray(PICKLE),)}], "'1/trees/0'"),
            ([np.frombuffer(PICKLE, np.uint8)], "'0'"),
            ([np.frombuffer(PICKLE, np.int8)], "'0'"),
            ({"text": pickle.dumps(RunsACommand(), 0).decode()}, "'text'"),
        ],
    )
    def test_pickle_at_any_depth_is_refused_with_its_path(self, weights: Any, where: str):
        with pytest.raises(PickledWeights, match=where):
            check_no_pickle(weights)

    def test_pickle_is_found_in_encoded_and_decoded_weights(self):
        with pytest.raises(PickledWeights):
            check_no_pickle(decode_weights(encode_weights({"model": PICKLE})).weights)

    def test_ordinary_weights_pass(self):
        check_no_pickle({"a": [np.zeros(3), 1, 2.0, True, None, "text", b"bytes"], "b": ()})


class TestCheckInitialWeights:
    @pytest.mark.parametrize(
        "weights", [None, [], {}, (), [None], {"a": []}, np.zeros((0, 3)), [np.zeros(0)]]
    )
    def test_weights_without_a_value_are_refused(self, weights: Any):
        with pytest.raises(EmptyWeights, match="nothing to train"):
            check_initial_weights(weights)

    def test_pickled_weights_are_refused(self):
        with pytest.raises(PickledWeights):
            check_initial_weights({"model": PICKLE})

    @pytest.mark.parametrize("weights", [0.0, [np.zeros(1)], {"trees": b""}, "", [None, 1]])
    def test_weights_that_have_or_can_get_values_pass(self, weights: Any):
        check_initial_weights(weights)
