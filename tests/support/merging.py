"""Weights to merge, and a program that prints the hashes of fixed merges.

``python -m tests.support.merging FOLDER`` prints a line per merge. The inputs do not depend on
numpy's random numbers, which may change between versions.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.codec import DecodedWeights, decode_weights, encode_weights
from colearn_ledger.weights.merge import AcceptedFile, merge_files
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.tensorfile import DTYPES
from colearn_ledger.weights.unixfs import content_of

SHAPES = ((), (0,), (3, 0, 2), (1,), (7,), (5, 3, 2), (1, 1, 33, 1))
ROUND = 5


def save(folder: Path, data: bytes) -> AcceptedFile:
    """Write a file under its CID."""
    content = content_of(data)
    path = folder / content.cid
    path.write_bytes(data)
    return AcceptedFile(content, path)


def save_trees(folder: Path, trees: Sequence[Any]) -> tuple[list[AcceptedFile], WeightsSchema]:
    """Write a file for each tree, in slot order; return the files and the first one's schema."""
    files = [
        save(folder, encode_weights(tree, summary={"slot": slot}))
        for slot, tree in enumerate(trees)
    ]
    return files, WeightsSchema.of(trees[0])


def merge_trees(folder: Path, trees: Sequence[Any]) -> tuple[ContentRef, bytes]:
    """Return the reference and the bytes of the mean of trees in slot order."""
    files, schema = save_trees(folder, trees)
    content = merge_files(files, folder / "merged", schema=schema, round_index=ROUND)
    return content, (folder / "merged").read_bytes()


def write_with_library(tensors: dict[str, Any], info: bytes) -> bytes:
    """Return the file that the safetensors library writes."""
    return safetensors.numpy.save(tensors, {"colearn": info.decode()})


def merge_arrays(folder: Path, *arrays: Any) -> Any:
    """Return the mean of arrays in slot order."""
    return decode_merged(merge_trees(folder, arrays)[1]).weights


def decode_merged(data: bytes, schema: WeightsSchema | None = None) -> DecodedWeights:
    return decode_weights(data, schema=schema, is_merged=True)


def make_array(code: str, shape: Sequence[int], seed: str) -> np.ndarray:
    """Return an array of finite values whose bits follow from the seed."""
    dtype, size = DTYPES[code], int(np.prod(shape))
    data = bytearray(hashlib.shake_256(seed.encode()).digest(size * dtype.itemsize))
    if code == "BOOL":
        data = bytearray(byte & 1 for byte in data)
    array = np.frombuffer(data, dtype).copy()
    if dtype.kind not in "biu":
        array[~np.isfinite(array)] = 1
    return array.reshape(shape)


def make_tree(slot: int) -> dict[str, Any]:
    """Return weights of all data types, shapes and kinds of leaves."""
    tree: dict[str, Any] = {
        code: [make_array(code, shape, f"{code} {shape} {slot}") for shape in SHAPES]
        for code in DTYPES
    }
    tree["large"] = make_array("F32", (300_001,), f"large {slot}")
    tree["scalar"] = (make_array("F16", (), f"scalar {slot}")[()], None, {})
    tree["python"] = [slot % 2 == 1, slot, slot / 3, bytes([slot]) * slot, "é" * slot]
    return tree


def hash_fixed_merges(folder: Path) -> list[str]:
    """Return the sha256 of merges of 2, 3 and 16 files."""
    folder.mkdir(exist_ok=True)
    trees = [make_tree(slot) for slot in range(16)]
    return [merge_trees(folder, trees[:number])[0].sha256 for number in (2, 3, 16)]


if __name__ == "__main__":
    print(*hash_fixed_merges(Path(sys.argv[1])), sep="\n")
