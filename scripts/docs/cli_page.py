"""Generate the CLI reference, with every command and option, from click."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from colearn_learner.cli import main
from colearn_learner.cli._support.subcommands import CommandWithSubcommands

HEAD = """# Commands

Every command of `colearn`, generated from the program itself. [The `colearn` command](../cli.md)
explains how to use them together. All of them take `--help` or `-h`.
"""


def page() -> str:
    """Return the page as Markdown."""
    context = click.Context(main, info_name="colearn")
    return "\n".join([HEAD, *_describe(main, context)])


def _describe(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the sections of a command and all its subcommands."""
    if context.parent is not None:
        yield _format_section(command, context)
    for name, found in _list_subcommands(command, context):
        below = click.Context(found, info_name=name, parent=context)
        yield from _describe(found, below)


def _list_subcommands(
    command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, CommandWithSubcommands):
        yield from command.subcommands.items()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield name, found


def _format_section(command: click.Command, context: click.Context) -> str:
    level = "##" if isinstance(context.command, click.Group) or _get_depth(context) == 1 else "###"
    lines = [f"{level} `{context.command_path}`", "", _format_text(command.help), ""]
    if not isinstance(command, click.Group):
        pieces = (context.command_path, *command.collect_usage_pieces(context))
        usage = " ".join(pieces).strip()
        lines += ["```text", usage, "```", ""]
    records = [p.get_help_record(context) for p in command.params]
    rows = [r for r in records if r is not None and r[1] and not r[0].startswith("-h")]
    if rows:
        lines += ["| option | |", "|---|---|"]
        lines += [
            f"| `{_format_cell(names)}` | {_escape(_format_cell(text))} |" for names, text in rows
        ]
        lines.append("")
    if command.epilog:
        lines += ["```text", inspect.cleandoc(command.epilog).replace("\b\n", ""), "```", ""]
    return "\n".join(lines)


def _get_depth(context: click.Context) -> int:
    return 0 if context.parent is None else 1 + _get_depth(context.parent)


def _format_text(text: str | None) -> str:
    return _escape(inspect.cleandoc(text or "").replace("\b\n", ""))


def _format_cell(text: str) -> str:
    """Return a text as one line, for a table cell."""
    return " ".join(text.split())


def _escape(text: str) -> str:
    """Escape the characters in a plain text that Markdown or HTML would interpret."""
    for sign in "<*_[]|":
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return text
