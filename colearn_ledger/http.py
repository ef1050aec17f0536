"""An HTTP client for RPC nodes, IPFS nodes, gateways, relays and health checks.

The other end may be slow, broken or hostile, so every exchange is bounded:

- in time: one `Deadline` covers everything from connecting to the last byte of the answer. Each
  read and write of the socket is limited to the time that is left, so that even an answer that
  drips in byte by byte ends on time. (Only the system's name resolution cannot be interrupted.)
- in size: answers are read in pieces, and never beyond the caller's limit.
- in depth: the nesting of JSON is checked before it is parsed; see `strict_json`.

Errors never repeat a URL's path, query, user or password, because they may contain keys.

The connections are urllib3's; `http_connections` explains why, and applies the deadline.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3.exceptions

from colearn_ledger.deadline import Deadline
from colearn_ledger.http_connections import PIECE, Connection, open_connection
from colearn_ledger.protocol import LedgerError
from colearn_ledger.text import strict_json
from colearn_ledger.text.urls import is_loopback, masked

_MOST_IDLE = 8
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_USER_AGENT = "colearn-ledger"
_TIMEOUTS = (TimeoutError, urllib3.exceptions.TimeoutError)
_FAILURES = (OSError, HTTPException, urllib3.exceptions.HTTPError)


class InvalidUrl(LedgerError):
    """The text is not the URL of an HTTP server."""


class HttpError(LedgerError):
    """An exchange failed.

    Args:
        name: the server, without secrets.
        why: the cause, as the rest of a sentence that begins with the server.
    """

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self.why = why
        super().__init__(f"{name} {why}")


class Unreachable(HttpError):
    """No connection could be opened; nothing was sent."""


class TimedOut(HttpError):
    """The exchange did not end by its deadline."""


class BrokenOff(HttpError):
    """The connection ended during the exchange, or the data was not HTTP."""


class AnswerTooLarge(HttpError):
    """The answer is larger than the caller allows."""


class NotJson(HttpError):
    """The answer is not JSON, or is not safe to parse."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Args:
        name: the server, without secrets.
        status: HTTP status.
        headers: the header values by lower-case name.
        content: the body.
    """

    name: str
    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    def json(self) -> Any:
        """Parse the body as JSON and return it.

        Raises:
            NotJson: the body is not JSON, or is nested too deeply.
        """
        try:
            return strict_json.load(self.content)
        except strict_json.InvalidJson:
            raise NotJson(self.name, "answered with something that is not valid JSON") from None


@dataclass(slots=True)
class Stream:
    """An answer whose body has not been read yet.

    Args:
        name: the server, without secrets.
        status: HTTP status.
        headers: the header values by lower-case name.
        pieces: the body in pieces; reading it raises the errors of `HttpClient.open`.
    """

    name: str
    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]

    def read(self, max_bytes: int) -> bytes:
        """Read and return the whole body.

        Raises:
            AnswerTooLarge: the body has more than `max_bytes` bytes.
        """
        content = bytearray()
        for piece in self.pieces:
            content += piece
            if len(content) > max_bytes:
                raise AnswerTooLarge(self.name, f"answered with more than {max_bytes:,} bytes")
        return bytes(content)


class HttpClient:
    """Send requests to one server. Threads may share a client.

    Connections are kept and reused. Proxies from the environment are used, except for servers on
    this machine.

    Args:
        url: ``http://`` or ``https://`` with a host. Its path is prepended to the path of each
            request. Its user and password are sent as basic authentication.
        name: the server's name in errors; the URL without its secrets by default.
        authorization: value of the ``Authorization`` header; never sent to a redirect's target.

    Raises:
        InvalidUrl: `url` is not an HTTP or HTTPS URL with a host.
    """

    def __init__(self, url: str, *, name: str = "", authorization: str = "") -> None:
        self._url = _parse_url(url)
        self.name = name or masked(url)
        self._authorization = authorization or _basic_authorization(self._url)
        self._proxy = _find_proxy(self._url)
        self._proxy_headers = _proxy_headers(self._proxy)
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        path: str = "",
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float,
        max_bytes: int,
    ) -> Answer:
        """Send a request and return the whole answer, whatever its status.

        Args:
            method: ``GET``, ``POST`` …
            path: appended to the URL's path; may contain a query.
            body: the request's body; None for an empty one.
            headers: sent in addition to the client's own headers.
            timeout: limit on the whole exchange, in seconds.
            max_bytes: largest accepted body of the answer.

        Raises:
            HttpError: the exchange failed; see `open` for the kinds.
            AnswerTooLarge: the body has more than `max_bytes` bytes.
        """
        deadline = Deadline(timeout)
        with self.open(method, path, body=body, headers=headers, deadline=deadline) as stream:
            return Answer(self.name, stream.status, stream.headers, stream.read(max_bytes))

    @contextmanager
    def open(
        self,
        method: str,
        path: str = "",
        *,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline,
        redirects: int = 0,
    ) -> Iterator[Stream]:
        """Send a request and open its answer for reading, whatever its status.

        Args:
            method: ``GET``, ``POST`` …
            path: appended to the URL's path; may contain a query.
            body: the request's body. Pieces are sent as HTTP chunks unless the headers contain a
                ``Content-Length``. Errors raised by the iterable pass through.
            headers: sent in addition to the client's own headers.
            deadline: limit on the whole exchange, including reading the body.
            redirects: most redirects of a GET to follow; only to http and https URLs.

        Raises:
            Unreachable: no connection could be opened.
            TimedOut: the exchange did not end by the deadline.
            BrokenOff: the connection ended early, or did not carry HTTP.
        """
        location = None
        with self._exchange(method, path, body, headers or {}, deadline) as stream:
            if redirects and stream.status in _REDIRECTS:
                location = stream.headers.get("location")
            if location is None:
                yield stream
        if location is not None:
            client, target = self._follow(path, location)
            with client.open(
                method, target, headers=headers, deadline=deadline, redirects=redirects - 1
            ) as stream:
                yield stream

    # ------------------------------------------------------------------ one exchange

    @contextmanager
    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None,
        headers: Mapping[str, str],
        deadline: Deadline,
    ) -> Iterator[Stream]:
        connection = self._take(deadline)
        reusable = False
        try:
            with self._failures(deadline, "did not answer"):
                # a server may answer before it has read the whole request
                with suppress(BrokenPipeError, ConnectionResetError):
                    connection.request(
                        method,
                        self._target(path),
                        body=body,
                        headers=self._headers(headers),
                        preload_content=False,
                        decode_content=False,
                    )
                response = connection.getresponse()
            names = {name.lower(): value for name, value in response.headers.items()}
            with closing(response):
                pieces = self._pieces(response, deadline)
                yield Stream(self.name, response.status, names, pieces)
                reusable = response.closed and not connection.is_closed
        finally:
            self._give_back(connection, reusable)

    def _pieces(self, response: Any, deadline: Deadline) -> Iterator[bytes]:
        while True:
            with self._failures(deadline, "did not finish its answer"):
                piece = response.read1(PIECE)
            if not piece:
                return
            yield piece

    @contextmanager
    def _failures(self, deadline: Deadline, what: str) -> Iterator[None]:
        """Convert every error of the lower layers to one of this module's.

        The errors are not chained, because their texts may repeat the URL and a key in it.
        """
        try:
            yield
        except _TIMEOUTS:
            raise TimedOut(self.name, f"{what} within {deadline.seconds:.3g} s") from None
        except _FAILURES as error:
            raise BrokenOff(self.name, f"broke the connection ({_describe(error)})") from None

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        own = {"User-Agent": _USER_AGENT}
        if self._authorization:
            own["Authorization"] = self._authorization
        if self._proxy is not None and self._url.scheme == "http":
            own["Host"] = self._url.netloc.rpartition("@")[2]
            own |= self._proxy_headers
        return {**own, **headers}

    def _target(self, path: str) -> str:
        """Return the target for the request line."""
        whole = self._path_of(path)
        if self._proxy is None or self._url.scheme == "https":
            return whole
        return f"http://{self._url.netloc.rpartition('@')[2]}{whole}"

    def _path_of(self, path: str) -> str:
        query = f"?{self._url.query}" if self._url.query and not path else ""
        return f"{self._url.path.rstrip('/') if path else self._url.path}{path}{query}" or "/"

    def _follow(self, path: str, location: str) -> tuple[HttpClient, str]:
        """Return the client and the path for the target of a redirect."""
        here = f"{self._url.scheme}://{self._url.netloc.rpartition('@')[2]}"
        try:
            target = _parse_url(urljoin(here + self._path_of(path), location))
        except (InvalidUrl, ValueError):
            raise BrokenOff(self.name, "redirects to something that is not an HTTP URL") from None
        there = f"{target.scheme}://{target.netloc}"
        authorization = self._authorization if there == here else ""
        rest = (target.path or "/") + (f"?{target.query}" if target.query else "")
        return HttpClient(there, name=self.name, authorization=authorization), rest

    # ------------------------------------------------------------------ connections

    def _take(self, deadline: Deadline) -> Connection:
        """Return an open connection, reusing an idle one if possible."""
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if connection.is_connected:
                    connection.deadline = deadline
                    return connection
                connection.close()
        try:
            return open_connection(self._url, self._proxy, self._proxy_headers, deadline)
        except _TIMEOUTS:
            raise TimedOut(self.name, f"did not answer within {deadline.seconds:.3g} s") from None
        except _FAILURES as error:
            raise Unreachable(
                self.name, f"cannot be reached ({_describe(error)}); is it running?"
            ) from None

    def _give_back(self, connection: Connection, reusable: bool) -> None:
        with self._lock:
            if reusable and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()


# ------------------------------------------------------------------------------------ URLs


def _parse_url(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        url, host = urlsplit(""), None
    if url.scheme not in ("http", "https") or not host or not text.isprintable() or " " in text:
        raise InvalidUrl(
            f"{ascii(masked(text))[:80]} is not the URL of a server; write http://host:port or "
            "https://host/path"
        )
    return url


def _basic_authorization(url: SplitResult) -> str:
    if url.username is None and url.password is None:
        return ""
    pair = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _find_proxy(url: SplitResult) -> SplitResult | None:
    """Return the proxy that the environment sets for a server, if any.

    Raises:
        InvalidUrl: the proxy's URL is not a plain http one.
    """
    host = url.hostname or ""
    proxies = getproxies()
    text = proxies.get(url.scheme) or proxies.get("all")
    if not text or is_loopback(host) or proxy_bypass(host):
        return None
    proxy = _parse_url(text if "://" in text else f"http://{text}")
    if proxy.scheme != "http":
        raise InvalidUrl(f"the proxy {masked(text)} is not supported; use one with http://")
    return proxy


def _proxy_headers(proxy: SplitResult | None) -> dict[str, str]:
    authorization = "" if proxy is None else _basic_authorization(proxy)
    return {"Proxy-Authorization": authorization} if authorization else {}


def _describe(error: BaseException) -> str:
    """Return a short name for a failure; never its text, which may repeat the URL."""
    inner = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    reason = getattr(inner, "strerror", None)
    return str(reason) if isinstance(reason, str) and reason else type(inner).__name__
