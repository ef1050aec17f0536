"""The commands `colearn data`: prepare and check folders of records, one for each learner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from colearn_learner.cli._support.collect import collect
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


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What the user allows: to replace folders, and to use another data set in place of MNIST."""

    overwrite: bool
    stand_in: bool


def _parse_fractions(_: click.Context, option: click.Parameter, text: str | None) -> Any:
    """Parse an option's value: numbers separated by commas."""
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is not a list of numbers separated by commas, such as 0.5,0.3,0.2",
            param=option,
        ) from error


@click.group()
def data() -> None:
    """Divide a data set into folders, one for each learner, and check them."""


@data.command()
@click.argument("dataset")
@click.option(
    "--into",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder to write the learners' folders to.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="The folder or file of the data set, if it does not come with scikit-learn; see colearn "
    "datasets.",
)
@click.option(
    "--n-learners",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="The number of folders.",
)
@click.option(
    "--how",
    type=click.Choice(get_args(How)),
    default="iid",
    show_default=True,
    help="How to divide the records. iid: at random, in equal numbers; label-skew: each class in "
    "uneven shares; by-size: at random, in the shares of --fractions.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    help="For label-skew: the parameter of the Dirichlet distribution; smaller is less even.",
)
@click.option(
    "--fractions",
    callback=_parse_fractions,
    help="For by-size: each learner's fraction of the records, such as 0.5,0.3,0.2.",
)
@click.option(
    "--drop-rest",
    is_flag=True,
    help="For by-size: allow fractions with a sum below 1, and leave the rest of the records out.",
)
@click.option(
    "--parts",
    callback=_parse_fractions,
    default="0.6,0.2,0.2",
    show_default=True,
    help="The fractions of a learner's records to train, vote and test with.",
)
@click.option(
    "--least",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="The fewest records that each learner needs to train, to vote and to test with.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="The seed of all random choices.",
)
@click.option("--overwrite", is_flag=True, help="Replace the folders that an earlier run wrote.")
@click.option(
    "--stand-in",
    is_flag=True,
    help="For mnist without --from: divide scikit-learn's digits, smaller images, in its place.",
)
@collect(_Allowed, "allowed")
@collect(Division, "division")
@json_option
@report_errors
def prepare(
    *,
    dataset: str,
    into: Path,
    source: Path | None,
    division: Division,
    allowed: _Allowed,
    as_json: bool,
) -> None:
    """Divide a data set into folders learner-0, learner-1, …, one for each learner.

    Each folder contains train.npz, vote.npz and test.npz, and share.json, which records how they
    were made. Train an agent on one with
    --learner colearn_learner.catalogue:prepared --learner-arg data=FOLDER.
    """
    from colearn_learner.datasets import load
    from colearn_learner.datasets import prepare as prepare_folders

    try:
        with show_spinner(f"reading {dataset}"):
            loaded = load(dataset, source)
    except InvalidArgument as error:
        raise click.UsageError(str(error)) from error
    if loaded.stands_in_for and not allowed.stand_in:
        raise click.UsageError(
            f"the files of {dataset} were not given, and nothing was written; give their path with "
            f"--from, or divide {loaded.dataset.name} in its place with --stand-in"
        )
    with _show_progress(division.n_learners) as on_written:
        prepared = prepare_folders(
            loaded.dataset,
            loaded.data,
            into,
            division,
            overwrite=allowed.overwrite,
            on_written=on_written,
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
        f"{loaded.dataset.name} has {loaded.dataset.records} records; {prepared.unused} of them "
        "are in no folder. Only you can read the folders; give each to one learner."
    )


@contextmanager
def _show_progress(n_learners: int) -> Iterator[Callable[[int], None]]:
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
    """Check the folder of one learner, and show its content.

    Reports files that have changed since colearn data prepare, and records that cannot be used.
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
        ("data set", f"{about.name}, {about.task}, {about.records} records in total"),
        ("learner", f"{found.learner} of {found.description.get('of')}"),
        ("train", f"{len(share.train)} records"),
        ("vote", f"{len(share.vote)} records"),
        ("test", f"{len(share.test)} records"),
        ("inputs", f"{shape} {share.train.inputs.dtype}"),
        ("classes", str(about.classes or "none; the targets are numbers")),
    ]
