"""A learner's folder is read back as written, and anything else is refused."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from colearn_learner.datasets import Data, Dataset, NoShare, Share, dataset, read_share
from colearn_learner.datasets.folders import write_share
from colearn_learner.datasets.npz import read_arrays
from colearn_learner.errors import InvalidData
from tests.support.canary import Canary

PARTS = ("train", "vote", "test")
WINE = dataset("wine")


def wine_share() -> Share:
    data = WINE.load()
    return Share(*(data.take(np.arange(start, 178, 3)) for start in range(3)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_share(tmp_path / "learner-0", wine_share(), WINE, {"learner": 0, "of": 1})
    return tmp_path / "learner-0"


def is_equal(one: Data, other: Data) -> bool:
    pairs = ((one.inputs, other.inputs), (one.targets, other.targets))
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def test_written_records_are_read_back(folder: Path):
    found = read_share(folder)
    for name in PARTS:
        assert is_equal(getattr(found.share, name), getattr(wine_share(), name))
    about = found.dataset
    assert (about.name, about.task, about.records) == ("wine", "classification", 178)
    assert (about.features, about.classes, found.learner) == (13, 3, 0)
    assert len(about.load()) == 178


def test_files_are_plain_numpy_archives(folder: Path):
    with np.load(folder / "vote.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == ["inputs", "targets"]
        assert np.array_equal(archive["inputs"], wine_share().vote.inputs)


@settings(max_examples=30, deadline=None)
@given(
    st.data(),
    st.sampled_from([np.uint8, np.float32, np.float64]),
    st.sampled_from([(3,), (2, 2, 1), (1, 4)]),
)
def test_inputs_of_any_shape_are_read_back(tmp_path_factory, draw, kind, shape):
    elements = {} if kind is np.uint8 else {"allow_nan": False, "allow_infinity": False}
    parts = []
    for _ in PARTS:
        n = draw.draw(st.integers(1, 4))
        inputs = draw.draw(hnp.arrays(kind, (n, *shape), elements=elements or None))
        parts.append(Data(inputs, np.linspace(-1, 1, n)))
    place = tmp_path_factory.mktemp("shares") / "learner-0"
    about = Dataset("made", "regression", 9, 0, 0, "nobody", lambda: parts[0])
    write_share(place, Share(*parts), about, {"learner": 2})
    found = read_share(place)
    for name, part in zip(PARTS, parts, strict=True):
        assert is_equal(getattr(found.share, name), part)
    assert found.dataset.features == int(np.prod(shape))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PARTS), st.integers(0, 10**9), st.integers(1, 255))
def test_any_changed_byte_is_detected(tmp_path_factory, part, place, difference):
    folder = tmp_path_factory.mktemp("shares") / "learner-0"
    write_share(folder, wine_share(), WINE, {"learner": 0})
    file = folder / f"{part}.npz"
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= difference
    file.write_bytes(content)
    with pytest.raises(InvalidData, match="its sha256 differs"):
        read_share(folder)


def test_flat_images_are_rows_from_0_to_1():
    pictures = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1) * 8
    flat = Data(pictures, np.array([0, 1])).flat()
    assert flat.inputs.shape == (2, 16)
    assert flat.inputs.dtype == np.float32
    assert np.allclose(flat.inputs * 255, pictures.reshape(2, 16))
    assert WINE.load().flat().inputs.dtype == np.float64


# ------------------------------------------------------------------ untrusted folders


@pytest.mark.parametrize("name", ["share.json", "train.npz", "vote.npz", "test.npz"])
def test_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()
    with pytest.raises((NoShare, InvalidData), match=name):
        read_share(folder)


def test_wrong_folder_error_suggests_another(folder: Path):
    with pytest.raises(NoShare, match="no such folder; colearn data prepare"):
        read_share(folder / "nothing")
    with pytest.raises(NoShare, match=r"the folder of one learner, such as .*learner-0"):
        read_share(folder.parent)
    (folder.parent / "empty").mkdir()
    with pytest.raises(NoShare, match="created by colearn data prepare"):
        read_share(folder.parent / "empty")


def change_description(folder: Path, *keys: str, to: Any) -> None:
    """Change one value of the description."""
    description = json.loads((folder / "share.json").read_text())
    at = description
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = to
    (folder / "share.json").write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("keys", "to", "message"),
    [
        (("format",), 2, "format 2; this version reads 1 only"),
        (("format",), None, "format None"),
        (("dataset",), [], "missing or malformed"),
        (("dataset",), None, "missing or malformed"),
        (("dataset", "task"), "clustering", "does not describe"),
        (("dataset", "task"), "regression", "does not describe"),
        (("dataset", "classes"), 0, "does not describe"),
        (("dataset", "classes"), "3", "does not describe|missing or malformed"),
        (("dataset", "classes"), 2, "3|targets go from 0 to 2"),
        (("dataset", "shape"), [14], r"inputs of shape \(13,\)"),
        (("dataset", "shape"), 13, "missing or malformed"),
        (("dataset", "shape"), ["13"], "does not describe"),
        (("dataset", "records"), 1.5, "does not describe"),
        (("dataset", "name"), ["wine"], "does not describe"),
        (("learner",), "0", "does not describe"),
        (("learner",), True, "does not describe"),
        (("parts",), {}, "missing or malformed.*train"),
        (("parts", "vote"), 5, "missing or malformed"),
        (("parts", "vote", "records"), 7, "does not have the 7 records"),
        (("parts", "vote", "sha256"), "00", "its sha256 differs"),
    ],
)
def test_invalid_field_of_a_description_is_refused(folder: Path, keys, to, message):
    change_description(folder, *keys, to=to)
    with pytest.raises(InvalidData, match=message):
        read_share(folder)


@pytest.mark.parametrize("key", ["format", "dataset", "learner", "parts"])
def test_missing_field_of_a_description_is_refused(folder: Path, key: str):
    description = json.loads((folder / "share.json").read_text())
    del description[key]
    (folder / "share.json").write_text(json.dumps(description))
    with pytest.raises(InvalidData, match=key):
        read_share(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "5", '"text"', "[" * 100_000, b"\xff\xfe\x00", b"{" + b" " * 1_000_001],
    ids=range(9),
)
def test_malformed_description_is_refused(folder: Path, text: str | bytes):
    content = text.encode() if isinstance(text, str) else text
    (folder / "share.json").write_bytes(content)
    with pytest.raises(InvalidData, match=r"share\.json"):
        read_share(folder)


# ------------------------------------------------------------------ untrusted archives


def encode_npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(array), allow_pickle=True)
    return out.getvalue()


def array_with_false_shape(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    """Return an array file whose header promises more data than it has."""
    out = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue() + b"\0" * 64


def make_archive(members: dict[str, bytes], *, packed: bool = False) -> bytes:
    out = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


GOOD = {"inputs.npy": encode_npy(np.zeros((2, 13))), "targets.npy": encode_npy(np.zeros(2, int))}


def archive_with_inputs(content: bytes) -> bytes:
    return make_archive(GOOD | {"inputs.npy": content})


def archive_with_targets(content: Any) -> bytes:
    return make_archive(GOOD | {"targets.npy": encode_npy(content)})


BAD_ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "damaged, or not a .npz"),
    "text": (lambda: b"PK but not really", "damaged, or not a .npz"),
    "a bare array": (lambda: encode_npy(np.zeros((2, 13))), "damaged, or not a .npz"),
    "cut short": (lambda: make_archive(GOOD)[:-30], "damaged, or not a .npz"),
    "one array": (lambda: make_archive({"inputs.npy": GOOD["inputs.npy"]}), "expected the arrays"),
    "another": (lambda: make_archive(GOOD | {"more.npy": b""}), r"contains inputs\.npy, more\.npy"),
    "a path": (lambda: make_archive(GOOD | {"../x.npy": b""}), "expected the arrays"),
    "no array": (lambda: archive_with_inputs(b"hello"), "not a numpy array"),
    "no header": (lambda: archive_with_inputs(b"\x93NUMPY\x01\x00\xff\xff{"), "not a numpy array"),
    "a format of the future": (
        lambda: archive_with_inputs(b"\x93NUMPY\x09\x00"),
        "not a numpy array",
    ),
    "code in the header": (
        lambda: archive_with_inputs(b"\x93NUMPY\x01\x00\x10\x00__import__('os')\n"),
        "not a numpy array",
    ),
    "a huge shape": (
        lambda: archive_with_inputs(array_with_false_shape((2**40, 13))),
        "the length of its shape",
    ),
    "a shape beyond numbers": (
        lambda: archive_with_inputs(array_with_false_shape((2**62, 2**62))),
        "the length of",
    ),
    "a shape below 0": (
        lambda: archive_with_inputs(array_with_false_shape((-1, 13))),
        "its shape is",
    ),
    "too short": (
        lambda: archive_with_inputs(encode_npy(np.zeros((2, 13)))[:-8]),
        "the length of its shape",
    ),
    "too long": (
        lambda: archive_with_inputs(encode_npy(np.zeros((2, 13))) + b"\0"),
        "the length of its shape",
    ),
    "objects": (
        lambda: archive_with_inputs(encode_npy(np.array([[None], [1]], object))),
        "not numbers",
    ),
    "texts": (lambda: archive_with_inputs(encode_npy(np.array([["a"], ["b"]]))), "not numbers"),
    "complex": (lambda: archive_with_inputs(encode_npy(np.zeros((2, 13), complex))), "not numbers"),
    "records": (lambda: archive_with_inputs(encode_npy(np.zeros(2, "f8,f8"))), "not numbers"),
    "one dimension": (lambda: archive_with_inputs(encode_npy(np.zeros(2))), "do not match|shape"),
    "no dimension": (lambda: archive_with_inputs(encode_npy(5.0)), "do not match|shape"),
    "nothing in a record": (
        lambda: archive_with_inputs(encode_npy(np.zeros((2, 0)))),
        "shape|no inputs",
    ),
    "another number": (lambda: archive_with_inputs(encode_npy(np.zeros((3, 13)))), "do not match"),
    "whole inputs": (
        lambda: archive_with_inputs(encode_npy(np.zeros((2, 13), int))),
        "inputs have type int64",
    ),
    "half inputs": (
        lambda: archive_with_inputs(encode_npy(np.zeros((2, 13), "f2"))),
        "type float16",
    ),
    "NaN": (
        lambda: archive_with_inputs(encode_npy(np.array([[0.0] * 13, [np.nan] * 13]))),
        "record 1 has an input that is not a finite number",
    ),
    "infinity": (
        lambda: archive_with_inputs(encode_npy(np.full((2, 13), np.inf))),
        "record 0 has an input",
    ),
    "classes beyond": (
        lambda: archive_with_targets([0, 3]),
        "targets go from 0 to 3; 3 classes must be 0",
    ),
    "classes below": (lambda: archive_with_targets([-1, 0]), "targets go from -1 to 0"),
    "classes of floats": (lambda: archive_with_targets([0.0, 1.0]), "classes are whole numbers"),
    "classes in two columns": (
        lambda: archive_with_targets([[0], [1]]),
        "does not have the 2 records",
    ),
}


@pytest.mark.parametrize("kind", BAD_ARCHIVES)
def test_invalid_archive_is_refused(folder: Path, kind: str):
    """Archives are refused even if the description was changed to match them."""
    make, message = BAD_ARCHIVES[kind]
    content = make()
    (folder / "vote.npz").write_bytes(content)
    change_description(folder, "parts", "vote", "sha256", to=hashlib.sha256(content).hexdigest())
    change_description(folder, "parts", "vote", "records", to=2)
    with pytest.raises(InvalidData, match=message):
        read_share(folder)


def test_pickles_are_never_loaded(folder: Path, tmp_path: Path):
    canary = tmp_path / "canary"
    content = archive_with_inputs(encode_npy(np.array([[Canary(canary)]], object)))
    (folder / "vote.npz").write_bytes(content)
    change_description(folder, "parts", "vote", "sha256", to=hashlib.sha256(content).hexdigest())
    with pytest.raises(InvalidData, match="not numbers"):
        read_share(folder)
    assert not canary.exists()
    np.load(io.BytesIO(content), allow_pickle=True)["inputs"]
    assert canary.exists(), "unpickling did not create the canary"


def test_archive_that_unpacks_to_too_many_bytes_is_refused(tmp_path: Path):
    bomb = make_archive({"inputs.npy": encode_npy(np.zeros(1_000_000))}, packed=True)
    (tmp_path / "bomb.npz").write_bytes(bomb)
    assert len(bomb) < 10_000
    with pytest.raises(InvalidData, match="would need 8,000,128 bytes unpacked; at most 1,000,000"):
        read_arrays(tmp_path / "bomb.npz", ["inputs"], max_bytes=1_000_000)


def test_fortran_order_and_big_endian_arrays_are_read(tmp_path: Path):
    array = np.arange(6, dtype=">i2").reshape(2, 3)
    np.savez_compressed(tmp_path / "a.npz", one=np.asfortranarray(array), two=array)
    found = read_arrays(tmp_path / "a.npz", ["one", "two"])
    assert np.array_equal(found["one"], array)
    assert np.array_equal(found["two"], array)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 255), st.integers(0, 400))
@example(356, 1, 0)  # a part that would start before the file
def test_damaged_archive_is_read_or_refused(tmp_path_factory, place, value, cut):
    content = bytearray(make_archive(GOOD, packed=True))
    content[place % len(content)] = value
    file = tmp_path_factory.mktemp("damaged") / "a.npz"
    file.write_bytes(content[: len(content) - cut] if cut < len(content) // 2 else content)
    with suppress(InvalidData):
        assert read_arrays(file, ["inputs", "targets"])["inputs"].size < 10_000
