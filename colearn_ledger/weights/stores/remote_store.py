"""Fetch files from a node or gateway, resuming broken streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from colearn_ledger.deadline import Deadline
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.store import (
    ContentUnavailable,
    check_cid,
    check_size,
    measure_begun,
)
from colearn_ledger.weights.streams import NodeError, Patience, read_resuming
from colearn_ledger.weights.unixfs import verified


class RemoteStore(ABC):
    """Base of the stores that fetch files over the network.

    Args:
        name: the name of the node or gateway, for errors.
        patience: limits on waiting for it.
        advice: what to do if a file cannot be fetched, for errors.
    """

    def __init__(self, name: str, patience: Patience | None, *, advice: str) -> None:
        self._name = name
        self._patience = patience or Patience()
        self._advice = advice

    def get(
        self,
        content: ContentRef,
        *,
        max_size: int,
        timeout: float | None = None,
        begun: Path | None = None,
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file; see `ContentStore.get`. A broken stream resumes where it broke."""
        check_size(content, max_size)
        check_cid(content)
        return self._get(content, self._deadline(timeout), begun)

    @contextmanager
    def read(
        self, content: ContentRef, start: int, stop: int, *, timeout: float | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Open a part of a file; see `RangedStore.read`. A broken stream resumes."""
        check_cid(content)
        with closing(self._pieces(content, start, stop, self._deadline(timeout))) as pieces:
            yield pieces

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self._patience.timeout if timeout is None else timeout)

    @contextmanager
    def _get(
        self, content: ContentRef, deadline: Deadline, begun: Path | None = None
    ) -> Iterator[Iterator[bytes]]:
        start = measure_begun(begun)
        with closing(self._pieces(content, start, content.size, deadline)) as pieces:
            yield verified(pieces, content, begun=begun, source=self._name)

    def _pieces(
        self, content: ContentRef, start: int, stop: int, deadline: Deadline
    ) -> Generator[bytes]:
        def open_at(offset: int) -> AbstractContextManager[Iterator[bytes]]:
            return self._open(content, offset, stop, deadline)

        patience = self._patience
        try:
            yield from read_resuming(open_at, start, stop, deadline=deadline, patience=patience)
        except NodeError as error:
            raise ContentUnavailable(
                f"{content.cid} could not be fetched: {self._name} {error}; {self._advice}"
            ) from error

    def _limit_wait(self, deadline: Deadline) -> float:
        """Return the seconds after which a silent connection is abandoned."""
        return min(self._patience.silence, deadline.left()) + 1

    @abstractmethod
    def _open(
        self, content: ContentRef, offset: int, stop: int, deadline: Deadline
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Request a file from an offset on.

        If ``stop`` is the end of the file, the stream has to be longer for a longer file.

        Raises:
            NodeError: the request failed.
        """
