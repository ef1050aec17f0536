"""Toxiproxy, a proxy with links that are slow, are reset, or never deliver.

Its kinds of fault ("toxics") and their attributes, as used here:

- ``latency``: every piece arrives ``latency`` milliseconds later, give or take ``jitter``
- ``bandwidth``: ``rate`` kilobytes pass in a second
- ``reset_peer``: connections are reset after ``timeout`` milliseconds
- ``timeout``: nothing passes; with ``timeout=0`` no connection is closed
- ``slicer``: pieces of ``average_size`` bytes pass, one each ``delay`` microseconds
- ``limit_data``: a connection is closed once ``bytes`` have passed
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import requests

from colearn_localnet.install import TOXIPROXY, find_binary
from colearn_localnet.processes import Process, free_port, spawn
from tests.support.faults.agents import wait_for


class Toxiproxy:
    """The Toxiproxy process; as a context manager it runs between entry and exit.

    Args:
        log: file for its output.
        address: address to listen on, for the users of its links too.
        host: function that returns a context manager in which to start it; default this machine.
    """

    def __init__(
        self,
        log: Path,
        *,
        address: str = "127.0.0.1",
        host: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._log = log
        self._host = host
        self.address = address
        self._session = requests.Session()
        self._session.trust_env = False  # connect to it directly
        self._process: Process | None = None

    def __enter__(self) -> Self:
        with self._host():
            port = free_port(self.address)
            command = [str(find_binary(TOXIPROXY)), "-host", self.address, "-port", str(port)]
            self._process = spawn(command, log=self._log, environment=os.environ)
        self._api = f"http://{self.address}:{port}"
        try:
            wait_for("Toxiproxy answers", self._answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        if self._process is not None:
            self._process.stop()

    def pause(self) -> None:
        """Let all links hang: connections stay open, but nothing passes until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let all links pass data again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def link(self, name: str, url: str) -> Link:
        """Create a link to a server and return it."""
        parts = urlsplit(url)
        created = self.ask(
            "POST",
            "/proxies",
            {"name": name, "listen": f"{self.address}:0", "upstream": parts.netloc},
        )
        return Link(self, name, f"http://{created['listen']}{parts.path}")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, self._api + path, json=body, timeout=20)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.is_running(), self._log.read_text()
        try:
            return self._session.get(f"{self._api}/version", timeout=20).ok
        except requests.ConnectionError:
            return False


class Link:
    """A link to a server through Toxiproxy; use ``url`` in place of the server's URL."""

    def __init__(self, toxiproxy: Toxiproxy, name: str, url: str) -> None:
        self._toxiproxy = toxiproxy
        self._path = f"/proxies/{name}/toxics"
        self.url = url

    def add_toxic(self, kind: str, *, stream: str = "downstream", **attributes: int) -> str:
        """Add a toxic to the link, also for open connections; return the toxic's name.

        Args:
            kind: kind of the toxic.
            stream: ``downstream`` for data from the server (default), ``upstream`` for data to it.
            attributes: attributes of the toxic.
        """
        wanted = {"type": kind, "stream": stream, "attributes": attributes}
        return str(self._toxiproxy.ask("POST", self._path, wanted)["name"])

    @contextmanager
    def inject(self, kind: str, **attributes: int) -> Iterator[None]:
        """Add a toxic to the link until the context exits."""
        name = self.add_toxic(kind, **attributes)
        yield
        self._toxiproxy.ask("DELETE", f"{self._path}/{name}")
