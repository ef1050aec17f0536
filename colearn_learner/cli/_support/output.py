"""How commands print: JSON for programs, tables for people, notes on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

__all__ = ["note", "print_fields", "print_json", "print_table", "short", "time_text", "working"]


def print_json(value: Any) -> None:
    """Print a JSON document."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print a table, or a line that says why there is none.

    Piped to another program, it is as wide as it needs to be.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        click.echo(empty)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, style="bold" if number == 0 else "", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_visible(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(80, console.measure(table, options=_wide(console)).maximum))
    console.print(table)


def _wide(console: Any) -> Any:
    return console.options.update(width=2_000, max_width=2_000)


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {_visible(value)}")


def note(message: str) -> None:
    """Tell people something that is no result; on standard error."""
    click.echo(message, err=True)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show at a terminal that something is being waited for."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(f"{what} …"):
        yield


def time_text(seconds: int | None) -> str:
    """Return a time as people read it, in UTC."""
    if seconds is None:
        return "-"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # a chain's clock may say anything
        return str(seconds)


def short(account: str) -> str:
    """Return an account as it fits into a table."""
    return f"{account[:8]}…{account[-4:]}"


def _visible(text: str) -> str:
    """Return a stranger's text without what would steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
