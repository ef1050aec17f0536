"""Merged files: their content, their canonical bytes, and the errors of merging."""

from __future__ import annotations

import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.weights import merge, tensorfile
from colearn_ledger.weights.codec import (
    MergeRecord,
    decode_weights,
    encode_weights,
    merged_info,
)
from colearn_ledger.weights.comparison import hash_tensors
from colearn_ledger.weights.errors import (
    CorruptHeader,
    MismatchedWeights,
    NonFiniteWeights,
    NothingToMerge,
    OversizedWeights,
    WeightsError,
)
from colearn_ledger.weights.merge import AcceptedFile, compute_mean, merge_files
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import ContentMismatch
from colearn_ledger.weights.tensorfile import DTYPES, MAX_HEADER, TensorSpec, lay_out
from colearn_ledger.weights.tree import flatten
from colearn_ledger.weights.unixfs import content_of
from tests.support.merging import (
    ROUND,
    decode_merged,
    make_array,
    make_tree,
    merge_trees,
    save,
    save_trees,
    write_with_library,
)

ONE = {"a": np.float32([1, 2]), "b": [True, 7, b"one", "uno", None, np.int8([1])]}
TWO = {"a": np.float32([3, 6]), "b": [False, 9, b"second", "dos", None, np.int8([5])]}


def header_length(data: bytes) -> int:
    return struct.unpack("<Q", data[:8])[0]


class TestContent:
    def test_floating_tensors_are_averaged_and_all_else_is_the_lowest_slots(self, tmp_path: Path):
        _, data = merge_trees(tmp_path, [TWO, ONE])
        weights = decode_merged(data).weights
        assert weights["a"].tolist() == [2, 4]
        assert weights["a"].dtype == np.float32
        assert weights["b"][:5] == TWO["b"][:5]
        assert weights["b"][5].tolist() == [5]

    def test_python_floats_and_scalars_are_averaged(self, tmp_path: Path):
        trees = [[1.0, np.float16(1), np.int16(1)], [2.0, np.float16(2), np.int16(2)]]
        weights = decode_merged(merge_trees(tmp_path, trees)[1]).weights
        assert weights == [1.5, np.float16(1.5), np.int16(1)]
        assert [type(each) for each in weights] == [float, np.float16, np.int16]

    def test_header_lists_the_merged_files_and_the_round_and_no_summary(self, tmp_path: Path):
        files, schema = save_trees(tmp_path, [ONE, TWO, ONE])
        merge_files(files, tmp_path / "merged", schema=schema, round_index=9)
        decoded = decode_merged((tmp_path / "merged").read_bytes())
        assert decoded.summary is None
        assert decoded.merged == MergeRecord(9, tuple(file.content for file in files))
        assert decode_weights(encode_weights(ONE)).merged is None

    def test_reference_describes_the_merged_file(self, tmp_path: Path):
        content, data = merge_trees(tmp_path, [make_tree(0), make_tree(1)])
        assert content == content_of(data)

    def test_result_does_not_depend_on_names_of_files_or_the_order_of_their_data(
        self, tmp_path: Path
    ):
        content, _ = merge_trees(tmp_path, [ONE, TWO])
        files, schema = save_trees(tmp_path, [ONE, TWO])
        moved = [AcceptedFile(file.content, tmp_path / str(i)) for i, file in enumerate(files)]
        for file, other in zip(files, moved, strict=True):
            file.path.rename(other.path)
        assert merge_files(moved, tmp_path / "m", schema=schema, round_index=ROUND) == content

        (tmp_path / "odd").mkdir()
        odd = [save(tmp_path / "odd", reorder(encode_weights(tree))) for tree in (ONE, TWO)]
        merge_files(odd, tmp_path / "m", schema=schema, round_index=ROUND)
        merged = (tmp_path / "m").read_bytes()
        plain = (tmp_path / "merged").read_bytes()
        assert merged[8 + header_length(merged) :] == plain[8 + header_length(plain) :]

    def test_equal_files_count_once_for_each_slot(self, tmp_path: Path):
        _, data = merge_trees(tmp_path, [ONE, ONE, TWO, ONE])
        assert decode_merged(data).weights["a"].tolist() == [1.5, 3]

    def test_single_file_is_copied_byte_for_byte(self, tmp_path: Path):
        [file], schema = save_trees(tmp_path, [ONE])
        content = merge_files([file], tmp_path / "merged", schema=schema, round_index=0)
        assert content == file.content
        assert (tmp_path / "merged").read_bytes() == file.path.read_bytes()

    def test_schema_limits_neither_size_nor_header_of_the_result(self, tmp_path: Path):
        spare = MAX_HEADER - header_length(encode_weights({"": np.ones(1)}))
        trees = [{"x" * (spare // 2): np.array([value])} for value in (1.0, 2.0)]
        data = [encode_weights(tree) for tree in trees]
        assert header_length(data[0]) == MAX_HEADER
        schema = WeightsSchema.of(trees[0], max_bytes=len(data[0]))
        files = [save(tmp_path, each) for each in data]
        content = merge_files(files, tmp_path / "merged", schema=schema, round_index=0)
        merged = (tmp_path / "merged").read_bytes()
        assert content.size == len(merged) > len(data[0])
        assert [each.tolist() for each in decode_merged(merged, schema).weights.values()] == [[1.5]]
        with pytest.raises(OversizedWeights):
            decode_weights(merged, schema=schema)


def reorder(data: bytes) -> bytes:
    """Return an equivalent file with another order of its tensors' data, and with white space."""
    length = header_length(data)
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    metadata, parts = header.pop("__metadata__"), []
    for name in sorted(header, key=lambda name: -header[name]["data_offsets"][0]):
        begin, end = header[name]["data_offsets"]
        start = sum(map(len, parts))
        parts.append(body[begin:end])
        header[name]["data_offsets"] = [start, start + end - begin]
    text = json.dumps({**header, "__metadata__": metadata}, indent=1).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


class TestCanonicalBytes:
    """The merged file is laid out as the safetensors library lays out the same weights."""

    def test_file_equals_the_one_that_the_encoder_writes(self, tmp_path: Path):
        files, schema = save_trees(tmp_path, [make_tree(slot) for slot in range(3)])
        merge_files(files, tmp_path / "merged", schema=schema, round_index=ROUND)
        data = (tmp_path / "merged").read_bytes()
        structure, tensors = flatten(decode_merged(data).weights)
        record = MergeRecord(ROUND, tuple(file.content for file in files))
        assert write_with_library(tensors, merged_info(structure, record)) == data

    names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)

    @given(st.dictionaries(names, st.tuples(st.sampled_from(sorted(DTYPES)), shapes), max_size=20))
    def test_layout_equals_that_of_the_library(self, entries: dict[str, tuple[str, tuple]]):
        entries.pop("__metadata__", None)
        specs = {name: TensorSpec(code, shape) for name, (code, shape) in entries.items()}
        arrays = {n: np.full(s.shape, len(n), DTYPES[s.dtype]) for n, s in specs.items()}
        header, names = lay_out(specs, b'{"a":"\\u00e9\\n"}')
        data = header + b"".join(arrays[name].tobytes() for name in names)
        assert data == write_with_library(arrays, b'{"a":"\\u00e9\\n"}')


class TestErrors:
    def test_no_files_cannot_be_merged(self, tmp_path: Path):
        with pytest.raises(NothingToMerge, match="at least one"):
            merge_files([], tmp_path / "m", schema=WeightsSchema.of(ONE), round_index=0)

    @pytest.mark.parametrize(
        ("other", "error"),
        [
            ({**TWO, "a": np.float64([3, 6])}, MismatchedWeights),
            ({**TWO, "a": np.float32([3])}, MismatchedWeights),
            ({**TWO, "b": tuple(TWO["b"])}, MismatchedWeights),
            ({"b": TWO["b"], "a": TWO["a"]}, MismatchedWeights),
            ({"a": TWO["a"]}, MismatchedWeights),
            ({**TWO, "a": np.float32([3, np.inf])}, NonFiniteWeights),
            ({**TWO, "a": np.float32([np.nan, 1])}, NonFiniteWeights),
        ],
    )
    def test_unusable_file_is_named_and_leaves_no_output(
        self, tmp_path: Path, other: Any, error: type[WeightsError]
    ):
        files, schema = save_trees(tmp_path, [ONE, other, TWO])
        with pytest.raises(error, match=f"the weights {files[1].content.cid} cannot be merged: "):
            merge_files(files, tmp_path / "m", schema=schema, round_index=0)
        assert not (tmp_path / "m").exists()
        assert {path.name for path in tmp_path.iterdir()} == {f.content.cid for f in files}

    def test_error_keeps_the_previous_output(self, tmp_path: Path):
        files, schema = save_trees(tmp_path, [ONE, {"a": 1}])
        (tmp_path / "m").write_bytes(b"before")
        with pytest.raises(MismatchedWeights):
            merge_files(files, tmp_path / "m", schema=schema, round_index=0)
        assert (tmp_path / "m").read_bytes() == b"before"
        merge_files(files[:1] * 2, tmp_path / "m", schema=schema, round_index=0)
        assert decode_merged((tmp_path / "m").read_bytes()).weights["a"].tolist() == [1, 2]

    def test_single_file_with_other_bytes_is_refused(self, tmp_path: Path):
        [file], schema = save_trees(tmp_path, [ONE])
        file.path.write_bytes(file.path.read_bytes()[:-1] + b"\7")
        with pytest.raises(ContentMismatch):
            merge_files([file], tmp_path / "m", schema=schema, round_index=0)
        assert not (tmp_path / "m").exists()

    @pytest.mark.parametrize(
        "record",
        [
            None,
            [],
            {"round": 1},
            {"contents": [], "round": -1},
            {"contents": [], "round": True},
            {"contents": {}, "round": 1},
            {"contents": [None], "round": 1},
            {"contents": [{"cid": "x", "sha256": "0" * 64, "size": 1}], "round": 1},
            {"contents": [], "round": 1, "more": 1},
        ],
    )
    def test_malformed_record_of_a_merge_is_refused(self, record: Any):
        info = {"merged": record, "structure": "none", "summary": None, "version": 1}
        data = write_with_library({}, json.dumps(info).encode())
        with pytest.raises(CorruptHeader):
            decode_weights(data)


class TestMemory:
    def peak_of(self, folder: Path, trees: list[Any]) -> int:
        folder.mkdir()
        files, schema = save_trees(folder, trees)
        tracemalloc.start()
        try:
            merge_files(files, folder / "merged", schema=schema, round_index=0)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def test_memory_grows_neither_with_tensors_nor_their_size_nor_files(self, tmp_path: Path):
        def trees(files: int, tensors: int, size: int) -> list[Any]:
            return [[np.full(size, slot, np.float32)] * tensors for slot in range(files)]

        size = 800_000  # more than one range
        few = self.peak_of(tmp_path / "few", trees(2, 2, size))
        assert self.peak_of(tmp_path / "tensors", trees(2, 20, size)) < 1.1 * few
        assert self.peak_of(tmp_path / "large", trees(2, 1, 20 * size)) < 1.1 * few
        assert self.peak_of(tmp_path / "files", trees(16, 2, size)) < 1.1 * few


@pytest.mark.parametrize("length", [1, 2, 7, 22, 23, 24])
def test_length_of_the_ranges_does_not_change_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
):
    trees = [
        [make_array(code, (23,), f"{code} {slot}") for code in sorted(DTYPES)] for slot in (1, 2, 3)
    ]
    expected = merge_trees(tmp_path, trees)
    monkeypatch.setattr(tensorfile, "RANGE", length)
    assert merge_trees(tmp_path, trees) == expected


@pytest.mark.parametrize("length", [1, 7, 23, 100])
def test_mean_in_memory_has_the_tensors_of_the_merged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
):
    trees = [
        {code: make_array(code, (23,), f"{code} {slot}").reshape(1, 23) for code in sorted(DTYPES)}
        for slot in (1, 2, 3)
    ]
    expected = decode_merged(merge_trees(tmp_path, trees)[1]).weights
    given = hash_tensors(trees[0])
    monkeypatch.setattr(merge, "RANGE", length)
    mean = compute_mean(trees)
    assert hash_tensors(mean) == hash_tensors(expected)
    for array in mean.values():
        array[...] = 1  # a learner may change the mean
    assert hash_tensors(trees[0]) == given


def test_mean_in_memory_of_a_single_one_is_a_copy():
    tree = [np.array([-0.0, 1.5], np.float32)]
    [array] = compute_mean([tree])
    assert array.tobytes() == tree[0].tobytes()
    assert not np.shares_memory(array, tree[0])
