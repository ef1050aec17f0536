"""Reader for IEEE-CIS, fraud in online payments: two tables, joined by transaction.

Each record is converted to numbers on its own, without statistics of other records. So parties
that never share their records get the same features.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from colearn_learner.datasets.records import Data
from colearn_learner.datasets.tables import open_csv
from colearn_learner.errors import InvalidData

TRANSACTIONS, IDENTITIES = "train_transaction.csv", "train_identity.csv"
_ID, _CLASS, _TIME = "TransactionID", "isFraud", "TransactionDT"

_CATEGORIES = frozenset(
    ["ProductCD", "P_emaildomain", "R_emaildomain", "DeviceType", "DeviceInfo", "addr1", "addr2"]
    + [f"card{n}" for n in range(1, 7)]
    + [f"M{n}" for n in range(1, 10)]
    + [f"id_{n}" for n in range(12, 39)]
)
"""Columns with categorical values, even if the values look like numbers."""

_BATCH_RECORDS = 10_000

Floats = npt.NDArray[np.float32]


def read_payment_fraud(path: Path) -> Data:
    """Read the payments: inputs of shape (n, 431), float32; targets 1 for fraud, else 0.

    A number v becomes log(1 + |v|) with the sign of v. Of the categorical values, T becomes 1 and
    F becomes −1. All others become a hash between −1 and 1, so that equal values get equal
    numbers. Missing values become 0, as do all identity features of a payment without identity.

    Args:
        path: the folder that contains ``train_transaction.csv`` and ``train_identity.csv``.

    Raises:
        InvalidData: a table is missing, damaged or not the expected one.
    """
    identities = _Table(open_csv(path / IDENTITIES, IDENTITIES), (_ID,))
    payments = _Table(open_csv(path / TRANSACTIONS, TRANSACTIONS), (_ID, _CLASS, _TIME))
    rows: dict[str, int] = {}
    known = [np.zeros((1, identities.width), np.float32)]  # of payments without an identity
    for ids, features in identities.batches():
        for name in ids[_ID]:
            _add_row(rows, name, identities.file)
        known.append(features)
    known_features = np.concatenate(known)
    seen: dict[str, int] = {}
    inputs, targets = [], []
    for about, features in payments.batches():
        for name in about[_ID]:
            _add_row(seen, name, payments.file)
        found = known_features[[rows.get(name, 0) for name in about[_ID]]]
        inputs.append(np.concatenate([features, found], axis=1))
        targets += [_parse_class(value, payments.file) for value in about[_CLASS]]
    if not inputs:
        raise InvalidData(f"{payments.file} has no records")
    if unknown := rows.keys() - seen.keys():
        raise InvalidData(
            f"{identities.file} has the identity of transaction {min(unknown)}, which is not in"
            f" {TRANSACTIONS}: the two tables do not belong together"
        )
    return Data(np.concatenate(inputs), np.array(targets, np.int64))


def _add_row(rows: dict[str, int], name: str, file: Path) -> None:
    if name in rows:
        raise InvalidData(f"{file} has the transaction {name} twice")
    rows[name] = len(rows) + 1


def _parse_class(value: str, file: Path) -> int:
    if value not in ("0", "1"):
        raise InvalidData(f"{file}: {_CLASS} is {value[:20]!r}; it must be 0 or 1")
    return int(value)


@dataclass(slots=True)
class _Table:
    """Reader of a CSV file in batches; columns become features unless they are in ``apart``."""

    file: Path
    apart: Sequence[str]

    @property
    def width(self) -> int:
        """Return the number of features according to the file's first line."""
        with self._open_rows() as rows:
            return len(self._read_header(rows)) - len(self.apart)

    def batches(self) -> Iterator[tuple[dict[str, list[str]], Floats]]:
        """Yield each batch: the texts of the ``apart`` columns by name, and the features.

        The features have shape (records, width).
        """
        with self._open_rows() as rows:
            yield from self._read_batches(rows)

    @contextmanager
    def _open_rows(self) -> Iterator[Iterator[list[str]]]:
        with self.file.open(encoding="utf-8", newline="") as text:
            try:
                yield csv.reader(text)
            except (csv.Error, UnicodeDecodeError) as error:
                raise InvalidData(f"{self.file} is not a text table (CSV): {error}") from error

    def _read_header(self, rows: Iterator[list[str]]) -> list[str]:
        header = next(rows, [])
        if missing := [name for name in self.apart if name not in header]:
            raise InvalidData(
                f"{self.file} has no column {missing[0]}; its first line must name it"
            )
        if len(set(header)) < len(header):
            raise InvalidData(f"{self.file} has two columns with the same name")
        return header

    def _read_batches(
        self, rows: Iterator[list[str]]
    ) -> Iterator[tuple[dict[str, list[str]], Floats]]:
        header = self._read_header(rows)
        places = [header.index(name) for name in self.apart]
        readers = [
            (place, _parse_category if name in _CATEGORIES else _parse_number)
            for place, name in enumerate(header)
            if name not in self.apart
        ]
        number = 0
        batch: list[list[str]] = []
        for number, row in enumerate(rows, start=1):
            if len(row) != len(header):
                raise InvalidData(
                    f"{self.file}: record {number} has {len(row)} columns instead of {len(header)}"
                )
            batch.append(row)
            if len(batch) == _BATCH_RECORDS:
                yield self._convert_batch(batch, places, readers)
                batch = []
        if batch:
            yield self._convert_batch(batch, places, readers)

    def _convert_batch(
        self,
        batch: list[list[str]],
        places: list[int],
        readers: Sequence[tuple[int, Callable[[str], float]]],
    ) -> tuple[dict[str, list[str]], Floats]:
        apart = {
            name: [row[place] for row in batch]
            for name, place in zip(self.apart, places, strict=True)
        }
        features = np.empty((len(batch), len(readers)), np.float32)
        for column, (place, read) in enumerate(readers):
            try:
                values = np.array([read(row[place]) for row in batch])
            except ValueError as error:
                raise InvalidData(f"{self.file}: column {place + 1}: {error}") from error
            numbers = (
                np.sign(values) * np.log1p(np.abs(values)) if read is _parse_number else values
            )
            features[:, column] = np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0)
        return apart, features


def _parse_number(text: str) -> float:
    return float(text) if text else 0.0


def _parse_category(text: str) -> float:
    if text in ("", "T", "F"):
        return {"": 0.0, "T": 1.0, "F": -1.0}[text]
    if text.endswith(".0"):  # 150 and 150.0 are one category: some tools add the .0
        text = text[:-2]
    return zlib.crc32(text.encode()) / 2**31 - 1
