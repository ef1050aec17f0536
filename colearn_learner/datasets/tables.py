"""Readers for tables of numbers: credit card fraud, Californian houses, covid X-ray features.

Values are scaled with public constants. Nothing is computed from the records.
"""

from __future__ import annotations

import csv
import io
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from colearn_learner.datasets.matlab import read_matrix
from colearn_learner.datasets.records import MAX_BYTES, Data, scaled
from colearn_learner.errors import InvalidData

_CARD_FEATURES = [f"V{n}" for n in range(1, 29)]
_TWO_DAYS = 172_800.0  # seconds; the card transactions span two days

COVID_CLASSES = ("covid", "normal", "pneumonia")
"""Names of the files and of the arrays in them; the index of a name is its class."""

# ------------------------------------------------------------------ CSV


def open_csv(path: Path, folder_file: str) -> Path:
    """Return ``path`` if it is a file, or the file ``folder_file`` in the folder ``path``.

    Raises:
        InvalidData: the file does not exist or is too large.
    """
    file = path / folder_file if path.is_dir() else path
    if not file.is_file():
        raise InvalidData(f"{file} is missing")
    if (size := file.stat().st_size) > MAX_BYTES:
        raise InvalidData(f"{file} is {size:,} bytes long; at most {MAX_BYTES:,} are allowed")
    return file


def read_card_fraud(path: Path) -> Data:
    """Read ``creditcard.csv``: inputs of shape (n, 30), float32; targets 1 for fraud, else 0.

    The inputs are V1 … V28 unchanged, log(1 + amount), and the time scaled to −1 … 1.

    Args:
        path: the file or its folder.

    Raises:
        InvalidData: the file is missing, damaged or not the expected table.
    """
    file = open_csv(path, "creditcard.csv")
    with file.open(encoding="utf-8", newline="") as text:
        table = _read_numbers(file, text, ["Time", *_CARD_FEATURES, "Amount", "Class"])
    time, amount, kind = table[:, 0], table[:, -2], table[:, -1]
    if amount.min() < 0 or not np.isin(kind, (0, 1)).all():
        raise InvalidData(f"{file}: amounts must not be below 0, and classes must be 0 or 1")
    inputs = np.column_stack([table[:, 1:-2], np.log1p(amount), 2 * time / _TWO_DAYS - 1])
    return Data(inputs.astype(np.float32), kind.astype(np.int64))


def _read_numbers(file: Path, text: TextIO, columns: Sequence[str]) -> npt.NDArray[np.float64]:
    """Read these columns of a table with column names in its first line; shape (n, columns)."""
    rows = csv.reader(text)
    try:
        header = next(rows, [])
        if missing := [name for name in columns if name not in header]:
            raise InvalidData(f"{file} has no column {missing[0]}; its first line must name it")
        places = [header.index(name) for name in columns]
        return _read_floats(file, rows, len(header), places)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidData(f"{file} is not a text table (CSV): {error}") from error


def _read_floats(
    file: Path, rows: Iterator[list[str]], width: int, places: Sequence[int]
) -> npt.NDArray[np.float64]:
    table: list[npt.NDArray[np.float64]] = []
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise InvalidData(f"{file}: record {number} has {len(row)} columns instead of {width}")
        try:
            table.append(np.array([float(row[place]) for place in places]))
        except ValueError as error:
            raise InvalidData(f"{file}: record {number}: {error}") from error
        if not np.isfinite(table[-1]).all():
            raise InvalidData(f"{file}: record {number} has a value that is not a finite number")
    if not table:
        raise InvalidData(f"{file} has no records")
    return np.stack(table)


# ------------------------------------------------------------------ Californian houses

_HOUSES = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup"]
_HOUSES += ["Latitude", "Longitude"]
# Minimum and maximum of each feature in the census; the four in _WIDE vary widely: logarithms.
_HOUSES_LOW = [0.4999, 1.0, *np.log([0.846, 0.333, 3.0, 0.692]), 32.54, -124.35]
_HOUSES_HIGH = [15.0001, 52.0, *np.log([141.91, 34.07, 35682.0, 1243.34]), 41.95, -114.31]
_WIDE = slice(2, 6)
_RAW = "cal_housing.data"
_PICKLES = {".pkz", ".pkl"}


def read_california(path: Path) -> Data:
    """Read Californian districts: inputs of shape (n, 8), float64; targets are house values.

    A target is (value − 200,000) / 100,000, in dollars.

    Args:
        path: the original archive ``cal_housing.tgz``; the file ``cal_housing.data`` from it; a
            CSV file with scikit-learn's column names (MedInc … MedHouseVal); or the folder of
            one of them.

    Raises:
        InvalidData: the file is missing, damaged or in another format.
    """
    file = _find_houses_file(path)
    if file.suffix == ".tgz":
        with _open_archived(file) as text:
            rows, value = _read_raw_houses(file, text)
    else:
        with file.open(encoding="utf-8", newline="") as text:
            if file.name == _RAW:
                rows, value = _read_raw_houses(file, text)
            else:
                table = _read_numbers(file, text, [*_HOUSES, "MedHouseVal"])
                rows, value = table[:, :-1], table[:, -1]
    if not (rows[:, _WIDE] > 0).all():
        raise InvalidData(f"{file}: rooms, bedrooms, people and occupancy must be above 0")
    rows[:, _WIDE] = np.log(rows[:, _WIDE])
    return Data(scaled(rows, _HOUSES_LOW, _HOUSES_HIGH), value - 2.0)


def _find_houses_file(path: Path) -> Path:
    if path.is_dir():
        names = ("cal_housing.tgz", _RAW, f"CaliforniaHousing/{_RAW}", "california_housing.csv")
        found = [path / name for name in names if (path / name).is_file()]
        found += sorted(file for file in path.iterdir() if file.suffix in _PICKLES)
        if not found:
            raise InvalidData(f"{path} contains none of {', '.join(names)}")
        path = found[0]
    if path.suffix in _PICKLES:
        raise InvalidData(
            f"{path} is scikit-learn's cache: a pickle, which can run code when it is read, so it"
            " is refused. Convert it to a table: python -c 'from sklearn.datasets import"
            " fetch_california_housing as f;"
            ' f(as_frame=True).frame.to_csv("california_housing.csv", index=False)\''
        )
    return open_csv(path, path.name)


def _open_archived(file: Path) -> TextIO:
    try:
        with tarfile.open(file, "r:gz") as archive:
            for member in archive:
                if Path(member.name).name == _RAW and member.isfile():
                    if member.size > MAX_BYTES:
                        raise InvalidData(f"{file}: {member.name} is {member.size:,} bytes long")
                    content = archive.extractfile(member)
                    return io.StringIO(content.read().decode("utf-8") if content else "")
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise InvalidData(f"{file} is damaged, or not an archive: {error}") from error
    raise InvalidData(f"{file} does not contain {_RAW}")


def _read_raw_houses(
    file: Path, text: TextIO
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Compute scikit-learn's features and target from the census totals of each district."""
    try:
        raw = _read_floats(file, csv.reader(text), 9, range(9))
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidData(f"{file} is not a text table (CSV): {error}") from error
    longitude, latitude, age, rooms, bedrooms, people, households, income, value = raw.T
    if not (households > 0).all():
        raise InvalidData(f"{file}: a district has no households")
    per_household = (rooms / households, bedrooms / households)
    columns = (income, age, *per_household, people, people / households, latitude, longitude)
    return np.column_stack(columns), value / 100_000


# ------------------------------------------------------------------ covid X-ray features


def read_covid(path: Path) -> Data:
    """Read features of X-rays: inputs of shape (n, features), float32; targets 0 … 2.

    The features are not scaled.

    Args:
        path: the folder that contains ``covid.mat``, ``normal.mat`` and ``pneumonia.mat``. These
            are MATLAB files of version 5 to 7. Each contains an array with the name of the file,
            whose last column is the class.

    Raises:
        InvalidData: a file is missing or damaged.
    """
    tables = [read_matrix(path / f"{name}.mat", name) for name in COVID_CLASSES]
    if len({table.shape[1] for table in tables}) != 1:
        raise InvalidData(f"{path}: the three files do not have the same number of columns")
    for table, name in zip(tables, COVID_CLASSES, strict=True):
        if len(table) < 1 or table.shape[1] < 2:
            raise InvalidData(f"{path / name}.mat has no records: {name} has shape {table.shape}")
        if (table[:, -1] != table[0, -1]).any():
            raise InvalidData(f"{path / name}.mat: the last column must be one class, not several")
    inputs = np.concatenate([table[:, :-1] for table in tables]).astype(np.float32)
    return Data(inputs, np.repeat(np.arange(3), [len(table) for table in tables]))
