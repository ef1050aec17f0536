"""Tables of houses and of covid X-ray features are read correctly or refused."""

from __future__ import annotations

import io
import math
import struct
import tarfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from scipy.io import savemat
from sklearn.datasets import fetch_california_housing

from colearn_learner.datasets import (
    load,
)
from colearn_learner.datasets.matlab import read_matrix
from colearn_learner.errors import InvalidData
from tests.support.canary import Canary

# ------------------------------------------------------------------ Californian houses

RAW = """\
-122.230000,37.880000,41.000000,880.000000,129.000000,322.000000,126.000000,8.325200,452600.000000
-122.220000,37.860000,21.000000,7099.000000,1106.000000,2401.000000,1138.000000,8.301400,358500.0
-118.310000,33.670000,33.000000,4914.000000,759.000000,1992.000000,654.000000,5.743100,180000.00
"""


def write_archive(path: Path, text: str, name: str = "CaliforniaHousing/cal_housing.data") -> None:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(text.encode())
        archive.addfile(member, io.BytesIO(text.encode()))


def load_with_scikit_learn(folder: Path) -> Any:
    """Return scikit-learn's version of the same districts, from a cache in its own format."""
    raw = np.loadtxt(io.StringIO(RAW), delimiter=",")
    joblib.dump(raw[:, [8, 7, 2, 3, 4, 5, 6, 1, 0]], folder / "cal_housing_py3.pkz", compress=6)
    return fetch_california_housing(data_home=folder, download_if_missing=False)


def format_houses_as_csv(folder: Path) -> str:
    known = load_with_scikit_learn(folder)
    lines = [",".join([*known.feature_names, "MedHouseVal"])]
    rows = np.column_stack([known.data, known.target])
    return "\n".join([*lines, *(",".join(repr(float(x)) for x in row) for row in rows)])


@pytest.mark.parametrize("form", ["tgz", "data", "folder", "unpacked", "csv"])
def test_every_form_of_houses_matches_scikit_learn(tmp_path: Path, form: str):
    known = load_with_scikit_learn(tmp_path)
    place = tmp_path / "given"
    place.mkdir()
    path = place
    if form in ("tgz", "folder"):
        write_archive(place / "cal_housing.tgz", RAW)
        path = place / "cal_housing.tgz" if form == "tgz" else place
    elif form == "data":
        (path := place / "cal_housing.data").write_text(RAW)
    elif form == "unpacked":
        (place / "CaliforniaHousing").mkdir()
        (place / "CaliforniaHousing" / "cal_housing.data").write_text(RAW)
    else:
        (path := place / "houses.csv").write_text(format_houses_as_csv(tmp_path))
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
def test_pickled_cache_of_scikit_learn_is_refused_unread(tmp_path: Path, as_folder: bool):
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
        (RAW.replace("8.325200", "NaN"), "not a finite number"),
        (RAW.replace(",8.301400", ""), "record 2 has 8 columns instead of 9"),
    ],
    ids=range(6),
)
@pytest.mark.parametrize("packed", [False, True])
def test_invalid_house_files_are_refused(tmp_path: Path, text, message, packed):
    if packed:
        write_archive(tmp_path / "cal_housing.tgz", text)
    else:
        (tmp_path / "cal_housing.data").write_text(text)
    with pytest.raises(InvalidData, match=message):
        load("california-housing", tmp_path)


def test_invalid_house_archives_are_refused(tmp_path: Path):
    file = tmp_path / "cal_housing.tgz"
    write_archive(file, RAW, "something.else")
    with pytest.raises(InvalidData, match=r"does not contain cal_housing\.data"):
        load("california-housing", file)
    write_archive(file, RAW)
    for content in (b"", b"noise" * 100, file.read_bytes()[:150]):
        file.write_bytes(content)
        with pytest.raises(InvalidData, match="damaged, or not an archive"):
            load("california-housing", file)


# ------------------------------------------------------------------ covid X-ray features


def write_covid(folder: Path, **changed: Any) -> Path:
    rng = np.random.default_rng(1)
    for kind, name in enumerate(("covid", "normal", "pneumonia")):
        features = rng.normal(kind, 1, (4 + kind, 20))
        array = np.column_stack([features, np.full(4 + kind, kind + 1)])
        savemat(folder / f"{name}.mat", changed.get(name, {name: array}), do_compression=True)
    return folder


def test_covid_features_are_read_with_their_classes(tmp_path: Path):
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
def test_invalid_covid_files_are_refused(tmp_path: Path, changed, message):
    with pytest.raises(InvalidData, match=message):
        load("covid-xray", write_covid(tmp_path, **changed))


@pytest.mark.parametrize("kind", ["f8", "f4", "i2", "u1", "i8", ">f8", "u4"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(3, 2), (1, 1), (1, 5), (0, 4)])
def test_matrix_is_read_as_scipy_wrote_it(tmp_path: Path, kind: str, packed: bool, shape):
    matrix = np.arange(math.prod(shape)).reshape(shape).astype(kind)
    others = {"a_long_name_before": np.ones((2, 2)), "text": "t", "cell": np.array([[1]], object)}
    savemat(tmp_path / "a.mat", {**others, "m": matrix, "z": 1j}, do_compression=packed)
    assert np.array_equal(read_matrix(tmp_path / "a.mat", "m"), matrix)


def test_big_endian_matlab_file_is_read(tmp_path: Path):
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
