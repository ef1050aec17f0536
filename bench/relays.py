"""Relays of connections to a node, which count what passes."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import grpc

_SECONDS = 60.0
"""Seconds that the node has for an answer."""


@dataclass(frozen=True, slots=True)
class Count:
    """What passed through a relay: requests by name, pushed blocks, bytes in both directions."""

    names: Counter[str]
    pushed: int
    up: int
    down: int

    @property
    def calls(self) -> int:
        """Return the number of requests."""
        return self.names.total()

    def __add__(self, other: Count) -> Count:
        pushed = self.pushed + other.pushed
        return Count(self.names + other.names, pushed, self.up + other.up, self.down + other.down)

    def __sub__(self, earlier: Count) -> Count:
        return Count(
            self.names - earlier.names,
            self.pushed - earlier.pushed,
            self.up - earlier.up,
            self.down - earlier.down,
        )


class Relay:
    """A relay of connections to a node, which counts what passes.

    Args:
        url: address of the node.
    """

    _NAMES = re.compile(rb'"method": ?"(\w+)"|POST /api/v0/([\w/-]+)')
    _PUSHED = re.compile(rb"eth_subscription|event/NewBlockHeader")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sent: list[bytearray] = []
        self._received: list[bytearray] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def count(self) -> Count:
        """Return what has passed so far."""
        sent, received = ([bytes(b) for b in list(some)] for some in (self._sent, self._received))
        found = (
            match.group(1) or match.group(2) for b in sent for match in self._NAMES.finditer(b)
        )
        return Count(
            Counter(name.decode() for name in found),
            sum(len(self._PUSHED.findall(b)) for b in received),
            sum(map(len, sent)),
            sum(map(len, received)),
        )

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                node = socket.create_connection(self._target)
                for some in (client, node):
                    some.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pump(client, node, self._sent)
                self._pump(node, client, self._received)

    def _pump(self, source: socket.socket, sink: socket.socket, record: list[bytearray]) -> None:
        passed = bytearray()
        record.append(passed)

        def run() -> None:
            with suppress(OSError):
                while piece := source.recv(65_536):
                    passed.extend(piece)
                    sink.sendall(piece)
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=run, daemon=True).start()


class GrpcRelay(grpc.GenericRpcHandler):
    """A relay of gRPC requests to a node, which counts them and the bytes of their messages.

    Args:
        url: address of the node.
    """

    def __init__(self, url: str) -> None:
        self._channel = grpc.insecure_channel(urlsplit(url).netloc)
        self._server = grpc.server(ThreadPoolExecutor(8), handlers=[self])
        self._lock = threading.Lock()
        self._names: Counter[str] = Counter()
        self._up = self._down = 0
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None)
        self._channel.close()

    def count(self) -> Count:
        """Return what has passed so far."""
        with self._lock:
            return Count(self._names.copy(), 0, self._up, self._down)

    def service(self, details: Any) -> Any:
        """Return the handler of a request."""
        ask = self._channel.unary_unary(details.method)

        def forward(request: bytes, context: Any) -> bytes:
            self._add(details.method.rpartition("/")[2], len(request), 0)
            try:
                answer, call = ask.with_call(request, timeout=_SECONDS)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            context.send_initial_metadata(
                [(k, v) for k, v in call.initial_metadata() if k.startswith("x-cosmos")]
            )
            self._add(None, 0, len(answer))
            return bytes(answer)

        return grpc.unary_unary_rpc_method_handler(forward)

    def _add(self, name: str | None, up: int, down: int) -> None:
        with self._lock:
            self._names.update([name] if name else [])
            self._up, self._down = self._up + up, self._down + down
