"""Read content from an IPFS gateway; any gateway will do, because every byte is verified.

Whole files are requested (``/ipfs/<cid>``, with ``Range`` to resume after a break) and their CID is
computed while they stream. This needs no more trust than fetching blocks or CAR files, and no
parser. A gateway that serves only blocks refuses the request; the error explains that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from colearn_ledger.deadline import Deadline
from colearn_ledger.http import HttpClient, HttpError, Stream, TimedOut
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.errors import shown
from colearn_ledger.weights.store import (
    ContentNotStored,
    LoadCopy,
    Piece,
    load_nothing,
)
from colearn_ledger.weights.stores.addresses import web_address
from colearn_ledger.weights.stores.remote_store import RemoteStore
from colearn_ledger.weights.streams import NodeError, Patience, restart_at_each

_MOMENTARY = frozenset({429, 500, 502, 503})  # not 504: the gateway found no peer with the file
_OK, _PARTIAL = 200, 206
_REDIRECTS = 5


class GatewayStore(RemoteStore):
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
        name = f"the gateway {self._url}"
        super().__init__(name, patience, advice="try another gateway or node")
        self._http = HttpClient(self._url, name=self._name, authorization=authorization)

    def __repr__(self) -> str:
        return f"<GatewayStore: {self._url}>"

    def put(self, chunks: Iterable[Piece]) -> ContentRef:
        """Refuse.

        Raises:
            ContentNotStored: always.
        """
        raise ContentNotStored(f"{self._name} is read-only; put files on an IPFS node")

    def has(self, content: ContentRef) -> bool:
        """Return False, because a gateway does not guarantee to keep any file."""
        return False

    def pin(self, content: ContentRef, load: LoadCopy = load_nothing) -> None:
        """Refuse.

        Raises:
            ContentNotStored: always.
        """
        raise ContentNotStored(f"{self._name} is read-only; pin on an IPFS node")

    def unpin(self, content: ContentRef) -> None:
        """Do nothing, because a gateway has no pins."""

    @contextmanager
    def _open(
        self, content: ContentRef, offset: int, stop: int, deadline: Deadline
    ) -> Iterator[Iterator[bytes]]:
        path, is_part = f"/ipfs/{content.cid}", stop < content.size
        headers = {}
        if offset or is_part:
            headers["Range"] = f"bytes={offset}-" + (str(stop - 1) if is_part else "")
        step = Deadline(self._limit_wait(deadline))
        try:
            with self._http.open(
                "GET", path, headers=headers, deadline=step, redirects=_REDIRECTS
            ) as answer:
                if answer.status not in (_OK, _PARTIAL):
                    raise _refusal(answer.status)
                skip = 0 if headers and _starts_at(answer, offset) else offset
                if skip and is_part:  # it would send all earlier parts again
                    raise NodeError("sends whole files only, not parts of them")
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
