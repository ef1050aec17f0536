"""`colearn datasets` and `colearn models`."""

from __future__ import annotations

import json

import click

from colearn_learner.datasets import DATASETS
from colearn_learner.models import MODELS

__all__ = ["datasets", "models"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def datasets(*, as_json: bool) -> None:
    """List the data sets: real ones, nothing is downloaded."""
    rows = [
        {
            "name": d.name,
            "task": d.task,
            "records": d.records,
            "features": d.features,
            "classes": d.classes or None,
            "story": d.story,
            "models": [m.name for m in MODELS.values() if d.task in m.tasks],
        }
        for d in DATASETS.values()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    columns = ("name", "task", "records", "features", "models", "story")
    _print_table([[_text(row[c]) for c in columns] for row in rows], columns)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(*, as_json: bool) -> None:
    """List the models, and the data sets each can learn."""
    rows = [
        {
            "name": m.name,
            "learning_rate": m.learning_rate,
            "datasets": [d.name for d in DATASETS.values() if d.task in m.tasks],
            "summary": m.summary,
        }
        for m in MODELS.values()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    columns = ("name", "learning_rate", "datasets", "summary")
    _print_table([[_text(row[c]) for c in columns] for row in rows], columns)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _print_table(rows: list[list[str]], columns: tuple[str, ...]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(
            column.replace("_", " "),
            no_wrap=column == "name",
            style="bold" if column == "name" else "",
        )
    for row in rows:
        table.add_row(*row)
    Console().print(table)
