"""What an agent is busy with when it takes long, told to who wants to watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from colearn_ledger.protocol import ContentRef

__all__ = ["Busy", "FileInPieces", "Progress", "ProgressListener", "Work"]

_PIECE = 262_144  # bytes


class Work(Enum):
    """What takes long."""

    TRAINING = "training"
    TESTING = "testing"
    SENDING = "sending"
    FETCHING = "fetching"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a work is.

    Args:
        work: which.
        done: bytes so far; 0 in training and testing. To several stores a file goes one after
            the other, so that this may begin anew.
        size: bytes in all, ``None`` in training and testing.
        over: whether this is the last word on it, done well or not.
    """

    work: Work
    done: int = 0
    size: int | None = None
    over: bool = False


ProgressListener = Callable[[Progress], None]


class Busy:
    """Tells listeners how far the work at hand is; an agent does one at a time."""

    def __init__(self) -> None:
        self._listeners: list[ProgressListener] = []

    def on_progress(self, listener: ProgressListener) -> None:
        """Call ``listener`` from now on, in the thread that works."""
        self._listeners.append(listener)

    @contextmanager
    def at(self, work: Work, size: int | None = None) -> Iterator[Callable[[int], None]]:
        """Say that this is worked at in the block; gives what takes the bytes done so far."""
        done = 0

        def reached(now: int) -> None:
            nonlocal done
            done = now
            self._tell(Progress(work, done, size))

        self._tell(Progress(work, 0, size))
        try:
            yield reached
        finally:
            self._tell(Progress(work, done, size, over=True))

    def _tell(self, progress: Progress) -> None:
        for listener in self._listeners:
            listener(progress)


class FileInPieces:
    """A file in memory as `ContentStore.put` takes it, as often as wanted, without a copy.

    Args:
        data: the file.
        content: its reference.
        reached: called with the bytes so far when a piece was taken.
    """

    def __init__(self, data: bytes, content: ContentRef, reached: Callable[[int], None]) -> None:
        self.nbytes = len(data)
        self.content = content
        self._view = memoryview(data)
        self._reached = reached

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, self.nbytes, _PIECE):
            piece = self._view[start : start + _PIECE]
            yield piece  # type: ignore[misc]
            self._reached(start + len(piece))
