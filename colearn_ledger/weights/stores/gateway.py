"""Content from an IPFS gateway: anybody's, because every byte is checked against its reference.

Whole files are asked for (``/ipfs/<cid>``, with ``Range`` to go on after a break) and their CID
is computed while they stream, which needs no more trust than fetching blocks or CAR files does
and no parser. Gateways that serve blocks only refuse; the error says so.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from email.message import Message
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from colearn_ledger.deadline import Deadline
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.errors import shown
from colearn_ledger.weights.store import ContentNotStored, ContentUnavailable
from colearn_ledger.weights.stores.addresses import web_address
from colearn_ledger.weights.streams import (
    PIECE,
    NodeError,
    Patience,
    check_size,
    resumed,
)
from colearn_ledger.weights.unixfs import verified

__all__ = ["GatewayStore"]

_CID = re.compile(r"b[a-z2-7]{58}")
_MOMENTARY = {429, 500, 502, 503}  # 504 says that nobody has it
_NETWORK = (OSError, HTTPException, ValueError)
"""What urllib raises; its own errors are OSErrors."""


class GatewayStore:
    """A read-only `ContentStore` behind an HTTP gateway.

    Args:
        url: where the gateway is, without ``/ipfs/``: ``https://ipfs.example``.
        token: sent as ``Authorization: Bearer``, to this host only.
        patience: how long to wait for it.

    Raises:
        StoreNotUsable: not such a URL.
    """

    def __init__(
        self, url: str, *, token: str | None = None, patience: Patience | None = None
    ) -> None:
        address, self._authorization = web_address(url, what="a gateway", token=token)
        self._url = address.geturl().removesuffix("/ipfs")
        self._name = f"the gateway {self._url}"
        self._patience = patience or Patience()
        self._opener = _opener()

    def __repr__(self) -> str:
        return f"<GatewayStore: {self._url}>"

    def put(self, chunks: Iterable[bytes]) -> ContentRef:
        """Refuse.

        Raises:
            ContentNotStored: always.
        """
        raise ContentNotStored(f"{self._name} can only be read from; put files to an IPFS node")

    def get(
        self, content: ContentRef, *, max_size: int, timeout: float | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file; see `ContentStore.get`. A stream that breaks is taken up where it broke."""
        check_size(content, max_size)
        _check_cid(content)
        return self._get(content, Deadline(self._patience.timeout if timeout is None else timeout))

    def has(self, content: ContentRef) -> bool:
        """Return False: what a gateway has now it keeps for nobody."""
        return False

    def pin(self, content: ContentRef) -> None:
        """Refuse.

        Raises:
            ContentNotStored: always.
        """
        raise ContentNotStored(f"{self._name} can only be read from; pin on an IPFS node")

    def unpin(self, content: ContentRef) -> None:
        """Do nothing: nothing is ever pinned here."""

    @contextmanager
    def _get(self, content: ContentRef, deadline: Deadline) -> Iterator[Iterator[bytes]]:
        with closing(self._pieces(content, deadline)) as pieces:
            yield verified(pieces, content)

    def _pieces(self, content: ContentRef, deadline: Deadline) -> Generator[bytes]:
        def open_at(offset: int) -> AbstractContextManager[Iterator[bytes]]:
            return self._stream(content, offset, min(self._patience.silence, deadline.left()) + 1)

        try:
            yield from resumed(open_at, content, deadline=deadline, patience=self._patience)
        except NodeError as error:
            raise ContentUnavailable(
                f"{content.cid} could not be had: {self._name} {error}; try another gateway or node"
            ) from error

    @contextmanager
    def _stream(self, content: ContentRef, offset: int, wait: float) -> Iterator[Iterator[bytes]]:
        wanted = {"Range": f"bytes={offset}-"} if offset else {}
        with self._opened(self._request(content.cid, wanted), wait) as answer:
            skip = 0 if offset and _starts_at(answer, offset) else offset
            yield _after(_read(answer), skip)

    def _request(self, cid: str, headers: dict[str, str]) -> Request:
        url = f"{self._url}/ipfs/{cid}"
        request = Request(url, headers=headers)  # noqa: S310 - http or https
        if self._authorization:
            request.add_unredirected_header("Authorization", self._authorization)
        return request

    @contextmanager
    def _opened(self, request: Request, wait: float) -> Iterator[Any]:
        try:
            with self._opener.open(request, timeout=wait) as answer:
                yield answer
        except HTTPError as error:
            error.close()
            raise _refusal(error.code) from error
        except URLError as error:
            raise NodeError(f"can not be reached ({_short(error.reason)})", again=True) from error
        except TimeoutError as error:
            raise NodeError(f"did not answer within {wait:.3g} s") from error
        except _NETWORK as error:
            raise NodeError(f"broke the connection ({_short(error)})", again=True) from error


def _opener() -> OpenerDirector:
    """Return an opener for http and https and nothing else, wherever a redirect leads."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        HTTPRedirectHandler(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _refusal(status: int) -> NodeError:
    if status in (401, 403):
        return NodeError(f"refuses these credentials (HTTP {status}); set the gateway's token")
    if status in (400, 406, 415):
        return NodeError(f"does not serve whole files (HTTP {status})")
    return NodeError(f"answered HTTP {status}", again=status in _MOMENTARY)


def _read(answer: Any) -> Iterator[bytes]:
    while piece := answer.read(PIECE):
        yield piece


def _after(pieces: Iterator[bytes], skip: int) -> Iterator[bytes]:
    """Leave out the first `skip` bytes, which a gateway without ``Range`` sends again."""
    for piece in pieces:
        if skip < len(piece):
            yield piece[skip:] if skip else piece
        skip = max(0, skip - len(piece))


def _starts_at(answer: Any, offset: int) -> bool:
    """Tell whether an answer is the part asked for.

    Raises:
        NodeError: it is some other part.
    """
    if answer.status != 206:
        return False
    headers: Message = answer.headers
    part = headers.get("Content-Range", "")
    if not part.startswith(f"bytes {offset}-"):
        raise NodeError(f"was asked for the bytes from {offset} on and sent {shown(part)}")
    return True


def _check_cid(content: ContentRef) -> str:
    if not _CID.fullmatch(content.cid):
        raise ContentUnavailable(f"{ascii(content.cid)[:80]} is not a CID this store can have")
    return content.cid


def _short(error: object) -> str:
    return shown(getattr(error, "strerror", None) or str(error) or type(error).__name__)
