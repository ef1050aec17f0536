"""MATLAB files of versions 5 to 7: one matrix of numbers out of such a file.

scipy can read them, but its compiled reader crashes the process on some damaged ones.

Source: the MAT-File Level 5 format, as MathWorks documents it.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from colearn_learner.errors import InvalidData

__all__ = ["read_matrix"]

_MAX_BYTES = 2**30
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_KINDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_KINDS |= {12: "i8", 13: "u8"}
"""How elements are stored, by the number of their kind."""

_NUMBERS = range(6, 16)
"""Classes of arrays that are numbers: double, single, and whole ones."""

_COMPLEX = 0x800


class _Broken(Exception):
    """What is read does not follow the format; says where."""


def read_matrix(file: Path, name: str) -> npt.NDArray[Any]:
    """Return a real matrix of a MATLAB file, shape (rows, columns).

    Raises:
        InvalidData: the file is missing, damaged, of another version, too large, or has no such
            matrix.
    """
    if not file.is_file():
        raise InvalidData(f"{file} is missing")
    if (size := file.stat().st_size) > _MAX_BYTES:
        raise InvalidData(f"{file} is {size:,} bytes long; {_MAX_BYTES:,} at most")
    content = file.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or content[124:126] not in (b"\x00\x01", b"\x01\x00"):
        raise InvalidData(f"{file} is no MATLAB file of version 5 to 7 (save it with -v7)")
    try:
        for matrix in _matrices(memoryview(content)[_HEADER:], order):
            if (found := _numbers(matrix, order, name)) is not None:
                return found
    except (_Broken, struct.error, zlib.error) as error:
        raise InvalidData(f"{file} is damaged: {error}") from error
    raise InvalidData(f"{file} has no matrix {name} of numbers")


def _matrices(view: memoryview, order: str) -> Iterator[memoryview]:
    while view:
        kind, body, view = _element(view, order)
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            unpacked = unpacker.decompress(body, _MAX_BYTES)
            if not unpacker.eof:
                raise _Broken(f"it is cut short, or unpacks to more than {_MAX_BYTES:,} bytes")
            kind, body, _ = _element(memoryview(unpacked), order)
        if kind == _MATRIX:
            yield body


def _numbers(matrix: memoryview, order: str, name: str) -> npt.NDArray[Any] | None:
    """Return a matrix's numbers; None if it has another name, or is no matrix of real numbers."""
    _, flags, rest = _element(matrix, order)
    _, lengths, rest = _element(rest, order)
    _, called, rest = _element(rest, order)
    (flag,) = struct.unpack_from(f"{order}I", flags)
    if bytes(called) != name.encode() or len(lengths) != 8:
        return None
    if flag & 0xFF not in _NUMBERS or flag & _COMPLEX:
        return None
    rows, columns = struct.unpack(f"{order}2i", lengths)
    kind, elements, _ = _element(rest, order)
    if kind not in _KINDS:
        raise _Broken(f"{name} has elements of an unknown kind, {kind}")
    dtype = np.dtype(order + _KINDS[kind])
    if min(rows, columns) < 0 or rows * columns * dtype.itemsize != len(elements):
        raise _Broken(f"{name} is not as long as its shape {rows} × {columns} says")
    return np.frombuffer(elements, dtype).reshape((rows, columns), order="F")


def _element(view: memoryview, order: str) -> tuple[int, memoryview, memoryview]:
    """Return an element's kind, its content, and what follows it."""
    (tag,) = struct.unpack_from(f"{order}I", view)
    if tag >> 16:  # a short one, in eight bytes
        kind, size, start, end = tag & 0xFFFF, tag >> 16, 4, 8
    else:
        kind, (size,), start = tag, struct.unpack_from(f"{order}I", view, 4), 8
        end = start + (size if kind == _COMPRESSED else 8 * math.ceil(size / 8))
    body = view[start : start + size]
    if len(body) < size or (end == 8 and size > 4):
        raise _Broken("it is cut short")
    return kind, body, view[end:]
