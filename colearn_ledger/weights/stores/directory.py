"""Store content in a folder that threads and processes share.

    files/<two characters>/<cid>   a complete file, moved here atomically
    pins/<owner>/<cid>             an empty file: the owner keeps this content
    incoming/<random>              a file being written, locked by its writer
    lock                           locked while pinning, naming a file or collecting
    collected                      an empty file, as old as the last collection

`DirectoryStore.unpin` removes the content if it is old enough and nobody else pins it. `collect`
does so for all content; an unpin also collects if nobody has for ``spare`` seconds, so that a store
contains little more than the content that its users pin. A process may be killed at any
time: the files in ``files`` are always complete. Files that it left in ``incoming`` are no longer
locked, and the next process that opens the store removes them.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from colearn_ledger.home import lock_file, sync_folder
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.store import (
    ContentNotStored,
    ContentUnavailable,
    LoadCopy,
    Piece,
    check_cid,
    check_size,
    load_nothing,
    measure_begun,
)
from colearn_ledger.weights.unixfs import CHUNK_SIZE, FileHasher, verified

_log = logging.getLogger(__name__)

_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


_NOT_OURS_TO_REMOVE = (FileNotFoundError, BlockingIOError, PermissionError)
"""Errors for a file that is already gone, still locked by its writer, or another user's."""


class DirectoryStore:
    """A `ContentStore` in a folder on this machine.

    Args:
        path: the folder, created if it is missing. Any number of stores, threads and processes
            may use it at the same time.
        owner: name of the owner of the pins. Content is kept while any owner pins it.
        spare: seconds to keep content without pins after it was last put; must exceed the time
            between putting and pinning.

    Raises:
        ContentNotStored: the folder cannot be created or written, or the owner is not a valid
            file name.
    """

    def __init__(self, path: Path | str, *, owner: str = "default", spare: float = 3_600.0) -> None:
        if not _OWNER.fullmatch(owner):
            raise ContentNotStored(
                f"{owner!r} cannot own pins; use up to 100 letters, digits, '_', '.' and '-'"
            )
        self._spare = spare
        self._root = Path(path)
        self._pins = self._root / "pins" / owner
        with _writing("open the store"):
            for folder in (self._root / "files", self._root / "incoming", self._pins):
                folder.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()

    def put(self, chunks: Iterable[Piece]) -> ContentRef:
        """Store a file given in pieces and return its reference.

        On return the file is on disk. Errors raised by `chunks` pass through.

        Raises:
            ContentNotStored: the file could not be written, for example to a full disk.
            InvalidParameter: the file is empty.
        """
        hasher = FileHasher()
        with self._incoming() as (path, file):
            for chunk in chunks:
                hasher.update(chunk)
                with _writing("write a file"):
                    file.write(chunk)
            content = hasher.content()
            with _writing("write a file"):
                file.flush()
                os.fsync(file.fileno())
                target = self._file(content)
                _make_folder(target.parent)
                with lock_file(self._root / "lock"):
                    path.replace(target)
                    sync_folder(target.parent)
        return content

    @contextmanager
    def get(
        self,
        content: ContentRef,
        *,
        max_size: int,
        timeout: float | None = None,
        begun: Path | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """Open a file; see `ContentStore.get`.

        ``timeout`` is ignored, because reading a local folder does not wait.
        """
        check_size(content, max_size)
        with self._open(content) as file:
            file.seek(measure_begun(begun))
            pieces = _pieces(file, content)
            yield verified(pieces, content, begun=begun, source=f"the folder {self._root}")

    @contextmanager
    def read(
        self, content: ContentRef, start: int, stop: int, *, timeout: float | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Open a part of a file; see `RangedStore.read`. ``timeout`` is ignored."""
        if not self.has(content):
            raise ContentUnavailable(f"{content.cid} is not in this store")
        with self._open(content) as file:
            file.seek(start)
            yield _pieces(file, content, stop - start)

    def _open(self, content: ContentRef) -> IO[bytes]:
        try:
            return self._file(content).open("rb", buffering=0)
        except OSError as error:
            raise ContentUnavailable(
                f"{content.cid} is not in this store ({error.strerror})"
            ) from error

    def has(self, content: ContentRef) -> bool:
        """Return whether the file exists at its full length; `get` verifies its bytes."""
        try:
            return self._file(content).stat().st_size == content.size
        except OSError:
            return False

    def pin(self, content: ContentRef, load: LoadCopy = load_nothing) -> None:
        """Keep the file until this owner unpins it; store the caller's copy if it is missing.

        Raises:
            ContentUnavailable: the file is not in the store, which cannot fetch it.
            ContentNotStored: the file or the pin could not be written.
        """
        if not self.has(content) and (copy := load()) is not None:
            self.put(copy)
        pin = self._pins / self._file(content).name
        with _writing("write a pin"), lock_file(self._root / "lock"):
            if not self.has(content):
                raise ContentUnavailable(f"{content.cid} is not in this store; put it first")
            pin.touch()
        with _writing("write a pin"):
            sync_folder(pin.parent)

    def unpin(self, content: ContentRef) -> None:
        """Remove this owner's pin, and the file if nobody pins it and it is old enough.

        This does not list the store, which has many files in an experiment with many proposers, nor
        the owners of a file that is not old enough. Files that stay are collected later.
        """
        file = self._file(content)
        with _writing("remove a pin"), lock_file(self._root / "lock"):
            (self._pins / file.name).unlink(missing_ok=True)
        with _writing("remove a pin"):
            sync_folder(self._pins)
        try:
            with _writing("remove a file"), lock_file(self._root / "lock"):
                limit = self._time() - self._spare
                if _is_older(file, limit) and not self._has_pins(file.name):
                    file.unlink()
            if _is_older(self._root / "collected", limit, missing=True):
                self.collect()
        except ContentNotStored as error:
            # for example another user's files; the pin is removed anyway
            _log.warning("content without pins could not be removed: %s", error)

    def pinned(self, content: ContentRef) -> bool:
        """Return whether this owner pins the file."""
        return (self._pins / self._file(content).name).exists()

    def collect(self, *, older_than: float | None = None) -> int:
        """Remove files that no owner pins, and the leftovers of killed writers.

        Args:
            older_than: seconds since a file was last put; the store's `spare` by default.

        Returns:
            The number of removed files.

        Raises:
            ContentNotStored: the folder cannot be changed.
        """
        removed = 0
        with _writing("collect"), lock_file(self._root / "lock"):
            pinned = {pin.name for pin in (self._root / "pins").glob("*/*")}
            limit = self._time() - (self._spare if older_than is None else older_than)
            for file in (self._root / "files").glob("*/*"):
                if file.name not in pinned and _is_older(file, limit):
                    file.unlink()
                    removed += 1
            self._remove_leftovers()
            (self._root / "collected").touch()
        if removed:
            _log.info("removed %d files without pins", removed)
        return removed

    def _has_pins(self, name: str) -> bool:
        owners = (self._root / "pins").iterdir()
        return any((owner / name).exists() for owner in owners)

    def _time(self) -> float:
        """Return the file system's time, which may differ from this machine's clock."""
        mark = self._root / "lock"
        os.utime(mark)
        return mark.stat().st_mtime

    def _file(self, content: ContentRef) -> Path:
        """Return the path of the content, which is always inside the folder."""
        cid = check_cid(content)
        return self._root / "files" / cid[-3:-1] / cid

    @contextmanager
    def _incoming(self) -> Iterator[tuple[Path, IO[bytes]]]:
        """Open a new file and remove it at the end unless it was renamed."""
        with _writing("write a file"):
            path, file = self._new_file()
        try:
            yield path, file
        finally:
            with suppress(OSError):  # a failed write to a full disk was reported earlier
                file.close()
            path.unlink(missing_ok=True)

    def _new_file(self) -> tuple[Path, IO[bytes]]:
        while True:
            path = self._root / "incoming" / secrets.token_hex(16)
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:
                return path, os.fdopen(handle, "wb")
            os.close(handle)  # removed as a leftover before it was locked

    def _remove_leftovers(self) -> None:
        for path in (self._root / "incoming").iterdir():
            with suppress(*_NOT_OURS_TO_REMOVE), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _is_older(file: Path, limit: float, *, missing: bool = False) -> bool:
    """Return whether a file was put at a time or before; ``missing`` if it does not exist."""
    try:
        return file.stat().st_mtime <= limit
    except FileNotFoundError:
        return missing


@contextmanager
def _writing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ContentNotStored(
            f"could not {what}: {error.strerror}; free space or grant access, and try again"
        ) from error


def _pieces(file: IO[bytes], content: ContentRef, size: int = sys.maxsize) -> Iterator[bytes]:
    """Yield the next bytes of a file, at most ``size``."""
    try:
        while piece := file.read(min(CHUNK_SIZE, size)):
            size -= len(piece)
            yield piece
    except OSError as error:
        raise ContentUnavailable(f"{content.cid} cannot be read: {error.strerror}") from error


def _make_folder(path: Path) -> None:
    if not path.exists():
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)
