"""What all nodes of this package have in common: a process with a log, and how it starts."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from colearn_localnet.errors import NodeFailed, PortTaken
from colearn_localnet.processes import Process, said_since, spawn, wait_until

__all__ = ["HEALTHY_WITHIN", "Node"]

HEALTHY_WITHIN = 60.0
"""Seconds that a node may take until it answers."""

_ATTEMPTS = 3


class Node(ABC):
    """A node as a process; as a context manager it is started on entry and stopped on exit.

    Args:
        host: IPv4 address to listen on.
        log: takes its output; the process is recorded beside it.
    """

    NAME: ClassVar[str]
    """As messages have it."""
    PORT_TAKEN_SAYS: ClassVar[str]
    """Words of its log when it could not have a port."""

    def __init__(self, *, host: str, log: Path) -> None:
        self._host = host
        self._log = log
        self._process: Process | None = None

    @property
    def log(self) -> Path:
        """The file that takes its output."""
        return self._log

    @property
    def process(self) -> Process:
        """The process, which may have ended.

        Raises:
            NodeFailed: it was never started.
        """
        if self._process is None:
            raise NodeFailed(f"{self.NAME} was not started")
        return self._process

    @abstractmethod
    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            InstallFailed: its binary is missing.
            NodeFailed: it did not start.
        """

    @abstractmethod
    def attach(self) -> bool:
        """Take up the process that an earlier command started, if it is healthy.

        Returns:
            False when there is none, or it does not answer.
        """

    @abstractmethod
    def _is_healthy(self, seen: int) -> bool:
        """Tell whether it answers; ``seen`` is the length its log had before this start."""

    def stop(self) -> None:
        """Stop it in an orderly way. Does nothing when it does not run."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End it at once, as `kill -9` does; `start` starts it again."""
        if self._process is not None:
            self._process.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _try_ports(self, attempt: Callable[[], None]) -> None:
        """Make the attempt, which chooses ports, again when another process was faster."""
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(PortTaken):
                return attempt()
        raise PortTaken(f"other processes take every port before {self.NAME} does", log=self._log)

    def _launch(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the process and wait for its health; when that fails no process is left."""
        seen = self._log.stat().st_size if self._log.exists() else 0
        self._process = spawn(command, log=self._log, environment=environment)
        try:
            self._await_health(seen)
        except BaseException:
            self._process.kill()
            raise

    def _await_health(self, seen: int) -> None:
        process = self.process
        ok = wait_until(
            lambda: not process.is_running() or self._is_healthy(seen), seconds=HEALTHY_WITHIN
        )
        if not process.is_running():
            if said_since(self._log, seen, self.PORT_TAKEN_SAYS):
                raise PortTaken(f"a port that {self.NAME} was given is taken", log=self._log)
            raise NodeFailed(f"{self.NAME} ended instead of starting", log=self._log)
        if not ok:
            raise NodeFailed(
                f"{self.NAME} does not answer after {HEALTHY_WITHIN:g} s", log=self._log
            )
