"""Content in a folder that threads and processes share.

    files/<two characters>/<cid>   a whole file; it gets this name in one step
    pins/<owner>/<cid>             an empty file: the owner wants this content kept
    incoming/<random>              a file being written, locked by its writer
    lock                           taken to pin, to give a file its name, and to collect

Content that nobody pins goes when `DirectoryStore.collect` finds it old enough; every unpinning
collects, so that a store which learners use holds little more than what they keep. Whatever
instant a process is killed at, what has a name in ``files`` is whole; what it left in
``incoming`` has lost its lock with it, and the next to open the store removes it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.store import ContentNotStored, ContentTooLarge, ContentUnavailable
from colearn_ledger.weights.unixfs import CHUNK_SIZE, FileHasher, verified

__all__ = ["ContentNotStored", "DirectoryStore"]

_log = logging.getLogger(__name__)

_CID = re.compile(r"b[a-z2-7]{58}")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


_NOT_OURS_TO_REMOVE = (FileNotFoundError, BlockingIOError, PermissionError)
"""Gone already; its writer lives and holds the lock; another user's."""


class DirectoryStore:
    """A `ContentStore` in a folder on this machine.

    Args:
        path: the folder, made when it is missing. Any number of stores, threads and processes
            may use it at the same time.
        owner: in whose name to pin. Content stays while any owner pins it.
        spare: for how many seconds content that nobody pins, or no longer, is spared after it
            was last put; the time between putting and pinning must fit in.

    Raises:
        ContentNotStored: the folder can not be made or written, or the owner is no file name.
    """

    def __init__(self, path: Path | str, *, owner: str = "default", spare: float = 3_600.0) -> None:
        if not _OWNER.fullmatch(owner):
            raise ContentNotStored(
                f"{owner!r} can not own pins; use up to 100 letters, digits, '_', '.' and '-'"
            )
        self._spare = spare
        self._root = Path(path)
        self._pins = self._root / "pins" / owner
        with _writing("open the store"):
            for folder in (self._root / "files", self._root / "incoming", self._pins):
                folder.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()

    def put(self, chunks: Iterable[bytes]) -> ContentRef:
        """Store a file given in pieces and return its reference.

        On return the file is on disk. What `chunks` raises passes through.

        Raises:
            ContentNotStored: the disk is full, say.
            InvalidParameter: there were no bytes.
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
                with self._locked():
                    path.replace(target)
                    _sync_folder(target.parent)
        return content

    @contextmanager
    def get(
        self, content: ContentRef, *, max_size: int, timeout: float | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Open a file; see `ContentStore.get`.

        The folder has the content or does not, so that ``timeout`` is never waited for.
        """
        if content.size > max_size:
            raise ContentTooLarge(
                f"{content.cid} has {content.size} bytes, more than the {max_size} allowed here"
            )
        try:
            file = self._file(content).open("rb", buffering=0)
        except OSError as error:
            raise ContentUnavailable(
                f"{content.cid} is not in this store ({error.strerror})"
            ) from error
        with file:
            yield verified(_pieces(file, content), content)

    def has(self, content: ContentRef) -> bool:
        """Tell whether the file is here in its whole length; `get` checks its bytes."""
        try:
            return self._file(content).stat().st_size == content.size
        except OSError:
            return False

    def pin(self, content: ContentRef) -> None:
        """Keep the file until this owner unpins it.

        Raises:
            ContentUnavailable: it is not here, and there is nowhere to fetch it from.
            ContentNotStored: the pin could not be written.
        """
        pin = self._pins / self._file(content).name
        with _writing("write a pin"), self._locked():
            if not self.has(content):
                raise ContentUnavailable(f"{content.cid} is not in this store; put it first")
            pin.touch()
            _sync_folder(pin.parent)

    def unpin(self, content: ContentRef) -> None:
        """Let the file go as far as this owner is concerned, and `collect`."""
        with _writing("remove a pin"), self._locked():
            (self._pins / self._file(content).name).unlink(missing_ok=True)
            _sync_folder(self._pins)
        try:
            self.collect()
        except ContentNotStored as error:  # another user's files, say: the pin is gone all the same
            _log.warning("content that nobody pins stays: %s", error)

    def pinned(self, content: ContentRef) -> bool:
        """Tell whether this owner pins the file."""
        return (self._pins / self._file(content).name).exists()

    def collect(self, *, older_than: float | None = None) -> int:
        """Drop files that no owner pins, and what killed writers left.

        Args:
            older_than: seconds since a file was last put; by default as the store was told.

        Returns:
            How many files were dropped.

        Raises:
            ContentNotStored: the folder can not be changed.
        """
        dropped = 0
        with _writing("collect"), self._locked():
            pinned = {pin.name for pin in (self._root / "pins").glob("*/*")}
            limit = self._time() - (self._spare if older_than is None else older_than)
            for file in (self._root / "files").glob("*/*"):
                if file.name not in pinned and file.stat().st_mtime <= limit:
                    file.unlink()
                    dropped += 1
            self._remove_leftovers()
        if dropped:
            _log.info("dropped %d files that nobody pins", dropped)
        return dropped

    def _time(self) -> float:
        """Return the folder's own time: files may carry another machine's clock, or a set one's."""
        mark = self._root / "lock"
        os.utime(mark)
        return mark.stat().st_mtime

    def _file(self, content: ContentRef) -> Path:
        """Return where the content is; never a path outside the folder."""
        if not _CID.fullmatch(content.cid):
            raise ContentUnavailable(f"{ascii(content.cid)[:80]} is not a CID this store can have")
        return self._root / "files" / content.cid[-3:-1] / content.cid

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._root / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)  # a forked child may hold the file open

    @contextmanager
    def _incoming(self) -> Iterator[tuple[Path, IO[bytes]]]:
        """Open a new file that is removed at the end unless it got another name."""
        with _writing("write a file"):
            path, file = self._new_file()
        try:
            yield path, file
        finally:
            with suppress(OSError):  # what a full disk did not take was reported before
                file.close()
            path.unlink(missing_ok=True)

    def _new_file(self) -> tuple[Path, IO[bytes]]:
        while True:
            path = self._root / "incoming" / secrets.token_hex(16)
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:
                return path, os.fdopen(handle, "wb")
            os.close(handle)  # taken for a leftover before it was locked

    def _remove_leftovers(self) -> None:
        for path in (self._root / "incoming").iterdir():
            with suppress(*_NOT_OURS_TO_REMOVE), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


@contextmanager
def _writing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ContentNotStored(
            f"could not {what}: {error.strerror}; free or grant what is missing and try again"
        ) from error


def _pieces(file: IO[bytes], content: ContentRef) -> Iterator[bytes]:
    try:
        while piece := file.read(CHUNK_SIZE):
            yield piece
    except OSError as error:
        raise ContentUnavailable(f"{content.cid} can not be read: {error.strerror}") from error


def _make_folder(path: Path) -> None:
    if not path.exists():
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Make the names in a folder last through a loss of power."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
