"""The commands on the pages exist, and the commands that users need are run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from colearn_learner.cli import main
from tests.support import load_script
from tests.support.commands import find_command, list_commands
from tests.support.doc_blocks import list_pages, read_blocks

_COMMAND = re.compile(r"(?:^|[;&|(])\s*colearn ")

NEEDED_COMMANDS = {
    ("demo",),
    ("deploy",),
    ("history",),
    ("audit",),
    ("agent", "run"),
    ("relay", "run"),
    ("weights", "get"),
    ("weights", "export"),
    *(("key", name) for name in ("new", "list", "show", "export", "import")),
    *(("network", name) for name in ("add", "list", "show", "remove")),
    *(("localnet", name) for name in ("up", "status", "fund", "logs", "down")),
    *(("experiment", name) for name in ("template", "create", "list", "show")),
    *(("experiment", name) for name in ("join", "leave", "cancel")),
    *(("data", name) for name in ("prepare", "check")),
    *(("learner", name) for name in ("new", "check", "checks", "serve")),
}
"""Commands that the pages must run; the tests of the command line cover the others."""


def find_commands(language: str) -> Iterator[tuple[str, str]]:
    """Yield page and line of every `colearn` command in blocks of a language."""
    for path in list_pages():
        for block in read_blocks(path):
            if block.language == language:
                for line in block.body.replace("\\\n", " ").splitlines():
                    if _COMMAND.search(line):
                        yield block.page, line.strip()


def parse_command(line: str) -> tuple[str, ...]:
    """Parse a line without running it, and return the path of its command."""
    words = shlex.split(re.split(r"\s(?:>|&|&&|\|)(?:\s|$)", line, maxsplit=1)[0], comments=True)
    command: click.Command = main
    path: list[str] = []
    arguments = words[1:]
    while isinstance(command, click.Group):
        name, *arguments = arguments
        found = command.get_command(click.Context(main), name)
        assert found is not None, name
        command = found
        path.append(name)
    command.make_context(command.name, arguments)
    return tuple(path)


RUN_LINES = [(page, line) for page, line in find_commands("sh") if page != "cli.md"]


@pytest.mark.parametrize(("page", "line"), [*find_commands("console")])
def test_commands_that_are_not_run_can_be_parsed(
    page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("server.pem", "server.key", "token", "experiment.toml"):
        Path(name).touch()
    assert parse_command(line)


def test_pages_run_every_command_that_users_need():
    run = {
        line[: len(path)]
        for line in (tuple(re.sub(r"^.*?\bcolearn ", "", text).split()) for _, text in RUN_LINES)
        for path in NEEDED_COMMANDS
        if line[: len(path)] == path
    }
    assert NEEDED_COMMANDS - run == set()


def test_reference_has_every_command_and_option():
    page = load_script("docs/cli_page").page()
    for path in list_commands(main):
        assert f"`colearn {' '.join(path)}`" in page
        for option in find_command(path).params:
            if isinstance(option, click.Option) and "--help" not in option.opts:
                assert option.opts[0] in page
