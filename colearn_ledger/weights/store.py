"""The port for content-addressed storage of files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeAlias

from colearn_ledger.protocol import ContentRef, LedgerError

_CID = re.compile(r"b[a-z2-7]{58}")

Piece: TypeAlias = bytes | memoryview
"""A part of a file."""

LoadCopy: TypeAlias = "Callable[[], Iterable[Piece] | None]"
"""Returns the caller's own copy of a file, as `ContentStore.put` takes it; ``None`` if it has none.

It is only called for a store that lacks the file.
"""


def load_nothing() -> None:
    """Return no copy."""


class ContentUnavailable(LedgerError):
    """The store does not have the content, or could not deliver it in time."""


class ContentMismatch(ContentUnavailable):
    """The store delivered other bytes than the reference describes; another store may be right.

    Args:
        why: the message.
        again: whether fetching the whole file again may help at once, because only a part of these
            bytes came from the store, or several stores delivered them.
    """

    def __init__(self, why: str, *, again: bool = False) -> None:
        super().__init__(why)
        self.again = again


class ContentTooLarge(LedgerError):
    """The content is larger than the caller's limit, according to its reference."""


class WrongReference(LedgerError):
    """The bytes that match the reference's CID do not match its sha256 or size: no bytes do."""


class ContentNotStored(LedgerError):
    """The store could not accept the file or the pin, and kept no part of it."""


class ContentStore(Protocol):
    """Store and fetch files by their content. Safe to use from several threads."""

    def put(self, chunks: Iterable[Piece]) -> ContentRef:
        """Store a file of at least one byte, given in pieces, and return its reference.

        Sending lists, tuples and iterables with an attribute ``nbytes`` (their size) is cheaper
        than sending iterators. An iterable with an attribute ``content`` (its reference) is not
        hashed again.

        Raises:
            ContentNotStored: the store could not accept the file, for example for lack of space.
        """

    def get(
        self,
        content: ContentRef,
        *,
        max_size: int,
        timeout: float | None = None,
        begun: Path | None = None,
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file whose pieces are verified while they stream.

        The last piece is returned only after the whole file has been verified.

        Args:
            content: reference of the file.
            max_size: the most bytes to deliver.
            timeout: limit on the whole, in seconds; ``None``: the store's own.
            begun: a file with the first bytes, as earlier calls delivered them; it may be missing.
                Only the bytes after it are returned, and the whole is verified. Then a store that
                combines several may take each part from another one.

        Raises:
            ContentTooLarge: ``content.size`` exceeds ``max_size`` bytes.
            ContentUnavailable: the store lacks the file or did not deliver it within ``timeout``
                seconds.
            ContentMismatch: the store delivered other bytes, or more.
            WrongReference: no bytes match the reference.
        """

    def has(self, content: ContentRef) -> bool:
        """Return whether the whole file is in the store."""

    def pin(self, content: ContentRef, load: LoadCopy = load_nothing) -> None:
        """Keep the file until it is unpinned.

        If the file is missing, the caller's copy is stored; without one, it is fetched first.

        Args:
            content: reference of the file.
            load: loads the caller's copy.

        Raises:
            ContentUnavailable: the file could not be fetched.
            ContentNotStored: the store could not accept the pin.
        """

    def unpin(self, content: ContentRef) -> None:
        """Unpin the file; the store may delete it now or later."""


class RangedStore(ContentStore, Protocol):
    """A store that also delivers parts of files."""

    def read(
        self, content: ContentRef, start: int, stop: int, *, timeout: float | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open the bytes from ``start`` up to ``stop``, which are **not** verified.

        Raises:
            ContentUnavailable: the store lacks the file, or did not deliver the part within
                ``timeout`` seconds.
        """


def check_cid(content: ContentRef) -> str:
    """Return the content's CID if it is safe in a path and in a URL.

    Raises:
        ContentUnavailable: the CID is not safe.
    """
    if not _CID.fullmatch(content.cid):
        raise ContentUnavailable(f"{ascii(content.cid)[:80]} is not a CID that a store can have")
    return content.cid


def measure_begun(begun: Path | None) -> int:
    """Return the number of bytes of a file that earlier calls began; 0 if there is none."""
    try:
        return 0 if begun is None else begun.stat().st_size
    except FileNotFoundError:
        return 0


def check_size(content: ContentRef, max_size: int) -> None:
    """Refuse content that is larger than the caller's limit, according to its reference.

    Raises:
        ContentTooLarge: the size exceeds the limit.
    """
    if content.size > max_size:
        raise ContentTooLarge(
            f"{content.cid} has {content.size} bytes, more than the {max_size} allowed here"
        )
