"""Accepted files that cannot be merged are left out, by everybody alike."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_ledger.weights.codec import encode_weights
from colearn_ledger.weights.errors import (
    CorruptHeader,
    InvalidTensor,
    MismatchedWeights,
    NonFiniteWeights,
    NothingToMerge,
    OversizedWeights,
    TruncatedWeights,
    WeightsError,
)
from colearn_ledger.weights.merge import select_usable
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import ContentMismatch
from tests.support.merging import save, save_trees

TREE = {"a": np.float32([1, 2]), "b": "text", "c": np.array([True])}
GOOD = encode_weights(TREE)
SCHEMA = WeightsSchema.of(TREE, max_bytes=len(GOOD) + 10)

DEFECTIVE: dict[str, tuple[bytes, type[WeightsError]]] = {
    "infinity": (encode_weights({**TREE, "a": np.float32([1, np.inf])}), NonFiniteWeights),
    "NaN": (encode_weights({**TREE, "a": np.float32([np.nan, 1])}), NonFiniteWeights),
    "another shape": (encode_weights({**TREE, "a": np.float32([1])}), MismatchedWeights),
    "another structure": (encode_weights([*TREE.values()]), MismatchedWeights),
    "a long text": (encode_weights({**TREE, "b": "text" * 9}), OversizedWeights),
    "not UTF-8": (GOOD.replace(b"text\1", b"te\xfft\1"), InvalidTensor),
    "a bool of 2": (GOOD[:-1] + b"\2", InvalidTensor),
    "a cut file": (GOOD[:-1], TruncatedWeights),
    "not weights": (bytes(50), CorruptHeader),
}


@pytest.mark.parametrize(("data", "error"), DEFECTIVE.values(), ids=list(DEFECTIVE))
def test_defective_file_is_left_out_with_its_defect(
    tmp_path: Path, data: bytes, error: type[WeightsError]
):
    good, bad, last = (save(tmp_path, each) for each in (GOOD, data, GOOD))
    inputs = select_usable([good, bad, last], SCHEMA)
    assert inputs.usable == (good, last)
    [(left_out, reason)] = inputs.left_out
    assert left_out == bad
    assert type(reason) is error


def test_files_without_defects_are_all_usable(tmp_path: Path):
    trees: list[Any] = [{**TREE, "a": np.float32([slot, 2])} for slot in range(3)]
    files, schema = save_trees(tmp_path, trees)
    inputs = select_usable(files, schema)
    assert (inputs.usable, inputs.left_out) == (tuple(files), ())


def test_error_explains_why_no_file_is_left(tmp_path: Path):
    one, two = (save(tmp_path, DEFECTIVE[name][0]) for name in ("infinity", "a cut file"))
    with pytest.raises(NothingToMerge) as caught:
        select_usable([one, two], SCHEMA)
    assert f"{one.content.cid}: 'a' holds NaN or infinity" in str(caught.value)
    assert f"{two.content.cid}: the tensors take" in str(caught.value)
    with pytest.raises(NothingToMerge, match="there are none"):
        select_usable([], SCHEMA)


@pytest.mark.parametrize("data", [GOOD[:-1], GOOD[:-1] + b"\0", DEFECTIVE["NaN"][0]])
def test_file_that_is_not_the_accepted_one_is_an_error_and_not_left_out(
    tmp_path: Path, data: bytes
):
    good, other = (save(tmp_path, each) for each in (GOOD, DEFECTIVE["infinity"][0]))
    other.path.write_bytes(data)
    with pytest.raises(ContentMismatch):
        select_usable([good, other], SCHEMA)


def test_missing_file_is_an_error_and_not_left_out(tmp_path: Path):
    good = save(tmp_path, GOOD)
    good.path.unlink()
    with pytest.raises(FileNotFoundError):
        select_usable([good], SCHEMA)


def test_memory_for_checking_does_not_grow_with_the_file(tmp_path: Path):
    def peak_of(tensors: int, size: int) -> int:
        files, schema = save_trees(tmp_path, [[np.ones(size, np.float32)] * tensors])
        tracemalloc.start()
        try:
            select_usable(files, schema)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = peak_of(2, 800_000)
    assert peak_of(20, 800_000) < 1.1 * few
    assert peak_of(1, 16_000_000) < 1.1 * few
