"""Read content from an IPFS gateway; any gateway will do, because every byte is verified.

Whole files are requested (``/ipfs/<cid>``, with ``Range`` to resume after a break) and their CID is
computed while they stream. This needs no more trust than fetching blocks or CAR files, and no
parser. A gateway that serves only blocks refuses the request; the error explains that.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from colearn_ledger.deadline import Deadline
from colearn_ledger.http import HttpClient, HttpError, Stream, TimedOut
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.errors import shown
from colearn_ledger.weights.store import (
    ContentNotStored,
    ContentUnavailable,
    check_cid,
    check_size,
)
from colearn_ledger.weights.stores.addresses import web_address
from colearn_ledger.weights.streams import NodeError, Patience, read_resuming, restart_at_each
from colearn_ledger.weights.unixfs import verified

_MOMENTARY = frozenset({429, 500, 502, 503})  # not 504: the gateway found no peer with the file
_OK, _PARTIAL = 200, 206
_REDIRECTS = 5


class GatewayStore:
    """A read-only `ContentStore` over an HTTP gateway.

    Args:
        url: the gateway's URL without ``/ipfs/``, such as ``https://ipfs.example``.
        token: sent as ``Authorization: Bearer``, to this host only.
        patience: limits on waiting for the gateway.

    Raises:
        StoreNotUsable: the URL is malformed.
    """

    def __init__(
        self, url: str, *, token: str | None = None, patience: Patience | None = None
    ) -> None:
        address, authorization = web_address(url, what="a gateway", token=token)
        self._url = address.geturl().removesuffix("/ipfs")
        self._name = f"the gateway {self._url}"
        self._patience = patience or Patience()
        self._http = HttpClient(self._url, name=self._name, authorization=authorization)

    def __repr__(self) -> str:
        return f"<GatewayStore: {self._url}>"

    def put(self, chunks: Iterable[bytes]) -> ContentRef:
        """Refuse.

        Raises:
            ContentNotStored: always.
        """
        raise ContentNotStored(f"{self._name} is read-only; put files on an IPFS node")

    def get(
        self, content: ContentRef, *, max_size: int, timeout: float | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file; see `ContentStore.get`. A broken stream resumes where it broke."""
        check_size(content, max_size)
        check_cid(content)
        return self._get(content, Deadline(self._patience.timeout if timeout is None else timeout))

    def has(self, content: ContentRef) -> bool:
        """Return False, because a gateway does not guarantee to keep any file."""
        return False

    def pin(self, content: ContentRef) -> None:
        """Refuse.

        Raises:
            ContentNotStored: always.
        """
        raise ContentNotStored(f"{self._name} is read-only; pin on an IPFS node")

    def unpin(self, content: ContentRef) -> None:
        """Do nothing, because a gateway has no pins."""

    @contextmanager
    def _get(self, content: ContentRef, deadline: Deadline) -> Iterator[Iterator[bytes]]:
        with closing(self._pieces(content, deadline)) as pieces:
            yield verified(pieces, content)

    def _pieces(self, content: ContentRef, deadline: Deadline) -> Generator[bytes]:
        def open_at(offset: int) -> AbstractContextManager[Iterator[bytes]]:
            wait = min(self._patience.silence, deadline.left()) + 1
            return self._open(content, offset, wait)

        try:
            yield from read_resuming(open_at, content, deadline=deadline, patience=self._patience)
        except NodeError as error:
            raise ContentUnavailable(
                f"{content.cid} could not be fetched: {self._name} {error}; try another gateway or "
                "node"
            ) from error

    @contextmanager
    def _open(self, content: ContentRef, offset: int, wait: float) -> Iterator[Iterator[bytes]]:
        path = f"/ipfs/{content.cid}"
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        step = Deadline(wait)
        try:
            with self._http.open(
                "GET", path, headers=headers, deadline=step, redirects=_REDIRECTS
            ) as answer:
                if answer.status not in (_OK, _PARTIAL):
                    raise _refusal(answer.status)
                skip = 0 if offset and _starts_at(answer, offset) else offset
                yield _skip(restart_at_each(step, answer.pieces), skip)
        except HttpError as error:
            raise NodeError(error.why, again=not isinstance(error, TimedOut)) from error


def _refusal(status: int) -> NodeError:
    if status in (401, 403):
        return NodeError(f"refuses these credentials (HTTP {status}); set the gateway's token")
    if status in (400, 406, 415):
        return NodeError(f"does not serve whole files (HTTP {status})")
    return NodeError(f"answered HTTP {status}", again=status in _MOMENTARY)


def _skip(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Skip the first bytes, which a gateway without ``Range`` sends again."""
    for piece in pieces:
        if count < len(piece):
            yield piece[count:] if count else piece
        count = max(0, count - len(piece))


def _starts_at(answer: Stream, offset: int) -> bool:
    """Return whether an answer starts at the requested offset rather than at the first byte.

    Raises:
        NodeError: the answer starts elsewhere.
    """
    if answer.status != _PARTIAL:
        return False
    part = answer.headers.get("content-range", "")
    if not part.startswith(f"bytes {offset}-"):
        raise NodeError(f"sent {shown(part)} instead of the bytes from {offset} on")
    return True
