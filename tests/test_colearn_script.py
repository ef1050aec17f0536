"""The script `colearn` at the root runs the virtual environment's command."""

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
    done = run("./colearn", "key", "new name", folder=checkout)
    assert done.stdout == "./colearn: key new name\n"


def test_command_runs_from_another_folder(checkout: Path, tmp_path: Path):
    assert run(checkout / "colearn", "demo", folder=tmp_path).stdout.endswith(": demo\n")


def test_command_runs_through_a_symlink(checkout: Path, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "colearn"
    link.symlink_to("../a checkout/colearn")
    assert run(link, "demo", folder=tmp_path).stdout == f"{link}: demo\n"


def test_missing_environment_is_reported_with_the_command_that_creates_it(checkout: Path):
    shutil.rmtree(checkout / ".venv")
    done = run("./colearn", "demo", folder=checkout)
    assert done.returncode == 1
    assert f"{checkout} yet; run there: make demo" in done.stderr
