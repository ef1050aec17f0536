"""Tables of payments and credit card transactions are read correctly or refused."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_learner.datasets import (
    load,
)
from colearn_learner.errors import InvalidData

DECEMBER = {"TransactionDT": "86400"}


# ------------------------------------------------------------------ payments (IEEE-CIS)

PAYMENT = ["TransactionID", "isFraud", "TransactionDT", "TransactionAmt", "ProductCD"]
PAYMENT += [f"card{n}" for n in range(1, 7)] + ["addr1", "addr2", "dist1", "dist2"]
PAYMENT += ["P_emaildomain", "R_emaildomain"] + [f"C{n}" for n in range(1, 15)]
PAYMENT += [f"D{n}" for n in range(1, 16)] + [f"M{n}" for n in range(1, 10)]
PAYMENT += [f"V{n}" for n in range(1, 340)]
IDENTITY = ["TransactionID", *(f"id_{n:02}" for n in range(1, 39)), "DeviceType", "DeviceInfo"]
PLACE = {name: n for n, name in enumerate([*PAYMENT[3:], *IDENTITY[1:]])}


def write_table(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def payment(number: int, **more: str) -> dict[str, str]:
    return {"TransactionID": str(number), "isFraud": "0", **DECEMBER, **more}


PAYMENTS = [
    payment(2987000, TransactionAmt="68.5", ProductCD="W", card1="13926", M1="T", V1="1.0"),
    payment(2987001, TransactionAmt="29.0", ProductCD="W", card1="2755", M1="F", D1="-12"),
    payment(2987004, TransactionAmt="50.0", ProductCD="H", isFraud="1", card2="514.0"),
    payment(2987008, TransactionAmt="15.0", ProductCD="H", card2="514"),
]
IDENTITIES = [
    {"TransactionID": "2987004", "id_01": "0.0", "id_02": "70787.0", "DeviceType": "mobile"},
    {"TransactionID": "2987008", "id_01": "-5.0", "id_12": "NotFound", "DeviceType": "mobile"},
]


def write_payments(folder: Path, payments: Any = PAYMENTS, identities: Any = IDENTITIES) -> Path:
    write_table(folder / "train_transaction.csv", PAYMENT, payments)
    write_table(folder / "train_identity.csv", IDENTITY, identities)
    return folder


def test_payments_are_joined_with_identities(tmp_path: Path):
    loaded = load("fraud-ieee", write_payments(tmp_path))
    inputs = loaded.data.inputs
    assert inputs.shape == (4, 431)  # the number of the ancestor's features
    assert loaded.data.targets.tolist() == [0, 0, 1, 0]

    def column(name: str) -> list[float]:
        return [float(value) for value in inputs[:, PLACE[name]]]

    amounts = [math.log1p(amount) for amount in (68.5, 29.0, 50.0, 15.0)]
    assert np.allclose(column("TransactionAmt"), amounts)
    assert column("M1") == [1, -1, 0, 0]
    assert np.isclose(column("D1")[1], -math.log1p(12))
    assert column("V2") == [0, 0, 0, 0]
    products = column("ProductCD")
    assert products[0] == products[1] != products[2] == products[3]
    cards = column("card2")
    assert cards[:2] == [0, 0]
    assert cards[2] == cards[3] != 0  # 514.0 and 514 are the same bank
    assert np.allclose(column("id_02"), [0, 0, math.log1p(70787), 0])
    assert np.isclose(column("id_01")[3], -math.log1p(5))
    devices = column("DeviceType")
    assert devices[:2] == [0, 0]
    assert devices[2] == devices[3] != 0
    assert np.abs(inputs[:, [PLACE["ProductCD"], PLACE["card1"], PLACE["DeviceType"]]]).max() <= 1


def test_payments_are_converted_independently(tmp_path: Path):
    for name in ("all", "some"):
        (tmp_path / name).mkdir()
    everything = load("fraud-ieee", write_payments(tmp_path / "all")).data
    some = load("fraud-ieee", write_payments(tmp_path / "some", PAYMENTS[3:1:-1])).data
    assert np.array_equal(some.inputs, everything.inputs[3:1:-1])


def test_batches_of_payments_keep_their_order(tmp_path: Path):
    rows = [payment(n, TransactionAmt=str(n), isFraud=str(n % 2)) for n in range(25_000)]
    data = load("fraud-ieee", write_payments(tmp_path, rows, [])).data
    assert np.allclose(data.inputs[:, 0], np.log1p(np.arange(25_000)))
    assert data.targets.tolist() == [n % 2 for n in range(25_000)]


@pytest.mark.parametrize(
    ("payments", "identities", "message"),
    [
        ([*PAYMENTS, PAYMENTS[0]], IDENTITIES, "has the transaction 2987000 twice"),
        (PAYMENTS, [*IDENTITIES, IDENTITIES[0]], "has the transaction 2987004 twice"),
        (PAYMENTS[:3], IDENTITIES, "identity of transaction 2987008, which is not in"),
        ([], [], r"train_transaction\.csv has no records"),
        ([payment(1, isFraud="2")], [], "isFraud is '2'; it must be 0 or 1"),
        ([payment(1, isFraud="")], [], "must be 0 or 1"),
        ([payment(1, V5="much")], [], "could not convert string to float: 'much'"),
    ],
)
def test_invalid_payments_are_refused(tmp_path, payments, identities, message):
    with pytest.raises(InvalidData, match=message):
        load("fraud-ieee", write_payments(tmp_path, payments, identities))


@pytest.mark.parametrize("file", ["train_transaction.csv", "train_identity.csv"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: None, "is missing"),
        (lambda text: text.replace("TransactionID", "Transaction"), "no column TransactionID"),
        (lambda text: text.replace(",", ";"), "no column TransactionID"),
        (lambda text: text.rstrip("\r\n")[:-5] + "\r\n", "columns"),
        (lambda text: text.replace("2987004", "2987004\x00\udc80"), "not a text table"),
    ],
    ids=["missing", "another name", "semicolons", "cut short", "no text"],
)
def test_invalid_payment_files_are_refused(tmp_path: Path, file, change, message):
    write_payments(tmp_path)
    text = change((tmp_path / file).read_text())
    (tmp_path / file).unlink()
    if text is not None:
        (tmp_path / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidData, match=message):
        load("fraud-ieee", tmp_path)


# ------------------------------------------------------------------ credit cards

CARD = ["Time", *(f"V{n}" for n in range(1, 29)), "Amount", "Class"]


def card_table(*, amount: str = "149.62", kind: str = "0", rows: int = 3) -> str:
    head = ",".join(f'"{name}"' for name in CARD)
    values = ",".join(str(n / 10) for n in range(-14, 14))
    return head + "\n" + "".join(f'{n * 86400},{values},{amount},"{kind}"\n' for n in range(rows))


@pytest.mark.parametrize("as_folder", [False, True])
def test_credit_card_payments_are_read(tmp_path: Path, as_folder: bool):
    (tmp_path / "creditcard.csv").write_text(card_table())
    loaded = load("fraud-card", tmp_path if as_folder else tmp_path / "creditcard.csv")
    inputs = loaded.data.inputs
    assert inputs.shape == (3, 30)
    assert inputs.dtype == np.float32
    assert np.allclose(inputs[1, :28], np.arange(-14, 14) / 10)
    assert np.allclose(inputs[:, 28], math.log1p(149.62))
    assert inputs[:, 29].tolist() == [-1, 0, 1]
    assert loaded.data.targets.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (card_table(rows=0), "has no records"),
        (card_table(kind="2"), "classes must be 0 or 1"),
        (card_table(kind="0.5"), "classes must be 0 or 1"),
        (card_table(amount="-1"), "amounts must not be below 0"),
        (card_table(amount="nan"), "record 1 has a value that is not a finite number"),
        (card_table(amount="inf"), "not a finite number"),
        (card_table(amount=""), "record 1: could not convert"),
        (card_table(amount="1,5"), "record 1 has 32 columns instead of 31"),
        (card_table().replace("V7", "V70"), "has no column V7"),
        (card_table() + '"' + "x" * 200_000, "not a text table"),
    ],
    ids=range(10),
)
def test_invalid_card_table_is_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "creditcard.csv").write_text(text)
    with pytest.raises(InvalidData, match=message):
        load("fraud-card", tmp_path)
