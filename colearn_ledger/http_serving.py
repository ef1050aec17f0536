"""Answering a few HTTP requests beside what a process is there for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["PATIENCE", "Answering", "answering"]

_log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds for one request."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    subject: Any


class Answering(BaseHTTPRequestHandler):
    """Answers requests; ``self.server.subject`` is what they are about."""

    server: _Server
    timeout = PATIENCE

    def answer(self, status: int, kind: str, body: bytes) -> None:
        """Send an answer of a media type."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log requests for those who look closely."""
        _log.debug(format, *args)


@contextmanager
def answering(handler: type[Answering], subject: object, host: str, port: int) -> Iterator[str]:
    """Answer at an address until the end of the block; gives the URL.

    Args:
        handler: answers.
        subject: what requests are about.
        host: to listen on.
        port: to listen on; 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    server = _Server((host, port), handler)
    server.subject = subject
    thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
