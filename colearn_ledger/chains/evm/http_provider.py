"""JSON-RPC over HTTP, for a node that may be slow, overloaded, hostile or gone.

Every exchange is limited in time and in size (`colearn_ledger.http`). Requests can be repeated
safely, even those with a signed transaction: the same bytes are the same transaction.
"""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint

from colearn_ledger.backoff import Backoff
from colearn_ledger.chains.errors import AnswerTooLong, BadAnswer, NodeRefused
from colearn_ledger.http import Answer, AnswerTooLarge, HttpClient, HttpError, NotJson
from colearn_ledger.ledger import LedgerUnavailable

T = TypeVar("T")

_log = logging.getLogger(__name__)

_OK = 200
_TOO_MANY = 429
_BAD_GATEWAYS = frozenset({408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Limits and retries of requests to a node.

    Args:
        timeout: seconds that one exchange may take, from connecting to the answer's last byte.
        tries: number of attempts before a request's failure is raised.
        first_pause: most seconds before the second attempt; each further pause is twice as long.
        longest_pause: the longest ``Retry-After`` to obey, in seconds. If a node demands more, its
            demand is raised as an error, and no request is sent before that time.
        longest_answer: most bytes of one answer.
    """

    timeout: float = 20.0
    tries: int = 3
    first_pause: float = 0.1
    longest_pause: float = 5.0
    longest_answer: int = 32_000_000


class _Passing(LedgerUnavailable):
    """A failure that a retry may fix.

    Args:
        message: what happened.
        after: seconds that the node asked us to wait.
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        self.after = after
        super().__init__(message)


class HttpProvider(BaseProvider):
    """A provider of web3.py for a node's HTTP address; threads may share it.

    It raises `LedgerUnavailable`, `BadAnswer` or `NodeRefused` if there is no answer. No error
    contains the URL's path, query or user, because these may contain a key.
    """

    def __init__(self, url: str, config: HttpConfig | None = None) -> None:
        super().__init__()
        self._client = HttpClient(url)
        self.name = self._client.name
        self._url = url
        self._config = config or HttpConfig()
        self._backoff = Backoff(self._config.first_pause, self._config.longest_pause)
        self._ids = itertools.count(1)
        self._not_before = 0.0

    @property
    def websocket(self) -> str:
        """Return the same address for WebSocket, which the node may not offer."""
        return "ws" + self._url.removeprefix("http")

    def request_func(self, *_: object) -> Callable[[RPCEndpoint, Any], Any]:
        """Return the function that makes a request, bypassing all middleware."""
        return self.make_request

    def make_request(self, method: RPCEndpoint, params: Any) -> Any:
        """Send a request and return its response."""

        def try_once() -> Mapping[str, Any]:
            number = next(self._ids)
            return self._check_response(number, method, self._post(_call(number, method, params)))

        return self._retry(method, try_once)

    def make_batch_request(self, batch_requests: Sequence[tuple[RPCEndpoint, Any]]) -> Any:
        """Send several requests in one exchange; return the responses in order."""
        what = f"{len(batch_requests)} requests at once"

        def try_once() -> list[Mapping[str, Any]]:
            numbered = [(next(self._ids), *request) for request in batch_requests]
            answer = self._post([_call(*each) for each in numbered])
            if isinstance(answer, Mapping) and answer.get("error") is not None:
                raise NodeRefused(f"{self.name} refused {what}: {str(answer['error'])[:300]}")
            if not isinstance(answer, list) or len(answer) != len(numbered):
                raise BadAnswer(f"{self.name} did not answer each of {what}")
            by_number = {item.get("id"): item for item in answer if isinstance(item, Mapping)}
            return [self._check_response(n, method, by_number.get(n)) for n, method, _ in numbered]

        return self._retry(what, try_once)

    # ------------------------------------------------------------------ parts

    def _retry(self, what: str, try_once: Callable[[], T]) -> T:
        for failures in range(1, self._config.tries + 1):
            self._await_turn()
            try:
                return try_once()
            except (_Passing, BadAnswer) as error:
                demanded = (isinstance(error, _Passing) and error.after) or 0.0
                self._not_before = max(self._not_before, time.monotonic() + demanded)
                if failures == self._config.tries or demanded > self._config.longest_pause:
                    raise
                _log.debug("%s: %s; the request is repeated (%s)", self.name, error, what)
                time.sleep(max(self._backoff.pause(failures), demanded))
        raise LedgerUnavailable(f"{self.name} received no request: HttpConfig.tries is 0")

    def _await_turn(self) -> None:
        """Wait as long as the node demanded, or raise if that is too long."""
        wait = self._not_before - time.monotonic()
        if wait > self._config.longest_pause:
            raise LedgerUnavailable(
                f"{self.name} accepts no requests for another {wait:.0f} s: too many requests"
            )
        if wait > 0:
            time.sleep(wait)

    def _post(self, body: Any) -> Any:
        """Post a JSON body and return the JSON answer."""
        try:
            answer = self._client.request(
                "POST",
                body=json.dumps(body).encode(),
                headers=_HEADERS,
                timeout=self._config.timeout,
                max_bytes=self._config.longest_answer,
            )
        except AnswerTooLarge as error:
            raise AnswerTooLong(str(error)) from None
        except HttpError as error:
            raise _Passing(str(error)) from None
        return self._read(answer)

    def _read(self, answer: Answer) -> Any:
        after = _seconds(answer.headers.get("retry-after"))
        if answer.status == _TOO_MANY:
            demand = f" and demands a pause of {after:g} s" if after else ""
            raise _Passing(f"{self.name} received too many requests (HTTP 429){demand}", after)
        if answer.status in _BAD_GATEWAYS:
            raise _Passing(f"{self.name} cannot answer now (HTTP {answer.status})", after)
        try:
            content = answer.json()
        except NotJson as error:
            if answer.status == _OK:
                raise BadAnswer(str(error)) from None
            content = None
        if answer.status != _OK and not _is_error(content):
            raise NodeRefused(
                f"{self.name} refuses requests (HTTP {answer.status}); check the network's URL and "
                "its key"
            )
        return content

    def _check_response(self, number: int, method: str, answer: Any) -> Mapping[str, Any]:
        if not isinstance(answer, Mapping):
            raise BadAnswer(
                f"{self.name} returned a malformed answer to {method}: {str(answer)[:100]!r}"
            )
        if answer.get("id") != number and not (answer.get("id") is None and _is_error(answer)):
            raise BadAnswer(f"{self.name} returned the answer to another request than {method}")
        return answer


def _call(number: int, method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def _is_error(answer: Any) -> bool:
    return isinstance(answer, Mapping) and answer.get("error") is not None


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which is a number or a date."""
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
