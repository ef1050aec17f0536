"""A WebSocket with scripted messages, and a listener of a subscription to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from colearn_ledger.chains.subscription import Subscription
from tests.support.waiting import LIMIT

H = TypeVar("H")


@contextmanager
def scripted_node(
    *messages: str, flood: str | None = None, requests: list[str] | None = None
) -> Iterator[str]:
    """Serve a WebSocket that answers the subscription with these messages and then stays silent.

    Args:
        messages: the messages.
        flood: a message that is then sent again and again.
        requests: receives the requests that subscribe.
    """
    over = threading.Event()

    def handle(socket: ServerConnection) -> None:
        request = socket.recv()
        if requests is not None:
            requests.append(str(request))
        for message in messages:
            socket.send(message)
        with suppress(ConnectionClosed):
            while flood is not None and not over.is_set():
                socket.send(flood)
        over.wait(2 * LIMIT)

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            over.set()
            server.shutdown()
            thread.join()


class Listener(Generic[H]):
    """A listener of a subscription, which begins at once."""

    def __init__(self, subscription: Subscription[H]) -> None:
        self.received: list[H] = []
        self.ended = threading.Event()
        self.subscription = subscription
        subscription.notify(self.received.append, self.ended.set)
        subscription.listen()

    def check_end(self) -> None:
        assert self.ended.wait(LIMIT)
        assert self.subscription.quiet_seconds is None
