"""Read tables of anybody's records (CSV): numbers as inputs, and a column of classes."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from colearn_learner.datasets.records import Data
from colearn_learner.datasets.tables import open_csv
from colearn_learner.errors import InvalidArgument, InvalidData, NotEnoughData
from colearn_learner.names import find_name

MAX_CLASSES = 20
"""Most different values of a column of classes; a column of more is probably no such column."""

MIN_RECORDS = 30
"""Fewest records to describe a table by."""

_SEED = 1  # of the order of records; the same at all learners, so that their shares are disjoint
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table that a model uses; the same for all learners of an experiment.

    Args:
        target: name of the column of classes.
        classes: its values; the index of a value is its class.
        inputs: for each input column, the number to subtract and the number to divide by.
    """

    target: str
    classes: tuple[str, ...]
    inputs: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Description of a table.

    Args:
        columns: the columns that a model can use.
        records: number of records.
        left_out: columns that are not inputs, and why.
    """

    columns: Columns
    records: int
    left_out: Mapping[str, str] = field(default_factory=dict)


def describe_csv(path: Path, target: str | None = None) -> CsvTable:
    """Find the inputs and the classes of a table with column names in its first line.

    Inputs are the columns in which every record has a number. Columns that never change, and
    columns of whole numbers that are all different, like those of an id, are left out.

    Args:
        path: the file, UTF-8; fields are separated by commas, semicolons or tabs.
        target: name of the column of classes; None for the last column.

    Raises:
        InvalidData: the file is missing, damaged, or has no column of classes or no inputs.
        NotEnoughData: it has fewer than `MIN_RECORDS` records.
        UnknownName: it has no column ``target``.
    """
    table = _read_columns(path)
    names = list(table)
    target = names[-1] if target is None else names[names.index(find_name("column", target, names))]
    n_records = len(table[target])
    if n_records < MIN_RECORDS:
        raise NotEnoughData(f"{path} has {n_records} records; at least {MIN_RECORDS} are needed")
    inputs: dict[str, tuple[float, float]] = {}
    left_out: dict[str, str] = {}
    for name in names:
        if name == target:
            continue
        if reason := _find_unfit(table[name]):
            left_out[name] = reason
        else:
            values = np.array(table[name], dtype=np.float64)
            inputs[name] = (_shorten(values.mean()), _shorten(values.std()))
    if not inputs:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InvalidData(f"{path} has no column that can be an input ({reasons})")
    columns = Columns(target, _find_classes(path, target, table[target]), inputs)
    return CsvTable(columns, n_records, left_out)


def read_csv_share(
    path: Path | str, columns: Columns, *, learner: int = 0, of: int = 1
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return one learner's share of a table: scaled inputs (records, inputs), and classes.

    The records are shuffled, in the same order for all learners, and each learner gets every
    ``of``-th of them.

    Args:
        path: the file, as for `describe_csv`.
        columns: the columns to read.
        learner: number of the learner, from 0.
        of: number of learners that share this file; 1 for a file of a single learner.

    Raises:
        InvalidArgument: ``learner`` is not below ``of``.
        InvalidData: the file is missing or damaged, or a record does not fit the columns.
        NotEnoughData: the share is too small to train, vote and test.
    """
    if not 0 <= learner < of:
        raise InvalidArgument(f"learner={learner} is not valid with of={of}; count from 0")
    file = Path(path)
    table = _read_columns(file)
    if missing := [name for name in (*columns.inputs, columns.target) if name not in table]:
        raise InvalidData(f"{file} has no column {missing[0]!r}; its first line must name it")
    inputs = np.column_stack(
        [
            (_parse_numbers(file, name, table[name]) - shift) / scale
            for name, (shift, scale) in columns.inputs.items()
        ]
    )
    classes = _number_classes(file, columns, table[columns.target])
    mine = np.random.default_rng(_SEED).permutation(len(classes))[learner::of]
    if len(mine) < 5:
        raise NotEnoughData(f"{file}: the share of learner {learner} has only {len(mine)} records")
    data = Data(inputs.astype(np.float32), classes).take(mine)
    return data.inputs, data.targets


def _read_columns(path: Path) -> dict[str, list[str]]:
    """Return the texts of each column."""
    if path.is_dir():
        raise InvalidData(f"{path} is a folder; pass the path of the table in it")
    file = open_csv(path, path.name)
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            delimiter = max(_DELIMITERS, key=text.readline().count)
            text.seek(0)
            rows = csv.reader(text, delimiter=delimiter)
            names = [name.strip() for name in next(rows, [])]
            _check_header(file, names)
            records = [row for row in rows if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidData(f"{file} is not a text table (CSV, UTF-8): {error}") from error
    for number, row in enumerate(records, start=1):
        if len(row) != len(names):
            raise InvalidData(
                f"{file}: record {number} has {len(row)} columns instead of {len(names)}"
            )
    return {name: [row[n].strip() for row in records] for n, name in enumerate(names)}


def _check_header(file: Path, names: Sequence[str]) -> None:
    if len(names) < 2:
        raise InvalidData(f"{file} needs two columns or more, with their names in the first line")
    if all(_is_number(name) for name in names):
        raise InvalidData(f"{file}: the first line must contain the names of the columns")
    if twice := [name for name in names if names.count(name) > 1 or not name]:
        raise InvalidData(f"{file}: each column needs a name of its own; {twice[0]!r} is not one")


def _find_unfit(texts: Sequence[str]) -> str:
    """Return why a column cannot be an input, or an empty text."""
    for number, text in enumerate(texts, start=1):
        if not _is_number(text):
            return f"{text[:20]!r} in record {number} is not a number"
    values = {float(text) for text in texts}
    if len(values) == 1:
        return "it is the same in all records"
    if len(values) == len(texts) and all(value.is_integer() for value in values):
        return "a different whole number in each record, like an id"
    return ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _find_classes(path: Path, target: str, texts: Sequence[str]) -> tuple[str, ...]:
    if "" in texts:
        number = texts.index("") + 1
        raise InvalidData(f"{path}: record {number} has no {target}; add it, or delete the record")
    classes = set(texts)
    numbers = all(_is_number(text) for text in classes)
    if len(classes) == 1:
        raise InvalidData(
            f"{path}: the column {target} is {texts[0][:20]!r} in all records; choose another"
            " column with --target"
        )
    if len(classes) > MAX_CLASSES and numbers:
        raise InvalidData(
            f"{path}: the column {target} has {len(classes)} different numbers, but only a class"
            f" can be predicted, of 2 to {MAX_CLASSES}; add a column of classes such as low and"
            " high, or write a learner that predicts numbers: docs/tutorials/sklearn.md"
        )
    if len(classes) > MAX_CLASSES:
        raise InvalidData(
            f"{path}: the column {target} has {len(classes)} different values, but a column of"
            f" classes has 2 to {MAX_CLASSES}; choose another column with --target"
        )
    return tuple(sorted(classes, key=float if numbers else None))


def _shorten(number: np.float64) -> float:
    return float(f"{number:.4g}")


def _parse_numbers(file: Path, name: str, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    for number, text in enumerate(texts, start=1):
        if not _is_number(text):
            raise InvalidData(f"{file}: record {number}: {name} is {text!r}, not a number")
    return np.array(texts, dtype=np.float64)


def _number_classes(file: Path, columns: Columns, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    numbers = {value: number for number, value in enumerate(columns.classes)}
    for number, text in enumerate(texts, start=1):
        if text not in numbers:
            raise InvalidData(
                f"{file}: record {number}: {columns.target} is {text!r}, which is not one of"
                f" {', '.join(columns.classes)}"
            )
    return np.array([numbers[text] for text in texts], dtype=np.int64)
