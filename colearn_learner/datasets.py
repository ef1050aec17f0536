"""Real data sets that come with scikit-learn, and how records are spread over learners.

Inputs are scaled with constants that are public: the ranges in the data sets' own descriptions,
never anything computed from the records, so that no learner's data leaks into another's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from colearn_learner.errors import LearnerError
from colearn_learner.names import find_name

__all__ = ["DATASETS", "Data", "Dataset", "NotEnoughData", "Share", "Split", "dataset", "split"]

Task = Literal["classification", "regression"]
Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[Any]

_COMMON_TEST = 0.25
"""Share of the records that no learner has: the collective and the baselines meet there."""

_EVENNESS = 0.8
"""Of the Dirichlet distribution that spreads a class over learners; smaller is less even."""

_LEAST_RECORDS = 10
"""The fewest records of one learner: some to train, to vote and to test with."""


class NotEnoughData(LearnerError):
    """The data set has too few records for so many learners."""


@dataclass(frozen=True, slots=True)
class Data:
    """Records: ``inputs`` of shape (n, features), ``targets`` of shape (n,)."""

    inputs: Floats
    targets: Targets

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.targets)

    def take(self, indices: npt.NDArray[np.intp]) -> Data:
        """Return the records at these places."""
        return Data(self.inputs[indices], self.targets[indices])


@dataclass(frozen=True, slots=True)
class Share:
    """One learner's records; nobody else sees them."""

    train: Data
    vote: Data
    test: Data


@dataclass(frozen=True, slots=True)
class Split:
    """A data set spread over learners, and a test set that none of them has."""

    shares: tuple[Share, ...]
    common_test: Data


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set of the catalogue.

    Args:
        name: what it is called on the command line.
        task: what is learned.
        records: how many there are.
        features: inputs of one record.
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


def dataset(name: str) -> Dataset:
    """Return a data set by name.

    Raises:
        UnknownName: there is none; names those that are near.
    """
    return DATASETS[find_name("data set", name, DATASETS)]


def split(data: Data, *, task: Task, n_learners: int, train_ratio: float, seed: int) -> Split:
    """Spread records over learners, unevenly in number and in classes as life does.

    Each class (each quarter of the targets in a regression) goes to the learners in shares drawn
    from a Dirichlet distribution. What ``train_ratio`` leaves of a learner's records is halved
    into vote and test records. The same seed gives the same split.

    Raises:
        NotEnoughData: a learner would have fewer than ten records.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data))
    n_common = round(len(data) * _COMMON_TEST)
    common, rest = order[:n_common], order[n_common:]
    if len(rest) < n_learners * _LEAST_RECORDS:
        raise NotEnoughData(
            f"{len(rest)} records are too few for {n_learners} learners;"
            f" at most {len(rest) // _LEAST_RECORDS} learners can share them"
        )
    parts = _uneven_parts(_groups(data.targets[rest], task), n_learners, rng)
    shares = tuple(_share(data, rng.permutation(rest[part]), train_ratio) for part in parts)
    return Split(shares, data.take(common))


def _groups(targets: Targets, task: Task) -> npt.NDArray[np.intp]:
    if task == "classification":
        return np.unique(targets, return_inverse=True)[1]
    return np.searchsorted(np.quantile(targets, [0.25, 0.5, 0.75]), targets)


def _uneven_parts(
    groups: npt.NDArray[np.intp], n_learners: int, rng: np.random.Generator
) -> list[npt.NDArray[np.intp]]:
    parts: list[list[int]] = [[] for _ in range(n_learners)]
    for group in range(int(groups.max()) + 1):
        members = rng.permutation(np.flatnonzero(groups == group))
        weights = rng.dirichlet(np.full(n_learners, _EVENNESS))
        cuts = np.round(np.cumsum(weights)[:-1] * len(members)).astype(int)
        for part, some in zip(parts, np.split(members, cuts), strict=True):
            part.extend(int(i) for i in some)
    while min(len(part) for part in parts) < _LEAST_RECORDS:
        parts.sort(key=len)
        parts[0].append(parts[-1].pop(int(rng.integers(len(parts[-1])))))
    return [np.array(part, dtype=np.intp) for part in parts]


def _share(data: Data, mine: npt.NDArray[np.intp], train_ratio: float) -> Share:
    n_train = min(max(round(len(mine) * train_ratio), 1), len(mine) - 2)
    n_vote = (len(mine) - n_train + 1) // 2
    train, vote, test = np.split(mine, [n_train, n_train + n_vote])
    return Share(data.take(train), data.take(vote), data.take(test))


# ------------------------------------------------------------------ the catalogue


def _scaled(inputs: Floats, low: Floats, high: Floats) -> Floats:
    """Map the published range of each feature to −2 … 2."""
    return 4 * (inputs - low) / (high - low) - 2


# Least and greatest value of each measurement, from the data set's description (UCI).
_CANCER_LOW = [6.981, 9.71, 43.79, 143.5, 0.053, 0.019, 0.0, 0.0, 0.106, 0.05]
_CANCER_LOW += [0.112, 0.36, 0.757, 6.802, 0.002, 0.002, 0.0, 0.0, 0.008, 0.001]
_CANCER_LOW += [7.93, 12.02, 50.41, 185.2, 0.071, 0.027, 0.0, 0.0, 0.156, 0.055]
_CANCER_HIGH = [28.11, 39.28, 188.5, 2501.0, 0.163, 0.345, 0.427, 0.201, 0.304, 0.097]
_CANCER_HIGH += [2.873, 4.885, 21.98, 542.2, 0.031, 0.135, 0.396, 0.053, 0.079, 0.03]
_CANCER_HIGH += [36.04, 49.54, 251.2, 4254.0, 0.223, 1.058, 1.252, 0.291, 0.664, 0.208]

_WINE_LOW = [11.0, 0.74, 1.36, 10.6, 70.0, 0.98, 0.34, 0.13, 0.41, 1.3, 0.48, 1.27, 278.0]
_WINE_HIGH = [14.8, 5.8, 3.23, 30.0, 162.0, 3.88, 5.08, 0.66, 3.58, 13.0, 1.71, 4.0, 1680.0]


def _breast_cancer() -> Data:
    from sklearn.datasets import load_breast_cancer

    raw = load_breast_cancer()
    inputs = _scaled(raw.data, np.array(_CANCER_LOW), np.array(_CANCER_HIGH))
    return Data(inputs, raw.target)


def _wine() -> Data:
    from sklearn.datasets import load_wine

    raw = load_wine()
    return Data(_scaled(raw.data, np.array(_WINE_LOW), np.array(_WINE_HIGH)), raw.target)


def _digits() -> Data:
    from sklearn.datasets import load_digits

    raw = load_digits()
    return Data(raw.data / 16.0, raw.target)  # grey values 0 … 16


def _diabetes() -> Data:
    from sklearn.datasets import load_diabetes

    raw = load_diabetes()  # inputs are published as standardised: mean 0, sum of squares 1
    return Data(raw.data * np.sqrt(442.0), (raw.target - 150.0) / 75.0)


DATASETS = {
    entry.name: entry
    for entry in (
        Dataset(
            *("breast-cancer", "classification", 569, 30, 2),
            "hospitals tell benign from malignant tumours by 30 measurements of cell nuclei",
            _breast_cancer,
        ),
        Dataset(
            *("digits", "classification", 1797, 64, 10),
            "post offices read handwritten digits of 8 × 8 pixels",
            _digits,
        ),
        Dataset(
            *("wine", "classification", 178, 13, 3),
            "laboratories tell three growers' wines apart by chemical analysis",
            _wine,
        ),
        Dataset(
            *("diabetes", "regression", 442, 10, 0),
            "clinics foresee how a diabetes will have progressed in a year",
            _diabetes,
        ),
    )
}
