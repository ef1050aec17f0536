"""Read numpy's ``.npz`` files safely, even from strangers.

Such a file is a ZIP archive of arrays. Nothing is unpickled. The memory in use is limited to the
sizes in the archive's directory, which must agree with the header of each array.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from colearn_learner.datasets.records import MAX_BYTES
from colearn_learner.errors import InvalidData

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError),
    *(NotImplementedError, RuntimeError),  # unknown compression, or encrypted
    OSError,  # a seek to a position before the start of the file
)


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...

    def tell(self) -> int: ...


def read_arrays(
    path: Path, names: Sequence[str], *, max_bytes: int = MAX_BYTES
) -> dict[str, npt.NDArray[Any]]:
    """Read numeric arrays from a ``.npz`` file.

    Args:
        path: the file.
        names: the names of all arrays in the file.
        max_bytes: the largest allowed size of all arrays together, uncompressed.

    Raises:
        InvalidData: the file is damaged or too large, or contains other arrays.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _read_arrays(path, archive, names, max_bytes)
        except InvalidData:
            raise
        except _DAMAGE as error:
            raise InvalidData(f"{path} is damaged, or not a .npz file: {error}") from error


def _read_arrays(
    path: Path, archive: zipfile.ZipFile, names: Sequence[str], max_bytes: int
) -> dict[str, npt.NDArray[Any]]:
    members = archive.infolist()
    found = sorted(member.filename for member in members)
    if found != sorted(f"{name}.npy" for name in names):
        raise InvalidData(
            f"{path} contains {', '.join(found)[:200] or 'nothing'}; expected the arrays"
            f" {', '.join(names)}"
        )
    if (size := sum(member.file_size for member in members)) > max_bytes:
        raise InvalidData(
            f"{path} would need {size:,} bytes unpacked; at most {max_bytes:,} are allowed"
        )
    return {name: _read_array(path, archive, f"{name}.npy") for name in names}


def _read_array(path: Path, archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    size = archive.getinfo(name).file_size
    with archive.open(name) as member:
        try:
            shape, by_columns, dtype = _read_header(member)
        except ValueError as error:
            raise InvalidData(f"{path}: {name} is not a numpy array: {error}") from error
        if dtype.kind not in "iuf":
            raise InvalidData(f"{path}: {name} has elements of type {dtype}, which are not numbers")
        if member.tell() + math.prod(shape) * dtype.itemsize != size:
            raise InvalidData(f"{path}: {name} does not have the length of its shape {shape}")
        elements = np.frombuffer(bytearray(member.read()), dtype)
    return elements.reshape(shape, order="F" if by_columns else "C")


def _read_header(member: _Readable) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    if version not in _HEADERS:
        raise ValueError(f"its format {version} is not supported")
    shape, by_columns, dtype = _HEADERS[version](member)
    if any(length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    return shape, by_columns, dtype
