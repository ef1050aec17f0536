"""The commands `colearn datasets` and `colearn models`."""

from __future__ import annotations

import math
from typing import Any

import click

from colearn_learner.catalogue.models import MODELS
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import print_fields, print_json, print_line, print_table
from colearn_learner.datasets import DATASETS, SOURCES, Dataset, Source

_HERE = "comes with scikit-learn"


@click.command()
@json_option
def datasets(*, as_json: bool) -> None:
    """List the data sets. All of them are real, and nothing is downloaded.

    Those that come with scikit-learn are ready for colearn demo and for agents. For the others,
    download the files and divide them with colearn data prepare.
    """
    rows = [_row(d, _HERE, d.features) for d in DATASETS.values()]
    rows += [_row(s, s.where, math.prod(s.shape) if s.shape else None) for s in SOURCES.values()]
    if as_json:
        print_json(rows)
        return
    _print_rows(rows, ("name", "task", "records", "features", "story"))
    for task in dict.fromkeys(row["task"] for row in rows):
        print_line(f"Models for {task}: {', '.join(_models(task))}.")
    print_line(f"These come with scikit-learn: {', '.join(DATASETS)}.")
    print_line("For the others, download the files, then: colearn data prepare NAME --from PATH …")
    print_line()
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
        "models": _models(about.task),
    }


def _models(task: str) -> list[str]:
    return [m.name for m in MODELS.values() if task in m.tasks]


@click.command()
@json_option
def models(*, as_json: bool) -> None:
    """List the models, and the tasks that each can learn."""
    rows = [
        {
            "name": m.name,
            "learning_rate": m.learning_rate,
            "tasks": list(m.tasks),
            "datasets": [d.name for d in DATASETS.values() if d.task in m.tasks],
            "summary": m.summary,
        }
        for m in MODELS.values()
    ]
    if as_json:
        print_json(rows)
        return
    _print_rows(rows, ("name", "learning_rate", "tasks", "summary"))


def _text(value: object) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _print_rows(rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    columns = [name.replace("_", " ") for name in names]
    print_table(columns, [[_text(row[name]) for name in names] for row in rows], empty="none")
