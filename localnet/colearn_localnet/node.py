"""Base classes of the nodes, which run as processes with logs and health checks."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from colearn_localnet.errors import NodeFailed, PortTaken
from colearn_localnet.processes import Process, log_contains, read_process, spawn, wait_until

HEALTHY_WITHIN = 60.0
"""Seconds for a node to answer after its start."""

_ATTEMPTS = 3


class Service(ABC):
    """A service that, as a context manager, is started on entry and stopped on exit."""

    @abstractmethod
    def start(self) -> Self:
        """Start the service and wait until it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the service gracefully; do nothing if it is not running."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Node(Service):
    """A node that runs as a process.

    Args:
        host: IPv4 address to listen on.
        log: file for the node's output; the process is recorded in a file next to it.
    """

    NAME: ClassVar[str]
    """The node's name in messages."""
    PORT_TAKEN_WORDS: ClassVar[str]
    """Text in the node's log if it could not listen on a port."""

    def __init__(self, *, host: str, log: Path) -> None:
        self._host = host
        self._log = log
        self._process: Process | None = None

    @property
    def log(self) -> Path:
        """Return the file with the node's output."""
        return self._log

    @property
    def process(self) -> Process:
        """Return the process, which may have ended.

        Raises:
            NodeFailed: the node was never started.
        """
        if self._process is None:
            raise NodeFailed(f"{self.NAME} was not started")
        return self._process

    def attach(self) -> bool:
        """Reuse the process that an earlier command started with this log, if it is healthy.

        Returns:
            False if there is no such process, or it does not answer.
        """
        process = read_process(self._log)
        if process is None or not process.is_running() or not self._load():
            return False
        self._process = process
        return True

    @abstractmethod
    def _load(self) -> bool:
        """Read the running process's configuration and return whether the process answers."""

    @abstractmethod
    def _is_healthy(self, offset: int) -> bool:
        """Return whether the node answers; ``offset`` is the log's length before this start."""

    def stop(self) -> None:
        """Stop the process gracefully; do nothing if it is not running."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the process at once, as `kill -9` does; `start` starts it again."""
        if self._process is not None:
            self._process.kill()

    def _try_ports(self, attempt: Callable[[], None]) -> None:
        """Run an attempt that chooses ports, and repeat it if another process takes one first."""
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(PortTaken):
                return attempt()
        raise PortTaken(
            f"{self.NAME} did not start: other processes took its ports {_ATTEMPTS} times",
            log=self._log,
        )

    def _launch(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the process, wait until it is healthy, and end it if that fails."""
        offset = self._log.stat().st_size if self._log.exists() else 0
        self._process = spawn(command, log=self._log, environment=environment)
        try:
            self._await_health(offset)
        except BaseException:
            self._process.kill()
            raise

    def _await_health(self, offset: int) -> None:
        process = self.process
        healthy = wait_until(
            lambda: not process.is_running() or self._is_healthy(offset), seconds=HEALTHY_WITHIN
        )
        if not process.is_running():
            if log_contains(self._log, offset, self.PORT_TAKEN_WORDS):
                raise PortTaken(f"a port of {self.NAME} is taken", log=self._log)
            raise NodeFailed(f"{self.NAME} ended instead of starting", log=self._log)
        if not healthy:
            raise NodeFailed(
                f"{self.NAME} does not answer after {HEALTHY_WITHIN:g} s", log=self._log
            )
