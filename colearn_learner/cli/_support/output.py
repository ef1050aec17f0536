"""Print results, tables, notes and errors; commands print only through this module.

Names, messages and log lines come from strangers, so everything is escaped (`escape_controls`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colearn_ledger.text.escaping import escape_controls

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_NARROWEST_PIPE = 80
_WIDEST_PIPE = 2_000
_NARROWEST = 40


def dump_json(value: Any, *, indent: int | None = None, default: Any = None) -> str:
    """Return a value as JSON in which every control character is escaped."""
    text = json.dumps(value, indent=indent, allow_nan=False, default=default)
    return text.replace("\x7f", "\\u007f")  # the only one that `json` leaves as it is


def command_name() -> str:
    """Return the command with which the user can start this program: ``colearn`` if on PATH.

    The script `colearn` at the root of a checkout passes its own path as the user typed it.
    """
    found = shutil.which("colearn")
    if found is not None and Path(found).parent == Path(sys.executable).parent:
        return "colearn"
    return os.environ.get("COLEARN_COMMAND", "colearn")


def print_json(value: Any) -> None:
    """Print a value as a JSON document."""
    click.echo(dump_json(value, indent=2))


def print_json_line(value: Any) -> None:
    """Print a value as one line of JSON."""
    click.echo(dump_json(value))


def print_line(text: str = "", *, mark: str = "", colour: str | None = None) -> None:
    """Print one line, preceded by a coloured mark if there is one."""
    styled = click.style(mark, fg=colour, bold=colour is None) if mark else ""
    click.echo(styled + escape_controls(text))


def print_paragraph(text: str, *, indent: int) -> None:
    """Print indented text, in lines that fit into a terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDEST_PIPE
    margin = " " * indent
    for line in text.splitlines():
        for part in textwrap.wrap(line, max(width - indent, indent), break_on_hyphens=False):
            print_line(margin + part)


def print_text(text: str) -> None:
    """Print a text of any number of lines as it is, without adding a newline."""
    click.echo(escape_controls(text, keep="\n\t"), nl=False)


def print_bytes(data: bytes) -> None:
    """Write a binary file to standard output.

    Raises:
        click.UsageError: standard output is a terminal.
    """
    if sys.stdout.isatty():
        raise click.UsageError("this format is not text; write it to a file with > FILE")
    click.echo(data, nl=False)


def note(message: str) -> None:
    """Print one line for people on standard error, to keep it out of results."""
    click.echo(escape_controls(message), err=True)


@contextmanager
def escape_errors() -> Iterator[None]:
    """Escape the messages of all errors before they are printed, even of unexpected ones.

    Lines after the first are indented, so that a message cannot imitate another one.
    """
    try:
        yield
    except click.ClickException as error:
        escaped = escape_controls(error.message, keep="\n").replace("\n", "\n  ")
        error.message = escaped  # type: ignore[misc]
        raise
    except (click.exceptions.Exit, click.Abort, OSError):  # click handles these
        raise
    except Exception as error:
        click.echo(escape_controls(traceback.format_exc(), keep="\n"), err=True, nl=False)
        raise click.exceptions.Exit(1) from error


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print a table, or a line that explains why there is none.

    In a pipe the table is as wide as its longest row. On a terminal that is too narrow for it, each
    row becomes a block of names and values, because cells of a few letters cannot be read.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    if not rows:
        print_line(empty)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, style="bold" if number == 0 else "", overflow="fold")
    for row in rows:
        table.add_row(*(Text(escape_controls(cell)) for cell in row))
    console = open_console()
    wide = console.options.update(width=_WIDEST_PIPE, max_width=_WIDEST_PIPE)
    width = console.measure(table, options=wide).maximum
    if not console.is_terminal:
        console = open_console(width=max(_NARROWEST_PIPE, width))
        with console.capture() as drawn:
            console.print(table)
        lines = drawn.get().splitlines()
        click.echo("\n".join(line.rstrip() for line in lines))
        return
    if width > console.width:
        _print_blocks(columns, rows)
        return
    console.print(table)


def _print_blocks(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print the cells of each row below each other; a row without a first cell continues one."""
    room = max(map(len, columns))
    for number, row in enumerate(rows):
        if number and row[0]:
            print_line()
        for column, cell in zip(columns, row, strict=True):
            if cell:
                print_line(f"  {cell}", mark=column.ljust(room))


def print_rich_lines(lines: Sequence[Text]) -> None:
    """Print styled lines as they are, without wrapping; they have no colours in a pipe."""
    console = open_console()
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def find_width() -> int | None:
    """Return the width to print in: that of $COLUMNS or the terminal, and None in a pipe."""
    if os.environ.get("COLUMNS", "").isdecimal() or sys.stdout.isatty():
        return max(shutil.get_terminal_size().columns, _NARROWEST)
    return None


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        print_line(f"  {value}", mark=name.ljust(width))


def open_console(**options: Any) -> Console:
    """Return a console of `rich` that escapes control characters; it takes the same options."""
    from colearn_learner.cli._support.console import EscapingConsole

    return EscapingConsole(**options)


@contextmanager
def show_spinner(message: str) -> Iterator[None]:
    """Show on a terminal that the command is waiting for something."""
    from rich.text import Text

    console = open_console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(f"{escape_controls(message)} …")):
        yield


@contextmanager
def show_steps(message: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what the command is doing; yield a function that takes the next text."""
    from rich.text import Text

    console = open_console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(Text(f"{escape_controls(message)} …")) as status:
        yield lambda text: status.update(Text(f"{escape_controls(text)} …"))


@contextmanager
def show_transfer(message: str, size: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how much of a transfer is done; yield a function that takes the bytes."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    console = open_console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(escape_controls(message), total=size)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def show_count(message: str) -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how many things are done; yield a function that takes that and the sum."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = open_console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(escape_controls(message), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def format_time(seconds: int | None) -> str:
    """Return a time in UTC, for people."""
    if seconds is None:
        return "-"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # a chain's clock may be far off
        return str(seconds)
