"""Small files in the published format of Scania's trucks are read correctly, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from colearn_learner.cli import main
from colearn_learner.datasets import SOURCES, load, read_share
from colearn_learner.datasets.scania import SCANIA_FILES, read_scania
from colearn_learner.errors import InvalidData
from tests.support import example_data

LICENCE = 'This file is part of a data set,\n\n"published, under a licence\n' + "-" * 60 + "\n"
HEADER = "class,aa_000,ab_000,ac_000\n"
ROWS = "neg,76698,na,2130706438\npos,0,9,0.000\nneg,na,na,99999\n"
TABLE = LICENCE + HEADER + ROWS
TRAIN, TEST = SCANIA_FILES


def write_tables(folder: Path, train: str | None = TABLE, test: str | None = TABLE) -> Path:
    for name, text in ((TRAIN, train), (TEST, test)):
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_values_become_logarithms_and_missing_values_become_minus_one(tmp_path: Path):
    data = read_scania(write_tables(tmp_path) / TRAIN)
    assert data.inputs.dtype == np.float32
    assert data.targets.tolist() == [0, 1, 0]
    assert np.allclose(
        data.inputs,
        [
            [np.log10(76699) / 5, -1, np.log10(2130706439) / 5],
            [0, 0.2, 0],
            [-1, -1, 1],
        ],
    )
    assert (data.inputs[data.inputs != -1] >= 0).all()
    assert data.inputs.max() < 2


def test_empty_fields_are_missing_and_signs_are_kept(tmp_path: Path):
    data = read_scania(write_tables(tmp_path, HEADER + "neg,,-9,+9\n") / TRAIN)
    assert np.allclose(data.inputs, [[-1, -0.2, 0.2]])


def test_records_are_converted_independently(tmp_path: Path):
    """Other records do not affect how a record is read."""
    lines = ROWS.splitlines(keepends=True)
    whole = read_scania(write_tables(tmp_path) / TRAIN)
    for n, line in enumerate(lines):
        alone = read_scania(write_tables(tmp_path, LICENCE + HEADER + line) / TRAIN)
        assert np.array_equal(alone.inputs[0], whole.inputs[n])


def test_files_of_a_folder_are_concatenated_training_set_first(tmp_path: Path):
    write_tables(tmp_path, test=LICENCE + HEADER + "pos,1,2,3\n")
    together = read_scania(tmp_path)
    assert together.targets.tolist() == [0, 1, 0, 1]
    assert np.array_equal(together.inputs[:3], read_scania(tmp_path / TRAIN).inputs)
    assert np.array_equal(together.inputs[3:], read_scania(tmp_path / TEST).inputs)


@pytest.mark.parametrize(
    "text",
    [HEADER + ROWS, TABLE.replace("\n", "\r\n"), LICENCE + '"class","a","b","c"\n' + ROWS],
    ids=["without the licence", "lines of Windows", "quoted"],
)
def test_equivalent_spellings_of_a_table_are_read(tmp_path: Path, text: str):
    data = read_scania(write_tables(tmp_path, text) / TRAIN)
    assert np.array_equal(data.inputs, read_scania(tmp_path / TEST).inputs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LICENCE, "none of its first 100 lines contains the column names, class first"),
        ("\n" * 100 + HEADER + ROWS, "none of its first 100 lines"),
        (TABLE.replace("class", "kind"), "contains the column names"),
        (LICENCE + HEADER, "has no records"),
        (TABLE.replace("ab_000", "aa_000"), "two columns with the same name"),
        (TABLE + "neg,1,2\n", "record 4 has 3 columns instead of 4"),
        (TABLE + "neg,1,2,3,4\n", "record 4 has 5 columns"),
        (TABLE + "\n", "record 4 has 0 columns"),
        (TABLE + "-0.99,1,2,3\n", "record 4: class is '-0.99'; it must be neg or pos"),
        (TABLE + "na,1,2,3\n", "class is 'na'"),
        (TABLE + "neg,1,2,n/a\n", "record 4: could not convert string to float"),
        (TABLE + "neg,1,2,nan\n", "record 4 has a value that is not a finite number"),
        (TABLE + "neg,1,inf,3\n", "not a finite number"),
        (TABLE + 'neg,"' + "x" * 200_000, "not a text table"),
    ],
)
@pytest.mark.parametrize("name", SCANIA_FILES)
def test_invalid_table_is_refused(tmp_path: Path, name: str, text: str, message: str):
    write_tables(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidData, match=message) as refused:
        load("scania-aps", tmp_path)
    assert name in str(refused.value)


def test_overlong_line_is_refused_without_reading_it_all(tmp_path: Path):
    path = write_tables(tmp_path, "x" * 3_000_000) / TRAIN
    with pytest.raises(InvalidData, match="contains the column names"):
        load("scania-aps", path)
    path.write_bytes(b"\xff\xfe" * 100)
    with pytest.raises(InvalidData, match="not a text table"):
        load("scania-aps", path)


def test_both_files_must_exist_and_match(tmp_path: Path):
    write_tables(tmp_path, test=None)
    with pytest.raises(InvalidData, match=f"{TEST} is missing"):
        load("scania-aps", tmp_path)
    write_tables(tmp_path, test=TABLE.replace("ac_000", "ad_000"))
    with pytest.raises(InvalidData, match="do not have the same columns"):
        load("scania-aps", tmp_path)


# ------------------------------------------------------------------ a small complete set


def test_description_has_the_sizes_of_the_records(tmp_path: Path):
    loaded = load("scania-aps", example_data.write_scania(tmp_path))
    about = loaded.dataset
    assert (about.name, about.task) == ("scania-aps", "classification")
    assert (about.records, about.features, about.classes) == (300, 170, 2)
    assert about.features == SOURCES["scania-aps"].shape[0]
    assert loaded.data.targets.sum() == 30
    assert 0.08 < (loaded.data.inputs == -1).mean() < 0.12


def test_data_set_is_divided_into_folders(tmp_path: Path):
    """The ancestor's demo offers this data set, but cannot divide it."""
    (tmp_path / "files").mkdir()
    files = example_data.write_scania(tmp_path / "files")
    given = ["data", "prepare", "scania-aps", "--from", str(files), "--n-learners", "3"]
    ran = CliRunner().invoke(main, [*given, "--into", str(tmp_path / "out"), "--json"])
    assert ran.exit_code == 0, ran.output
    folders = [learner["folder"] for learner in json.loads(ran.stdout)["learners"]]
    assert len(folders) == 3
    shares = [read_share(folder).share for folder in folders]
    parts = [part for share in shares for part in (share.train, share.vote, share.test)]
    assert all(set(part.targets) == {0, 1} for part in parts)  # although failures are rare
    together = np.concatenate([part.inputs for part in parts])
    whole = load("scania-aps", files).data
    assert sorted(map(bytes, together)) == sorted(map(bytes, whole.inputs))
