"""Bytes to and from a node: what keeps a slow, broken or hostile one from holding up a learner.

Whoever waits for a node here waits in `queue.Queue`, never in a socket: the connection has a
thread of its own, so that deadlines hold whatever the node does, with any HTTP client, and
hashing runs beside the transfer.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Any, TypeAlias, TypeVar

from colearn_ledger.backoff import Backoff
from colearn_ledger.deadline import Deadline
from colearn_ledger.protocol import ContentRef, LedgerError
from colearn_ledger.weights.store import ContentTooLarge

__all__ = [
    "PIECE",
    "NodeError",
    "Patience",
    "check_size",
    "pulled",
    "pushed",
    "resumed",
]

PIECE = 262_144
"""Bytes that are read, and move between threads, at once."""

_DEPTH = 8
"""Pieces that wait between two threads."""

_PROGRESS = PIECE
"""Bytes after which an attempt was worth it, however it ends."""

_BACKOFF = Backoff(first=0.2, longest=2.0)

_T = TypeVar("_T")

Source: TypeAlias = Callable[[], AbstractContextManager[Iterator[bytes]]]


class NodeError(LedgerError):
    """A node did not do what it was asked; stores turn this into the port's errors.

    Args:
        why: what happened, for people.
        again: the same call may well succeed in a moment.
        said: the node's own words, when it answered properly that it can not.
    """

    def __init__(self, why: str, *, again: bool = False, said: str = "") -> None:
        super().__init__(why)
        self.again = again
        self.said = said


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long a store waits.

    Args:
        timeout: seconds for a whole operation, when the caller does not say.
        silence: seconds without a piece (`PIECE` bytes, or the rest) after which a connection
            is given up.
        retries: how often a broken stream is taken up again without much coming of it.
    """

    timeout: float = 600.0
    silence: float = 30.0
    retries: int = 4


class _End:
    """Follows the last piece."""


class _GivenUp(LedgerError):
    """Raised in the thread of a connection to break it off."""


def check_size(content: ContentRef, max_size: int) -> None:
    """Refuse content that says itself that it is larger than the caller's limit.

    Raises:
        ContentTooLarge: it is.
    """
    if content.size > max_size:
        raise ContentTooLarge(
            f"{content.cid} has {content.size} bytes, more than the {max_size} allowed here"
        )


def pulled(source: Source, *, deadline: Deadline, silence: float) -> Generator[bytes]:
    """Yield what a source delivers; it runs in a thread of its own.

    Close this generator to break the source off: its thread ends at the next byte, or when its
    own socket times out.

    Raises:
        NodeError: nothing came for `silence` seconds, or the deadline passed.
        Exception: what the source raised.
    """
    items: Queue[bytes | BaseException | type[_End]] = Queue(_DEPTH)
    closed = threading.Event()

    def work() -> None:
        try:
            with source() as pieces:
                for piece in _gathered(pieces):
                    if closed.is_set():
                        return
                    items.put(piece)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
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
        _drain(items)  # the thread may wait for room


def pushed(
    send: Callable[[Iterator[bytes]], _T], pieces: Iterable[bytes], *, patience: Patience
) -> _T:
    """Let `send` take pieces in a thread of its own while this thread makes them.

    What the pieces' source raises passes through, and `send` is broken off.

    Returns:
        What `send` returns.

    Raises:
        NodeError: `send` took nothing for ``patience.silence`` seconds, or did not return
            within ``patience.timeout`` after the last piece.
        Exception: what `send` raised.
    """
    items: Queue[bytes | type[_End] | type[_GivenUp]] = Queue(_DEPTH)
    done, taken = threading.Event(), threading.Event()
    results: list[_T] = []
    failures: list[BaseException] = []

    def feed() -> Iterator[bytes]:
        while isinstance(item := items.get(), bytes | memoryview):
            yield item
        if item is _GivenUp:
            raise _GivenUp("the source of the file failed")
        taken.set()

    def work() -> None:
        try:
            results.append(send(feed()))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
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
        raise NodeError(f"took the file and did not answer within {patience.timeout:g} s")
    if not taken.is_set():
        raise NodeError("answered before it had the whole file")
    return results[0]


def resumed(
    open_at: Callable[[int], AbstractContextManager[Iterator[bytes]]],
    content: ContentRef,
    *,
    deadline: Deadline,
    patience: Patience,
) -> Generator[bytes]:
    """Yield content's bytes, taking a broken stream up where it broke.

    Args:
        open_at: opens the stream from this offset on; may raise `NodeError`.
        content: what is wanted; the bytes are **not** checked here.
        deadline: for all of it.
        patience: with single streams.

    Raises:
        NodeError: the last failure; retries or time are used up.
    """
    offset, failures = 0, 0
    while offset < content.size:
        began = offset
        source = _at(open_at, offset)
        try:
            with closing(pulled(source, deadline=deadline, silence=patience.silence)) as pieces:
                for piece in pieces:
                    offset += len(piece)
                    yield piece
                    if offset >= content.size:
                        return
            raise NodeError(f"sent {offset} of {content.size} bytes and ended", again=True)
        except NodeError as error:
            failures = 1 if offset - began >= _PROGRESS else failures + 1
            futile = not error.again and offset == began
            pause = _BACKOFF.pause(failures)
            if futile or failures > patience.retries or deadline.left() <= pause:
                raise
            time.sleep(pause)


def _at(open_at: Callable[[int], AbstractContextManager[Iterator[bytes]]], offset: int) -> Source:
    return lambda: open_at(offset)


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces: handing one to another thread costs as much as reading 32 kB."""
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
    except Exception as error:  # noqa: BLE001 - what came before it counts
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
        raise NodeError(f"took no byte for {silence:g} s") from None


def _drain(items: Queue[Any]) -> None:
    with suppress(Empty):
        while True:
            items.get_nowait()
