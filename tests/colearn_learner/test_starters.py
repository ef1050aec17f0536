"""`colearn learner new` writes learners that pass all checks and learn together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
