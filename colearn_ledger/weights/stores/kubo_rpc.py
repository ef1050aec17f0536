"""Kubo's RPC over ipfshttpclient 0.7, the only module that knows this client.

Of the client this takes addresses, sessions, multipart bodies and requests. Its methods for
commands read answers, and errors, of whatever length into memory; a node need not be honest, so
that here every answer comes in pieces of bounded size. ``connect()`` is not used: it refuses
every daemon since 0.8.

To change the client, write another `KuboRpc`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import urllib3.exceptions
from ipfshttpclient import exceptions, multipart
from ipfshttpclient.http import ClientSync

from colearn_ledger.weights.errors import shown
from colearn_ledger.weights.stores.addresses import NodeAddress, StoreNotUsable
from colearn_ledger.weights.streams import PIECE, NodeError

__all__ = ["KuboRpc"]

_CONNECT = 10.0
"""Seconds to open a connection."""

_LONGEST_ANSWER = 65_536
"""Bytes of an answer in JSON."""

_MOMENTARY = {429, 502, 503, 504}

_NETWORK = (exceptions.Error, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError)
"""What the client raises, by itself or from below; requests' own are OSErrors."""


class KuboRpc:
    """A node's RPC. Every call has its own connection, so that threads may share this.

    Args:
        address: where it answers.

    Raises:
        StoreNotUsable: not an address the client knows.
    """

    def __init__(self, address: NodeAddress) -> None:
        base = f"{address.path}/api/v0".lstrip("/")
        try:
            self._http, self._bulk = (
                kind(
                    address.multiaddr,
                    base,
                    auth=_authorized(address.authorization) if address.authorization else None,
                    headers={"Accept-Encoding": "identity"},
                )
                for kind in (_Http, _BulkHttp)
            )
        except _NETWORK as error:
            raise StoreNotUsable(f"{address.shown!a} is no address of a node") from error

    def ask(self, command: str, arg: str, options: Mapping[str, str], *, wait: float) -> Any:
        """Return a command's answer, one JSON value.

        Raises:
            NodeError: there was none, or another.
        """
        params = [*options.items(), ("arg", arg)]
        with self._open(self._http, command, params, wait) as pieces:
            return _json(pieces)

    def add(
        self,
        body: Iterator[bytes],
        options: Mapping[str, str],
        *,
        wait: float,
        size: int | None = None,
    ) -> Any:
        """Send a file in pieces of at most `PIECE` bytes and return the answer to ``add``.

        Args:
            body: the pieces.
            options: of ``add``.
            wait: seconds for each write to and read from the socket.
            size: bytes of all pieces together, if that is known. They then go with a
                ``Content-Length`` and uncopied; in HTTP's chunks each is copied once.

        Raises:
            NodeError: it was not taken.
        """
        data, headers = multipart.stream_bytes(body, chunk_size=PIECE)
        if size is not None:
            data = _Sized(data, size + _envelope())
        params = list(options.items())
        with self._open(self._http, "add", params, wait, data=data, headers=headers) as pieces:
            return _json(pieces)

    def cat(
        self, cid: str, options: Mapping[str, str], *, wait: float
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file, in pieces; it may end early without an error.

        Args:
            cid: which.
            options: of ``cat``.
            wait: seconds for each read from the socket.

        Raises:
            NodeError: here, and while it is read.
        """
        return self._open(self._bulk, "cat", [*options.items(), ("arg", cid)], wait)

    @contextmanager
    def _open(
        self,
        http: _Http,
        command: str,
        params: list[tuple[str, str]],
        wait: float,
        *,
        data: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Iterator[bytes]]:
        open_things: list[Any] = []
        try:
            open_things, pieces = http._request(
                "POST",
                command,
                params,
                auth=None,
                data=data,
                headers=headers,
                timeout=(_CONNECT, wait),
                chunk_size=PIECE,
            )
            yield pieces
        except exceptions.TimeoutError as error:
            raise NodeError(f"did not answer within {wait:g} s") from error
        except exceptions.ConnectionError as error:
            raise NodeError(f"can not be reached ({_root(error)})", again=True) from error
        except _NETWORK as error:
            raise NodeError(f"broke the connection ({_root(error)})", again=True) from error
        finally:
            for thing in open_things:
                thing.close()


class _Sized:
    """A body whose length the client can tell the node."""

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self._pieces = pieces
        self._size = size

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def __len__(self) -> int:
        return self._size


def _envelope() -> int:
    """Return how many bytes the client puts around a file; its boundaries are of one length."""
    return sum(map(len, multipart.stream_bytes(iter(()))[0]))


class _Http(ClientSync):  # type: ignore[misc]
    """The client's HTTP side, with errors of bounded length."""

    def _make_session(self) -> Any:
        session = super()._make_session()
        for adapter in session.adapters.values():  # urllib3 2 warns of this option, 3 refuses it
            adapter.poolmanager.connection_pool_kw.pop("strict", None)
        return session

    def _do_raise_for_status(self, response: Any) -> None:
        status = response.status_code
        if status < 400:
            return
        said = _message(response)
        if said:
            raise NodeError(f"answered: {shown(said)}", said=said)
        if status in (401, 403):
            raise NodeError(
                f"refuses these credentials (HTTP {status}); set the node's token, or "
                "user:password in its URL"
            )
        if status in (404, 405):
            raise NodeError(f"is no RPC of a Kubo node (HTTP {status}); is this a gateway's port?")
        momentary = status in _MOMENTARY or status == 500
        raise NodeError(f"answered HTTP {status}", again=momentary)


class _BulkHttp(_Http):
    """Speaks HTTP/1.0: of 1.1, Kubo's answers come in chunks of 4 kB, which costs both sides."""

    def _make_session(self) -> Any:
        session = super()._make_session()
        session.headers["Host"] = urlsplit(self._base_url).netloc  # which 1.0 leaves out
        for adapter in session.adapters.values():
            kinds = adapter.poolmanager.pool_classes_by_scheme
            adapter.poolmanager.pool_classes_by_scheme = {k: _older(v) for k, v in kinds.items()}
        return session


@cache
def _older(pool: Any) -> Any:
    """Return a pool's class whose connections speak HTTP/1.0."""
    version = {"_http_vsn": 10, "_http_vsn_str": "HTTP/1.0"}
    connection = type("_OldConnection", (pool.ConnectionCls,), version)
    return type("_OldPool", (pool,), {"ConnectionCls": connection})


def _authorized(header: str) -> Callable[[Any], Any]:
    """Return what writes the header; given as one, ~/.netrc would replace it."""

    def write(request: Any) -> Any:
        request.headers["Authorization"] = header
        return request

    return write


def _message(response: Any) -> str:
    """Return Kubo's own words out of an error, or nothing."""
    try:
        answer = _json(response.iter_content(PIECE))
    except (NodeError, *_NETWORK):
        return ""
    said = answer.get("Message") if isinstance(answer, dict) else None
    return said if isinstance(said, str) else ""


def _json(pieces: Iterator[bytes]) -> Any:
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > _LONGEST_ANSWER:
            raise NodeError("answers without end where a line of JSON is due")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NodeError(f"does not answer in JSON ({shown(bytes(data[:40]))})") from error


def _root(error: BaseException) -> str:
    """Return the innermost cause in short."""
    seen = 0
    while seen < 10 and (inner := error.__cause__ or error.__context__) is not None:
        error, seen = inner, seen + 1
    return shown(getattr(error, "strerror", None) or str(error) or type(error).__name__)
