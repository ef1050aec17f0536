"""The commands `colearn data`: prepare and check folders of records, one for each learner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import (
    note,
    open_console,
    print_fields,
    print_json,
    print_table,
    show_spinner,
)
from colearn_learner.datasets.splitting import Division, How
from colearn_learner.errors import InvalidArgument

if TYPE_CHECKING:
    from colearn_learner.datasets import Loaded, Prepared, PreparedShare

_COLUMNS = ("learner", "train", "vote", "test", "folder")


def _fractions(_: click.Context, option: click.Parameter, text: str | None) -> Any:
    """Parse an option's value: numbers separated by commas."""
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no list of numbers with commas, like 0.5,0.3,0.2", param=option
        ) from error


@click.group()
def data() -> None:
    """Data: divide a data set into folders, one for each learner, and check them."""


@data.command()
@click.argument("dataset")
@click.option("--into", required=True, type=click.Path(path_type=Path), help="The new folder.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Where the data set's files are, if it does not come with scikit-learn; see colearn"
    " datasets.",
)
@click.option("--n-learners", type=click.IntRange(1), default=5, show_default=True, help="Folders.")
@click.option(
    "--how",
    type=click.Choice(get_args(How)),
    default="iid",
    show_default=True,
    help="Who gets what: equal numbers at random, each class in uneven shares, or numbers at"
    " random that --fractions says.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    help="With label-skew: of the Dirichlet distribution; smaller is less even.",
)
@click.option(
    "--fractions", callback=_fractions, help="With by-size: each learner's, like 0.5,0.3,0.2."
)
@click.option("--drop-rest", is_flag=True, help="With by-size: fractions may leave records over.")
@click.option(
    "--parts",
    callback=_fractions,
    default="0.6,0.2,0.2",
    show_default=True,
    help="Fractions of a learner's records to train, vote and test with.",
)
@click.option(
    "--least",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="The fewest records that a learner may have to train, vote or test with.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the order.")
@click.option("--overwrite", is_flag=True, help="Replace what was prepared in the folder before.")
@json_option
@report_errors
def prepare(
    dataset: str, into: Path, source: Path | None, *, overwrite: bool, as_json: bool, **how: Any
) -> None:
    """Divide a data set into folders learner-0, learner-1, …, to hand out or to train on.

    Each gets train.npz, vote.npz and test.npz, and share.json, which says how they were made.
    An agent takes one by --learner colearn_learner.catalogue:prepared --learner-arg data=FOLDER.
    """
    from colearn_learner.datasets import load
    from colearn_learner.datasets import prepare as prepare_folders

    division = _division(how)
    try:
        with show_spinner(f"reading {dataset}"):
            loaded = load(dataset, source)
    except InvalidArgument as error:
        raise click.UsageError(str(error)) from error
    with _counting(division.n_learners) as written:
        prepared = prepare_folders(
            *(loaded.dataset, loaded.data, into, division), overwrite=overwrite, on_written=written
        )
    if as_json:
        print_json(_prepared_json(loaded, prepared))
        return
    rows = [
        [str(learner), *map(str, records), str(folder)]
        for learner, (records, folder) in enumerate(
            zip(prepared.records, prepared.folders, strict=True)
        )
    ]
    print_table(_COLUMNS, rows, empty="")
    note(
        f"{loaded.dataset.records} records of {loaded.dataset.name}, of which nobody has"
        f" {prepared.unused}. Each folder can be read by you only; give each to one learner."
    )


def _division(how: dict[str, Any]) -> Division:
    try:
        return Division(**how)
    except InvalidArgument as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def _counting(n_learners: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many folders have been written."""
    from rich.progress import Progress

    console = open_console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("writing", total=n_learners)
        yield lambda written: progress.update(task, completed=written)


def _prepared_json(loaded: Loaded, prepared: Prepared) -> dict[str, Any]:
    return {
        "dataset": loaded.dataset.name,
        "stands_in_for": loaded.stands_in_for,
        "records": loaded.dataset.records,
        "unused": prepared.unused,
        "learners": [
            {"folder": str(folder), "train": train, "vote": vote, "test": test}
            for folder, (train, vote, test) in zip(prepared.folders, prepared.records, strict=True)
        ],
    }


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@report_errors
def check(folder: Path, *, as_json: bool) -> None:
    """Check the folder of one learner, and show what is in it.

    Every file must be the one that was written, and every record one that can be learned from.
    """
    from colearn_learner.datasets import read_share

    found = read_share(folder)
    if as_json:
        print_json(dict(found.description))
        return
    print_fields(_fields(found))


def _fields(found: PreparedShare) -> list[tuple[str, str]]:
    share, about = found.share, found.dataset
    shape = " × ".join(map(str, share.train.inputs.shape[1:]))
    return [
        ("data set", f"{about.name}, {about.task}, {about.records} records in all"),
        ("learner", f"{found.learner} of {found.description.get('of')}"),
        ("train", f"{len(share.train)} records"),
        ("vote", f"{len(share.vote)} records"),
        ("test", f"{len(share.test)} records"),
        ("inputs", f"{shape} {share.train.inputs.dtype}"),
        ("classes", str(about.classes or "none: targets are numbers")),
    ]
