"""The commands of Kubo's RPC through the public methods of the package ipfshttpclient 0.7.

The package is no longer maintained; `HttpKuboRpc` is the default. The client is constructed rather
than connected, because ``connect()`` refuses every daemon since version 0.8.

The package reads answers of any size and parses JSON of any depth. Each answer therefore first
passes a hook of requests, which limits its size. Each call runs in its own thread, which limits its
time.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ipfshttpclient
import urllib3.exceptions
from ipfshttpclient import exceptions

from colearn_ledger.text import strict_json
from colearn_ledger.weights.errors import shown
from colearn_ledger.weights.stores.addresses import NodeAddress, StoreNotUsable
from colearn_ledger.weights.stores.kubo_rpc import (
    ADD_OPTIONS,
    MAX_ANSWER,
    PIN_OPTIONS,
    STAT_OPTIONS,
    is_refusal,
    not_json,
    refusal,
    too_large,
)
from colearn_ledger.weights.streams import PIECE, NodeError, call_in_thread

warnings.filterwarnings(  # by urllib3 2, for an option that the package passes
    "ignore", message="The 'strict' parameter is no longer needed", category=FutureWarning
)

_CONNECT = 10.0
"""Seconds for opening a connection."""

_FAILURES = (
    exceptions.Error,
    urllib3.exceptions.HTTPError,
    OSError,  # includes the errors of requests
    ValueError,
    KeyError,
    TypeError,
    AssertionError,  # the package asserts that an answer is well-formed
)


class IpfshttpclientRpc:
    """A `KuboRpc` over ipfshttpclient; threads may share it, as each call opens a connection.

    Args:
        address: the node's address.

    Raises:
        StoreNotUsable: the package does not support the address.
    """

    def __init__(self, address: NodeAddress) -> None:
        base = f"{address.path}/api/v0".lstrip("/")
        try:
            self._small, self._bulk = (
                ipfshttpclient.Client(
                    address.multiaddr,
                    base,
                    auth=_prepare(address.authorization, check),
                    headers={"Accept-Encoding": "identity"},
                )
                for check in (_check_small, _check_bulk)
            )
        except _FAILURES as error:
            raise StoreNotUsable(f"{address.shown!a} is not an address of a node") from error

    def add(self, body: Iterator[bytes], *, size: int | None, wait: float) -> object:
        """Send a file in HTTP chunks; see `KuboRpc.add`."""
        del size  # the package does not send the size
        with _failures(wait):
            return self._small.add_bytes(body, opts=dict(ADD_OPTIONS), timeout=(_CONNECT, wait))

    @contextmanager
    def cat(
        self, cid: str, *, offset: int, length: int, wait: float, timeout: float
    ) -> Iterator[Iterator[bytes]]:
        """Open a part of a file; see `KuboRpc.cat`."""
        options = {  # these replace the options from the method's arguments
            "offset": str(offset),
            "length": str(length),
            "timeout": f"{max(1, round(timeout * 1000))}ms",
        }
        with (
            _failures(wait),
            self._bulk.cat(cid, opts=options, stream=True, timeout=(_CONNECT, wait)) as pieces,
        ):
            yield iter(pieces)

    def stat(self, cid: str, *, timeout: float) -> object:
        """Describe the local part of a file; see `KuboRpc.stat`."""
        path, options = f"/ipfs/{cid}", dict(STAT_OPTIONS)
        return _ask(lambda limits: self._small.files.stat(path, opts=options, **limits), timeout)

    def pin(self, cid: str, *, timeout: float) -> object:
        """Pin a file; see `KuboRpc.pin`."""
        return _ask(
            lambda limits: self._small.pin.add(cid, opts=dict(PIN_OPTIONS), **limits), timeout
        )

    def unpin(self, cid: str, *, timeout: float) -> None:
        """Remove a pin; see `KuboRpc.unpin`."""
        _ask(lambda limits: self._small.pin.rm(cid, **limits), timeout)

    def pins(self, cid: str, *, timeout: float) -> object:
        """Look for a pin; see `KuboRpc.pins`."""
        return _ask(lambda limits: self._small.pin.ls(cid, type="recursive", **limits), timeout)


def _ask(command: Callable[[dict[str, Any]], Any], timeout: float) -> object:
    """Return a command's answer as plain JSON."""

    def call() -> object:
        with _failures(timeout):
            answer = command({"timeout": (_CONNECT, timeout)})
        return answer.as_json() if hasattr(answer, "as_json") else answer

    return call_in_thread(call, timeout)


@contextmanager
def _failures(wait: float) -> Iterator[None]:
    try:
        yield
    except exceptions.TimeoutError as error:
        raise NodeError(f"did not answer within {wait:g} s") from error
    except exceptions.ConnectionError as error:
        raise NodeError(f"cannot be reached ({_root(error)})", again=True) from error
    except _FAILURES as error:
        raise NodeError(f"broke the connection ({_root(error)})", again=True) from error


def _prepare(authorization: str, check: Callable[..., None]) -> Callable[[Any], Any]:
    """Return a function that adds the header and the check to each request.

    requests would replace a plain header by an entry in ~/.netrc.
    """

    def prepare(request: Any) -> Any:
        if authorization:
            request.headers["Authorization"] = authorization
        request.register_hook("response", check)
        return request

    return prepare


def _check_small(response: Any, **_: object) -> None:
    """Read a JSON answer, and refuse it if it is too large or nested too deeply."""
    content = _read(response)
    if is_refusal(response.status_code):
        raise refusal(response.status_code, content)
    if strict_json.depth(content) > strict_json.MAX_DEPTH:
        raise not_json(content)
    response.raw.close()
    response.raw = io.BytesIO(content)


def _check_bulk(response: Any, **_: object) -> None:
    """Limit the size of the pieces in which a file's bytes are read."""
    if is_refusal(response.status_code):
        raise refusal(response.status_code, _read(response))
    response.raw = _InPieces(response.raw)


class _InPieces:
    """A response's body that returns at most `PIECE` bytes at once."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        return iter(lambda: self._raw.read1(PIECE, decode_content=False), b"")


def _read(response: Any) -> bytes:
    content = b"".join(_limited(response.raw))
    if len(content) > MAX_ANSWER:
        if is_refusal(response.status_code):
            return b""
        raise too_large()
    return content


def _limited(raw: Any) -> Iterator[bytes]:
    left = MAX_ANSWER + 1
    while left > 0 and (piece := raw.read(min(left, PIECE), decode_content=False)):
        left -= len(piece)
        yield piece


def _root(error: BaseException) -> str:
    """Return a short name for an error's innermost cause."""
    seen = 0
    while seen < 10 and (inner := error.__cause__ or error.__context__) is not None:
        error, seen = inner, seen + 1
    return shown(getattr(error, "strerror", None) or str(error) or type(error).__name__)
