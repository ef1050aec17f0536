"""Start native processes in their own session, recognize them later, and stop them.

A process is identified by its id and start time, because the system may reuse an id.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from colearn_ledger.home import write_atomically
from colearn_localnet.errors import NodeFailed

_PAUSE = 0.02
"""Seconds between checks of a condition."""

_LOG_LIMIT = 10_000_000
"""Bytes of a log after which `rotate_log` starts a new one."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process started by this package, possibly in an earlier run of Python.

    Attributes:
        pid: process id.
        started: start time in seconds, since boot on Linux and since 1970 elsewhere.
    """

    pid: int
    started: float

    def is_running(self) -> bool:
        """Return whether the same process is still running."""
        with contextlib.suppress(OSError):
            os.waitpid(self.pid, os.WNOHANG)  # reap our own child
        started = _read_start(self.pid)
        return started is not None and abs(started - self.started) < 0.05

    def stop(self, *, seconds: float = 20.0) -> None:
        """Terminate the process, and kill it if it is still running after some seconds."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a stopped process would not react
        if not wait_until(lambda: not self.is_running(), seconds=seconds):
            self.kill()

    def kill(self) -> None:
        """End the process at once, as `kill -9` does."""
        self._signal(signal.SIGKILL)
        wait_until(lambda: not self.is_running(), seconds=20.0)

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def spawn(command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Process:
    """Start a process that outlives this one.

    Args:
        command: the program's path and its arguments.
        log: file to append the output to; the process is recorded in a file next to it.
        environment: the whole environment.

    Raises:
        NodeFailed: the program cannot be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(  # noqa: S603  (the callers' own commands)
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        except OSError as error:
            raise NodeFailed(f"{command[0]} cannot be started: {error.strerror}") from error
    child.returncode = 0  # `Process` reaps the child, which may outlive this Python
    process = Process(child.pid, _read_start(child.pid) or 0.0)
    write_atomically(_record_path(log), json.dumps(asdict(process)).encode())
    return process


def read_process(log: Path) -> Process | None:
    """Return the process last spawned with a log; None if there was none."""
    try:
        record = json.loads(_record_path(log).read_text())
        return Process(int(record["pid"]), float(record["started"]))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def read_pid(log: Path) -> int | None:
    """Return the id of the process last spawned with a log; None if it has ended."""
    process = read_process(log)
    return process.pid if process is not None and process.is_running() else None


def log_contains(log: Path, offset: int, words: str) -> bool:
    """Return whether a log contains a text after its first ``offset`` bytes."""
    with log.open("rb") as file:
        file.seek(offset)
        return words.encode() in file.read()


def rotate_log(log: Path) -> None:
    """Stop the process that writes a log, if any, and rename a long log to `.log.1`."""
    process = read_process(log)
    if process is not None:
        process.stop()
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Wait for a condition; return True once it holds, or False after some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def free_port(host: str) -> int:
    """Return a TCP port that is free now.

    It is below the range for outgoing connections, so that none of them takes it later.
    """
    for _ in range(100):
        port = 20_000 + secrets.randbelow(12_000)
        if is_free(host, port):
            return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def free_ports(
    host: str, previous: Mapping[str, int], *, reserved: Collection[int] = ()
) -> dict[str, int]:
    """Return a different free port for each name.

    Args:
        host: IPv4 address to listen on.
        previous: the previous port of each name, which is kept if it is free; 0 for none.
        reserved: ports to avoid even if they are free now.
    """
    chosen: dict[str, int] = {}
    for name, port in previous.items():
        taken = {*reserved, *chosen.values()}
        while not port or port in taken or not is_free(host, port):
            port = free_port(host)
        chosen[name] = port
    return chosen


def is_free(host: str, port: int) -> bool:
    """Return whether a server could listen on a port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _record_path(log: Path) -> Path:
    return log.with_suffix(".pid")


def _read_start(pid: int) -> float | None:
    """Return a process's start time as in `Process.started`; None if it has ended."""
    try:
        process = psutil.Process(pid)
        started = process.create_time()
        if psutil.LINUX:  # psutil adds the boot time, which changes with the clock
            started -= psutil.boot_time()
        # without its main thread, a process is a zombie, but other threads may still use the ports
        has_ended = process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.Error:
        return None
    return None if has_ended else started
