"""Files for the ancestor's programs, in the formats that they read, made of MNIST's digits."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from colearn_learner.datasets import load

_COVID_CLASSES = ("covid", "normal", "pneumonia")
_FEATURES = 431  # of a payment, in the programs' own models


def write_payments(path: Path, mnist: Path) -> Path:
    """Write 600 payments with 431 features, pixels of zeros and ones; the ones are frauds."""
    pixels, labels = _read(mnist, (0, 1), 300)
    path.mkdir()
    features = pixels.reshape(len(pixels), -1)[:, 200 : 200 + _FEATURES].astype(int)
    names = ["ProductCD", "TransactionAmt", *(f"V{n}" for n in range(_FEATURES - 3))]
    rows = [
        (n, label, 60 * n, *row)
        for n, (label, row) in enumerate(zip(labels, features[:, :-1], strict=True))
    ]
    header = ("TransactionID", "isFraud", "TransactionDT", *names)
    _write_table(path / "train_transaction.csv", [header, *rows])
    identities = [(n, row[-1]) for n, row in enumerate(features)]
    _write_table(path / "train_identity.csv", [("TransactionID", "id_01"), *identities])
    return path


def write_xrays(path: Path, mnist: Path) -> Path:
    """Write pictures of zeros as normal lungs and of ones as pneumonia, to train and test."""
    pixels, labels = _read(mnist, (0, 1), 200)
    for kind, name in enumerate(("NORMAL", "PNEUMONIA")):
        for part, start, stop in (("train", 0, 100), ("test", 100, 200)):
            folder = path / part / name
            folder.mkdir(parents=True)
            for n, picture in enumerate(pixels[labels == kind][start:stop]):
                Image.fromarray(picture).save(folder / f"{n}.jpeg")
    return path


def write_covid(path: Path, mnist: Path) -> Path:
    """Write 252 features of 100 records of each class, pixels of zeros, ones and twos."""
    pixels, labels = _read(mnist, (0, 1, 2), 100)
    path.mkdir()
    features = pixels.reshape(len(pixels), -1)[:, 250 : 250 + 252].astype(float)
    for kind, name in enumerate(_COVID_CLASSES):
        mine = features[labels == kind]
        savemat(path / f"{name}.mat", {name: np.column_stack([mine, np.full(len(mine), kind)])})
    return path


def _read(mnist: Path, digits: tuple[int, ...], each: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``each`` pictures of some digits, uint8 of shape (n, 28, 28), and their digits."""
    data = load("mnist", mnist).data
    places = np.sort(np.concatenate([np.flatnonzero(data.targets == k)[:each] for k in digits]))
    return data.inputs[places, :, :, 0], data.targets[places]


def _write_table(path: Path, rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
