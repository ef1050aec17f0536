"""Optional WebSocket subscription to a node's new blocks.

Without a subscription everything works in the same way, but later. Transactions and queries go
over HTTP, because a socket that both sends and subscribes lags behind.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.text import strict_json

_log = logging.getLogger(__name__)

_OPEN_SECONDS = 5.0
_RETRY_SECONDS = 30.0
"""Seconds before the next attempt to subscribe, after a subscription failed or ended."""

_IDLE_SECONDS = 60.0
"""Seconds without a waiting caller after which a subscription is ended."""

_MAX_BYTES = 1_000_000
"""Most bytes of one message; a block's header has about 1,500."""

_BURST, _MESSAGES_A_SECOND = 1_000, 100.0
"""Most messages at once, and most a second in the long run; no chain makes so many blocks."""

H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class Dialect(Generic[H]):
    """How to subscribe to the new blocks of a kind of node.

    Args:
        method: the method that subscribes.
        params: its parameters.
        read: returns the block in a message, ``None`` if the message is about something else;
            raises `BadAnswer` if it is malformed.
    """

    method: str
    params: Any
    read: Callable[[Mapping[str, Any]], H | None]


class Subscription(Generic[H]):
    """A subscription in a thread that runs while it is used.

    Args:
        choose_url: returns the WebSocket of the node to subscribe at. If it returns another one
            later, the subscription ends, and the next one is there.
        dialect: how to subscribe.
    """

    def __init__(self, choose_url: Callable[[], str], dialect: Dialect[H]) -> None:
        self._choose_url = choose_url
        self._dialect = dialect
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._heard_at: float | None = None
        self._used_at = self._try_at = 0.0
        self._on_head: Callable[[H], None] = lambda head: None
        self._on_end: Callable[[], None] = lambda: None

    @property
    def quiet_seconds(self) -> float | None:
        """Return the seconds since the last message, ``None`` if there is no subscription."""
        heard_at = self._heard_at
        return None if heard_at is None else time.monotonic() - heard_at

    def notify(self, on_head: Callable[[H], None], on_end: Callable[[], None]) -> None:
        """Call ``on_head`` with each new block and ``on_end`` when the subscription ends."""
        self._on_head, self._on_end = on_head, on_end

    def listen(self) -> None:
        """Subscribe, unless a subscription exists or an attempt failed recently."""
        with self._lock:
            self._used_at = time.monotonic()
            if self._thread is not None or time.monotonic() < self._try_at:
                return
            self._thread = threading.Thread(target=self._run, name="new-heads", daemon=True)
            self._thread.start()

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        url = self._choose_url()
        try:
            with connect(
                url, open_timeout=_OPEN_SECONDS, max_size=_MAX_BYTES, compression=None
            ) as socket:
                self._subscribe(socket)
                self._follow(socket, url)
        except (OSError, WebSocketException, ValueError, BadAnswer) as error:
            # the error's text may contain the address, and thus a key
            _log.info("no subscription to new blocks (%s): polling instead", type(error).__name__)
        finally:
            with self._lock:
                self._thread = self._heard_at = None
                self._try_at = time.monotonic() + _RETRY_SECONDS
            self._on_end()

    def _subscribe(self, socket: ClientConnection) -> None:
        dialect = self._dialect
        call = {"jsonrpc": "2.0", "id": 1, "method": dialect.method, "params": dialect.params}
        socket.send(json.dumps(call))
        answer = _receive(socket, _OPEN_SECONDS)
        if not isinstance(answer, dict) or "result" not in answer:
            raise BadAnswer("the node accepts no subscription to new blocks")

    def _follow(self, socket: ClientConnection, url: str) -> None:
        started, received = time.monotonic(), 0
        while time.monotonic() - self._used_at < _IDLE_SECONDS and self._choose_url() == url:
            try:
                message = _receive(socket, 1.0)
            except TimeoutError:
                continue
            received += 1
            if received > _BURST + _MESSAGES_A_SECOND * (time.monotonic() - started):
                raise BadAnswer("the node sends too many messages")
            if isinstance(message, dict) and message.get("error") is not None:
                raise BadAnswer("the node ended the subscription to new blocks")
            head = self._dialect.read(message) if isinstance(message, dict) else None
            if head is not None:
                self._heard_at = time.monotonic()
                self._on_head(head)


def _receive(socket: ClientConnection, timeout: float) -> Any:
    """Return the next message, parsed from JSON.

    Raises:
        TimeoutError: no message came in time.
        InvalidJson: it is not JSON, or is nested so deeply that parsing it would end this process.
    """
    return strict_json.load(socket.recv(timeout=timeout))
