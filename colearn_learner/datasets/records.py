"""Records of a data set, and how they are told apart from what only looks like records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from colearn_learner.errors import InvalidData

__all__ = [
    "MAX_BYTES",
    "Data",
    "Dataset",
    "Share",
    "Split",
    "Targets",
    "Task",
    "check_data",
    "scaled",
]

Task = Literal["classification", "regression"]
Inputs = npt.NDArray[Any]
Targets = npt.NDArray[Any]

MAX_BYTES = 4 * 2**30
"""The most that one file of records, or the arrays made of it, may take."""


@dataclass(frozen=True, slots=True)
class Data:
    """Records: ``inputs`` of shape (n, features), ``targets`` of shape (n,).

    Images have inputs of shape (n, height, width, channels), and type uint8 with brightness
    0 … 255.
    """

    inputs: Inputs
    targets: Targets

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.targets)

    def take(self, indices: npt.NDArray[np.intp]) -> Data:
        """Return the records at these places."""
        return Data(self.inputs[indices], self.targets[indices])

    def flat(self) -> Data:
        """Return inputs of shape (n, features), as models of tables take them.

        Brightness becomes float32 from 0 to 1; other inputs keep their type.
        """
        rows = self.inputs.reshape(len(self), -1)
        if rows.dtype == np.uint8:
            rows = rows.astype(np.float32) / np.float32(255)
        return Data(rows, self.targets)


@dataclass(frozen=True, slots=True)
class Share:
    """One learner's records; nobody else sees them."""

    train: Data
    vote: Data
    test: Data

    def flat(self) -> Share:
        """Return the same with inputs of shape (n, features)."""
        return Share(self.train.flat(), self.vote.flat(), self.test.flat())


@dataclass(frozen=True, slots=True)
class Split:
    """A data set spread over learners, and a test set that none of them has."""

    shares: tuple[Share, ...]
    common_test: Data


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set.

    Args:
        name: what it is called on the command line.
        task: what is learned.
        records: how many there are.
        features: inputs of one record; of an image, all its pixels and channels.
        classes: how many, 0 for a regression.
        story: who the learners might be.
        load: returns the records, scaled.
    """

    name: str
    task: Task
    records: int
    features: int
    classes: int
    story: str
    load: Callable[[], Data]


def check_data(data: Data, *, task: Task, classes: int, what: str) -> Data:
    """Return the records if they can be learned from.

    Args:
        data: inputs are uint8, float32 or float64.
        task: a classification has whole targets 0 … ``classes`` - 1, a regression any finite.
        classes: how many.
        what: names the records in messages.

    Raises:
        InvalidData: they can not; says what is wrong.
    """
    inputs, targets = data.inputs, data.targets
    if inputs.ndim < 2 or targets.ndim != 1 or len(inputs) != len(targets):
        raise InvalidData(
            f"{what}: inputs of shape {inputs.shape} and targets of shape {targets.shape} do not"
            " go together; wanted are (n, …) and (n,)"
        )
    if not inputs.size:
        raise InvalidData(f"{what}: there are no records, or they have no inputs")
    if inputs.dtype not in (np.uint8, np.float32, np.float64):
        raise InvalidData(
            f"{what}: inputs have type {inputs.dtype}; wanted is uint8, float32 or float64"
        )
    if not np.isfinite(inputs).all():
        raise InvalidData(f"{what}: {_first_bad(inputs)} has an input that is no finite number")
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
            f"{what}: targets go from {low} to {high}; {classes} classes are 0 to {classes - 1}"
        )


def _first_bad(inputs: Inputs) -> str:
    finite = np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1)
    return f"record {int(np.argmin(finite))}"


def scaled(inputs: Inputs, low: list[float], high: list[float]) -> Inputs:
    """Map a range of each feature to −2 … 2.

    Args:
        inputs: shape (n, features).
        low: the least value of each feature; published, never taken from the records.
        high: the greatest.
    """
    least, most = np.array(low), np.array(high)
    mapped: Inputs = 4 * (inputs - least) / (most - least) - 2
    return mapped
