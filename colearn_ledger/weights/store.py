"""The port through which files reach and leave content-addressed storage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from colearn_ledger.protocol import ContentRef, LedgerError

__all__ = [
    "ContentMismatch",
    "ContentNotStored",
    "ContentStore",
    "ContentTooLarge",
    "ContentUnavailable",
]


class ContentUnavailable(LedgerError):
    """The store does not have the content, or could not deliver it in time."""


class ContentTooLarge(LedgerError):
    """The content is larger than the caller's limit."""


class ContentMismatch(LedgerError):
    """The bytes are not those that the reference names."""


class ContentNotStored(LedgerError):
    """The store could not take the file or the pin; nothing of it was left behind."""


class ContentStore(Protocol):
    """Files by content. Safe to use from several threads."""

    def put(self, chunks: Iterable[bytes]) -> ContentRef:
        """Store a file given in pieces and return its reference; at least one byte.

        Lists, tuples and what has ``nbytes``, its size, travel cheaper than what is read once.
        What has ``content``, its reference, need not be hashed once more.

        Raises:
            ContentNotStored: the store could not take it, for want of room say.
        """

    def get(
        self, content: ContentRef, *, max_size: int, timeout: float | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file; its pieces are verified while they stream.

        The last piece is handed out only after the whole file was found to match.

        Raises:
            ContentTooLarge: ``content.size`` is above ``max_size`` bytes, or more bytes came.
            ContentUnavailable: not here, or not within ``timeout`` seconds.
            ContentMismatch: other bytes came.
        """

    def has(self, content: ContentRef) -> bool:
        """Tell whether the whole file is here."""

    def pin(self, content: ContentRef) -> None:
        """Keep the file until it is unpinned; fetch it where it is not here yet.

        Raises:
            ContentUnavailable: it could not be had.
            ContentNotStored: the store could not take the pin.
        """

    def unpin(self, content: ContentRef) -> None:
        """Let the file go; the store may drop it, at once or by and by."""
