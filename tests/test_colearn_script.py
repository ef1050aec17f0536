"""The script `colearn` in the root folder runs the command of the virtual environment."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "colearn"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Create a checkout whose virtual environment has a command that prints its arguments."""
    root = tmp_path / "a checkout"
    command = root / ".venv" / "bin" / "colearn"
    command.parent.mkdir(parents=True)
    command.write_text('#!/bin/sh\necho "$COLEARN_COMMAND: $@"\n')
    command.chmod(0o755)
    shutil.copy(SCRIPT, root / "colearn")
    return root


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False
    )


def test_command_runs_with_its_arguments_from_the_root(checkout: Path):
    result = run("./colearn", "key", "new name", folder=checkout)
    assert result.stdout == "./colearn: key new name\n"


def test_command_runs_from_another_folder(checkout: Path, tmp_path: Path):
    assert run(checkout / "colearn", "demo", folder=tmp_path).stdout.endswith(": demo\n")


def test_command_runs_through_a_symlink(checkout: Path, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "colearn"
    link.symlink_to("../a checkout/colearn")
    assert run(link, "demo", folder=tmp_path).stdout == f"{link}: demo\n"


def test_missing_environment_is_reported_with_the_command_that_creates_it(checkout: Path):
    shutil.rmtree(checkout / ".venv")
    result = run("./colearn", "demo", folder=checkout)
    assert result.returncode == 1
    assert f"{checkout} yet; run there: make demo" in result.stderr
