"""Keep the files that an audit fetched until it is complete, so that it can be resumed.

    <cache>/audits/<hash of the experiment's reference>/<round>/<sha256>.safetensors

The files of an interrupted audit stay, and the next audit of the experiment does not fetch them
again. It verifies their CID, sha256 and size like those of fetched files, and checks them like
these. A complete audit removes the folder, so that the next one finds out what is still served.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from colearn_ledger.home import FileInUse, FileLock, HomeNotWritable, cache_home, private_folder

KEPT_BYTES = 4_000_000_000
"""The most bytes of files to keep of one experiment; later files are fetched again."""

_KEPT_SECONDS = 7 * 24 * 3_600.0
"""Folders that no audit has used for this long are removed."""


class KeptFiles:
    """The files that are kept of one experiment.

    Args:
        folder: an existing folder, which nothing else uses at the same time.
        limit: the most bytes to keep.
    """

    def __init__(self, folder: Path, *, limit: int = KEPT_BYTES) -> None:
        self._folder = folder
        self._room = limit

    @property
    def has_files(self) -> bool:
        """Return whether a file is kept."""
        return any(self._folder.glob("*/*.safetensors"))

    def open_folder(self, name: str) -> Path:
        """Return the folder for the files of a round, created if it is missing.

        Raises:
            HomeNotWritable: it cannot be created.
        """
        return private_folder(self._folder / name)

    def keep(self, folder: Path, names: Iterable[str]) -> None:
        """Keep files of a round while there is room, and remove all others of that folder."""
        wanted = set(names)
        for path in folder.iterdir():
            size = path.stat().st_size
            if path.name in wanted and size <= self._room:
                self._room -= size
            else:
                path.unlink()


@contextmanager
def keep_files(reference: str, *, fresh: bool = False) -> Iterator[KeptFiles | None]:
    """Yield the files that are kept of an experiment; remove them if the block ends normally.

    It is ``None`` if another process is auditing the experiment, or if the cache folder cannot be
    written: then nothing is kept.

    Args:
        reference: names the experiment.
        fresh: whether to remove first what an interrupted audit kept.
    """
    path = cache_home() / "audits" / hashlib.sha256(reference.encode()).hexdigest()[:32]
    try:
        _remove_old(private_folder(path.parent, tighten=True))
        lock = FileLock(private_folder(path, tighten=True) / "lock")
    except (FileInUse, HomeNotWritable, OSError):
        yield None
        return
    try:
        if fresh:
            _remove_rounds(path)
        yield KeptFiles(path)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        lock.release()


def _remove_old(root: Path) -> None:
    """Remove what audits kept that nobody has resumed for long."""
    oldest = time.time() - _KEPT_SECONDS
    for path in root.iterdir():
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path)


def _remove_rounds(path: Path) -> None:
    for each in path.iterdir():
        if each.is_dir():
            shutil.rmtree(each, ignore_errors=True)
