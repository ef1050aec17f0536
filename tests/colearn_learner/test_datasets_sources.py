"""Public data sets, each as small files in its format, are read correctly or refused."""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
import pickle
import struct
import sys
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import fetch_california_housing, load_digits, load_sample_image

from colearn_learner.catalogue.models import MODELS
from colearn_learner.datasets import (
    DATASETS,
    SOURCES,
    Data,
    DataNotFound,
    Division,
    load,
    prepare,
    read_share,
)
from colearn_learner.datasets.cifar import CIFAR_FILES
from colearn_learner.datasets.matlab import read_matrix
from colearn_learner.datasets.mnist import read_idx
from colearn_learner.errors import InvalidArgument, InvalidData, MissingPackage
from colearn_learner.names import UnknownName

DIGITS, KINDS = load_digits(return_X_y=True)
PICTURES = np.kron((DIGITS[:60].reshape(-1, 8, 8) * 15).astype(np.uint8), np.ones((3, 3), np.uint8))
PICTURES = np.pad(PICTURES, ((0, 0), (2, 2), (2, 2)))  # 28 × 28, like MNIST
LABELS = KINDS[:60].astype(np.uint8)
DECEMBER = {"TransactionDT": "86400"}


# ------------------------------------------------------------------ any data set


def test_every_name_is_known_once():
    assert not set(DATASETS) & set(SOURCES)
    assert all(source.where and source.story for source in SOURCES.values())


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "mnist"])
def test_without_a_path_it_says_where_to_get_the_files(name: str):
    with pytest.raises(DataNotFound) as refused:
        load(name)
    assert SOURCES[name].where in str(refused.value)
    assert name in str(refused.value)


@pytest.mark.parametrize("name", SOURCES)
def test_a_path_that_is_not_there_says_so_and_where_to_get_the_files(name: str, tmp_path: Path):
    with pytest.raises(DataNotFound, match="nowhere is not there") as refused:
        load(name, tmp_path / "nowhere")
    assert SOURCES[name].where in str(refused.value)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("kind", ["an empty folder", "an empty file", "a file of noise"])
def test_what_has_none_of_its_files_is_refused(name: str, kind: str, tmp_path: Path):
    path = tmp_path / "here"
    if kind == "an empty folder":
        path.mkdir()
    else:
        path.write_bytes(b"" if kind == "an empty file" else bytes(range(256)) * 40)
    with pytest.raises(InvalidData, match="here"):
        load(name, path)


def test_names_are_checked_and_shipped_data_have_no_path(tmp_path: Path):
    with pytest.raises(UnknownName, match="did you mean cifar-10"):
        load("cifar10")
    with pytest.raises(InvalidArgument, match="wine comes with scikit-learn"):
        load("wine", tmp_path)
    assert len(load("wine").data) == 178


# ------------------------------------------------------------------ MNIST


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, *, end: str = "", dotted: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, some in (("train", slice(0, 50)), ("t10k", slice(50, 60))):
        for name, array in (("images-idx3", PICTURES[some]), ("labels-idx1", LABELS[some])):
            content = gzip.compress(idx(array)) if end else idx(array)
            name = name.replace("-idx", ".idx") if dotted else name
            (folder / f"{part}-{name}-ubyte{end}").write_bytes(content)
    return folder


def assert_mnist(data: Data) -> None:
    assert data.inputs.dtype == np.uint8
    assert np.array_equal(data.inputs[..., 0], PICTURES)
    assert np.array_equal(data.targets, LABELS)


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw"])
def test_mnist_is_read_from_its_four_files(tmp_path: Path, end: str, dotted: bool, place: str):
    write_mnist(tmp_path / place, end=end, dotted=dotted)
    loaded = load("mnist", tmp_path)
    assert_mnist(loaded.data)
    about = loaded.dataset
    assert (about.name, about.records, about.features, about.classes) == ("mnist", 60, 784, 10)
    assert loaded.stands_in_for is None


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_mnist_is_read_from_keras_file(tmp_path: Path, save: Callable[..., None]):
    arrays = {"x_train": PICTURES[:50], "y_train": LABELS[:50]}
    save(tmp_path / "mnist.npz", x_test=PICTURES[50:], y_test=LABELS[50:], **arrays)
    assert_mnist(load("mnist", tmp_path / "mnist.npz").data)
    assert_mnist(load("mnist", tmp_path).data)


def test_digits_stand_in_for_mnist_and_it_says_so(caplog: pytest.LogCaptureFixture):
    loaded = load("mnist")
    assert loaded.stands_in_for == "mnist"
    assert loaded.dataset.name == "digits"
    assert "digits stand in for it" in caplog.text
    assert SOURCES["mnist"].where in caplog.text
    assert np.array_equal(np.round(loaded.data.flat().inputs * 16), DIGITS)
    assert np.array_equal(loaded.data.targets, KINDS)


def header(*lengths: int, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(lengths)]) + struct.pack(f">{len(lengths)}I", *lengths)


BAD_IDX = {
    "nothing": (b"", "starts with none"),
    "another format": (b"\x89PNG" * 10, "no IDX file"),
    "floats": (header(1, kind=0x0D) + bytes(8), "no IDX file of bytes"),
    "no dimension": (bytes([0, 0, 8, 0]), "no IDX file"),
    "an end in the header": (header(2, 28, 28)[:9], "ends within its header"),
    "too short": (header(2, 28, 28) + bytes(1567), "not as long as its shape"),
    "too long": (header(2, 28, 28) + bytes(1569), "not as long as its shape"),
    "huge": (header(2**32 - 1, 2**32 - 1), "would take"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", BAD_IDX)
def test_an_idx_file_that_is_not_right_is_refused(tmp_path: Path, kind: str, packed: bool):
    content, message = BAD_IDX[kind]
    (tmp_path / "file").write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(InvalidData, match=message):
        read_idx(tmp_path / "file")


@pytest.mark.parametrize("end", [5, 30, -1, -9])
def test_a_damaged_gzip_is_refused(tmp_path: Path, end: int):
    (tmp_path / "file").write_bytes(gzip.compress(idx(PICTURES))[:end])
    with pytest.raises(InvalidData, match="damaged"):
        read_idx(tmp_path / "file")


def test_a_gzip_that_unpacks_to_more_than_it_says_takes_no_memory(tmp_path: Path):
    (tmp_path / "file").write_bytes(gzip.compress(header(10) + bytes(100_000_000), 9))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidData, match="not as long as its shape"):
            read_idx(tmp_path / "file")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1-ubyte", idx(LABELS[:49]), "do not go together"),
        ("train-labels-idx1-ubyte", idx(PICTURES[:50]), "do not go together"),
        ("train-images-idx3-ubyte", idx(LABELS[:50]), "do not go together"),
        ("t10k-images-idx3-ubyte", idx(PICTURES[50:, :27]), "not all of one size"),
        ("t10k-labels-idx1-ubyte", idx(np.full(10, 10)), "targets go from 0 to 10"),
        ("t10k-labels-idx1-ubyte", None, "nor t10k-labels-idx1-ubyte"),
    ],
)
def test_files_that_do_not_go_together_are_refused(tmp_path: Path, name, content, message):
    write_mnist(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidData, match=message):
        load("mnist", tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [{"x_train": PICTURES[:50] / 255}, {"y_train": LABELS[:50] / 2}, {"more": LABELS}],
    ids=["floats", "halves", "another"],
)
def test_a_keras_file_that_is_not_right_is_refused(tmp_path: Path, wrong: dict[str, Any]):
    arrays = {"x_train": PICTURES[:50], "y_train": LABELS[:50]}
    arrays |= {"x_test": PICTURES[50:], "y_test": LABELS[50:]}
    np.savez(tmp_path / "mnist.npz", **arrays | wrong)
    with pytest.raises(InvalidData, match=r"mnist\.npz|here|brightness|whole"):
        load("mnist", tmp_path)


# ------------------------------------------------------------------ CIFAR-10


def write_cifar(folder: Path) -> np.ndarray:
    """Write six batches of four pictures; return the pictures, rows and columns first."""
    folder.mkdir(parents=True, exist_ok=True)
    crops = load_sample_image("flower.jpg")[:192, :128].reshape(6, 32, 4, 32, 3).swapaxes(1, 2)
    for batch, (name, pictures) in enumerate(zip(CIFAR_FILES, crops, strict=True)):
        records = [
            bytes([(batch + n) % 10]) + picture.transpose(2, 0, 1).tobytes()
            for n, picture in enumerate(pictures)
        ]
        (folder / name).write_bytes(b"".join(records))
    return crops.reshape(-1, 32, 32, 3)


@pytest.mark.parametrize("place", [".", "cifar-10-batches-bin"])
def test_cifar_is_read_in_colour(tmp_path: Path, place: str):
    pictures = write_cifar(tmp_path / place)
    loaded = load("cifar-10", tmp_path)
    assert np.array_equal(loaded.data.inputs, pictures)
    assert loaded.data.targets.tolist() == [batch + n for batch in range(6) for n in range(4)]
    assert (loaded.dataset.records, loaded.dataset.features) == (24, 3072)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["cifar-10-batches-py/data_batch_1", "data_batch_1"])
def test_cifars_pickles_are_refused_unread(tmp_path: Path, name: str):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(pickle.dumps(Canary(tmp_path / "sang")))
    with pytest.raises(InvalidData, match=r"pickles.*get the binary version"):
        load("cifar-10", tmp_path)
    assert not (tmp_path / "sang").exists()


def test_cifar_files_that_are_not_right_are_refused(tmp_path: Path):
    write_cifar(tmp_path)
    good = (tmp_path / "test_batch.bin").read_bytes()
    for content in (b"", good[:-1], good + b"\0"):
        (tmp_path / "test_batch.bin").write_bytes(content)
        with pytest.raises(InvalidData, match="no number of records of 3,073 bytes"):
            load("cifar-10", tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(b"\x0a" + good[1:])
    with pytest.raises(InvalidData, match="targets go from 0 to 10"):
        load("cifar-10", tmp_path)
    (tmp_path / "test_batch.bin").unlink()
    with pytest.raises(InvalidData, match=r"has no test_batch\.bin"):
        load("cifar-10", tmp_path)


# ------------------------------------------------------------------ chest X-rays


def write_xrays(folder: Path) -> None:
    grey = Image.fromarray(load_sample_image("china.jpg"))
    for n, kind in enumerate(("NORMAL", "PNEUMONIA", "PNEUMONIA")):
        for part in ("train", "test"):
            place = folder / part / kind
            place.mkdir(parents=True, exist_ok=True)
            crop = grey.crop((60 * n, 30 * len(part), 300 + 60 * n, 330))
            crop = crop.convert("L") if n == 0 else crop
            crop.save(place / f"{n}.{'jpeg' if part == 'train' else 'png'}")


def test_xrays_become_grey_squares_with_their_kind(tmp_path: Path):
    write_xrays(tmp_path)
    loaded = load("chest-xray", tmp_path)
    assert loaded.data.inputs.shape == (6, 128, 128, 1)
    assert sorted(loaded.data.targets.tolist()) == [0, 0, 1, 1, 1, 1]
    first = Image.open(tmp_path / "test" / "NORMAL" / "0.png").resize((128, 128))
    assert np.array_equal(loaded.data.inputs[0, :, :, 0], np.asarray(first))
    assert loaded.data.inputs.std() > 20


def test_an_xray_that_is_there_twice_counts_once(tmp_path: Path):
    """The published archive has duplicates, which could be both trained and tested with."""
    write_xrays(tmp_path / "chest_xray")
    write_xrays(tmp_path / "chest_xray" / "chest_xray")
    write_xrays(tmp_path / "chest_xray" / "__MACOSX")
    (tmp_path / "chest_xray" / "train" / "NORMAL" / "._0.jpeg").write_bytes(b"of macOS")
    (tmp_path / "chest_xray" / "train" / "NORMAL" / "Thumbs.db").write_bytes(b"of Windows")
    assert len(load("chest-xray", tmp_path).data) == 6


def test_a_folder_without_one_of_the_kinds_is_refused(tmp_path: Path):
    write_xrays(tmp_path)
    for file in tmp_path.rglob("PNEUMONIA/*"):
        file.unlink()
    with pytest.raises(InvalidData, match="no folder PNEUMONIA with pictures"):
        load("chest-xray", tmp_path)


@pytest.mark.parametrize("content", [b"", b"no picture", b"GIF89a\x01\0\x01\0\0\0\0;", "half"])
def test_a_damaged_xray_is_named(tmp_path: Path, content: Any):
    write_xrays(tmp_path)
    file = tmp_path / "train" / "NORMAL" / "0.jpeg"
    file.write_bytes(file.read_bytes()[:2000] if content == "half" else content)
    with pytest.raises(InvalidData, match=r"NORMAL/0\.jpeg is no picture"):
        load("chest-xray", tmp_path)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked(tmp_path: Path):
    write_xrays(tmp_path)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    size = struct.pack(">IIBBBBB", 10_000, 6_000, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b""))
    (tmp_path / "test" / "NORMAL" / "0.png").write_bytes(png + chunk(b"IEND", b""))
    with pytest.raises(InvalidData, match="10000 × 6000 pixels, which is too many"):
        load("chest-xray", tmp_path)


def test_without_pillow_it_says_how_to_install_it(tmp_path: Path, monkeypatch):
    write_xrays(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingPackage, match=r"pip install 'colearn-ledger\[images\]'"):
        load("chest-xray", tmp_path)


# ------------------------------------------------------------------ payments (IEEE-CIS)

PAYMENT = ["TransactionID", "isFraud", "TransactionDT", "TransactionAmt", "ProductCD"]
PAYMENT += [f"card{n}" for n in range(1, 7)] + ["addr1", "addr2", "dist1", "dist2"]
PAYMENT += ["P_emaildomain", "R_emaildomain"] + [f"C{n}" for n in range(1, 15)]
PAYMENT += [f"D{n}" for n in range(1, 16)] + [f"M{n}" for n in range(1, 10)]
PAYMENT += [f"V{n}" for n in range(1, 340)]
IDENTITY = ["TransactionID", *(f"id_{n:02}" for n in range(1, 39)), "DeviceType", "DeviceInfo"]
PLACE = {name: n for n, name in enumerate([*PAYMENT[3:], *IDENTITY[1:]])}


def table(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
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
    table(folder / "train_transaction.csv", PAYMENT, payments)
    table(folder / "train_identity.csv", IDENTITY, identities)
    return folder


def test_payments_are_joined_with_their_identities(tmp_path: Path):
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


def test_features_of_a_payment_do_not_depend_on_others(tmp_path: Path):
    for name in ("all", "some"):
        (tmp_path / name).mkdir()
    everything = load("fraud-ieee", write_payments(tmp_path / "all")).data
    some = load("fraud-ieee", write_payments(tmp_path / "some", PAYMENTS[3:1:-1])).data
    assert np.array_equal(some.inputs, everything.inputs[3:1:-1])


def test_many_payments_come_in_their_order(tmp_path: Path):
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
        ([payment(1, isFraud="2")], [], "isFraud is '2' and must be 0 or 1"),
        ([payment(1, isFraud="")], [], "must be 0 or 1"),
        ([payment(1, V5="much")], [], "could not convert string to float: 'much'"),
    ],
)
def test_payments_that_are_not_right_are_refused(tmp_path, payments, identities, message):
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
        (lambda text: text.replace("2987004", "2987004\x00\udc80"), "no table of text"),
    ],
    ids=["missing", "another name", "semicolons", "cut short", "no text"],
)
def test_payment_files_that_are_not_right_are_refused(tmp_path: Path, file, change, message):
    write_payments(tmp_path)
    text = change((tmp_path / file).read_text())
    (tmp_path / file).unlink()
    if text is not None:
        (tmp_path / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidData, match=message):
        load("fraud-ieee", tmp_path)


# ------------------------------------------------------------------ credit cards

CARD = ["Time", *(f"V{n}" for n in range(1, 29)), "Amount", "Class"]


def cards(*, amount: str = "149.62", kind: str = "0", rows: int = 3) -> str:
    head = ",".join(f'"{name}"' for name in CARD)
    values = ",".join(str(n / 10) for n in range(-14, 14))
    return head + "\n" + "".join(f'{n * 86400},{values},{amount},"{kind}"\n' for n in range(rows))


@pytest.mark.parametrize("as_folder", [False, True])
def test_credit_card_payments_are_read(tmp_path: Path, as_folder: bool):
    (tmp_path / "creditcard.csv").write_text(cards())
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
        (cards(rows=0), "has no records"),
        (cards(kind="2"), "classes must be 0 or 1"),
        (cards(kind="0.5"), "classes must be 0 or 1"),
        (cards(amount="-1"), "amounts must not be below 0"),
        (cards(amount="nan"), "record 1 has a value that is no finite number"),
        (cards(amount="inf"), "no finite number"),
        (cards(amount=""), "record 1: could not convert"),
        (cards(amount="1,5"), "record 1 has 32 columns, and 31 belong"),
        (cards().replace("V7", "V70"), "has no column V7"),
        (cards() + '"' + "x" * 200_000, "no table of text"),
    ],
    ids=range(10),
)
def test_a_card_table_that_is_not_right_is_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "creditcard.csv").write_text(text)
    with pytest.raises(InvalidData, match=message):
        load("fraud-card", tmp_path)


# ------------------------------------------------------------------ Californian houses

RAW = """\
-122.230000,37.880000,41.000000,880.000000,129.000000,322.000000,126.000000,8.325200,452600.000000
-122.220000,37.860000,21.000000,7099.000000,1106.000000,2401.000000,1138.000000,8.301400,358500.0
-118.310000,33.670000,33.000000,4914.000000,759.000000,1992.000000,654.000000,5.743100,180000.00
"""


def archived(path: Path, text: str, name: str = "CaliforniaHousing/cal_housing.data") -> None:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(text.encode())
        archive.addfile(member, io.BytesIO(text.encode()))


def as_scikit_learn(folder: Path) -> Any:
    """Return scikit-learn's version of the same districts, from a cache in its own format."""
    raw = np.loadtxt(io.StringIO(RAW), delimiter=",")
    joblib.dump(raw[:, [8, 7, 2, 3, 4, 5, 6, 1, 0]], folder / "cal_housing_py3.pkz", compress=6)
    return fetch_california_housing(data_home=folder, download_if_missing=False)


def houses_csv(folder: Path) -> str:
    known = as_scikit_learn(folder)
    lines = [",".join([*known.feature_names, "MedHouseVal"])]
    rows = np.column_stack([known.data, known.target])
    return "\n".join([*lines, *(",".join(repr(float(x)) for x in row) for row in rows)])


@pytest.mark.parametrize("form", ["tgz", "data", "folder", "unpacked", "csv"])
def test_houses_are_those_of_scikit_learn_in_any_form(tmp_path: Path, form: str):
    known = as_scikit_learn(tmp_path)
    place = tmp_path / "given"
    place.mkdir()
    path = place
    if form in ("tgz", "folder"):
        archived(place / "cal_housing.tgz", RAW)
        path = place / "cal_housing.tgz" if form == "tgz" else place
    elif form == "data":
        (path := place / "cal_housing.data").write_text(RAW)
    elif form == "unpacked":
        (place / "CaliforniaHousing").mkdir()
        (place / "CaliforniaHousing" / "cal_housing.data").write_text(RAW)
    else:
        (path := place / "houses.csv").write_text(houses_csv(tmp_path))
    loaded = load("california-housing", path)
    assert (loaded.dataset.task, loaded.dataset.features) == ("regression", 8)
    assert np.allclose(loaded.data.targets, known.target - 2)
    expected = known.data.copy()
    expected[:, 2:6] = np.log(expected[:, 2:6])
    low = np.array([0.4999, 1, *np.log([0.846, 0.333, 3, 0.692]), 32.54, -124.35])
    high = np.array([15.0001, 52, *np.log([141.91, 34.07, 35682, 1243.34]), 41.95, -114.31])
    assert np.allclose(loaded.data.inputs, 4 * (expected - low) / (high - low) - 2)
    assert np.abs(loaded.data.inputs).max() <= 2


@pytest.mark.parametrize("as_folder", [False, True])
def test_scikit_learns_cache_is_a_pickle_and_is_refused_unread(tmp_path: Path, as_folder: bool):
    joblib.dump(Canary(tmp_path / "sang"), tmp_path / "cal_housing_py3.pkz")
    path = tmp_path if as_folder else tmp_path / "cal_housing_py3.pkz"
    with pytest.raises(InvalidData, match=r"a pickle, which can run code.*to_csv"):
        load("california-housing", path)
    assert not (tmp_path / "sang").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no records"),
        (RAW.replace("126.000000", "0.0"), "a district has no households"),
        (RAW.replace("880.000000", "-1"), "must be above 0"),
        (RAW.replace("8.325200", ""), "record 1"),
        (RAW.replace("8.325200", "NaN"), "no finite number"),
        (RAW.replace(",8.301400", ""), "record 2 has 8 columns, and 9 belong"),
    ],
    ids=range(6),
)
@pytest.mark.parametrize("packed", [False, True])
def test_house_files_that_are_not_right_are_refused(tmp_path: Path, text, message, packed):
    if packed:
        archived(tmp_path / "cal_housing.tgz", text)
    else:
        (tmp_path / "cal_housing.data").write_text(text)
    with pytest.raises(InvalidData, match=message):
        load("california-housing", tmp_path)


def test_house_archives_that_are_not_right_are_refused(tmp_path: Path):
    file = tmp_path / "cal_housing.tgz"
    archived(file, RAW, "something.else")
    with pytest.raises(InvalidData, match=r"has no cal_housing\.data in it"):
        load("california-housing", file)
    archived(file, RAW)
    for content in (b"", b"noise" * 100, file.read_bytes()[:150]):
        file.write_bytes(content)
        with pytest.raises(InvalidData, match="damaged, or no archive"):
            load("california-housing", file)


# ------------------------------------------------------------------ covid X-ray features


def write_covid(folder: Path, **changed: Any) -> Path:
    rng = np.random.default_rng(1)
    for kind, name in enumerate(("covid", "normal", "pneumonia")):
        features = rng.normal(kind, 1, (4 + kind, 20))
        array = np.column_stack([features, np.full(4 + kind, kind + 1)])
        savemat(folder / f"{name}.mat", changed.get(name, {name: array}), do_compression=True)
    return folder


def test_covid_features_are_read_with_their_kind(tmp_path: Path):
    loaded = load("covid-xray", write_covid(tmp_path))
    assert loaded.data.inputs.shape == (15, 20)
    assert loaded.data.targets.tolist() == [0] * 4 + [1] * 5 + [2] * 6
    means = [loaded.data.inputs[loaded.data.targets == kind].mean() for kind in range(3)]
    assert np.allclose(means, [0, 1, 2], atol=0.4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"normal": {"covid": np.ones((4, 21))}}, "has no matrix normal"),
        ({"normal": {"normal": np.ones((4, 3, 7))}}, "has no matrix normal"),
        ({"normal": {"normal": np.ones((4, 20))}}, "the same number of columns"),
        ({"normal": {"normal": np.ones((4, 1))}}, "the same number of columns"),
        ({"normal": {"normal": "text"}}, "has no matrix normal of numbers"),
        (
            {"normal": {"normal": np.array([[{"a": 1}, 2]], object)}},
            "has no matrix normal of numbers",
        ),
        ({"normal": {"normal": np.full((4, 21), 1j)}}, "has no matrix normal of numbers"),
        ({"normal": {"normal": np.arange(84.0).reshape(4, 21)}}, "must be one class"),
        ({"normal": {"normal": np.full((4, 21), np.nan)}}, "must be one class|finite"),
    ],
    ids=range(9),
)
def test_covid_files_that_are_not_right_are_refused(tmp_path: Path, changed, message):
    with pytest.raises(InvalidData, match=message):
        load("covid-xray", write_covid(tmp_path, **changed))


@pytest.mark.parametrize("kind", ["f8", "f4", "i2", "u1", "i8", ">f8", "u4"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(3, 2), (1, 1), (1, 5), (0, 4)])
def test_a_matrix_is_read_as_scipy_wrote_it(tmp_path: Path, kind: str, packed: bool, shape):
    matrix = np.arange(math.prod(shape)).reshape(shape).astype(kind)
    others = {"a_long_name_before": np.ones((2, 2)), "text": "t", "cell": np.array([[1]], object)}
    savemat(tmp_path / "a.mat", {**others, "m": matrix, "z": 1j}, do_compression=packed)
    assert np.array_equal(read_matrix(tmp_path / "a.mat", "m"), matrix)


def test_a_matlab_file_of_the_other_byte_order_is_read(tmp_path: Path):
    """Big-endian machines wrote such files; this one is made by hand."""

    def element(kind: int, body: bytes) -> bytes:
        return struct.pack(">II", kind, len(body)) + body.ljust(-(-len(body) // 8) * 8, b"\0")

    parts = element(6, struct.pack(">II", 6, 0)) + element(5, struct.pack(">ii", 2, 3))
    parts += element(1, b"covid") + element(9, struct.pack(">6d", *range(6)))
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    (tmp_path / "a.mat").write_bytes(head + element(14, parts))
    assert read_matrix(tmp_path / "a.mat", "covid").tolist() == [[0, 2, 4], [1, 3, 5]]


def test_damaged_matlab_files_are_refused(tmp_path: Path):
    file = write_covid(tmp_path) / "covid.mat"
    good = file.read_bytes()
    hdf5 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n"
    for content in (b"", good[:60], good[:200], bytes(1000), hdf5):
        file.write_bytes(content)
        with pytest.raises(InvalidData, match=r"covid\.mat"):
            load("covid-xray", tmp_path)
    file.unlink()
    with pytest.raises(InvalidData, match=r"covid\.mat is missing"):
        load("covid-xray", tmp_path)


# ------------------------------------------------------------------ from files to folders


def test_what_was_loaded_is_prepared_and_read_back(tmp_path: Path):
    write_cifar(tmp_path / "cifar")
    loaded = load("cifar-10", tmp_path / "cifar")
    result = prepare(loaded.dataset, loaded.data, tmp_path / "out", Division(2))
    found = [read_share(folder) for folder in result.folders]
    assert {one.share.train.inputs.shape[1:] for one in found} == {(32, 32, 3)}
    together = np.concatenate([one.dataset.load().inputs for one in found])
    assert sorted(map(bytes, together)) == sorted(map(bytes, loaded.data.inputs))


def test_every_source_has_a_model_that_learns_its_task():
    for source in SOURCES.values():
        assert any(source.task in model.tasks for model in MODELS.values())
