"""Types for the records of a data set, and checks of records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from colearn_learner.errors import InvalidData

Task = Literal["classification", "regression"]
Inputs = npt.NDArray[Any]
Targets = npt.NDArray[Any]

MAX_BYTES = 4 * 2**30
"""The largest allowed size, in bytes, of a file of records or of the arrays read from it."""


@dataclass(frozen=True, slots=True)
class Data:
    """Records: ``inputs`` of shape (n, features) and ``targets`` of shape (n,).

    The inputs of images have shape (n, height, width, channels) and type uint8, with brightness
    from 0 to 255.
    """

    inputs: Inputs
    targets: Targets

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.targets)

    def take(self, indices: npt.NDArray[np.intp]) -> Data:
        """Return the records with these indices."""
        return Data(self.inputs[indices], self.targets[indices])

    def flat(self) -> Data:
        """Return the records with inputs of shape (n, features), for models of tabular data.

        Brightness becomes float32 from 0 to 1. Other inputs keep their type.
        """
        rows = self.inputs.reshape(len(self), -1)
        if rows.dtype == np.uint8:
            rows = rows.astype(np.float32) / np.float32(255)
        return Data(rows, self.targets)


@dataclass(frozen=True, slots=True)
class Share:
    """One learner's private records."""

    train: Data
    vote: Data
    test: Data

    def flat(self) -> Share:
        """Return the same records with inputs of shape (n, features)."""
        return Share(self.train.flat(), self.vote.flat(), self.test.flat())


@dataclass(frozen=True, slots=True)
class Split:
    """A data set divided among learners, with a test set that no learner uses."""

    shares: tuple[Share, ...]
    common_test: Data


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set.

    Args:
        name: its name on the command line.
        task: classification or regression.
        records: number of records.
        features: number of inputs of a record; for an image, height × width × channels.
        classes: number of classes; 0 for a regression.
        story: an example of real learners with such data.
        load: returns the scaled records.
    """

    name: str
    task: Task
    records: int
    features: int
    classes: int
    story: str
    load: Callable[[], Data]


def check_data(data: Data, *, task: Task, classes: int, what: str) -> Data:
    """Check that a learner can use the records, and return them.

    Args:
        data: the records; inputs must be uint8, float32 or float64.
        task: in a classification, targets must be integers 0 … ``classes`` - 1; in a regression,
            finite floats.
        classes: number of classes.
        what: name of the records in messages.

    Raises:
        InvalidData: the records are not valid; the message describes the defect.
    """
    inputs, targets = data.inputs, data.targets
    if inputs.ndim < 2 or targets.ndim != 1 or len(inputs) != len(targets):
        raise InvalidData(
            f"{what}: inputs of shape {inputs.shape} and targets of shape {targets.shape} do not"
            " match; expected (n, …) and (n,)"
        )
    if not inputs.size:
        raise InvalidData(f"{what}: there are no records, or the records have no inputs")
    if inputs.dtype not in (np.uint8, np.float32, np.float64):
        raise InvalidData(
            f"{what}: inputs have type {inputs.dtype}; expected uint8, float32 or float64"
        )
    if not np.isfinite(inputs).all():
        raise InvalidData(
            f"{what}: {_find_invalid_record(inputs)} has an input that is not a finite number"
        )
    _check_targets(targets, task, classes, what)
    return data


def _check_targets(targets: Targets, task: Task, classes: int, what: str) -> None:
    if task == "regression":
        if targets.dtype.kind != "f" or not np.isfinite(targets).all():
            raise InvalidData(f"{what}: the targets of a regression must be finite floats")
        return
    if targets.dtype.kind not in "iu":
        raise InvalidData(f"{what}: targets have type {targets.dtype}; classes are whole numbers")
    low, high = targets.min(), targets.max()
    if low < 0 or high >= classes:
        raise InvalidData(
            f"{what}: targets go from {low} to {high}; {classes} classes must be 0 to {classes - 1}"
        )


def _find_invalid_record(inputs: Inputs) -> str:
    finite = np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1)
    return f"record {int(np.argmin(finite))}"


def scaled(inputs: Inputs, low: list[float], high: list[float]) -> Inputs:
    """Scale each feature linearly from its range to −2 … 2.

    Args:
        inputs: shape (n, features).
        low: minimum of each feature; a published value, never computed from the records.
        high: maximum of each feature; also a published value.
    """
    least, most = np.array(low), np.array(high)
    mapped: Inputs = 4 * (inputs - least) / (most - least) - 2
    return mapped
