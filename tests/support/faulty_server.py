"""An HTTP server in place of a node or a gateway that misbehaves on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Call:
    """One request, and methods to answer it."""

    handler: BaseHTTPRequestHandler
    command: str
    options: dict[str, str]
    headers: dict[str, str]

    @property
    def offset(self) -> int:
        ranged = self.headers.get("range", "bytes=0-").removeprefix("bytes=").split("-")[0]
        return int(self.options.get("offset", ranged))

    @property
    def stop(self) -> int | None:
        """Return the position after the last byte that is requested, if there is a limit."""
        last = self.headers.get("range", "").partition("-")[2]
        if last:
            return int(last) + 1
        length = self.options.get("length")
        return None if length is None else self.offset + int(length)

    def start(self, status: int = 200, length: int | None = None, **headers: str) -> None:
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.handler.send_header("Content-Length", str(length))
        self.handler.send_header("Connection", "close")
        self.handler.end_headers()

    def send(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def answer(self, data: bytes, status: int = 200, **headers: str) -> None:
        self.start(status, len(data), **headers)
        self.send(data)

    def body(self) -> bytes:
        """Return the whole body, whether chunked or of a given length."""
        if "content-length" in self.headers:
            return self.handler.rfile.read(int(self.headers["content-length"]))
        data = b""
        while size := int(self.handler.rfile.readline(), 16):
            data += self.handler.rfile.read(size)
            self.handler.rfile.readline()
        return data

    def stall(self) -> None:
        """Send nothing until the server is stopped."""
        self.handler.server.stopping.wait()  # type: ignore[attr-defined]

    def drip(self, byte: bytes = b"x", every: float = 0.05) -> None:
        while not self.handler.server.stopping.is_set():  # type: ignore[attr-defined]
            self.send(byte)
            time.sleep(every)

    def flood(self, data: bytes = b"x" * 65_536) -> None:
        """Send data without end."""
        while True:
            self.send(data)


Behaviour = Callable[[Call], None]


@dataclass
class FaultyServer:
    """The running server.

    Args:
        url: URL of the server.
        behave: function that answers a request; tests may replace it.
        calls: the requests so far.
    """

    url: str
    behave: Behaviour
    calls: list[Call] = field(default_factory=list)


@contextmanager
def run_server(behave: Behaviour) -> Iterator[FaultyServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            url = urlsplit(self.path)
            options = {k: v[-1] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = Call(self, url.path.removeprefix("/api/v0/"), options, headers)
            server.calls.append(call)
            self.close_connection = True
            with suppress(OSError):  # the client has disconnected
                server.behave(call)

        do_GET = do_POST = do_HEAD = do  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.stopping = threading.Event()  # type: ignore[attr-defined]
    server = FaultyServer(f"http://127.0.0.1:{httpd.server_port}", behave)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        httpd.stopping.set()  # type: ignore[attr-defined]
        httpd.shutdown()
        httpd.server_close()
        thread.join()
