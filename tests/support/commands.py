"""Run `colearn` commands in tests, and list them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click
from click.testing import CliRunner, Result

from colearn_learner.cli import main
from colearn_learner.cli._support.subcommands import CommandWithSubcommands

COLEARN = [sys.executable, "-c", "from colearn_learner.cli import main; main(prog_name='colearn')"]
"""The start of a command line that runs `colearn` in a process of its own."""


def colearn(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def run_json(*arguments: object) -> Any:
    """Run a command that must succeed, and return its JSON."""
    result = colearn(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def list_commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the names that lead to each command of a group."""
    if not isinstance(command, click.Group):
        yield path
    for name, found in list_subcommands(command):
        yield from list_commands(found, (*path, name))


def list_subcommands(command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield the names and the commands below a command."""
    if isinstance(command, CommandWithSubcommands):
        yield from command.subcommands.items()
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield name, found


def find_command(path: Sequence[str]) -> click.Command:
    """Return the command to which names lead."""
    command: click.Command = main
    for name in path:
        command = dict(list_subcommands(command))[name]
    return command
