"""HTTP/1.1 connections on which one deadline limits every read and write.

This is urllib3's connection layer with a socket whose timeout is set to the remaining time before
each read and write. The higher layers of urllib3, and requests and httpx, apply a timeout to each
single read and offer no way to change that. TLS, proxy tunnels and framing are urllib3's.
"""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any, cast
from urllib.parse import SplitResult

import certifi
import urllib3.connection
import urllib3.util.connection

from colearn_ledger.deadline import Deadline

PIECE = 65_536
"""Most bytes read at once."""


class Connection(urllib3.connection.HTTPConnection):
    """A connection that limits every read and write by the current exchange's deadline."""

    deadline: Deadline

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers; all attempts share the deadline."""
        failure: OSError = OSError("the name has no address")
        for *_, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            try:
                sock = urllib3.util.connection.create_connection(
                    (str(address[0]), int(address[1])),
                    _time_left(self.deadline),
                    socket_options=self.socket_options,
                )
            except OSError as error:
                failure = error
            else:
                sock.settimeout(_time_left(self.deadline))  # for the TLS handshake
                return sock
        raise failure

    def connect(self) -> None:
        """Open the connection, TLS included."""
        super().connect()
        self.sock = cast(socket.socket, _TimedSocket(cast(socket.socket, self.sock), self))


class _TlsConnection(Connection, urllib3.connection.HTTPSConnection):
    """A connection over TLS with the same limits."""


class _TimedSocket:
    """A socket for `http.client` whose reads and writes end by the deadline."""

    def __init__(self, sock: socket.socket, connection: Connection) -> None:
        self._sock = sock
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: Any) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            self.limit_time()
            rest = rest[self._sock.send(rest) :]

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        raw = self._sock.makefile("rb", buffering=0)
        return io.BufferedReader(_TimedReader(raw, self), PIECE)

    def limit_time(self) -> None:
        self._sock.settimeout(_time_left(self._connection.deadline))


class _TimedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: _TimedSocket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.limit_time()
        return cast("int | None", self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


def _time_left(deadline: Deadline) -> float:
    """Return the seconds that are left, above 0: for a socket, 0 means "do not wait"."""
    left = deadline.left()
    if not left:
        raise TimeoutError("the deadline has passed")
    return left


def open_connection(
    url: SplitResult,
    proxy: SplitResult | None,
    proxy_headers: Mapping[str, str],
    deadline: Deadline,
) -> Connection:
    """Connect to a server, or to the proxy in front of it.

    Args:
        url: the server's URL.
        proxy: the proxy's URL, plain http only; None to connect directly.
        proxy_headers: headers for the proxy only, sent when it opens a tunnel.
        deadline: limit on connecting and on the first exchange.

    Raises:
        OSError, http.client.HTTPException, urllib3.exceptions.HTTPError: connecting failed.
    """
    first = url if proxy is None else proxy
    host, port = first.hostname or "", first.port
    connection: Connection
    if url.scheme == "https":
        connection = _TlsConnection(host, port, timeout=None, ssl_context=_tls_context())
        if proxy is not None:
            connection.set_tunnel(
                url.hostname or "", url.port or 443, dict(proxy_headers), scheme="http"
            )
    else:
        connection = Connection(host, port, timeout=None)
    connection.deadline = deadline
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


@cache
def _tls_context() -> ssl.SSLContext:
    """Return a context that trusts the system's roots, ``SSL_CERT_FILE`` and Mozilla's list."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
