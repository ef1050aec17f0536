"""Divide a data set into folders, one for each learner."""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from colearn_learner.datasets.folders import SHARE_FILE, write_share
from colearn_learner.datasets.records import Data, Dataset, Share
from colearn_learner.datasets.sources import load
from colearn_learner.datasets.splitting import Division, Places, divide
from colearn_learner.errors import InvalidArgument, LearnerError

_log = logging.getLogger(__name__)

_LEARNER = re.compile(r"learner-\d+")


class FolderTaken(LearnerError):
    """The output folder already exists and may not be replaced."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The result of `prepare`.

    Args:
        folders: one folder for each learner, in order.
        records: for each learner, the numbers of records to train, vote and test with.
        unused: the number of records that the division assigns to no learner.
    """

    folders: tuple[Path, ...]
    records: tuple[tuple[int, int, int], ...]
    unused: int


def prepare(
    dataset: Dataset,
    data: Data,
    into: Path | str,
    division: Division,
    *,
    overwrite: bool = False,
    on_written: Callable[[int], None] = lambda _: None,
) -> Prepared:
    """Write each learner's share of a data set to a folder ``learner-0``, ``learner-1``, ….

    The folders appear together, once all of them are written. Only their owner can read them.

    Args:
        dataset: the data set of the records.
        data: the records.
        into: the parent of the new folders; if it exists, it must be empty.
        division: the way to divide the records.
        overwrite: replace the folders that an earlier call wrote, but nothing else.
        on_written: called after each folder with the number of folders written so far.

    Raises:
        NotEnoughData: a learner would have too few records.
        FolderTaken: ``into`` contains something that may not be replaced.
        OSError: the folders cannot be written; incomplete ones are removed.
    """
    into = Path(into).absolute()
    _check_free(into, overwrite)
    places = divide(data.targets, dataset.task, division)
    unused = len(data) - sum(len(part) for mine in places for part in mine)
    if unused:
        _log.warning("%d of %d records go to no learner", unused, len(data))
    more = {
        "of": division.n_learners,
        "division": asdict(division) | {"unused": unused},
        "made_by": {"colearn-ledger": version("colearn-ledger"), "numpy": version("numpy")},
    }
    into.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    try:
        for learner, mine in enumerate(places):
            folder = partial / f"learner-{learner}"
            write_share(folder, _take_share(data, mine), dataset, {"learner": learner, **more})
            on_written(learner + 1)
        _move_into_place(partial, into, overwrite)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    folders = tuple(into / f"learner-{learner}" for learner in range(len(places)))
    sizes = tuple((len(mine.train), len(mine.vote), len(mine.test)) for mine in places)
    return Prepared(folders, sizes, unused)


def _take_share(data: Data, places: Places) -> Share:
    return Share(*(data.take(part) for part in places))


def _check_free(into: Path, overwrite: bool) -> None:
    if not into.exists() and not into.is_symlink():
        return
    if into.is_symlink() or not into.is_dir():
        raise FolderTaken(f"{into} exists and is not a folder; choose another path")
    content = list(into.iterdir())
    if not content:
        return
    if others := [path for path in content if not _is_prepared(path)]:
        raise FolderTaken(
            f"{into} contains something other than prepared data, such as {others[0].name};"
            " choose another folder"
        )
    if not overwrite:
        raise FolderTaken(
            f"{into} contains prepared data already; choose another folder, or replace it with "
            "--overwrite"
        )


def _is_prepared(path: Path) -> bool:
    return bool(_LEARNER.fullmatch(path.name)) and (path / SHARE_FILE).is_file()


def _move_into_place(partial: Path, into: Path, overwrite: bool) -> None:
    """Move the new folder to its final path; an earlier one is first moved aside, then removed."""
    _check_free(into, overwrite)
    if not into.exists() or not any(into.iterdir()):
        partial.rename(into)
        _sync(into.parent)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    into.rename(aside)  # replaces the empty folder
    try:
        partial.rename(into)
    except OSError:
        aside.rename(into)
        raise
    _sync(into.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def split_to_folders(
    dataset: str,
    data_dir: Path | str | None = None,
    *,
    n_learners: int,
    data_split: Sequence[float] | None = None,
    shuffle_seed: int | None = None,
    output_folder: Path | str | None = None,
    **kwargs: Any,
) -> list[str]:
    """Divide a data set into folders, one for each learner, and return their paths.

    Args:
        dataset: name of the data set; see ``colearn datasets``.
        data_dir: path of its files; None for a data set that comes with scikit-learn.
        n_learners: number of folders.
        data_split: each learner's fraction of the records; None for equal fractions. If their
            sum is less than 1, no learner gets the rest, and a warning is logged.
        shuffle_seed: seed of the order of records; None for a random one.
        output_folder: the new parent folder; None for a new temporary folder.
        **kwargs: further fields of `Division`, such as ``parts`` or ``how="label-skew"``.

    Raises:
        InvalidArgument: an argument is unknown or out of its bounds.
        LearnerError: `load` or `prepare` failed.
    """
    sizes = {} if data_split is None else {"how": "by-size", "fractions": tuple(data_split)}
    if shuffle_seed is None:
        shuffle_seed = int.from_bytes(os.urandom(4))
    try:
        division = Division(
            n_learners, **{"drop_rest": True, "seed": shuffle_seed, **sizes, **kwargs}
        )
    except TypeError as error:
        raise InvalidArgument(f"split_to_folders has no such argument: {error}") from error
    loaded = load(dataset, data_dir)
    into = output_folder or Path(tempfile.mkdtemp(prefix="colearn-")) / dataset
    prepared = prepare(loaded.dataset, loaded.data, into, division)
    return [str(folder) for folder in prepared.folders]
