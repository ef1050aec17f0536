"""`colearn learner new` writes learners that pass all checks and learn together."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from colearn_learner.cli import main
from colearn_learner.cli._support.experiment_file import find_share_mismatch, read_experiment_file
from colearn_learner.starters import STARTERS
from tests.support.commands import colearn

HEAVY = ("keras", "pytorch")
"""Kinds whose framework takes long to load in another process; the others make that check, too."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.mark.parametrize("kind", STARTERS)
def test_new_learner_passes_all_checks_and_runs_an_experiment(folder: Path, kind: str):
    assert (
        f"python new_{kind}.py" in colearn("learner", "new", f"new_{kind}", "--kind", kind).stdout
    )
    skipped = ("--skip", "another-process-agrees") if kind in HEAVY else ()
    ran = CliRunner().invoke(
        main,
        ["learner", "check", f"new_{kind}:make_learner", "--learner-arg", "learner=0", *skipped],
    )
    assert (ran.exit_code, ran.exception) == (0, None), ran.output
    described = read_experiment_file(folder / "experiment.toml")
    assert described.learner == f"new_{kind}:make_learner"
    assert find_share_mismatch(described) is None

    command = [sys.executable, f"new_{kind}.py"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    [loss] = [float(line.split()[-1]) for line in lines if line.split()[:1] == ["mean"]]
    assert loss < 0.6  # that of guessing is 0.69


@pytest.mark.parametrize("kind", STARTERS)
def test_new_learner_reads_a_table(folder: Path, kind: str):
    (folder / "mine").mkdir()
    write_table(folder / "mine" / "plants.csv", classes=2)
    name = f"csv_{kind}"
    arguments = ("--kind", kind, "--csv", "mine/plants.csv", "--target", "kind")
    shown = colearn("learner", "new", f"mine/{name}", *arguments).stdout
    assert "predicts" in shown
    assert "id: a different whole number in each record, like an id" in shown

    command = [sys.executable, f"mine/{name}.py"]  # from another folder
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    [loss] = [float(line.split()[-1]) for line in lines if line.split()[:1] == ["mean"]]
    assert loss < 0.6  # that of guessing is 0.69


@pytest.mark.parametrize("kind", STARTERS)
def test_new_learner_has_the_classes_of_its_table_or_is_refused(folder: Path, kind: str):
    write_table(folder / "plants.csv", classes=3)
    arguments = ("learner", "new", f"three_{kind}", "--kind", kind, "--csv", "plants.csv")
    ran = CliRunner().invoke(main, arguments)
    if STARTERS[kind].max_classes == 2:
        assert ran.exit_code == 2
        assert "choose another kind: sklearn, keras, pytorch" in ran.output
        assert not list(folder.glob("*.py"))
        return
    subprocess.run([sys.executable, f"three_{kind}.py"], capture_output=True, check=True)


def test_learner_with_its_own_file_uses_all_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch):
    write_table(folder / "plants.csv", classes=2)
    write_table(folder / "own.csv", classes=2)
    colearn("learner", "new", "own_file", "--csv", "plants.csv")
    monkeypatch.syspath_prepend(str(folder))
    module = importlib.import_module("own_file")
    share, own = module.make_learner(0), module.make_learner(0, of=1, records="own.csv")
    assert (len(share.train[1]), len(own.train[1])) == (180, 540)


def test_target_without_a_table_is_refused(folder: Path):
    ran = CliRunner().invoke(main, ["learner", "new", "mine", "--target", "kind"])
    assert ran.exit_code == 2
    assert "pass the table with --csv" in ran.output


def write_table(path: Path, classes: int) -> None:
    """Write 900 records whose class depends on two of three numbers."""
    numbers = np.random.default_rng(1).normal(size=(900, 3)).round(3)
    kinds = np.digitize(numbers[:, 0] - numbers[:, 1], np.linspace(-1, 1, classes + 1)[1:-1])
    rows = [
        f"{n},{a},{b},{c},k{kind}"
        for n, ((a, b, c), kind) in enumerate(zip(numbers, kinds, strict=True))
    ]
    path.write_text("\n".join(["id,length,width,weight,kind", *rows]) + "\n")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("xgboost.py", "a Python module xgboost already"),
        ("my-learner.py", "not a name that Python can import"),
        ("class.py", "not a name that Python can import"),
        ("used/mine.py", "used/experiment.toml already exists"),
        ("file/mine.py", "cannot write to file: "),
    ],
)
def test_unusable_path_is_refused_and_nothing_is_written(folder: Path, path: str, message: str):
    (folder / "used").mkdir()
    (folder / "used" / "experiment.toml").write_text("precious")
    (folder / "file").touch()
    ran = CliRunner().invoke(main, ["learner", "new", path])
    assert ran.exit_code != 0
    assert message in ran.output
    assert not list(folder.rglob("*.py"))
    assert (folder / "used" / "experiment.toml").read_text() == "precious"
