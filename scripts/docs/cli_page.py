"""Generate the CLI reference, with every command and option, from click."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from colearn_learner.cli import main

HEAD = """# Commands

Every command of `colearn`, made from the program itself. [The `colearn` command](../cli.md) says
how they go together. All of them take `--help`, also as `-h`.
"""


def page() -> str:
    """Return the page as Markdown."""
    context = click.Context(main, info_name="colearn")
    return "\n".join([HEAD, *_described(main, context)])


def _described(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the sections of a command and all its subcommands."""
    if context.parent is not None:
        yield _section(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                below = click.Context(found, info_name=name, parent=context)
                yield from _described(found, below)


def _section(command: click.Command, context: click.Context) -> str:
    level = "##" if isinstance(context.command, click.Group) or _depth(context) == 1 else "###"
    lines = [f"{level} `{context.command_path}`", "", _text(command.help), ""]
    if not isinstance(command, click.Group):
        pieces = (context.command_path, *command.collect_usage_pieces(context))
        usage = " ".join(pieces).strip()
        lines += ["```text", usage, "```", ""]
    records = [p.get_help_record(context) for p in command.params]
    rows = [r for r in records if r is not None and r[1] and not r[0].startswith("-h")]
    if rows:
        lines += ["| option | |", "|---|---|"]
        lines += [f"| `{_cell(names)}` | {_escaped(_cell(text))} |" for names, text in rows]
        lines.append("")
    if command.epilog:
        lines += ["```text", inspect.cleandoc(command.epilog).replace("\b\n", ""), "```", ""]
    return "\n".join(lines)


def _depth(context: click.Context) -> int:
    return 0 if context.parent is None else 1 + _depth(context.parent)


def _text(text: str | None) -> str:
    return _escaped(inspect.cleandoc(text or "").replace("\b\n", ""))


def _cell(text: str) -> str:
    """Return a text as one line, for a table cell."""
    return " ".join(text.split())


def _escaped(text: str) -> str:
    """Escape the characters in a plain text that Markdown or HTML would interpret."""
    for sign in "<*_[]|":
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return text
