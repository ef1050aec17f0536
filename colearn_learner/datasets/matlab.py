"""Read one matrix of numbers from a MATLAB file."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from colearn_learner.errors import InvalidData

_MAX_BYTES = 2**30

_DAMAGE = (LookupError, MemoryError, OSError, TypeError, ValueError, zlib.error)
"""Exceptions that scipy's reader raises on damaged files."""


def read_matrix(file: Path, name: str) -> npt.NDArray[Any]:
    """Return a real matrix of a MATLAB file of version 5 to 7, shape (rows, columns).

    scipy reads the file. Read only your own files: its reader is not safe on hostile ones.

    Raises:
        InvalidData: the file is missing, damaged, of another version or too large, or it has no
            such matrix.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not file.is_file():
        raise InvalidData(f"{file} is missing")
    if (size := file.stat().st_size) > _MAX_BYTES:
        raise InvalidData(f"{file} has {size:,} bytes; at most {_MAX_BYTES:,} are allowed")
    try:
        found = loadmat(file, variable_names=[name], appendmat=False).get(name)
    except NotImplementedError as error:
        raise InvalidData(
            f"{file} is not a MATLAB file of version 5 to 7; save it with -v7"
        ) from error
    except (MatReadError, *_DAMAGE) as error:
        raise InvalidData(f"{file} is damaged, or not a MATLAB file: {error}") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind not in "iuf":
        raise InvalidData(f"{file} has no matrix {name} of numbers")
    return found
