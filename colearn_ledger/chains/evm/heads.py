"""Optional WebSocket subscription that wakes waiters on a new block.

Without a subscription everything works in the same way, but later. Transactions and queries go
over HTTP, because a socket that both sends and subscribes lags behind.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.chains.evm.answers import quantity
from colearn_ledger.text import strict_json

_log = logging.getLogger(__name__)

_OPEN_SECONDS = 5.0
_RETRY_SECONDS = 30.0
"""Seconds before the next attempt to subscribe, after a subscription failed or ended."""

_IDLE_SECONDS = 60.0
"""Seconds without a waiting caller after which a subscription is ended."""

_SILENT_SECONDS = 30.0
"""Seconds for which the last block's number is trusted without another message."""

_MAX_BYTES = 1_000_000
"""Most bytes of one message; a block's header has about 1,500."""


class NewHeads:
    """Follow the number of a node's latest block, in a thread that runs while it is used.

    Args:
        url: the node's WebSocket; if it is ``None``, no block is ever noticed.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._number: int | None = None
        self._received_at = self._used_at = 0.0
        self._try_at = 0.0

    @property
    def number(self) -> int | None:
        """Return the latest block's number, ``None`` if there is no recent message."""
        with self._changed:
            is_recent = time.monotonic() - self._received_at < _SILENT_SECONDS
            return self._number if is_recent else None

    def listen(self) -> None:
        """Subscribe, unless a subscription exists or an attempt failed recently."""
        with self._changed:
            self._used_at = time.monotonic()
            if self._url is None or self._thread is not None or time.monotonic() < self._try_at:
                return
            self._thread = threading.Thread(target=self._run, name="new-heads", daemon=True)
            self._thread.start()

    def wait_past(self, number: int, seconds: float) -> None:
        """Return once a block other than ``number`` is noticed, or after ``seconds``."""
        with self._changed:
            self._used_at = time.monotonic()
            self._changed.wait_for(lambda: self._number not in (None, number), seconds)

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            with connect(
                str(self._url), open_timeout=_OPEN_SECONDS, max_size=_MAX_BYTES, compression=None
            ) as socket:
                _subscribe(socket)
                self._follow(socket)
        except (OSError, WebSocketException, ValueError, BadAnswer) as error:
            # the error's text may contain the address, and thus a key
            _log.info("no subscription to new blocks (%s): polling instead", type(error).__name__)
        finally:
            with self._changed:
                self._thread, self._number = None, None
                self._try_at = time.monotonic() + _RETRY_SECONDS
                self._changed.notify_all()

    def _follow(self, socket: ClientConnection) -> None:
        while time.monotonic() - self._used_at < _IDLE_SECONDS:
            try:
                message = _receive(socket, 1.0)
            except TimeoutError:
                continue
            try:
                number = quantity(message["params"]["result"]["number"], "a new block's number")
            except (KeyError, TypeError):
                continue
            with self._changed:
                self._number, self._received_at = number, time.monotonic()
                self._changed.notify_all()


def _subscribe(socket: ClientConnection) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
    socket.send(json.dumps(call))
    answer = _receive(socket, _OPEN_SECONDS)
    if not isinstance(answer, dict) or "result" not in answer:
        raise BadAnswer("the node accepts no subscription to new blocks")


def _receive(socket: ClientConnection, timeout: float) -> Any:
    """Return the next message, parsed from JSON.

    Raises:
        TimeoutError: no message came in time.
        InvalidJson: it is not JSON, or is nested so deeply that parsing it would end this process.
    """
    return strict_json.load(socket.recv(timeout=timeout))
