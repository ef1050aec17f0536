"""Serve an ASGI application over HTTP in a background thread.

Needs ``pip install 'colearn-ledger[serve]'``. Clients may be slow or hostile, so each request is
limited in size and time, and each peer in its rate. A connection serves one request. It is closed
if the request is not answered in time, for example because the client sends it too slowly.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colearn_ledger.protocol import LedgerError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MOST_PEERS = 10_000
_STOP_SECONDS = 5


class ServerNotInstalled(LedgerError):
    """The server's packages are not installed."""


class AddressNotUsable(LedgerError):
    """The server cannot listen on the address."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on each client.

    Args:
        seconds: longest time from opening a connection to the end of its answer.
        max_bytes: largest body of a request.
        per_second: average requests per second from one peer.
        burst: most requests from one peer at once.
    """

    seconds: float = 10.0
    max_bytes: int = 2_048
    per_second: float = 20.0
    burst: int = 200


@contextmanager
def serve(
    make_app: Callable[[], ASGIApp], host: str, port: int, *, limits: Limits | None = None
) -> Iterator[str]:
    """Serve an application until the end of the block, and yield its URL.

    Args:
        make_app: returns the ASGI application; it may import Starlette.
        host: host name or address to listen on.
        port: port to listen on; 0 chooses a free one.
        limits: limits on each client; the defaults of `Limits` if None.

    Raises:
        AddressNotUsable: the port is in use, or the host is not an address of this machine.
        ServerNotInstalled: the server's packages are not installed.
    """
    try:
        import uvicorn

        app = make_app()
    except ModuleNotFoundError as error:
        raise ServerNotInstalled(
            f"serving needs the package {error.name}: pip install 'colearn-ledger[serve]'"
        ) from error
    limits = limits or Limits()
    listener = _listen(host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            _Limiter(app, limits),
            http=_timed_protocol(limits.seconds),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",  # the command logs starting and stopping
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="http", daemon=True
    )
    thread.start()
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise AddressNotUsable(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port"
        ) from error


def _timed_protocol(seconds: float) -> Any:
    """Return uvicorn's protocol with a limit on the lifetime of a connection."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class TimedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._end = self.loop.call_later(seconds, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            self._end.cancel()
            super().connection_lost(exc)

    return TimedProtocol


class _Limiter:
    """Refuse requests that are too large, and requests from peers that send too many."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._rates = RateLimit(limits.per_second, limits.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        peer = scope["client"][0] if scope.get("client") else ""
        if not self._rates.allow(peer):
            await _answer(send, 429, b'{"error": "too many requests from this address"}')
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > self._limits.max_bytes:
                error = f"a request has at most {self._limits.max_bytes} bytes"
                await _answer(send, 413, f'{{"error": "{error}"}}'.encode())
                return
            if not message.get("more_body"):
                break
        parts = iter([{"type": "http.request", "body": bytes(body), "more_body": False}])

        async def replay() -> Message:
            return next(parts, None) or await receive()

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, replay, send_and_close)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class RateLimit:
    """Limit the rate of actions for each of many peers, in bounded memory.

    Args:
        per_second: average actions per second of one peer.
        burst: most actions of one peer at once.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self, per_second: float, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._peers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, peer: str) -> bool:
        """Count one action of a peer and return whether it is within the limit."""
        now = self._clock()
        left, at = self._peers.pop(peer, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._per_second)
        allowed = left >= 1
        self._peers[peer] = (left - 1 if allowed else left, now)
        if len(self._peers) > _MOST_PEERS:
            self._peers.popitem(last=False)
        return allowed
