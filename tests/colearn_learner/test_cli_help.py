"""What commands say about themselves: help, completion, and the options that messages name."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from colearn_learner.cli import main
from tests.support import ROOT
from tests.support.commands import COLEARN, colearn, find_command, list_commands

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_OF_OTHER_PROGRAMS = {"--cid-version", "--raw-leaves", "--field", "--rpc-url"}


def find_options() -> set[str]:
    """Return the options of all commands."""
    found = {"--help", "--version"}
    for path in list_commands(main):
        found |= {name for parameter in find_command(path).params for name in parameter.opts}
    return found


def find_named_options(package: str) -> Iterator[tuple[str, str]]:
    """Yield each option that a text of a package names, and the file."""
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from ((option, path.name) for option in _OPTION.findall(node.value))


def test_messages_name_only_options_that_exist():
    options = find_options() | _OF_OTHER_PROGRAMS
    named = [*find_named_options("colearn_learner"), *find_named_options("colearn_ledger")]
    assert [each for each in named if each[0] not in options] == []


@pytest.mark.parametrize("width", ["40", "80", "120"])
def test_help_of_groups_is_not_cut(width: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", width)
    for group in ("experiment", "key", "localnet", "network", "data", "weights"):
        lines = colearn(group, "--help").output.splitlines()
        assert not [line for line in lines[1:] if line.endswith("...")]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_script_names_the_command(shell: str):
    script = colearn("completion", shell).output
    assert "_COLEARN_COMPLETE" in script
    assert "colearn" in script


def test_completion_works_in_bash(tmp_path: Path):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    program = bin_folder / "colearn"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COLEARN)} "$@"\n')
    program.chmod(0o755)
    (tmp_path / "script").write_text(colearn("completion", "bash").output)
    ask = (
        "source ./script; COMP_WORDS=(colearn localnet f); COMP_CWORD=2; "
        "_colearn_completion colearn; echo ${COMPREPLY[@]}"
    )
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", ask],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["fund"]


def test_address_of_the_monitor_is_checked_before_anything_else():
    run = ("agent", "run", "--experiment", "1", "--key", "nobody", "--learner", "no:where")
    refused = colearn(*run, "--monitor", "99999")
    assert refused.exit_code == 2
    assert "with a port up to 65535" in " ".join(refused.output.split())


def test_missing_folder_of_the_output_is_named():
    refused = colearn("weights", "get", "1", "--out", "no/such/dir/x")
    assert refused.exit_code == 2
    assert "the folder no/such/dir of no/such/dir/x does not exist" in " ".join(
        refused.output.split()
    )
