"""Reader for the binary version of CIFAR-10: small colour images in ten classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from colearn_learner.datasets.records import MAX_BYTES, Data
from colearn_learner.errors import InvalidData

CIFAR_FILES = (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin")
"""Files of one batch each. Their records are concatenated in this order."""

_FOLDER = "cifar-10-batches-bin"
_PICKLES = ("data_batch_1", "cifar-10-batches-py")
_RECORD = 1 + 3 * 32 * 32
"""Bytes of a record: the class, then the red, green and blue channels, each row by row."""


def read_cifar(path: Path) -> Data:
    """Read CIFAR-10: inputs of shape (60000, 32, 32, 3), uint8; targets 0 … 9.

    Args:
        path: the folder ``cifar-10-batches-bin`` or its parent.

    Raises:
        InvalidData: files are missing or damaged, or the folder contains the pickled version.
    """
    folder = path / _FOLDER if (path / _FOLDER).is_dir() else path
    if missing := [name for name in CIFAR_FILES if not (folder / name).is_file()]:
        if any((folder / name).exists() for name in _PICKLES):
            raise InvalidData(
                f"{folder} contains the Python version of CIFAR-10. It consists of pickles, which"
                " can run code when they are read, so it is refused; get the binary version"
                " (cifar-10-binary.tar.gz), which contains the same images"
            )
        raise InvalidData(f"{folder} has no {missing[0]}, a file of CIFAR-10's binary version")
    records = np.concatenate([_read_batch(folder / name) for name in CIFAR_FILES])
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    return Data(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].astype(np.int64))


def _read_batch(path: Path) -> npt.NDArray[np.uint8]:
    size = path.stat().st_size
    if not size or size % _RECORD or size > MAX_BYTES:
        raise InvalidData(
            f"{path} has {size:,} bytes, which is not a multiple of the {_RECORD:,} bytes of a"
            " record; download it again"
        )
    return np.fromfile(path, np.uint8).reshape(-1, _RECORD)
