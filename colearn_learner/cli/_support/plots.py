"""Check the file of a picture before anything is read."""

from __future__ import annotations

from pathlib import Path

import click

from colearn_learner.cli._support.errors import need


def check_plot(path: Path) -> None:
    """Refuse a picture that could not be drawn or written.

    Raises:
        click.UsageError: its format is unknown, or its folder does not exist.
        click.ClickException: matplotlib is not installed.
    """
    from colearn_ledger.history.plot import UnknownFormat, check_format

    need("matplotlib")
    try:
        check_format(path)
    except UnknownFormat as error:
        raise click.UsageError(str(error)) from error
    if not path.absolute().parent.is_dir():
        raise click.UsageError(f"the folder of {path} does not exist; create it first")
