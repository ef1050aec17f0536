"""The port through which files reach and leave content-addressed storage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from colearn_ledger.protocol import ContentRef, LedgerError

_CID = re.compile(r"b[a-z2-7]{58}")


class ContentUnavailable(LedgerError):
    """The store does not have the content, or could not deliver it in time."""


class ContentTooLarge(LedgerError):
    """The content is larger than the caller's limit."""


class ContentMismatch(LedgerError):
    """The bytes differ from those that the reference names."""


class ContentNotStored(LedgerError):
    """The store could not accept the file or the pin; it kept nothing of it."""


class ContentStore(Protocol):
    """Store and fetch files by their content. Safe to use from several threads."""

    def put(self, chunks: Iterable[bytes]) -> ContentRef:
        """Store a file given in pieces and return its reference; at least one byte.

        Lists, tuples and iterables with an attribute ``nbytes`` (their size) are sent more cheaply
        than iterators. An iterable with an attribute ``content`` (its reference) is not hashed
        again.

        Raises:
            ContentNotStored: the store could not accept it, for lack of space for example.
        """

    def get(
        self, content: ContentRef, *, max_size: int, timeout: float | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file; its pieces are verified while they stream.

        The last piece is returned only after the whole file was found to match.

        Raises:
            ContentTooLarge: ``content.size`` is above ``max_size`` bytes, or more bytes came.
            ContentUnavailable: the file is not in the store, or not within ``timeout`` seconds.
            ContentMismatch: other bytes came.
        """

    def has(self, content: ContentRef) -> bool:
        """Return whether the whole file is in the store."""

    def pin(self, content: ContentRef) -> None:
        """Keep the file until it is unpinned; fetch it if it is missing.

        Raises:
            ContentUnavailable: it could not be fetched.
            ContentNotStored: the store could not accept the pin.
        """

    def unpin(self, content: ContentRef) -> None:
        """Release the file; the store may drop it, now or later."""


def check_cid(content: ContentRef) -> str:
    """Return the content's CID if it is safe in a path and in a URL.

    Raises:
        ContentUnavailable: it is not.
    """
    if not _CID.fullmatch(content.cid):
        raise ContentUnavailable(f"{ascii(content.cid)[:80]} is not a CID that a store can have")
    return content.cid


def check_size(content: ContentRef, max_size: int) -> None:
    """Refuse content whose reference names a size above the caller's limit.

    Raises:
        ContentTooLarge: it does.
    """
    if content.size > max_size:
        raise ContentTooLarge(
            f"{content.cid} has {content.size} bytes, more than the {max_size} allowed here"
        )
