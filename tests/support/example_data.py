"""Small data sets in the file formats that the examples read."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

from colearn_learner.datasets.cifar import CIFAR_FILES
from colearn_learner.datasets.scania import SCANIA_FILES
from colearn_learner.datasets.tables import COVID_CLASSES

HOUSES = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup"]
HOUSES += ["Latitude", "Longitude", "MedHouseVal"]


def digits(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 300 pictures of side × side pixels, uint8, and their digits."""
    pictures, labels = load_digits(return_X_y=True)
    enlarged = np.kron(pictures[:300].reshape(-1, 8, 8), np.ones((side // 8, side // 8)))
    return (enlarged * 15.9).astype(np.uint8), labels[:300]


def write_mnist(path: Path) -> Path:
    """Write Keras' MNIST archive, with pictures of 24 × 24 pixels."""
    pictures, labels = digits(24)
    names = ("x_train", "y_train", "x_test", "y_test")
    parts = (pictures[:200], labels[:200], pictures[200:], labels[200:])
    np.savez(path / "mnist.npz", **dict(zip(names, parts, strict=True)))
    return path / "mnist.npz"


def write_cifar(path: Path) -> Path:
    """Write the six batches of CIFAR-10's binary version."""
    pictures, labels = digits(32)
    for n, name in enumerate(CIFAR_FILES):
        mine = zip(labels[n::6], pictures[n::6], strict=True)
        (path / name).write_bytes(b"".join(bytes([k]) + p.tobytes() * 3 for k, p in mine))
    return path


def write_xrays(path: Path) -> Path:
    """Write chest X-rays: a folder of pictures for each class."""
    pictures, labels = digits(32)
    for kind, name in enumerate(("NORMAL", "PNEUMONIA")):
        (path / "train" / name).mkdir(parents=True)
        for n, picture in enumerate(pictures[labels == kind][:15]):
            Image.fromarray(picture).save(path / "train" / name / f"{n}.png")
    return path


def write_payments(path: Path) -> Path:
    """Write transactions, the larger ones frauds, and identities for half of them."""
    amounts = np.random.default_rng(1).integers(1, 1000, 120)
    about = ("TransactionID", "isFraud", "TransactionDT", "TransactionAmt", "card1")
    rows = [(n, int(amount > 700), 100 * n, amount, n % 7) for n, amount in enumerate(amounts)]
    _table(path / "train_transaction.csv", about, rows)
    identities = [(n, f"{n % 5}.5", "mobile") for n in range(0, 120, 2)]
    _table(path / "train_identity.csv", ("TransactionID", "id_01", "DeviceType"), identities)
    return path


def write_scania(path: Path) -> Path:
    """Write 300 trucks with 170 counters, some missing; one truck in ten fails."""
    inputs, benign = load_breast_cancer(return_X_y=True)
    chosen = np.concatenate([np.flatnonzero(benign)[:270], np.flatnonzero(benign == 0)[:30]])
    random = np.random.default_rng(1)
    random.shuffle(chosen)
    counters = np.tile(inputs[chosen] * 1000, 6)[:, :170].round(2).astype(str)
    counters[random.random(counters.shape) < 0.1] = "na"
    kinds = np.where(benign[chosen], "neg", "pos")
    columns = ["class", *(f"{n:03}_000" for n in range(170))]
    for name, some in zip(SCANIA_FILES, (slice(0, 200), slice(200, 300)), strict=True):
        _table(path / name, columns, np.column_stack([kinds, counters])[some])
        licence = "".join(f"Line {n} of the licence, as published.\n" for n in range(20))
        (path / name).write_text(licence + (path / name).read_text())
    return path


def write_covid(path: Path) -> Path:
    """Write the wine data in the format of the covid X-ray features."""
    inputs, kinds = load_wine(return_X_y=True)
    for kind, name in enumerate(COVID_CLASSES):
        mine = inputs[kinds == kind]
        savemat(path / f"{name}.mat", {name: np.column_stack([mine, np.full(len(mine), kind)])})
    return path


def write_houses(path: Path) -> Path:
    """Write a table of positive numbers, with a value that depends on them."""
    inputs, value = load_diabetes(return_X_y=True)
    _table(
        path / "california_housing.csv", HOUSES, np.column_stack([inputs[:, :8] + 1, value / 99])
    )
    return path


def _table(path: Path, columns: object, rows: object) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])  # type: ignore[misc]
