"""Reader for Scania APS, failures of the air pressure system of trucks: counters and histograms.

Each record is converted to numbers on its own, without statistics of other records. So parties
that never share their records get the same features.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from colearn_learner.datasets.records import Data
from colearn_learner.datasets.tables import open_csv
from colearn_learner.errors import InvalidData

SCANIA_FILES = ("aps_failure_training_set.csv", "aps_failure_test_set.csv")

_CLASSES = {"neg": 0, "pos": 1}
_CLASS = "class"
_MISSING = ("na", "")
_NAN = float("nan")
_MAX_PREAMBLE = 100  # lines; the published files begin with a licence of 20 lines
_MAX_LINE = 1_000_000  # characters

Floats = npt.NDArray[np.float32]


def read_scania(path: Path) -> Data:
    """Read the trucks: inputs of shape (n, 170), float32; targets 1 for an APS failure, else 0.

    A value v becomes log10(1 + |v|) / 5 with the sign of v. The published values are mapped to
    0 … 2. A missing value (``na``) becomes −1.

    Args:
        path: the folder that contains ``aps_failure_training_set.csv`` and
            ``aps_failure_test_set.csv``, whose records are concatenated in this order; or one of
            these files.

    Raises:
        InvalidData: a file is missing, damaged or not the expected table.
    """
    names = SCANIA_FILES if path.is_dir() else (path.name,)
    tables = [_read_file(open_csv(path, name)) for name in names]
    if len({columns for columns, _ in tables}) > 1:
        raise InvalidData(f"{path}: the two files do not have the same columns")
    parts = [data for _, data in tables]
    inputs = np.concatenate([part.inputs for part in parts])
    return Data(inputs, np.concatenate([part.targets for part in parts]))


def _read_file(file: Path) -> tuple[tuple[str, ...], Data]:
    """Return the names of a file's features and its records."""
    with file.open(encoding="utf-8", newline="") as text:
        try:
            columns = _read_columns(file, text)
            return columns, _parse_records(file, csv.reader(text), len(columns))
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidData(f"{file} is not a text table (CSV): {error}") from error


def _read_columns(file: Path, text: TextIO) -> tuple[str, ...]:
    """Skip to the line with the column names, read it and return the names of the features."""
    for _ in range(_MAX_PREAMBLE):
        line = text.readline(_MAX_LINE)
        if line.startswith((f"{_CLASS},", f'"{_CLASS}",')):
            _, *features = next(csv.reader([line]))
            if len(set(features)) < len(features):
                raise InvalidData(f"{file} has two columns with the same name")
            return tuple(features)
    raise InvalidData(
        f"{file}: none of its first {_MAX_PREAMBLE} lines contains the column names, {_CLASS} first"
    )


def _parse_records(file: Path, rows: Iterator[list[str]], features: int) -> Data:
    inputs: list[Floats] = []
    targets: list[int] = []
    for number, row in enumerate(rows, start=1):
        where = f"{file}: record {number}"
        if len(row) != 1 + features:
            raise InvalidData(f"{where} has {len(row)} columns instead of {1 + features}")
        if row[0] not in _CLASSES:
            raise InvalidData(f"{where}: {_CLASS} is {row[0][:20]!r}; it must be neg or pos")
        targets.append(_CLASSES[row[0]])
        inputs.append(_parse_features(row[1:], where))
    if not inputs:
        raise InvalidData(f"{file} has no records")
    return Data(np.stack(inputs), np.array(targets, np.int64))


def _parse_features(texts: list[str], where: str) -> Floats:
    try:
        values = np.array([_NAN if text in _MISSING else float(text) for text in texts])
    except ValueError as error:
        raise InvalidData(f"{where}: {error}") from error
    missing = np.isnan(values)
    if np.isinf(values).any() or missing.sum() != sum(map(texts.count, _MISSING)):
        raise InvalidData(f"{where} has a value that is not a finite number")
    compressed = np.sign(values) * np.log10(1 + np.abs(values)) / 5
    return np.where(missing, -1.0, compressed).astype(np.float32)
