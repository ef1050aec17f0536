"""Fetch files of weights into a folder, and continue where an earlier attempt broke off."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from colearn_ledger.deadline import Deadline
from colearn_ledger.protocol import ContentRef, LedgerError
from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentNotStored,
    ContentStore,
    ContentUnavailable,
    WrongReference,
    measure_begun,
)
from colearn_ledger.weights.unixfs import CHUNK_SIZE, verified

_log = logging.getLogger(__name__)

_PARALLEL = 4
"""Number of files that are fetched at the same time; stores keep at least as many connections."""

_REPORT_EVERY = 0.2  # seconds

ReportDone = Callable[[int], None]
"""Called with the number of bytes fetched so far, in the thread of the caller."""


def fetch_files(
    store: ContentStore,
    contents: Sequence[ContentRef],
    folder: Path,
    *,
    max_size: int,
    timeout: float | None = None,
    report_done: ReportDone = lambda _: None,
) -> dict[ContentRef, LedgerError]:
    """Fetch files into a folder, several at a time, and return those that failed with the reason.

    Files that are already there are not fetched again. What has arrived of a file stays in the
    folder, and the next call continues there.

    Args:
        store: the store to fetch from.
        contents: references of the files.
        folder: an existing folder, which no other call uses at the same time; each file gets the
            name `file_name` returns.
        max_size: limit on the size of each file, in bytes.
        timeout: timeout of the store for each file, in seconds.
        report_done: called with the number of bytes fetched so far. An error that it raises ends
            the fetching and is passed on.
    """
    missing = [c for c in dict.fromkeys(contents) if not is_intact(folder / file_name(c), c)]
    if not missing:
        return {}
    progress = _Progress()

    def fetch(content: ContentRef) -> None:
        _FileFetcher(store, content, folder, max_size, progress).fetch(timeout)

    with ThreadPoolExecutor(min(len(missing), _PARALLEL), "fetch") as threads:
        running = {content: threads.submit(fetch, content) for content in missing}
        try:
            while wait(running.values(), timeout=_REPORT_EVERY).not_done:
                report_done(progress.done)
        except BaseException:
            progress.is_over.set()
            raise
    report_done(progress.done)
    failures = {content: _failure(future) for content, future in running.items()}
    return {content: error for content, error in failures.items() if error is not None}


def file_name(content: ContentRef) -> str:
    """Return the name of a local copy."""
    return f"{content.sha256}.safetensors"


def is_intact(path: Path, content: ContentRef) -> bool:
    """Return whether a local copy exists and matches its reference."""
    try:
        with path.open("rb") as file:
            for _ in verified(iter(lambda: file.read(CHUNK_SIZE), b""), content):
                pass
    except (OSError, ContentMismatch, WrongReference):
        return False
    return True


@dataclass(slots=True)
class _Progress:
    """The number of bytes that have arrived in all threads, and whether to stop."""

    done: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, number: int) -> None:
        """Add a number of bytes, which may be negative."""
        with self._lock:
            self.done += number


@dataclass(frozen=True, slots=True)
class _FileFetcher:
    """Fetch one file.

    What has arrived is in a file next to it, ``*.partial``. It is neither flushed to the disk nor
    checked before the end: the final check covers all bytes.
    """

    store: ContentStore
    content: ContentRef
    folder: Path
    max_size: int
    progress: _Progress

    def fetch(self, timeout: float | None) -> None:
        """Fetch the rest of the file.

        If the whole does not match, its beginning may be wrong, perhaps from another store. The
        whole file is then fetched again, once.
        """
        deadline = None if timeout is None else Deadline(timeout)
        try:
            self._read(self._partial, timeout)
        except ContentMismatch as error:
            left = None if deadline is None else deadline.left()
            if not error.again or left == 0:
                raise
            _log.warning("%s", error)
            self._read(None, left)
        self._partial.replace(self.folder / file_name(self.content))

    @property
    def _partial(self) -> Path:
        content = self.content
        return self.folder / f"{content.cid}-{content.sha256}-{content.size}.partial"

    def _read(self, begun: Path | None, timeout: float | None) -> None:
        before = measure_begun(begun)
        self.progress.add(before)
        try:
            with (
                self.store.get(
                    self.content, max_size=self.max_size, timeout=timeout, begun=begun
                ) as pieces,
                self._partial.open("wb" if begun is None else "ab") as file,
            ):
                for piece in pieces:
                    if self.progress.is_over.is_set():
                        raise ContentUnavailable(f"{self.content.cid} was not fetched to its end")
                    file.write(piece)
                    self.progress.add(len(piece))
        except (ContentMismatch, WrongReference):
            self.progress.add(-measure_begun(self._partial))
            self._partial.unlink(missing_ok=True)
            raise
        except BaseException:
            if not measure_begun(self._partial):
                self._partial.unlink(missing_ok=True)
            raise


def _failure(future: Future[None]) -> LedgerError | None:
    try:
        future.result()
    except LedgerError as error:
        return error
    except OSError as error:
        return ContentNotStored(f"its local copy could not be written: {error.strerror}")
    return None
