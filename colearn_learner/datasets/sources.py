"""Data sets whose files must be downloaded first, and the loader for all data sets."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from colearn_learner.datasets.cifar import read_cifar
from colearn_learner.datasets.fraud import read_payment_fraud
from colearn_learner.datasets.mnist import read_mnist
from colearn_learner.datasets.records import Data, Dataset, Task, check_data
from colearn_learner.datasets.scania import read_scania
from colearn_learner.datasets.shipped import DATASETS, dataset
from colearn_learner.datasets.tables import read_california, read_card_fraud, read_covid
from colearn_learner.datasets.xray import read_xray
from colearn_learner.errors import InvalidArgument, LearnerError
from colearn_learner.names import find_name

_log = logging.getLogger(__name__)


class DataNotFound(LearnerError):
    """The files of a data set do not exist; the message explains how to get them."""


@dataclass(frozen=True, slots=True)
class Source:
    """A data set whose files must be downloaded first.

    Args:
        name: its name on the command line.
        task: classification or regression.
        records: published number of records; 0 if it is not published.
        shape: published shape of a record's inputs; () if it is not published.
        classes: number of classes; 0 for a regression.
        story: an example of real learners with such data.
        where: instructions to get the files, and the path to pass to `load`.
        read: reads the records from this path.
    """

    name: str
    task: Task
    records: int
    shape: tuple[int, ...]
    classes: int
    story: str
    where: str
    read: Callable[[Path], Data]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded data set.

    Args:
        dataset: its description, with the sizes of the loaded records.
        data: the records.
        stands_in_for: name of the requested data set if this one replaces it; else None.
    """

    dataset: Dataset
    data: Data
    stands_in_for: str | None = None


def load(name: str, path: Path | str | None = None) -> Loaded:
    """Load a data set by name.

    For MNIST without a path, scikit-learn's digits are loaded instead, with a warning in the log.

    Args:
        name: one of `DATASETS` or `SOURCES`.
        path: the files, for one of `SOURCES`; None for one of `DATASETS`.

    Raises:
        UnknownName: there is no such data set; the message suggests similar names.
        InvalidArgument: a path was given for a data set that comes with scikit-learn.
        DataNotFound: the files do not exist; the message explains how to get them.
        InvalidData: the files are not valid.
        MissingPackage: a package that is needed to read the files is not installed.
    """
    find_name("data set", name, (*DATASETS, *SOURCES))
    if name in DATASETS:
        if path is not None:
            raise InvalidArgument(
                f"{name} comes with scikit-learn and needs no path; leave the path out"
            )
        return _describe_loaded(dataset(name), dataset(name).load())
    source = SOURCES[name]
    if path is None:
        if name == "mnist":
            return _load_digits_for_mnist(source)
        raise DataNotFound(f"the files of {name} must be downloaded first: {source.where}")
    path = Path(path).expanduser()
    if not path.exists():
        raise DataNotFound(f"{path} does not exist. To get {name}: {source.where}")
    data = source.read(path)
    about = Dataset(
        name=name,
        task=source.task,
        records=source.records,
        features=math.prod(source.shape),
        classes=source.classes,
        story=source.story,
        load=lambda: data,
    )
    return _describe_loaded(about, data)


def _describe_loaded(about: Dataset, data: Data, stands_in_for: str | None = None) -> Loaded:
    check_data(data, task=about.task, classes=about.classes, what=about.name)
    features = math.prod(data.inputs.shape[1:])
    found = replace(about, records=len(data), features=features, load=lambda: data)
    return Loaded(found, data, stands_in_for)


def _load_digits_for_mnist(mnist: Source) -> Loaded:
    """Return scikit-learn's digits, images of 8 × 8 pixels, in place of MNIST."""
    digits = dataset("digits")
    data = digits.load()
    pictures = np.round(data.inputs * 255).astype(np.uint8).reshape(-1, 8, 8, 1)
    _log.warning(
        "no path to MNIST was given, so scikit-learn's digits replace it:"
        " %d images of 8 × 8 pixels. To use MNIST: %s",
        len(data),
        mnist.where,
    )
    return _describe_loaded(digits, Data(pictures, data.targets), mnist.name)


_KAGGLE = "from Kaggle, with an account, get"

SOURCES = {
    entry.name: entry
    for entry in (
        Source(
            name="mnist",
            task="classification",
            records=70_000,
            shape=(28, 28, 1),
            classes=10,
            story="post offices read handwritten digits",
            where=(
                "let Keras fetch it (python -c 'import keras; keras.datasets.mnist.load_data()') "
                "and give ~/.keras/datasets/mnist.npz, or give the folder of the four IDX files"
            ),
            read=read_mnist,
        ),
        Source(
            name="cifar-10",
            task="classification",
            records=60_000,
            shape=(32, 32, 3),
            classes=10,
            story="photographers sort pictures of ten kinds of objects",
            where=(
                "get the binary version (cifar-10-binary.tar.gz) from the CIFAR page of the "
                "University of Toronto, unpack it and give the folder"
            ),
            read=read_cifar,
        ),
        Source(
            name="chest-xray",
            task="classification",
            records=5_856,
            shape=(128, 128, 1),
            classes=2,
            story="hospitals find pneumonia in chest X-rays",
            where=(
                f"{_KAGGLE} the data set “Chest X-Ray Images (Pneumonia)”, unpack it and give the"
                " folder; it contains folders NORMAL and PNEUMONIA"
            ),
            read=read_xray,
        ),
        Source(
            name="fraud-ieee",
            task="classification",
            records=590_540,
            shape=(431,),
            classes=2,
            story="shops find fraud among online payments",
            where=(
                f"{_KAGGLE} train_transaction.csv and train_identity.csv of the competition"
                " ieee-fraud-detection, and give their folder"
            ),
            read=read_payment_fraud,
        ),
        Source(
            name="fraud-card",
            task="classification",
            records=284_807,
            shape=(30,),
            classes=2,
            story="banks find fraud among credit card payments of two days",
            where=f"{_KAGGLE} creditcard.csv of the data set mlg-ulb/creditcardfraud, and give it",
            read=read_card_fraud,
        ),
        Source(
            name="scania-aps",
            task="classification",
            records=76_000,
            shape=(170,),
            classes=2,
            story="hauliers find failures of the air pressure system of their trucks",
            where=(
                "from the UCI Machine Learning Repository get “APS Failure at Scania Trucks”, and "
                "give the folder of aps_failure_training_set.csv and aps_failure_test_set.csv, or "
                "one of the two"
            ),
            read=read_scania,
        ),
        Source(
            name="covid-xray",
            task="classification",
            records=0,
            shape=(),
            classes=3,
            story="hospitals distinguish covid, pneumonia and healthy lungs by features of X-rays",
            where=(
                "it is not public; with covid.mat, normal.mat and pneumonia.mat of your own "
                "(MATLAB, one array of that name each, the class in the last column), give their "
                "folder"
            ),
            read=read_covid,
        ),
        Source(
            name="california-housing",
            task="regression",
            records=20_640,
            shape=(8,),
            classes=0,
            story="agencies predict the prices of houses in the districts of California",
            where=(
                "get cal_housing.tgz, whose address is in the documentation of scikit-learn's"
                " fetch_california_housing, and give it"
            ),
            read=read_california,
        ),
    )
}
