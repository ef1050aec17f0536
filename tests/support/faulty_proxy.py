"""An HTTP proxy in front of a node, which fails on demand.

    with FaultyProxy(anvil.url) as proxy:
        proxy.fail("429", times=2, retry_after=1)
        ... use proxy.url ...

A failure applies to the next ``times`` requests (``times=None``: until `heal`), or only to those of
some ``methods``. Its kinds are:

- ``reset``: the connection is reset before the request reaches the node
- ``lost``: the node gets the request, but the connection is reset in place of an answer
- ``cut``: half of the answer arrives, then the connection is reset
- ``timeout``: no answer for `HANG_SECONDS`, and the request does not reach the node
- ``drip``: the answer comes in pieces, one each tenth of a second, for `DRIP_SECONDS`
- ``trickle``: the answer comes byte by byte, one each half second, and not to its end after `heal`
- ``429``, ``500``, ``502``, ``503``, ``403``: that status; ``retry_after`` adds the header
- ``malformed``, ``deep``, ``empty``: a body that is not JSON, 70 kB of ``[``, or no body
- ``wrong-id``: the answer to another request
- ``oversize``: an endless answer

`lie` replaces the results of a method until `heal`:

        proxy.lie("eth_chainId", lambda true, parameters: "0x1")

The function may ask the node with ``true()``, and raise `RpcError`.

`down` closes the port (connections are refused) and `up` opens it again.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any, Self
from urllib.parse import urlsplit

HANG_SECONDS = 30.0
DRIP_SECONDS = 2.5

KINDS = (
    "reset", "lost", "cut", "cut-head", "timeout", "drip", "trickle",
    "malformed", "deep", "empty", "wrong-id", "oversize",
    "429", "500", "502", "503", "403",
)  # fmt: skip


Lie = Callable[[Callable[[], Any], list[Any]], Any]
"""Returns a result, given a function that returns the true one, and the request's parameters."""


class RpcError(Exception):
    """An error that a node returns in place of a result; code 3 is a contract's refusal."""

    def __init__(self, message: str, code: int = 3) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Fault:
    kind: str
    left: int | None
    methods: Collection[str] | None
    retry_after: str | None


class FaultyProxy:
    def __init__(self, target_url: str) -> None:
        self._target = urlsplit(target_url)
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._lies: dict[str, Lie] = {}
        self._healed = threading.Event()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._open: set[socket.socket] = set()
        self.asked: list[str] = []
        """Methods of all requests, failed ones included; those of a batch one by one."""
        self.exchanges = 0
        """Number of HTTP requests received."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def fail(
        self,
        kind: str,
        times: int | None = 1,
        *,
        methods: Collection[str] | None = None,
        retry_after: float | str | None = None,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"{kind} is not one of {', '.join(KINDS)}")
        after = None if retry_after is None else str(retry_after)
        with self._lock:
            self._healed.clear()
            self._faults.append(Fault(kind, times, methods, after))

    def lie(self, method: str, lie: Lie) -> None:
        with self._lock:
            self._lies[method] = lie

    def forward_to(self, url: str) -> None:
        """Forward all further requests to another node."""
        self._target = urlsplit(url)

    def heal(self) -> None:
        with self._lock:
            self._faults.clear()
            self._lies.clear()
            self._healed.set()

    def down(self) -> None:
        if self._server is not None:
            self._healed.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            with self._lock:
                for connection in self._open:  # clients keep them alive
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)

    def up(self) -> None:
        proxy = self

        class Handler(_Handler):
            owner = proxy

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                pass  # the client has disconnected

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    # ------------------------------------------------------------------ for the handler

    def next_fault(self, methods: list[str]) -> Fault | None:
        with self._lock:
            self.asked += methods
            self.exchanges += 1
            for fault in self._faults:
                if fault.methods is not None and not set(methods) & set(fault.methods):
                    continue
                if fault.left is not None:
                    fault.left -= 1
                    if not fault.left:
                        self._faults.remove(fault)
                return fault
        return None

    def forward(self, body: bytes) -> tuple[int, bytes]:
        target = http.client.HTTPConnection(
            self._target.hostname or "", self._target.port, timeout=HANG_SECONDS
        )
        try:
            headers = {"Content-Type": "application/json"}
            target.request("POST", self._target.path or "/", body, headers)
            answer = target.getresponse()
            return answer.status, answer.read()
        finally:
            target.close()

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """Return the node's answer, with lies in place of some results."""
        calls = json.loads(body)
        methods = {call["method"] for call in (calls if isinstance(calls, list) else [calls])}
        if methods.isdisjoint(self._lies):
            return self.forward(body)
        found = [self._answer_call(c) for c in calls] if isinstance(calls, list) else None
        return 200, json.dumps(found or self._answer_call(calls)).encode()

    def _answer_call(self, call: dict[str, Any]) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            answer: dict[str, Any] = json.loads(self.forward(json.dumps(call).encode())[1])
            return answer

        lie = self._lies.get(call["method"])
        if lie is None:
            return ask()
        answer = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            return {**answer, "result": lie(lambda: ask()["result"], call["params"])}
        except RpcError as error:
            return {**answer, "error": {"code": error.code, "message": str(error)}}

    def hang(self) -> None:
        self.wait_until_healed(HANG_SECONDS)

    def wait_until_healed(self, seconds: float) -> bool:
        """Wait for at most some seconds; return whether `heal` or `down` was called."""
        return self._healed.wait(seconds)

    @contextlib.contextmanager
    def track(self, connection: socket.socket) -> Any:
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes
    owner: FaultyProxy

    def handle(self) -> None:
        with self.owner.track(self.connection):
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        calls = json.loads(body)
        methods = [call["method"] for call in (calls if isinstance(calls, list) else [calls])]
        fault = self.owner.next_fault(methods)
        if fault is None:
            try:
                self._answer(*self.owner.answer(body))
            except OSError:
                self._answer(502, b"the node is down")
        elif fault.kind.isdecimal():
            self._answer(int(fault.kind), b"not now", retry_after=fault.retry_after)
        else:
            getattr(self, "_" + fault.kind.replace("-", "_"))(body)

    def _reset(self, _: bytes) -> None:
        linger = struct.pack("ii", 1, 0)  # closing sends RST
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True

    def _lost(self, body: bytes) -> None:
        self.owner.forward(body)
        self._reset(body)

    def _cut(self, body: bytes) -> None:
        _, answer = self.owner.forward(body)
        self._head(200, len(answer))
        self.wfile.write(answer[: len(answer) // 2])
        self.wfile.flush()
        self._reset(body)  # the client receives this half before it notices the reset

    def _cut_head(self, body: bytes) -> None:
        self.owner.forward(body)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self._reset(body)

    def _timeout(self, body: bytes) -> None:
        self.owner.hang()
        self._reset(body)

    def _drip(self, body: bytes) -> None:
        status, answer = self.owner.forward(body)
        self._head(status, len(answer))
        drops = round(DRIP_SECONDS / 0.1)
        for start, end in pairwise(len(answer) * drop // drops for drop in range(drops + 1)):
            time.sleep(0.1)
            self.wfile.write(answer[start:end])
            self.wfile.flush()

    def _trickle(self, body: bytes) -> None:
        status, answer = self.owner.forward(body)
        self._head(status, len(answer))
        for position in range(len(answer)):
            if self.owner.wait_until_healed(0.5):
                self._reset(body)
                return
            self.wfile.write(answer[position : position + 1])
            self.wfile.flush()

    def _malformed(self, _: bytes) -> None:
        self._answer(200, b'{"jsonrpc": "2.0", "id": 1, "resu')

    def _deep(self, _: bytes) -> None:
        self._answer(200, b"[" * 70_000)

    def _empty(self, _: bytes) -> None:
        self._answer(200, b"")

    def _wrong_id(self, body: bytes) -> None:
        answer = json.loads(self.owner.forward(body)[1])
        for item in answer if isinstance(answer, list) else [answer]:
            item["id"] = 10**9
        self._answer(200, json.dumps(answer).encode())

    def _oversize(self, _: bytes) -> None:
        self._head(200, 10**12)
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b" " * 65_536)
        self.close_connection = True

    # ------------------------------------------------------------------ parts

    def _head(self, status: int, length: int, retry_after: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        self.end_headers()

    def _answer(self, status: int, content: bytes, retry_after: str | None = None) -> None:
        self._head(status, len(content), retry_after)
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
