"""Being told of new blocks: a WebSocket subscription that only wakes, and may be missing.

Transactions and queries go over HTTP: a socket that both sends and subscribes lags. Without the
socket everything works as with it, only later.
"""

from __future__ import annotations

import json
import logging
import threading
import time

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.chains.evm.answers import quantity

__all__ = ["NewHeads"]

_log = logging.getLogger(__name__)

_OPEN_SECONDS = 5.0
_AGAIN_AFTER = 30.0
"""Seconds before the next attempt where there was no subscription to be had."""

_IDLE_SECONDS = 60.0
"""A subscription that nobody has waited on for so long is ended."""

_SILENT_SECONDS = 30.0
"""For so long a subscription is believed without a word of it."""

_LARGEST = 1_000_000
"""Bytes of one message; a block's header has some 1,500."""


class NewHeads:
    """The last block's number as a node tells it, by a thread that lives while it is used.

    Args:
        url: the node's WebSocket; ``None`` if there is none, and then nothing is ever told.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._told: int | None = None
        self._told_at = self._used_at = 0.0
        self._try_at = 0.0

    @property
    def number(self) -> int | None:
        """The last block's number, ``None`` unless it was told and may be believed."""
        with self._changed:
            fresh = time.monotonic() - self._told_at < _SILENT_SECONDS
            return self._told if fresh else None

    def listen(self) -> None:
        """See to it that new blocks are told from now on, if the node tells them."""
        with self._changed:
            self._used_at = time.monotonic()
            if self._url is None or self._thread is not None or time.monotonic() < self._try_at:
                return
            self._thread = threading.Thread(target=self._run, name="new-heads", daemon=True)
            self._thread.start()

    def wait_past(self, number: int, seconds: float) -> None:
        """Return when a block other than this one is told, or after so many seconds."""
        with self._changed:
            self._used_at = time.monotonic()
            self._changed.wait_for(lambda: self._told not in (None, number), seconds)

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            with connect(
                str(self._url), open_timeout=_OPEN_SECONDS, max_size=_LARGEST, compression=None
            ) as socket:
                self._subscribe(socket)
                self._follow(socket)
        except (OSError, WebSocketException, ValueError, BadAnswer) as error:
            # its text may repeat the address, and that its key
            _log.info("no new blocks are told (%s): they are looked for", type(error).__name__)
        finally:
            with self._changed:
                self._thread, self._told = None, None
                self._try_at = time.monotonic() + _AGAIN_AFTER
                self._changed.notify_all()

    def _subscribe(self, socket: ClientConnection) -> None:
        call = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
        socket.send(json.dumps(call))
        if "result" not in json.loads(socket.recv(timeout=_OPEN_SECONDS)):
            raise BadAnswer("the node takes no subscription")

    def _follow(self, socket: ClientConnection) -> None:
        while time.monotonic() - self._used_at < _IDLE_SECONDS:
            try:
                message = json.loads(socket.recv(timeout=1.0))
            except TimeoutError:
                continue
            try:
                number = quantity(message["params"]["result"]["number"], "a new block's number")
            except (KeyError, TypeError):
                continue
            with self._changed:
                self._told, self._told_at = number, time.monotonic()
                self._changed.notify_all()
