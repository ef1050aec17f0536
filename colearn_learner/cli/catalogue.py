"""`colearn datasets` and `colearn models`."""

from __future__ import annotations

import json
import math
from typing import Any

import click

from colearn_learner.cli.showing import print_fields
from colearn_learner.datasets import DATASETS, SOURCES, Dataset, Source
from colearn_learner.models import MODELS

__all__ = ["datasets", "models"]


_HERE = "comes with scikit-learn"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def datasets(*, as_json: bool) -> None:
    """List the data sets: real ones; nothing is downloaded.

    Those that come with scikit-learn are ready for colearn demo and agents; files of the others
    are divided by colearn data prepare.
    """
    rows = [_row(d, _HERE, d.features) for d in DATASETS.values()]
    rows += [_row(s, s.where, math.prod(s.shape) if s.shape else None) for s in SOURCES.values()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    columns = ("name", "task", "records", "features", "models", "story")
    _print_table([[_text(row[c]) for c in columns] for row in rows], columns)
    click.echo("These come with scikit-learn: " + ", ".join(DATASETS) + ".")
    click.echo("Of the others, fetch the files, then: colearn data prepare NAME --from PATH …\n")
    print_fields([(source.name, source.where) for source in SOURCES.values()])


def _row(about: Dataset | Source, where: str, features: int | None) -> dict[str, Any]:
    return {
        "name": about.name,
        "task": about.task,
        "records": about.records or None,
        "features": features,
        "classes": about.classes or None,
        "story": about.story,
        "where": where,
        "models": [m.name for m in MODELS.values() if about.task in m.tasks],
    }


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
    if value is None:
        return "-"
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
