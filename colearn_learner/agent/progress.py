"""Progress events of long-running work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from colearn_ledger.protocol import ContentRef

_PIECE = 262_144  # bytes


class Work(Enum):
    """Kinds of long-running work."""

    TRAINING = "training"
    TESTING = "testing"
    SENDING = "sending"
    FETCHING = "fetching"


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of one piece of work.

    Args:
        work: kind of work.
        done: bytes so far; 0 in training and testing. A file is sent to several stores one
            after another, so this may restart from 0.
        size: total bytes; ``None`` in training and testing.
        over: whether the work has ended, successfully or not.
    """

    work: Work
    done: int = 0
    size: int | None = None
    over: bool = False


ProgressListener = Callable[[Progress], None]


class ProgressReporter:
    """Reporter of an agent's current work; an agent does one piece of work at a time."""

    def __init__(self) -> None:
        self._listeners: list[ProgressListener] = []

    def on_progress(self, listener: ProgressListener) -> None:
        """Call ``listener`` with all further progress, in the thread that does the work."""
        self._listeners.append(listener)

    @contextmanager
    def track(self, work: Work, size: int | None = None) -> Iterator[Callable[[int], None]]:
        """Report the block as ``work``; yield a function to call with the bytes done so far."""
        done = 0

        def report_done(now: int) -> None:
            nonlocal done
            done = now
            self._notify(Progress(work, done, size))

        self._notify(Progress(work, 0, size))
        try:
            yield report_done
        finally:
            self._notify(Progress(work, done, size, over=True))

    def _notify(self, progress: Progress) -> None:
        for listener in self._listeners:
            listener(progress)


class FileInPieces:
    """File in memory that `ContentStore.put` can read repeatedly, piece by piece, uncopied.

    Args:
        data: bytes of the file.
        content: reference of the file.
        report_done: called with the number of bytes so far after each piece.
    """

    def __init__(
        self, data: memoryview, content: ContentRef, report_done: Callable[[int], None]
    ) -> None:
        self.nbytes = len(data)
        self.content = content
        self._view = data
        self._report_done = report_done

    def __iter__(self) -> Iterator[memoryview]:
        for start in range(0, self.nbytes, _PIECE):
            piece = self._view[start : start + _PIECE]
            yield piece
            self._report_done(start + len(piece))
