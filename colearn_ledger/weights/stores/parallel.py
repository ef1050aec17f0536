"""Read a file in parts from several sources at the same time.

Each source reads one part after another. A source that has nothing else to do also reads a part
that takes another source too long; the first one to deliver it counts. Parts that arrive early wait
in unnamed files until their turn, so that the reader gets the file in order. The bytes are **not**
verified here.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO

from colearn_ledger.backoff import Backoff
from colearn_ledger.deadline import Deadline
from colearn_ledger.protocol import ContentRef, LedgerError
from colearn_ledger.weights.store import ContentNotStored, ContentUnavailable
from colearn_ledger.weights.stores.layers import Layer, describe_failures
from colearn_ledger.weights.streams import PIECE

PART = 16 * PIECE
"""Bytes that a source reads at once."""

_AHEAD = 4
"""Most parts per source that wait for an earlier one."""

_TRIES = 3
"""Consecutive failures after which a source is not asked again."""

_SLOW = 2.0
"""A part is slow once it takes so many times as long as the idle source's own last part."""

_SOON = 0.5
"""Fewest seconds after which a part is slow."""

_BACKOFF = Backoff(first=0.2, longest=2.0)


class _Abandoned(LedgerError):
    """Raised in a source's thread when nobody needs its part any more."""


@dataclass(slots=True)
class _State:
    """What the sources' threads and the reader share, under one lock."""

    next: int = 0
    is_over: bool = False
    arrived: dict[int, tuple[IO[bytes], Layer]] = field(default_factory=dict)
    running: dict[int, dict[Layer, float]] = field(default_factory=dict)
    failures: dict[Layer, LedgerError] = field(default_factory=dict)
    error: BaseException | None = None


class ParallelReader:
    """Read the rest of a file from several sources.

    Args:
        sources: the sources.
        content: reference of the file.
        start: position of the first byte to read.
        deadline: limit on the whole; ``None``: the limits of the stores.
        open_file: opens an unnamed file for a part.
    """

    def __init__(
        self,
        sources: Sequence[Layer],
        content: ContentRef,
        start: int,
        *,
        deadline: Deadline | None,
        open_file: Callable[[], IO[bytes]],
    ) -> None:
        self._sources = tuple(sources)
        self._content = content
        self._deadline = deadline
        self._open_file = open_file
        self._starts = range(start, content.size, PART)
        self._state = _State()
        self._changed = threading.Condition()

    def read(self) -> Generator[tuple[Layer, Iterator[bytes]]]:
        """Yield the parts in order, each with its source. Close the generator to stop the sources.

        Raises:
            ContentUnavailable: every source failed, or the deadline passed.
            ContentNotStored: a part could not be written to a file.
        """
        for source in self._sources:
            name = f"colearn-parts-{source.name}"
            threading.Thread(target=self._work, args=[source], name=name, daemon=True).start()
        state = self._state
        try:
            for number in range(len(self._starts)):
                file, source = self._wait(number)
                with file:
                    file.seek(0)
                    yield source, iter(partial(file.read, PIECE), b"")
        finally:
            with self._changed:
                state.is_over = True
                for file, _ in state.arrived.values():
                    file.close()
                self._changed.notify_all()

    def _wait(self, number: int) -> tuple[IO[bytes], Layer]:
        state, cid = self._state, self._content.cid
        with self._changed:
            while number not in state.arrived:
                if state.error is not None:
                    raise state.error
                if len(state.failures) == len(self._sources):
                    failures = list(state.failures.items())
                    raise ContentUnavailable(describe_failures(f"no node has {cid}", failures))
                left = self._seconds_left()
                if left is not None and left <= 0:
                    raise ContentUnavailable(
                        f"only {self._starts[number]} of the {self._content.size} bytes of {cid} "
                        "arrived in time"
                    )
                self._changed.wait(left)
            state.next = number + 1
            self._changed.notify_all()
            return state.arrived.pop(number)

    def _seconds_left(self) -> float | None:
        return None if self._deadline is None else self._deadline.left()

    # ------------------------------------------------------------------ one source

    def _work(self, source: Layer) -> None:
        failures, seconds = 0, math.inf
        try:
            while (number := self._take(source, max(_SOON, _SLOW * seconds))) is not None:
                started = time.monotonic()
                try:
                    file = self._fetch(source, number)
                except ContentUnavailable as error:
                    failures += 1
                    self._give_back(source, number, error if failures >= _TRIES else None)
                    if failures >= _TRIES:
                        return
                    with self._changed:
                        self._changed.wait_for(self._is_over, _BACKOFF.pause(failures))
                except _Abandoned:
                    self._give_back(source, number, None)
                else:
                    failures, seconds = 0, time.monotonic() - started
                    self._deliver(source, number, file)
        except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
            with self._changed:
                self._state.error = error
                self._changed.notify_all()

    def _is_over(self) -> bool:
        return self._state.is_over

    def _take(self, source: Layer, patience: float) -> int | None:
        """Return the part to read next; ``None`` if there are no more.

        Args:
            source: the source that reads it.
            patience: seconds after which a part that another source reads is slow.
        """
        state = self._state
        with self._changed:
            while not state.is_over and state.next < len(self._starts):
                number = self._choose(patience)
                if number is not None:
                    state.running.setdefault(number, {})[source] = time.monotonic()
                    return number
                self._changed.wait(min(patience, _SOON))
        return None

    def _choose(self, patience: float) -> int | None:
        state = self._state
        end = min(len(self._starts), state.next + _AHEAD * len(self._sources))
        missing = [n for n in range(state.next, end) if n not in state.arrived]
        for number in missing:
            if not state.running.get(number):
                return number
        now = time.monotonic()
        for number in missing:
            begun = list(state.running[number].values())
            if len(begun) == 1 and now - begun[0] >= patience:
                return number
        return None

    def _fetch(self, source: Layer, number: int) -> IO[bytes]:
        start = self._starts[number]
        stop = min(start + PART, self._content.size)
        file, size = self._open_file(), 0
        try:
            with source.store.read(
                self._content, start, stop, timeout=self._seconds_left()
            ) as pieces:
                for piece in _limit(pieces, stop - start):
                    if self._is_useless(number):
                        raise _Abandoned("another source was faster")
                    write_piece(file, piece)
                    size += len(piece)
            if size < stop - start:
                raise ContentUnavailable(f"only {size} of {stop - start} bytes arrived")
        except BaseException:
            file.close()
            raise
        return file

    def _is_useless(self, number: int) -> bool:
        state = self._state
        return state.is_over or number < state.next or number in state.arrived

    def _give_back(self, source: Layer, number: int, final: LedgerError | None) -> None:
        """Leave a part to the other sources; ``final`` is the failure of a source that gives up."""
        with self._changed:
            self._state.running[number].pop(source, None)
            if final is not None:
                self._state.failures[source] = final
            self._changed.notify_all()

    def _deliver(self, source: Layer, number: int, file: IO[bytes]) -> None:
        with self._changed:
            self._state.running[number].pop(source, None)
            if self._is_useless(number):
                file.close()
            else:
                self._state.arrived[number] = file, source
            self._changed.notify_all()


def write_piece(file: IO[bytes], piece: bytes) -> None:
    """Write a piece to an unbuffered temporary file.

    Raises:
        ContentNotStored: it could not be written.
    """
    try:
        rest = memoryview(piece)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise ContentNotStored(f"no space for a temporary file: {error.strerror}") from error


def _limit(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield at most ``size`` bytes."""
    for piece in pieces:
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            return
