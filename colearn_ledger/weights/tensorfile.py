"""Read and write safetensors files, checking everything in a file before using it."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

import ml_dtypes
import numpy as np

from colearn_ledger.text.strict_json import InvalidJson, load
from colearn_ledger.weights.errors import (
    CorruptHeader,
    InvalidTensor,
    OversizedWeights,
    TrailingBytes,
    TruncatedWeights,
    UnknownFormat,
    UnsupportedWeights,
    shown,
)
from colearn_ledger.weights.tree import Array

MAX_HEADER = 4 * 2**20
"""Longest header in bytes; enough for about 30,000 tensors."""

MAX_MERGED_HEADER = 2 * MAX_HEADER
"""Longest header in bytes of a merged file.

It also lists the merged files, and its offsets may have more digits than those in the files.
"""

RANGE = 2**18
"""Number of elements that are read at once, so that memory does not depend on a tensor's size."""

MAX_DIMENSIONS = 64
"""Most dimensions of a numpy array."""

DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "I16": np.dtype(np.int16),
    "U16": np.dtype(np.uint16),
    "I32": np.dtype(np.int32),
    "U32": np.dtype(np.uint32),
    "I64": np.dtype(np.int64),
    "U64": np.dtype(np.uint64),
    "F16": np.dtype(np.float16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
}
"""The supported data types by their names in safetensors."""

_DATA_ORDER = (
    *("U64", "I64", "F64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16"),
    *("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"),
)
"""The order of the tensors' data in a file: by data type, then by name, as the library does it."""

_CODES = {dtype.name: code for code, dtype in DTYPES.items()}
_METADATA = "__metadata__"
_METADATA_KEY = "colearn"
_PREFIX = 8

_ReadAt: TypeAlias = Callable[[int, int], bytes | memoryview]
"""Return this many bytes of a file, the second number, from an offset, the first number."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Data type (a key of `DTYPES`) and shape of a tensor; ``None`` is an open length."""

    dtype: str
    shape: tuple[int | None, ...]

    @property
    def size(self) -> int:
        """Return the number of elements; an open length counts as 0."""
        return math.prod(0 if n is None else n for n in self.shape)

    @property
    def nbytes(self) -> int:
        """Return the number of bytes of the elements; an open length counts as 0."""
        return self.size * DTYPES[self.dtype].itemsize


def dtype_code(array: Array, name: str) -> str:
    """Return the key in `DTYPES` of an array's data type, in any byte order.

    Raises:
        UnsupportedWeights: the format does not support the data type.
    """
    if (code := _CODES.get(array.dtype.name)) is None:
        raise UnsupportedWeights(
            f"{shown(name)} has the data type {array.dtype}; convert it to one of "
            + ", ".join(_CODES)
        )
    return code


def specs_of(arrays: Mapping[str, Array]) -> dict[str, TensorSpec]:
    """Return data types and shapes of arrays.

    Raises:
        UnsupportedWeights: the format does not support a data type.
    """
    return {name: TensorSpec(dtype_code(a, name), a.shape) for name, a in arrays.items()}


def lay_out(
    tensors: Mapping[str, TensorSpec], info: bytes, *, max_header: int = MAX_HEADER
) -> tuple[bytes, list[str]]:
    """Return a file's header and the names of its tensors in the order of their data.

    The bytes are those that the safetensors library writes. The library needs a second copy of the
    tensors in memory; this function and `data_of` do not.

    Raises:
        UnsupportedWeights: the header is longer than ``max_header`` bytes.
    """
    names = sorted(tensors, key=lambda name: (_DATA_ORDER.index(tensors[name].dtype), name))
    header: dict[str, Any] = {_METADATA: {_METADATA_KEY: info.decode("utf-8")}}
    end = 0
    for name in names:
        begin, end = end, end + tensors[name].nbytes
        shape = list(tensors[name].shape)
        header[name] = {"dtype": tensors[name].dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % _PREFIX)
    if len(text) > max_header:
        raise UnsupportedWeights(
            f"names, structure and summary take more than {max_header} bytes; "
            "use fewer tensors or a shorter summary"
        )
    return len(text).to_bytes(_PREFIX, "little") + text, names


def data_of(array: Array) -> memoryview:
    """Return the bytes of an array's elements as a file contains them, if possible uncopied."""
    little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    return little.reshape(-1).view(np.uint8).data


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A safetensors file whose header has been checked against its bytes.

    Args:
        info: our JSON document in the header.
        tensors: data type and shape by name.
    """

    info: Any
    tensors: Mapping[str, TensorSpec]
    _offsets: Mapping[str, int]
    _read: _ReadAt

    @classmethod
    def parse(cls, data: memoryview, *, max_header: int = MAX_HEADER) -> TensorFile:
        """Parse a file in memory and check its header against its bytes.

        Raises:
            TruncatedWeights, TrailingBytes, OversizedWeights, CorruptHeader, UnknownFormat:
                the file has this defect; only the first one found is reported.
        """
        return cls._parse(lambda begin, size: data[begin : begin + size], len(data), max_header)

    @classmethod
    def parse_file(cls, file: BinaryIO, *, max_header: int = MAX_HEADER) -> TensorFile:
        """Parse a file on disk, which has to stay open; its tensors are not read yet.

        Raises:
            TruncatedWeights, TrailingBytes, OversizedWeights, CorruptHeader, UnknownFormat:
                the file has this defect; only the first one found is reported.
        """

        def read(begin: int, size: int) -> bytes:
            file.seek(begin)
            return file.read(size)

        return cls._parse(read, file.seek(0, os.SEEK_END), max_header)

    def array(self, name: str) -> Array:
        """Return a tensor, aligned and writable.

        It is a view of the file if that is in writable memory, otherwise a new array.

        Raises:
            InvalidTensor: a boolean is neither 0 nor 1.
            TruncatedWeights: the file became shorter after it was parsed.
        """
        spec = self.tensors[name]
        shape, dtype = _fixed(spec), DTYPES[spec.dtype]
        data = self._read_elements(name, 0, spec.size)
        if dtype.isnative and sys.byteorder == "little" and not memoryview(data).readonly:
            shared = np.frombuffer(data, np.uint8).view(dtype).reshape(shape)
            if shared.flags.aligned:
                return shared
        return _copy(data, np.empty(shape, dtype))

    def ranges(self, name: str) -> Iterator[tuple[int, int]]:
        """Yield the starts and stops of the ranges to read a tensor's elements in."""
        size = self.tensors[name].size
        for start in range(0, size, RANGE):
            yield start, min(start + RANGE, size)

    def elements(self, name: str, start: int, stop: int) -> Array:
        """Return a range of a tensor's elements, in C order, as a new array of one dimension.

        Raises:
            InvalidTensor: a boolean is neither 0 nor 1.
            TruncatedWeights: the file became shorter after it was parsed.
        """
        data = self._read_elements(name, start, stop)
        return _copy(data, np.empty(stop - start, DTYPES[self.tensors[name].dtype]))

    @classmethod
    def _parse(cls, read: _ReadAt, size: int, max_header: int) -> TensorFile:
        header, body = _read_header(read, size, max_header)
        metadata = header.pop(_METADATA, None)
        ranges = {name: _entry(name, entry) for name, entry in header.items()}
        _check_coverage(ranges, size - body)
        return cls(
            info=_info(metadata),
            tensors={name: spec for name, (spec, _, _) in ranges.items()},
            _offsets={name: body + begin for name, (_, begin, _) in ranges.items()},
            _read=read,
        )

    def _read_elements(self, name: str, start: int, stop: int) -> bytes | memoryview:
        """Return the bytes of a range of a tensor's elements."""
        dtype = DTYPES[self.tensors[name].dtype]
        size = (stop - start) * dtype.itemsize
        data = self._read(self._offsets[name] + start * dtype.itemsize, size)
        if len(data) != size:
            raise TruncatedWeights(f"the file became shorter while {shown(name)} was read")
        if dtype == np.bool_ and size and np.frombuffer(data, np.uint8).max() > 1:
            raise InvalidTensor(f"the booleans {shown(name)} hold bytes other than 0 and 1")
        return data


def _copy(data: bytes | memoryview, array: Array) -> Array:
    """Copy the elements of a file into an array, and return it in native byte order."""
    array.reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8)
    return array if sys.byteorder == "little" else array.byteswap()


def _read_header(read: _ReadAt, size: int, max_header: int) -> tuple[dict[str, Any], int]:
    """Return the parsed header and its end."""
    if size < _PREFIX:
        raise TruncatedWeights(f"the file has {size} bytes, too few for a header")
    length = int.from_bytes(read(0, _PREFIX), "little")
    if length > max_header:
        raise OversizedWeights(
            f"the header claims {length} bytes, more than the {max_header} allowed"
        )
    if length > size - _PREFIX:
        raise TruncatedWeights(
            f"the header claims {length} bytes, the file has {size - _PREFIX} left"
        )
    try:
        header = load(bytes(read(_PREFIX, length)))
    except InvalidJson as error:
        raise CorruptHeader(f"the header is not strict JSON: {error}") from error
    if not isinstance(header, dict):
        raise CorruptHeader("the header is not a JSON object")
    return header, _PREFIX + length


def _entry(name: str, entry: Any) -> tuple[TensorSpec, int, int]:
    """Return a tensor's specification, begin and end."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise CorruptHeader(f"the entry of {shown(name)} is not dtype, shape and data_offsets")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise CorruptHeader(f"{shown(name)} has the unknown data type {shown(code)}")
    if not _naturals(shape) or len(shape) > MAX_DIMENSIONS:
        raise CorruptHeader(f"{shown(name)} has the impossible shape {shown(shape)}")
    if not _naturals(offsets) or len(offsets) != 2:
        raise CorruptHeader(f"{shown(name)} has the impossible data_offsets {shown(offsets)}")
    spec = TensorSpec(code, tuple(shape))
    itemsize = DTYPES[code].itemsize
    # numpy treats zeros as ones when it checks for overflow, and so do we
    if math.prod(max(n, 1) for n in shape) * itemsize >= 2**63:
        raise CorruptHeader(f"{shown(name)} has the impossible shape {shown(shape)}")
    begin, end = offsets
    if end - begin != math.prod(shape) * itemsize:
        raise CorruptHeader(f"the data_offsets of {shown(name)} do not fit its shape and dtype")
    return spec, begin, end


def _check_coverage(ranges: Mapping[str, tuple[TensorSpec, int, int]], size: int) -> None:
    """Check that the tensors cover the data exactly, without gaps or overlaps."""
    position = 0
    for name, (_, begin, end) in sorted(ranges.items(), key=lambda item: item[1][1:]):
        if begin != position:
            what = "overlaps the tensor before it" if begin < position else "follows a gap"
            raise CorruptHeader(f"{shown(name)} {what}")
        position = end
    if position > size:
        raise TruncatedWeights(f"the tensors take {position} bytes, the file has {size} for them")
    if position < size:
        raise TrailingBytes(f"{size - position} bytes follow the last tensor")


def _info(metadata: Any) -> Any:
    if not isinstance(metadata, dict) or set(metadata) != {_METADATA_KEY}:
        raise UnknownFormat(f"the header's metadata is not the one entry {_METADATA_KEY!r}")
    if not isinstance(metadata[_METADATA_KEY], str):
        raise CorruptHeader("the header's metadata is not a string")
    try:
        return load(metadata[_METADATA_KEY])
    except InvalidJson as error:
        raise CorruptHeader(f"the header's metadata is not strict JSON: {error}") from error


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _fixed(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(n for n in spec.shape if n is not None)
