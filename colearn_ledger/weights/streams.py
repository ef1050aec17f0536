"""Transfer bytes to and from a node in threads, so that no node can block a learner.

The caller waits on a `queue.Queue`, never on a socket. Deadlines therefore work with any HTTP
client, and hashing runs during the transfer.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Any, TypeAlias, TypeVar

from colearn_ledger.backoff import Backoff
from colearn_ledger.deadline import Deadline
from colearn_ledger.protocol import LedgerError

PIECE = 262_144
"""Bytes that are read, or passed between threads, at once."""

_DEPTH = 8
"""Most pieces that may wait between two threads."""

_PROGRESS = PIECE
"""Bytes after which an attempt counts as progress, even if it fails."""

_BACKOFF = Backoff(first=0.2, longest=2.0)

_T = TypeVar("_T")

Source: TypeAlias = Callable[[], AbstractContextManager[Iterator[bytes]]]


class NodeError(LedgerError):
    """A node's failure to carry out a request; stores convert it to the port's errors.

    Args:
        why: the cause, as the rest of a sentence that begins with the node.
        again: whether a retry may succeed soon.
        reply: the node's own message, if it answered with an error.
    """

    def __init__(self, why: str, *, again: bool = False, reply: str = "") -> None:
        super().__init__(why)
        self.again = again
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits on the waiting times of a store.

    Args:
        timeout: seconds for a whole operation, unless the caller sets a limit.
        silence: seconds without a piece (`PIECE` bytes, or the rest) after which a connection
            is abandoned.
        retries: most consecutive attempts to resume a broken stream without progress.
    """

    timeout: float = 600.0
    silence: float = 30.0
    retries: int = 4


class _End:
    """Marker after the last piece."""


class _GivenUp(LedgerError):
    """Raised in a connection's thread to abort the transfer."""


def read_in_thread(source: Source, *, deadline: Deadline, silence: float) -> Generator[bytes]:
    """Yield the pieces of a source that runs in its own thread.

    Close this generator to stop the source. Its thread ends at the next byte, or when its socket
    times out.

    Raises:
        NodeError: no piece arrived for `silence` seconds, or the deadline passed.
        Exception: any error that the source raised.
    """
    items: Queue[bytes | BaseException | type[_End]] = Queue(_DEPTH)
    closed = threading.Event()

    def work() -> None:
        try:
            with source() as pieces:
                for piece in _coalesce(_until(closed, pieces)):
                    if closed.is_set():
                        return
                    items.put(piece)
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            items.put(error)
        else:
            items.put(_End)

    threading.Thread(target=work, name="colearn-fetch", daemon=True).start()
    try:
        while True:
            item = _next_of(items, deadline, silence)
            if isinstance(item, bytes):
                yield item
            elif isinstance(item, BaseException):
                raise item
            else:
                return
    finally:
        closed.set()
        _drain(items)  # the thread may be waiting for room


def call_in_thread(function: Callable[[], _T], seconds: float) -> _T:
    """Call a function in its own thread and return its result.

    Raises:
        NodeError: the function did not return within `seconds`.
        Exception: any error that the function raised.
    """
    results: list[_T] = []

    @contextmanager
    def source() -> Iterator[Iterator[bytes]]:
        results.append(function())
        yield iter(())

    deadline = Deadline(seconds)
    with closing(read_in_thread(source, deadline=deadline, silence=seconds)) as nothing:
        for _ in nothing:
            pass
    return results[0]


def write_in_thread(
    send: Callable[[Iterator[bytes]], _T], pieces: Iterable[bytes], *, patience: Patience
) -> _T:
    """Run `send` in its own thread on the pieces that this thread produces.

    If the source of the pieces raises an error, `send` is aborted and the error passes through.

    Returns:
        The result of `send`.

    Raises:
        NodeError: `send` consumed nothing for ``patience.silence`` seconds, or did not return
            within ``patience.timeout`` after the last piece.
        Exception: any error that `send` raised.
    """
    items: Queue[bytes | type[_End] | type[_GivenUp]] = Queue(_DEPTH)
    done, consumed = threading.Event(), threading.Event()
    results: list[_T] = []
    failures: list[BaseException] = []

    def feed() -> Iterator[bytes]:
        while isinstance(item := items.get(), bytes | memoryview):
            yield item
        if item is _GivenUp:
            raise _GivenUp("the source of the file failed")
        consumed.set()

    def work() -> None:
        try:
            results.append(send(feed()))
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            failures.append(error)
        done.set()
        _drain(items)

    threading.Thread(target=work, name="colearn-upload", daemon=True).start()
    finished = False
    try:
        for piece in pieces:
            if done.is_set():
                break
            _offer(items, piece, patience.silence)
        _offer(items, _End, patience.silence)
        finished = done.wait(patience.timeout)
    finally:
        if not finished:
            _drain(items)
            with suppress(Full):
                items.put_nowait(_GivenUp)
    if failures:
        raise failures[0]
    if not results:
        raise NodeError(f"accepted the file and did not answer within {patience.timeout:g} s")
    if not consumed.is_set():
        raise NodeError("answered before it had the whole file")
    return results[0]


def read_resuming(
    open_at: Callable[[int], AbstractContextManager[Iterator[bytes]]],
    start: int,
    stop: int,
    *,
    deadline: Deadline,
    patience: Patience,
) -> Generator[bytes]:
    """Yield a file's bytes, resuming a broken stream at the byte where it broke.

    Args:
        open_at: opens the stream at an offset; may raise `NodeError`.
        start: position of the first byte.
        stop: position after the last byte. A stream that is longer may yield more in its last
            piece; the bytes are **not** verified here.
        deadline: limit on the whole file.
        patience: limits on each stream.

    Raises:
        NodeError: retries or time are used up; this is the last failure.
    """
    offset, failures = start, 0
    while offset < stop:
        began = offset
        source = _source_at(open_at, offset)
        try:
            with closing(
                read_in_thread(source, deadline=deadline, silence=patience.silence)
            ) as pieces:
                for piece in pieces:
                    offset += len(piece)
                    yield piece
                    if offset >= stop:
                        return
            raise NodeError(f"sent {offset} of {stop} bytes and ended", again=True)
        except NodeError as error:
            failures = 1 if offset - began >= _PROGRESS else failures + 1
            is_final = not error.again and offset == began
            pause = _BACKOFF.pause(failures)
            if is_final or failures > patience.retries or deadline.left() <= pause:
                raise
            time.sleep(pause)


def restart_at_each(step: Deadline, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces and restart the deadline, which limits a single step, at each of them."""
    for piece in pieces:
        step.restart()
        yield piece


def _source_at(
    open_at: Callable[[int], AbstractContextManager[Iterator[bytes]]], offset: int
) -> Source:
    return lambda: open_at(offset)


def _until(closed: threading.Event, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if closed.is_set():
            return
        yield piece


def _coalesce(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces; passing one to another thread costs as much as reading 32 kB."""
    parts: list[bytes] = []
    size = 0
    failure: Exception | None = None
    try:
        for piece in pieces:
            parts.append(piece)
            size += len(piece)
            if size >= PIECE:
                yield b"".join(parts)
                parts, size = [], 0
    except Exception as error:  # noqa: BLE001 - the earlier pieces are still sent
        failure = error
    if parts:
        yield b"".join(parts)
    if failure:
        raise failure


def _next_of(items: Queue[Any], deadline: Deadline, silence: float) -> Any:
    left = deadline.left()
    with suppress(Empty):
        if left:
            return items.get(timeout=min(silence, left))
    if deadline.left():
        raise NodeError(f"sent nothing for {silence:g} s")
    raise NodeError(f"did not deliver within {deadline.seconds:.3g} s")


def _offer(items: Queue[Any], item: object, silence: float) -> None:
    try:
        items.put(item, timeout=silence if silence < math.inf else None)
    except Full:
        raise NodeError(f"accepted no byte for {silence:g} s") from None


def _drain(items: Queue[Any]) -> None:
    with suppress(Empty):
        while True:
            items.get_nowait()
