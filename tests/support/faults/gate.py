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


class Gate:
    """The proxy; as a context manager it listens on entry.

    Args:
        target: URL of the node.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._holds: list[Hold] = []
        self._seen: list[Hold] = []
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
        hold = Hold(method, answer=answer)
        with self._lock:
            self._holds.append(hold)
            self._seen.append(hold)
        return hold

    def take_hold(self, methods: set[str]) -> Hold | None:
        """Count a request; return and remove its hold."""
        with self._lock:
            self.requests += 1
            for hold in self._holds:
                if hold.method in methods:
                    self._holds.remove(hold)
                    return hold
        return None

    def open_upstream(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self._target, timeout=30)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for hold in self._seen:
            hold.drop()
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
