"""Write a learner to start from, and an experiment that it fits."""

from __future__ import annotations

import importlib.util
import json
import keyword
from dataclasses import dataclass
from pathlib import Path

import click

from colearn_learner.cli._support.experiment_file import fill_template
from colearn_learner.datasets.csv_tables import CsvTable, describe_csv
from colearn_learner.starters import STARTERS, Starter
from colearn_learner.starters.own_records import read_from_table

_LEARNERS = 3
_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class NewLearner:
    """The files that were written."""

    learner: Path
    experiment: Path


@dataclass(frozen=True, slots=True)
class Records:
    """A file of records, and its description."""

    file: Path
    table: CsvTable


def describe_records(file: Path, target: str | None, starter: Starter) -> Records:
    """Describe a table of records that a starter can learn from.

    Args:
        file: the table.
        target: name of the column of classes; None for the last column.
        starter: the learner to start from.

    Raises:
        click.UsageError: the starter cannot tell so many classes apart.
        LearnerError: the table cannot be used.
    """
    table = describe_csv(file, target)
    n_classes = len(table.columns.classes)
    if starter.max_classes is not None and n_classes > starter.max_classes:
        others = [kind for kind, other in STARTERS.items() if other.max_classes is None]
        raise click.UsageError(
            f"the column {table.columns.target} has {n_classes} classes, but --kind {starter.kind} "
            f"has two; choose another kind: {', '.join(others)}"
        )
    return Records(file, table)


def write_learner(path: Path, starter: Starter, records: Records | None = None) -> NewLearner:
    """Write a learner's module and the file of its experiment; overwrite nothing.

    Args:
        path: the file of the learner; ``.py`` is added if it is missing.
        starter: the learner to start from.
        records: the table that it reads; None for invented records.

    Raises:
        click.UsageError: the name is not that of a new module.
        click.ClickException: a file cannot be written.
    """
    path = path if path.suffix == ".py" else path.with_name(f"{path.name}.py")
    _check_name(path)
    new = NewLearner(path, path.with_name("experiment.toml"))
    try:
        for file in (new.learner, new.experiment):
            if file.exists():
                raise click.UsageError(f"{file} already exists; choose another folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        new.learner.write_text(_write_module(path, starter, records), encoding="utf-8")
        new.experiment.write_text(_describe_experiment(path.stem, starter))
    except OSError as error:
        raise click.ClickException(f"cannot write to {path.parent}: {error.strerror}") from error
    return new


def _write_module(path: Path, starter: Starter, records: Records | None) -> str:
    text = starter.write_text(path.stem)
    if records is None:
        return text
    file, folder = records.file.resolve(), path.parent.resolve()
    here = file.relative_to(folder) if file.is_relative_to(folder) else file
    return read_from_table(text, here, records.table.columns)


def _check_name(path: Path) -> None:
    if not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        raise click.UsageError(
            f"{path.name} is not a name that Python can import; use letters, digits and _"
        )
    if importlib.util.find_spec(path.stem) is not None:
        raise click.UsageError(
            f"there is a Python module {path.stem} already, which {path.name} would hide; choose "
            "another name"
        )


def _describe_experiment(module: str, starter: Starter) -> str:
    values = {
        "name": json.dumps(module[:64]),
        "description": json.dumps(starter.model),
        "learner": json.dumps(f"{module}:make_learner"),
        "arguments": f"{{ learner = 0, of = {_LEARNERS} }}",
        "rounds": str(_ROUNDS),
        "min_learners": str(_LEARNERS),
        "max_learners": str(_LEARNERS),
        "proposers": str(_LEARNERS),
        "merge": json.dumps(starter.merge),
    }
    if starter.max_bytes is not None:
        values["max_bytes"] = f"{starter.max_bytes:_}"
    return fill_template(values)
