"""Write a learner to start from, and an experiment that it fits."""

from __future__ import annotations

import importlib.util
import json
import keyword
from dataclasses import dataclass
from pathlib import Path

import click

from colearn_learner.cli._support.experiment_file import fill_template
from colearn_learner.starters import Starter

_LEARNERS = 3
_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class NewLearner:
    """The files that were written."""

    learner: Path
    experiment: Path


def write_learner(path: Path, starter: Starter) -> NewLearner:
    """Write a learner's module and the file of its experiment; overwrite nothing.

    Args:
        path: the file of the learner; ``.py`` is added if it is missing.
        starter: the learner to start from.

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
        new.learner.write_text(starter.write_text(path.stem))
        new.experiment.write_text(_describe_experiment(path.stem, starter))
    except OSError as error:
        raise click.ClickException(f"cannot write to {path.parent}: {error.strerror}") from error
    return new


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
