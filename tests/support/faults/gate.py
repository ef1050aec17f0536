"""A JSON-RPC proxy that can stop a request before it reaches the node, or its answer."""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

_LONGEST = 300.0  # seconds


class Hold:
    """One request that the gate stops when it arrives."""

    def __init__(self, method: str, *, answer: bool) -> None:
        self.method = method
        self.answer = answer
        self._reached = threading.Event()
        self._decided = threading.Event()
        self._passes = False

    def wait(self, seconds: float = 180.0) -> None:
        """Wait until the request is stopped."""
        assert self._reached.wait(seconds), f"no {self.method} arrived in {seconds:g} s"

    def release(self) -> None:
        """Let the request, or its answer, pass."""
        self._passes = True
        self._decided.set()

    def drop(self) -> None:
        """Break the request's connection."""
        self._decided.set()

    def wait_for_decision(self) -> bool:
        """Wait until the test decides; return whether the request may pass."""
        self._reached.set()
        self._decided.wait(_LONGEST)
        return self._passes


class Holds:
    """The requests that a gate is to stop."""

    def __init__(self) -> None:
        self._waiting: list[Hold] = []
        self._all: list[Hold] = []
        self._lock = threading.Lock()

    def add(self, method: str, *, answer: bool) -> Hold:
        """Stop the next request of a method, or its answer."""
        hold = Hold(method, answer=answer)
        with self._lock:
            self._waiting.append(hold)
            self._all.append(hold)
        return hold

    def take(self, *methods: str) -> Hold | None:
        """Return and remove the hold of a request, if there is one."""
        with self._lock:
            hold = next((hold for hold in self._waiting if hold.method in methods), None)
            if hold is not None:
                self._waiting.remove(hold)
            return hold

    def drop_all(self) -> None:
        """Break the connections of all requests that were stopped."""
        for hold in self._all:
            hold.drop()


class Gate:
    """The proxy; as a context manager it listens on entry.

    Args:
        target: URL of the node.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._holds = Holds()
        self._lock = threading.Lock()
        self.requests = 0
        gate = self

        class Handler(_Handler):
            def __init__(self, *arguments: Any) -> None:
                self.gate = gate
                super().__init__(*arguments)

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def hold(self, method: str, *, answer: bool = False) -> Hold:
        """Stop the next request of a method, or its answer."""
        return self._holds.add(method, answer=answer)

    def take_hold(self, methods: set[str]) -> Hold | None:
        """Count a request; return and remove its hold."""
        with self._lock:
            self.requests += 1
        return self._holds.take(*methods)

    def open_upstream(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self._target, timeout=30)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._holds.drop_all()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore errors of clients that were killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: Gate
    _upstream: http.client.HTTPConnection | None = None

    def do_POST(self) -> None:
        try:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hold = self.gate.take_hold(_read_methods(body))
            if hold and not hold.answer and not hold.wait_for_decision():
                self.close_connection = True
                return
            status, answer = self._forward(body)
            if hold and hold.answer and not hold.wait_for_decision():
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # like a killed node

    def _forward(self, body: bytes) -> tuple[int, bytes]:
        self._upstream = self._upstream or self.gate.open_upstream()
        try:
            self._upstream.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = self._upstream.getresponse()
            return answer.status, answer.read()
        except BaseException:
            self._upstream.close()
            self._upstream = None
            raise

    def finish(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
        super().finish()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _read_methods(body: bytes) -> set[str]:
    try:
        calls = json.loads(body)
    except ValueError:
        return set()
    return {call.get("method") for call in (calls if isinstance(calls, list) else [calls])}
