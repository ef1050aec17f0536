"""Data sets that come with scikit-learn, and the demo's division of one among learners.

Inputs are scaled with public constants: the ranges in the data sets' descriptions. Nothing is
computed from the records, so no learner's data leaks to another learner.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from colearn_learner.datasets.records import Data, Dataset, Share, Split, Task, scaled
from colearn_learner.datasets.splitting import groups_of, skewed_parts
from colearn_learner.errors import NotEnoughData
from colearn_learner.names import find_name

_COMMON_TEST = 0.25
"""Fraction of the records that no learner gets; the collective and the baselines are compared
on them."""

_EVENNESS = 0.8
"""Parameter of the Dirichlet distribution that divides a class; smaller is less even."""

_LEAST_RECORDS = 10
"""Smallest number of records of a learner, which must suffice to train, vote and test."""


def dataset(name: str) -> Dataset:
    """Return a data set by name.

    Raises:
        UnknownName: there is no such data set; the message suggests similar names.
    """
    return DATASETS[find_name("data set", name, DATASETS)]


def split(data: Data, *, task: Task, n_learners: int, train_ratio: float, seed: int) -> Split:
    """Divide records among learners unevenly, by number and by class, as in real data.

    Each class (in a regression, each quarter of the targets) is divided in proportions drawn from
    a Dirichlet distribution. A learner trains on the fraction ``train_ratio`` of its records; half
    of the others become vote records, half test records. Equal seeds give equal splits.

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
            f" use at most {len(rest) // _LEAST_RECORDS} learners"
        )
    groups = groups_of(data.targets[rest], task)
    parts = skewed_parts(groups, n_learners, rng, alpha=_EVENNESS, least=_LEAST_RECORDS)
    shares = tuple(_divide_share(data, rng.permutation(rest[part]), train_ratio) for part in parts)
    return Split(shares, data.take(common))


def _divide_share(data: Data, mine: npt.NDArray[np.intp], train_ratio: float) -> Share:
    n_train = min(max(round(len(mine) * train_ratio), 1), len(mine) - 2)
    n_vote = (len(mine) - n_train + 1) // 2
    train, vote, test = np.split(mine, [n_train, n_train + n_vote])
    return Share(data.take(train), data.take(vote), data.take(test))


# ------------------------------------------------------------------ the catalogue


# Minimum and maximum of each measurement, from the data set's description (UCI).
_CANCER_LOW = [6.981, 9.71, 43.79, 143.5, 0.053, 0.019, 0.0, 0.0, 0.106, 0.05]
_CANCER_LOW += [0.112, 0.36, 0.757, 6.802, 0.002, 0.002, 0.0, 0.0, 0.008, 0.001]
_CANCER_LOW += [7.93, 12.02, 50.41, 185.2, 0.071, 0.027, 0.0, 0.0, 0.156, 0.055]
_CANCER_HIGH = [28.11, 39.28, 188.5, 2501.0, 0.163, 0.345, 0.427, 0.201, 0.304, 0.097]
_CANCER_HIGH += [2.873, 4.885, 21.98, 542.2, 0.031, 0.135, 0.396, 0.053, 0.079, 0.03]
_CANCER_HIGH += [36.04, 49.54, 251.2, 4254.0, 0.223, 1.058, 1.252, 0.291, 0.664, 0.208]

_WINE_LOW = [11.0, 0.74, 1.36, 10.6, 70.0, 0.98, 0.34, 0.13, 0.41, 1.3, 0.48, 1.27, 278.0]
_WINE_HIGH = [14.8, 5.8, 3.23, 30.0, 162.0, 3.88, 5.08, 0.66, 3.58, 13.0, 1.71, 4.0, 1680.0]

_IRIS_LOW = [4.3, 2.0, 1.0, 0.1]
_IRIS_HIGH = [7.9, 4.4, 6.9, 2.5]


def _breast_cancer() -> Data:
    from sklearn.datasets import load_breast_cancer

    raw = load_breast_cancer()
    inputs = scaled(raw.data, _CANCER_LOW, _CANCER_HIGH)
    return Data(inputs, raw.target)


def _wine() -> Data:
    from sklearn.datasets import load_wine

    raw = load_wine()
    return Data(scaled(raw.data, _WINE_LOW, _WINE_HIGH), raw.target)


def _iris() -> Data:
    from sklearn.datasets import load_iris

    raw = load_iris()
    return Data(scaled(raw.data, _IRIS_LOW, _IRIS_HIGH), raw.target)


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
            name="breast-cancer",
            task="classification",
            records=569,
            features=30,
            classes=2,
            story=(
                "hospitals distinguish benign from malignant tumours by 30 measurements of "
                "cell nuclei"
            ),
            load=_breast_cancer,
        ),
        Dataset(
            name="digits",
            task="classification",
            records=1797,
            features=64,
            classes=10,
            story="post offices read handwritten digits of 8 × 8 pixels",
            load=_digits,
        ),
        Dataset(
            name="wine",
            task="classification",
            records=178,
            features=13,
            classes=3,
            story="laboratories distinguish the wines of three growers by chemical analysis",
            load=_wine,
        ),
        Dataset(
            name="iris",
            task="classification",
            records=150,
            features=4,
            classes=3,
            story="botanists distinguish three kinds of iris by the sizes of sepals and petals",
            load=_iris,
        ),
        Dataset(
            name="diabetes",
            task="regression",
            records=442,
            features=10,
            classes=0,
            story="clinics predict the progress of diabetes within a year",
            load=_diabetes,
        ),
    )
}
