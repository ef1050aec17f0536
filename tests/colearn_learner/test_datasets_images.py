"""Images of MNIST, CIFAR-10 and chest X-rays are read correctly or refused."""

from __future__ import annotations

import gzip
import pickle
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

from colearn_learner.datasets import (
    SOURCES,
    Data,
    Division,
    load,
    prepare,
    read_share,
)
from colearn_learner.datasets.cifar import CIFAR_FILES
from colearn_learner.datasets.mnist import read_idx
from colearn_learner.errors import InvalidData, MissingPackage
from tests.support.canary import Canary

DIGITS, KINDS = load_digits(return_X_y=True)
PICTURES = np.kron((DIGITS[:60].reshape(-1, 8, 8) * 15).astype(np.uint8), np.ones((3, 3), np.uint8))
PICTURES = np.pad(PICTURES, ((0, 0), (2, 2), (2, 2)))  # 28 × 28, like MNIST
LABELS = KINDS[:60].astype(np.uint8)


# ------------------------------------------------------------------ MNIST


def encode_idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, *, end: str = "", dotted: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, some in (("train", slice(0, 50)), ("t10k", slice(50, 60))):
        for name, array in (("images-idx3", PICTURES[some]), ("labels-idx1", LABELS[some])):
            content = gzip.compress(encode_idx(array)) if end else encode_idx(array)
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
def test_mnist_is_read_from_the_keras_archive(tmp_path: Path, save: Callable[..., None]):
    arrays = {"x_train": PICTURES[:50], "y_train": LABELS[:50]}
    save(tmp_path / "mnist.npz", x_test=PICTURES[50:], y_test=LABELS[50:], **arrays)
    assert_mnist(load("mnist", tmp_path / "mnist.npz").data)
    assert_mnist(load("mnist", tmp_path).data)


def test_digits_replace_missing_mnist_with_a_warning(caplog: pytest.LogCaptureFixture):
    loaded = load("mnist")
    assert loaded.stands_in_for == "mnist"
    assert loaded.dataset.name == "digits"
    assert "digits replace it" in caplog.text
    assert SOURCES["mnist"].where in caplog.text
    assert np.array_equal(np.round(loaded.data.flat().inputs * 16), DIGITS)
    assert np.array_equal(loaded.data.targets, KINDS)


def idx_header(*lengths: int, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(lengths)]) + struct.pack(f">{len(lengths)}I", *lengths)


BAD_IDX = {
    "nothing": (b"", "starts with none"),
    "another format": (b"\x89PNG" * 10, "not an IDX file"),
    "floats": (idx_header(1, kind=0x0D) + bytes(8), "not an IDX file of bytes"),
    "no dimension": (bytes([0, 0, 8, 0]), "not an IDX file"),
    "an end in the header": (idx_header(2, 28, 28)[:9], "ends within its header"),
    "too short": (idx_header(2, 28, 28) + bytes(1567), "the length of its shape"),
    "too long": (idx_header(2, 28, 28) + bytes(1569), "the length of its shape"),
    "huge": (idx_header(2**32 - 1, 2**32 - 1), "would need"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", BAD_IDX)
def test_invalid_idx_file_is_refused(tmp_path: Path, kind: str, packed: bool):
    content, message = BAD_IDX[kind]
    (tmp_path / "file").write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(InvalidData, match=message):
        read_idx(tmp_path / "file")


@pytest.mark.parametrize("end", [5, 30, -1, -9])
def test_damaged_gzip_is_refused(tmp_path: Path, end: int):
    (tmp_path / "file").write_bytes(gzip.compress(encode_idx(PICTURES))[:end])
    with pytest.raises(InvalidData, match="damaged"):
        read_idx(tmp_path / "file")


def test_overlong_gzip_is_refused_without_unpacking_it(tmp_path: Path):
    (tmp_path / "file").write_bytes(gzip.compress(idx_header(10) + bytes(100_000_000), 9))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidData, match="the length of its shape"):
            read_idx(tmp_path / "file")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1-ubyte", encode_idx(LABELS[:49]), "do not match"),
        ("train-labels-idx1-ubyte", encode_idx(PICTURES[:50]), "do not match"),
        ("train-images-idx3-ubyte", encode_idx(LABELS[:50]), "do not match"),
        ("t10k-images-idx3-ubyte", encode_idx(PICTURES[50:, :27]), "must all have the same size"),
        ("t10k-labels-idx1-ubyte", encode_idx(np.full(10, 10)), "targets go from 0 to 10"),
        ("t10k-labels-idx1-ubyte", None, "nor t10k-labels-idx1-ubyte"),
    ],
)
def test_mismatched_mnist_files_are_refused(tmp_path: Path, name, content, message):
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
def test_invalid_keras_archive_is_refused(tmp_path: Path, wrong: dict[str, Any]):
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
def test_cifar_images_are_read_in_colour(tmp_path: Path, place: str):
    pictures = write_cifar(tmp_path / place)
    loaded = load("cifar-10", tmp_path)
    assert np.array_equal(loaded.data.inputs, pictures)
    assert loaded.data.targets.tolist() == [batch + n for batch in range(6) for n in range(4)]
    assert (loaded.dataset.records, loaded.dataset.features) == (24, 3072)


@pytest.mark.parametrize("name", ["cifar-10-batches-py/data_batch_1", "data_batch_1"])
def test_pickled_cifar_is_refused_unread(tmp_path: Path, name: str):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(pickle.dumps(Canary(tmp_path / "sang")))
    with pytest.raises(InvalidData, match=r"pickles.*get the binary version"):
        load("cifar-10", tmp_path)
    assert not (tmp_path / "sang").exists()


def test_invalid_cifar_files_are_refused(tmp_path: Path):
    write_cifar(tmp_path)
    good = (tmp_path / "test_batch.bin").read_bytes()
    for content in (b"", good[:-1], good + b"\0"):
        (tmp_path / "test_batch.bin").write_bytes(content)
        with pytest.raises(InvalidData, match="not a multiple of the 3,073 bytes"):
            load("cifar-10", tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(b"\x0a" + good[1:])
    with pytest.raises(InvalidData, match="targets go from 0 to 10"):
        load("cifar-10", tmp_path)
    (tmp_path / "test_batch.bin").unlink()
    with pytest.raises(InvalidData, match=r"has no test_batch\.bin"):
        load("cifar-10", tmp_path)


def test_loaded_records_are_prepared_and_read_back(tmp_path: Path):
    write_cifar(tmp_path / "cifar")
    loaded = load("cifar-10", tmp_path / "cifar")
    result = prepare(loaded.dataset, loaded.data, tmp_path / "out", Division(2))
    found = [read_share(folder) for folder in result.folders]
    assert {one.share.train.inputs.shape[1:] for one in found} == {(32, 32, 3)}
    together = np.concatenate([one.dataset.load().inputs for one in found])
    assert sorted(map(bytes, together)) == sorted(map(bytes, loaded.data.inputs))


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


def test_xrays_become_labelled_grey_squares(tmp_path: Path):
    write_xrays(tmp_path)
    loaded = load("chest-xray", tmp_path)
    assert loaded.data.inputs.shape == (6, 128, 128, 1)
    assert sorted(loaded.data.targets.tolist()) == [0, 0, 1, 1, 1, 1]
    first = Image.open(tmp_path / "test" / "NORMAL" / "0.png").resize((128, 128))
    assert np.array_equal(loaded.data.inputs[0, :, :, 0], np.asarray(first))
    assert loaded.data.inputs.std() > 20


def test_duplicate_xray_counts_once(tmp_path: Path):
    """The published archive has duplicates: one could be trained with, the other tested with."""
    write_xrays(tmp_path / "chest_xray")
    write_xrays(tmp_path / "chest_xray" / "chest_xray")
    write_xrays(tmp_path / "chest_xray" / "__MACOSX")
    (tmp_path / "chest_xray" / "train" / "NORMAL" / "._0.jpeg").write_bytes(b"of macOS")
    (tmp_path / "chest_xray" / "train" / "NORMAL" / "Thumbs.db").write_bytes(b"of Windows")
    assert len(load("chest-xray", tmp_path).data) == 6


def test_missing_xray_class_is_refused(tmp_path: Path):
    write_xrays(tmp_path)
    for file in tmp_path.rglob("PNEUMONIA/*"):
        file.unlink()
    with pytest.raises(InvalidData, match="no folder PNEUMONIA with images"):
        load("chest-xray", tmp_path)


@pytest.mark.parametrize("content", [b"", b"no picture", b"GIF89a\x01\0\x01\0\0\0\0;", "half"])
def test_damaged_xray_is_named(tmp_path: Path, content: Any):
    write_xrays(tmp_path)
    file = tmp_path / "train" / "NORMAL" / "0.jpeg"
    file.write_bytes(file.read_bytes()[:2000] if content == "half" else content)
    with pytest.raises(InvalidData, match=r"NORMAL/0\.jpeg is not a readable image"):
        load("chest-xray", tmp_path)


def test_oversized_image_is_refused_before_decoding(tmp_path: Path):
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


def test_missing_pillow_error_has_the_install_command(tmp_path: Path, monkeypatch):
    write_xrays(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingPackage, match=r"pip install 'colearn-ledger\[images\]'"):
        load("chest-xray", tmp_path)
