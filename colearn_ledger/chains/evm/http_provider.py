"""JSON-RPC over HTTP, for a node that may be slow, gone, overloaded, lying or endless.

Every exchange has an end in time and in size. What a node asks for again is idempotent, a signed
transaction included: the same bytes are the same transaction.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import requests
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint

from colearn_ledger.chains.errors import BadAnswer, NodeRefused
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.text.urls import masked

__all__ = ["HttpConfig", "HttpProvider"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_PIECE = 65_536
_TOO_MANY = 429
_BAD_GATEWAYS = frozenset({408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """How patient a node is asked.

    Args:
        timeout: seconds that one exchange may take, from connecting to the answer's last byte.
        tries: how often a request is made before its failure is told.
        first_pause: seconds before the second try; each further pause is twice as long.
        longest_pause: seconds that a node's ``Retry-After`` is waited for; what it asks for beyond
            that is told instead, and nothing is asked of it before.
        longest_answer: bytes of one answer.
    """

    timeout: float = 20.0
    tries: int = 3
    first_pause: float = 0.1
    longest_pause: float = 5.0
    longest_answer: int = 32_000_000


class _Passing(LedgerUnavailable):
    """A failure after which asking again may help; after how many seconds, if the node said."""

    def __init__(self, message: str, after: float | None = None) -> None:
        self.after = after
        super().__init__(message)


class HttpProvider(BaseProvider):
    """A node's HTTP address as a provider of web3.py; threads may share it.

    Raises `LedgerUnavailable`, `BadAnswer` or `NodeRefused` where there is no answer. No error
    repeats the URL's path, query or user part: they may hold a key.
    """

    def __init__(self, url: str, config: HttpConfig | None = None) -> None:
        super().__init__()
        self.name = masked(url)
        self._url = url
        self._config = config or HttpConfig()
        self._ids = itertools.count(1)
        self._sessions = threading.local()
        self._not_before = 0.0

    @property
    def websocket(self) -> str:
        """The same address for WebSocket, which a node may or may not offer there."""
        return "ws" + self._url.removeprefix("http")

    def request_func(self, *_: object) -> Callable[[RPCEndpoint, Any], Any]:
        """Return what makes a request: no middleware stands between."""
        return self.make_request

    def make_request(self, method: RPCEndpoint, params: Any) -> Any:
        """Return the response to one request."""

        def once() -> Mapping[str, Any]:
            number = next(self._ids)
            return self._answer_to(number, method, self._post(_call(number, method, params)))

        return self._repeated(method, once)

    def make_batch_request(self, batch_requests: Sequence[tuple[RPCEndpoint, Any]]) -> Any:
        """Return the responses to several requests, in their order, by one exchange."""
        what = f"{len(batch_requests)} requests at once"

        def once() -> list[Mapping[str, Any]]:
            numbered = [(next(self._ids), *request) for request in batch_requests]
            answer = self._post([_call(*each) for each in numbered])
            if isinstance(answer, Mapping) and answer.get("error") is not None:
                raise NodeRefused(f"{self.name} refused {what}: {str(answer['error'])[:300]}")
            if not isinstance(answer, list) or len(answer) != len(numbered):
                raise BadAnswer(f"{self.name} did not answer each of {what}")
            by_number = {item.get("id"): item for item in answer if isinstance(item, Mapping)}
            return [self._answer_to(n, method, by_number.get(n)) for n, method, _ in numbered]

        return self._repeated(what, once)

    # ------------------------------------------------------------------ parts

    def _repeated(self, what: str, once: Callable[[], T]) -> T:
        pause = self._config.first_pause
        for left in reversed(range(self._config.tries)):
            self._await_turn()
            try:
                return once()
            except (_Passing, BadAnswer) as error:
                wanted = (isinstance(error, _Passing) and error.after) or 0.0
                self._not_before = max(self._not_before, time.monotonic() + wanted)
                if not left or wanted > self._config.longest_pause:
                    raise
                _log.debug("%s: %s; asking again (%s)", self.name, error, what)
                time.sleep(max(pause, wanted))
                pause *= 2
        raise LedgerUnavailable(f"{self.name} was not asked: no tries are configured")

    def _await_turn(self) -> None:
        """Wait until the node wants to be asked again, or say that it does not yet."""
        wait = self._not_before - time.monotonic()
        if wait > self._config.longest_pause:
            raise LedgerUnavailable(
                f"{self.name} takes no requests for another {wait:.0f} s: it was asked too often"
            )
        if wait > 0:
            time.sleep(wait)

    def _post(self, body: Any) -> Any:
        """Exchange one body for another, both JSON."""
        ends = time.monotonic() + self._config.timeout
        try:
            with self._session.post(
                self._url,
                data=json.dumps(body).encode(),
                headers=_HEADERS,
                timeout=self._config.timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                content = self._content(response, ends)
                status, headers = response.status_code, dict(response.headers)
        except (requests.RequestException, OSError) as error:
            self._sessions.session = None  # its connections may be in any state
            # not chained: the error's own text repeats the whole URL, and that its key
            raise _Passing(self._how_it_failed(error)) from None
        return self._understood(status, {k.lower(): v for k, v in headers.items()}, content)

    @property
    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = requests.Session()
        return session

    def _how_it_failed(self, error: Exception) -> str:
        kind = type(error).__name__
        if isinstance(error, requests.Timeout | TimeoutError):
            return f"{self.name} did not answer within {self._config.timeout:g} s ({kind})"
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            return f"{self.name} broke off in the middle of its answer ({kind})"
        return f"{self.name} can not be reached ({kind}); is it running?"

    def _content(self, response: requests.Response, ends: float) -> bytes:
        pieces, size = [], 0
        for piece in response.iter_content(_PIECE):
            size += len(piece)
            if size > self._config.longest_answer:
                raise BadAnswer(
                    f"{self.name} answered with more than {self._config.longest_answer:,} bytes"
                )
            if time.monotonic() > ends:
                raise _Passing(
                    f"{self.name} did not end its answer within {self._config.timeout:g} s"
                )
            pieces.append(piece)
        return b"".join(pieces)

    def _understood(self, status: int, headers: Mapping[str, str], content: bytes) -> Any:
        if status == _TOO_MANY:
            after = _seconds(headers.get("retry-after"))
            raise _Passing(
                f"{self.name} is asked too often (HTTP 429)"
                + (f" and wants to be left alone for {after:g} s" if after else ""),
                after,
            )
        if status in _BAD_GATEWAYS:
            raise _Passing(
                f"{self.name} can not answer now (HTTP {status})",
                _seconds(headers.get("retry-after")),
            )
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        if status != requests.codes.ok and not _is_error(answer):
            raise NodeRefused(
                f"{self.name} refuses requests (HTTP {status}); check the network's URL and its key"
            )
        if answer is None:
            raise BadAnswer(f"{self.name} answered with something that is not JSON")
        return answer

    def _answer_to(self, number: int, method: str, answer: Any) -> Mapping[str, Any]:
        if not isinstance(answer, Mapping):
            raise BadAnswer(f"{self.name} answered {method} with nonsense: {str(answer)[:100]!r}")
        if answer.get("id") != number and not (answer.get("id") is None and _is_error(answer)):
            raise BadAnswer(f"{self.name} answered another request than {method}")
        return answer


def _call(number: int, method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def _is_error(answer: Any) -> bool:
    return isinstance(answer, Mapping) and answer.get("error") is not None


def _seconds(text: str | None) -> float | None:
    """Return a ``Retry-After`` in seconds: a number of them, or a date."""
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
