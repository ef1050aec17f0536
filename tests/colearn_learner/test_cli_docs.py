"""Every command in docs/cli.md exists, and its help loads nothing heavy."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from colearn_learner.cli import main
from tests.support.commands import list_commands

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "cli.md").read_text()
COMMANDS = [
    line.split(" > ")[0].removeprefix('eval "$(').removesuffix(')"')
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
HEAVY = {"tensorflow", "keras", "sklearn", "matplotlib", "web3", "wasmtime", "ipfshttpclient"}
HEAVY |= {"torch", "xgboost", "cosmpy"}


def parse_line(line: str) -> click.Command:
    """Parse a line without running it, and return its last subcommand."""
    program, *arguments = shlex.split(line)
    assert program == "colearn"
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group):
        name, *arguments = arguments
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
    command.make_context(command.name, arguments)
    return command


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_page_are_valid(line: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir("/")
    assert parse_line(line).help


OURS = ("key", "network", "deploy", "experiment", "agent", "history", "weights", "data", "learner")
COMMAND_PATHS = [path for path in list_commands(main) if path[0] in OURS]


def test_page_shows_every_command():
    shown = {tuple(line.split()[1:]) for line in COMMANDS}
    assert not [p for p in COMMAND_PATHS if not any(line[: len(p)] == p for line in shown)]


@pytest.mark.parametrize("path", COMMAND_PATHS, ids=" ".join)
def test_commands_and_options_have_help(path: tuple[str, ...]):
    command: click.Command = main
    for name in path:
        command = command.get_command(click.Context(command), name)
    assert command.help
    assert len(command.help) > 20
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert not [p.opts for p in options if not p.help]


def test_help_and_lists_load_nothing_heavy(tmp_path: Path):
    program = """
import json, sys
from colearn_learner.cli import main
for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments, prog_name="colearn", standalone_mode=False)
    except SystemExit:
        pass
print(json.dumps(sorted(sys.modules)))
"""
    runs = [[*path, "--help"] for path in COMMAND_PATHS] + [["key", "list"], ["network", "list"]]
    runs.append(["experiment", "template"])
    run = subprocess.run(
        [sys.executable, "-c", program, json.dumps(runs)],
        env={"COLEARN_HOME": str(tmp_path), "PATH": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}
    assert "click" in loaded
    assert not loaded & HEAVY
