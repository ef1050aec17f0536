"""Merge the accepted weights of a round into their mean, which is the same file for everybody.

Whoever merges the same files computes the same bytes, on any machine and with any supported numpy:

- Tensors of a floating data type: start from the lowest slot's values in float64, add the others
  in slot order, divide by their number. Data types narrower than float32 are rounded to float32
  and then to the data type, ties to even. An infinite result, which only float64 can have, becomes
  the largest finite value of its sign.
- All other tensors are the lowest slot's.
- The header is the one of `encode_weights` without a training summary. It also lists the merged
  files and the round.

Only additions, divisions and roundings of IEEE 754 are used. Their results are exactly defined,
except in a thread that flushes subnormal numbers to zero; merging is refused there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from colearn_ledger.home import open_atomically
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.codec import (
    MergeRecord,
    check_finite,
    check_weights,
    merged_info,
    open_weights,
)
from colearn_ledger.weights.errors import NothingToMerge, SubnormalsFlushed, WeightsError
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.tensorfile import (
    DTYPES,
    MAX_MERGED_HEADER,
    RANGE,
    TensorFile,
    data_of,
    dtype_code,
    lay_out,
)
from colearn_ledger.weights.tree import Array, WeightsTree, flatten
from colearn_ledger.weights.unixfs import CHUNK_SIZE, FileHasher, verified

_FLOAT64 = np.dtype(np.float64)
_FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class AcceptedFile:
    """A local copy of an accepted proposal's weights.

    Args:
        content: the reference on the ledger.
        path: the local file.
    """

    content: ContentRef
    path: Path


@dataclass(frozen=True, slots=True)
class MergeInputs:
    """The accepted files of a round, divided by whether they can be merged.

    Args:
        usable: the files to merge, in slot order.
        left_out: each other file, with its defect.
    """

    usable: tuple[AcceptedFile, ...]
    left_out: tuple[tuple[AcceptedFile, WeightsError], ...]


def select_usable(files: Sequence[AcceptedFile], schema: WeightsSchema) -> MergeInputs:
    """Check accepted files, and leave out those that do not match the schema or are not finite.

    Every learner leaves out the same files, because the defect is in the bytes that the reference
    determines. The files are read piece by piece.

    Args:
        files: all accepted files of the round, in slot order.
        schema: the experiment's schema.

    Raises:
        ContentMismatch, WrongReference: a file is not the one that its reference describes; fetch
            it again.
        NothingToMerge: all files were left out; the message gives the defects.
        OSError: a file cannot be read.
    """
    usable: list[AcceptedFile] = []
    left_out: list[tuple[AcceptedFile, WeightsError]] = []
    for each in files:
        with each.path.open("rb") as file:
            for _ in verified(_pieces_of(file), each.content):
                pass
            try:
                check_weights(file, schema)
            except WeightsError as error:
                left_out.append((each, error))
            else:
                usable.append(each)
    if not usable:
        defects = "; ".join(f"{each.content.cid}: {error}" for each, error in left_out)
        raise NothingToMerge(
            "none of the accepted weights can be used, so decline to train until other weights "
            f"are accepted ({defects or 'there are none'})"
        )
    return MergeInputs(tuple(usable), tuple(left_out))


def merge_files(
    files: Sequence[AcceptedFile], output: Path, *, schema: WeightsSchema, round_index: int
) -> ContentRef:
    """Write the mean of weights into a file and return its reference.

    A single file is copied byte for byte. The files are read piece by piece, so that memory depends
    neither on their size nor on their number. Read the result with
    ``decode_weights(…, is_merged=True)``: the schema's size limit does not apply to it.

    Args:
        files: the files that `select_usable` found usable, in slot order.
        output: the file to write. It appears only once it is complete.
        schema: the experiment's schema.
        round_index: the round in which the files were accepted; it becomes part of the result.

    Raises:
        NothingToMerge: there are no files.
        SubnormalsFlushed: this thread flushes subnormal numbers to zero.
        WeightsError: a file does not match the schema or is not finite; the message contains its
            CID. `select_usable` leaves such files out.
        ContentMismatch, WrongReference: the single file is not the one that its reference
            describes.
        OSError: a file cannot be read or written.
    """
    if not files:
        raise NothingToMerge("there are no weights to merge; pass at least one accepted file")
    hasher = FileHasher()
    with ExitStack() as stack:
        opened = [stack.enter_context(each.path.open("rb")) for each in files]
        if len(files) == 1:
            pieces: Iterator[bytes | memoryview] = verified(_pieces_of(opened[0]), files[0].content)
        else:
            pieces = _merge(files, opened, schema, round_index)
        written = stack.enter_context(open_atomically(output))
        for piece in pieces:
            hasher.update(piece)
            written.write(piece)
    return hasher.content()


def compute_mean(weights: Sequence[WeightsTree]) -> WeightsTree:
    """Return the mean of weights in memory: new tensors with the bits that `merge_files` writes.

    Args:
        weights: at least one tree, in slot order. All match one schema and are finite.

    Raises:
        SubnormalsFlushed: this thread flushes subnormal numbers to zero.
        UnsupportedWeights: the format does not support these weights.
    """
    check_subnormals()
    (structure, lowest), *others = [flatten(each) for each in weights]
    mean = {}
    for name, array in lowest.items():
        if not others or not _is_floating(dtype_code(array, name)):
            mean[name] = np.array(array)
            continue
        mean[name] = result = np.empty(array.shape, array.dtype)
        parts = [each.reshape(-1) for each in (array, *(tensors[name] for _, tensors in others))]
        flat = result.reshape(-1)
        for start in range(0, flat.size, RANGE):
            chosen = slice(start, start + RANGE)
            flat[chosen] = _mean(part[chosen] for part in parts)
    averaged: WeightsTree = structure.build(mean)
    return averaged


def check_subnormals() -> None:
    """Check that this thread computes with subnormal numbers.

    Programs compiled with ``-ffast-math``, and some libraries, make the processor replace them by
    zero (flush-to-zero, denormals-are-zero) in the thread that loads them.

    Raises:
        SubnormalsFlushed: it does not.
    """
    for code in filter(_is_floating, DTYPES):
        dtype = DTYPES[code]
        bits = np.dtype(f"u{dtype.itemsize}")
        smallest_and_thrice = (np.full(8, number, bits).view(dtype) for number in (1, 3))
        # compared as bits: such a thread also considers subnormal numbers equal to zero
        if (_mean(smallest_and_thrice).view(bits) != 2).any():
            raise SubnormalsFlushed(
                "this thread flushes subnormal numbers to zero, so that its mean of the weights "
                "would differ from everybody else's; merge in a process that does not load "
                f"libraries compiled with -ffast-math (found with {dtype.name})"
            )


def _merge(
    files: Sequence[AcceptedFile],
    opened: Sequence[BinaryIO],
    schema: WeightsSchema,
    round_index: int,
) -> Iterator[bytes | memoryview]:
    """Yield the pieces of the merged file."""
    check_subnormals()
    sources: list[tuple[AcceptedFile, TensorFile]] = []
    for each, file in zip(files, opened, strict=True):
        with _naming(each):
            structure, tensors = open_weights(file, schema)
        sources.append((each, tensors))
    lowest = sources[0][1]
    record = MergeRecord(round_index, tuple(each.content for each in files))
    info = merged_info(structure, record)
    header, names = lay_out(lowest.tensors, info, max_header=MAX_MERGED_HEADER)
    yield header
    for name in names:
        is_floating = _is_floating(lowest.tensors[name].dtype)
        for start, stop in lowest.ranges(name):
            arrays = _read_each(sources, name, start, stop)
            yield data_of(_mean(arrays) if is_floating else next(arrays))


def _is_floating(code: str) -> bool:
    return DTYPES[code].kind not in "biu"


def _read_each(
    sources: Sequence[tuple[AcceptedFile, TensorFile]], name: str, start: int, stop: int
) -> Iterator[Array]:
    """Yield each file's values of a range of a tensor's elements, checked to be finite."""
    for each, tensors in sources:
        with _naming(each):
            array = tensors.elements(name, start, stop)
            check_finite(name, array)
        yield array


def _mean(arrays: Iterator[Array]) -> Array:
    """Return the mean of arrays in their data type."""
    first = next(arrays)
    with np.errstate(all="ignore"):
        total, count = first.astype(_FLOAT64), 1
        for array in arrays:
            total += array.astype(_FLOAT64)
            count += 1
        total /= _FLOAT64.type(count)
        if first.dtype == _FLOAT64:
            return np.clip(total, -sys.float_info.max, sys.float_info.max)
        return total.astype(_FLOAT32).astype(first.dtype)


@contextmanager
def _naming(each: AcceptedFile) -> Iterator[None]:
    """Begin the message of an error with the file's CID."""
    try:
        yield
    except WeightsError as error:
        raise type(error)(f"the weights {each.content.cid} cannot be merged: {error}") from error


def _pieces_of(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(CHUNK_SIZE):
        yield piece
