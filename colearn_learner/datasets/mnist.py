"""Reader for MNIST, handwritten digits: the original files or the archive from Keras."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from colearn_learner.datasets.npz import read_arrays
from colearn_learner.datasets.records import MAX_BYTES, Data
from colearn_learner.errors import InvalidData

MNIST_FILES = tuple(
    (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte") for part in ("train", "t10k")
)
"""Images and labels of the two parts, which are concatenated. Each name may end with .gz."""

_KERAS_FILE = "mnist.npz"
_KERAS_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_PLACES = (".", "raw", "MNIST/raw")
"""Subfolders that may contain the files; torchvision uses the last one."""

_BYTES = 0x08
"""The IDX code for unsigned bytes."""


def read_mnist(path: Path) -> Data:
    """Read MNIST: inputs of shape (70000, 28, 28, 1), uint8; targets 0 … 9.

    Args:
        path: the file ``mnist.npz`` from Keras, its folder, or the folder of the four IDX files.

    Raises:
        InvalidData: files are missing or damaged.
    """
    archive = path / _KERAS_FILE if path.is_dir() else path
    if archive.is_file():
        found = read_arrays(archive, _KERAS_ARRAYS)
        parts = [(found["x_train"], found["y_train"]), (found["x_test"], found["y_test"])]
    else:
        parts = [(read_idx(images), read_idx(labels)) for images, labels in _find_files(path)]
    return _concatenate(path, parts)


def _concatenate(path: Path, parts: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> Data:
    for images, labels in parts:
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise InvalidData(
                f"{path}: images of shape {images.shape} and labels of shape {labels.shape} do not"
                " match"
            )
        if images.dtype != np.uint8 or images.shape[1:] != parts[0][0].shape[1:]:
            raise InvalidData(
                f"{path}: images must all have the same size and brightness from 0 to 255"
            )
        if labels.dtype.kind not in "iu":
            raise InvalidData(
                f"{path}: labels have type {labels.dtype}; they must be whole numbers"
            )
    images = np.concatenate([images for images, _ in parts])
    labels = np.concatenate([labels for _, labels in parts])
    return Data(images[..., np.newaxis], labels.astype(np.int64))


def _find_files(path: Path) -> Iterator[tuple[Path, Path]]:
    for pair in MNIST_FILES:
        yield _find_file(path, pair[0]), _find_file(path, pair[1])


def _find_file(folder: Path, name: str) -> Path:
    dotted = name.replace("-idx", ".idx")  # some unpacking tools write a dot
    for place in _PLACES:
        for candidate in (name, f"{name}.gz", dotted, f"{dotted}.gz"):
            if (file := folder / place / candidate).is_file():
                return file
    raise InvalidData(
        f"{folder} has neither {_KERAS_FILE} nor {name}; the latter may end with .gz and be in"
        f" the folder itself or in {' or '.join(_PLACES[1:])}"
    )


def read_idx(path: Path, *, max_bytes: int = MAX_BYTES) -> npt.NDArray[np.uint8]:
    """Read the array in an IDX file of unsigned bytes, compressed with gzip or not.

    Args:
        path: the file.
        max_bytes: the largest allowed size of the array.

    Raises:
        InvalidData: the file is damaged, of another type or too large.
    """
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            if not compressed:
                return _parse_idx(path, file, max_bytes)
            with gzip.open(file) as unpacked:
                return _parse_idx(path, unpacked, max_bytes)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidData(f"{path} is damaged: {error}") from error


def _parse_idx(
    path: Path, file: IO[bytes] | gzip.GzipFile, max_bytes: int
) -> npt.NDArray[np.uint8]:
    start = file.read(4)
    if len(start) < 4 or start[:3] != bytes([0, 0, _BYTES]) or not 1 <= start[3] <= 4:
        raise InvalidData(
            f"{path} is not an IDX file of bytes: it starts with {start.hex() or 'none'}"
        )
    lengths = file.read(4 * start[3])
    if len(lengths) < 4 * start[3]:
        raise InvalidData(f"{path} ends within its header")
    shape = struct.unpack(f">{start[3]}I", lengths)
    if (size := math.prod(shape)) > max_bytes:
        raise InvalidData(f"{path} would need {size:,} bytes; at most {max_bytes:,} are allowed")
    elements = file.read(size)
    if len(elements) < size or file.read(1):
        raise InvalidData(f"{path} does not have the length of its shape {shape}")
    return np.frombuffer(bytearray(elements), np.uint8).reshape(shape)
