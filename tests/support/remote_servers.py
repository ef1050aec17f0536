"""Servers of remote learners in this process and in others, and a TCP line to them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import pytest

from colearn_learner.interface import Weights
from colearn_learner.remote.addresses import Address
from colearn_learner.remote.client import RemoteConfig, RemoteLearner
from colearn_learner.remote.server import LearnerServer, ServerConfig
from tests.support.toyworld import TowardsTarget

COLEARN = [sys.executable, "-u", "-c", "from colearn_learner.cli import main; main()"]
LONG = 240.0
"""Timeout in seconds; a test that passes never waits this long."""


@contextmanager
def serve_learner(learner: Any, **config: Any) -> Iterator[Address]:
    """Serve a learner in this process on a free port; yield the server's address."""
    server = LearnerServer(learner, ServerConfig(port=0, **config))
    address = server.start()
    try:
        yield address
    finally:
        server.stop()


@contextmanager
def connect_learner(address: Any, **config: Any) -> Iterator[RemoteLearner]:
    """Yield the learner behind a server that has answered."""
    with RemoteLearner(str(address), RemoteConfig(**{"patience": LONG, **config})) as learner:
        learner.reach()
        yield learner


class Gate:
    """A learner that forwards calls to another one, and waits in its training on request."""

    def __init__(self, learner: Any) -> None:
        self._learner = learner
        self.closed = False
        self.training = threading.Semaphore(0)  # released when a training begins
        self.go = threading.Semaphore(0)  # acquired before it continues

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)

    def mli_propose_weights(self) -> Weights:
        if self.closed:
            self.training.release()
            assert self.go.acquire(timeout=LONG)
        return self._learner.mli_propose_weights()


class AcceptsAtMostOne(TowardsTarget):
    def mli_accept_weights(self, weights: Weights) -> None:
        if weights.weights[0][0] > 1:
            raise ValueError("too much")
        super().mli_accept_weights(weights)


class Line:
    """A TCP line with a fixed near end; `lead` and `cut` change the server at its far end."""

    def __init__(self) -> None:
        self._front = socket.create_server(("127.0.0.1", 0))
        self.address = Address("127.0.0.1", self._front.getsockname()[1], tls=False)
        self._port: int | None = None
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def lead(self, to: Address) -> None:
        self._port = to.port

    def cut(self, *, for_good: bool = True) -> None:
        """Break all connections; ``for_good`` also refuses new ones."""
        with self._lock:
            if for_good:
                self._port = None
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._front.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts connections
        self._front.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._front.accept()
                with self._lock:
                    self._join(near)

    def _join(self, near: socket.socket) -> None:
        try:
            if self._port is None:
                raise OSError
            far = socket.create_connection(("127.0.0.1", self._port))
        except OSError:
            near.close()
            return
        self._open += [near, far]
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def unused_address() -> Any:
    """Yield an address where the system refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"grpc://127.0.0.1:{bound.getsockname()[1]}"


class ServerProcess:
    """A `colearn learner serve` process on a free port; ``log`` has its output so far."""

    def __init__(self, factory: str, *more: str, **environment: str) -> None:
        command = ("learner", "serve", "--learner", factory, "--port", "0", "--json", *more)
        self.process = subprocess.Popen(
            [*COLEARN, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self._watchdog = threading.Timer(LONG, self.process.kill)
        self._watchdog.start()
        self.log: list[dict[str, Any]] = []
        self.errors = ""

    def read_until(self, event: str) -> dict[str, Any]:
        """Read the log up to an event, and return the event."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == event:
                return self.log[-1]
        raise AssertionError(f"no {event}: {self.wait_end()} {self.log} {self.errors}")

    @property
    def address(self) -> Address:
        return Address.parse(self.read_until("listening")["url"])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """Send SIGTERM, and return the exit code once the process has ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end()

    def wait_end(self) -> int:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.log += [json.loads(line) for line in self.process.stdout]  # also the buffered lines
        self.errors = self.process.stderr.read()
        return self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self.kill()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
