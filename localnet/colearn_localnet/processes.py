"""Native processes: started in a session of their own, known again later, stopped.

A process is known by its id *and* its start: an id alone may belong to another process by now.
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

from colearn_ledger.home import write_atomically
from colearn_localnet.errors import NodeFailed

__all__ = [
    "Process",
    "free_port",
    "free_ports",
    "is_free",
    "recorded",
    "said_since",
    "spawn",
    "wait_until",
]

_PAUSE = 0.02
"""Seconds between two looks at something that is waited for."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that this package started, perhaps in an earlier run of Python.

    Attributes:
        pid: its id.
        started: when it started, as `_start_of` tells it; compared, never read.
    """

    pid: int
    started: str

    def is_running(self) -> bool:
        """Tell whether this very process still runs."""
        with contextlib.suppress(ChildProcessError, OSError):
            os.waitpid(self.pid, os.WNOHANG)  # when it is a child of ours, take its exit status
        return _start_of(self.pid) == self.started

    def stop(self, *, seconds: float = 20.0) -> None:
        """Ask it to end, and end it when it has not after ``seconds``."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # one that was halted would not heed it
        if not wait_until(lambda: not self.is_running(), seconds=seconds):
            self.kill()

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self._signal(signal.SIGKILL)
        wait_until(lambda: not self.is_running(), seconds=20.0)

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def spawn(command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Process:
    """Start a process that outlives this one.

    Args:
        command: the program, as a path, and its arguments.
        log: takes its output, after what is there; the process is recorded beside it.
        environment: all of it.

    Raises:
        NodeFailed: the program can not be run.
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
            raise NodeFailed(f"{command[0]} can not be run: {error.strerror}") from error
    child.returncode = 0  # it is waited for by `Process`, and may outlive this Python
    process = Process(child.pid, _start_of(child.pid) or "")
    write_atomically(_record_of(log), json.dumps(asdict(process)).encode())
    return process


def recorded(log: Path) -> Process | None:
    """Return the process that was last spawned with this log; None when there was none."""
    try:
        return Process(**json.loads(_record_of(log).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def said_since(log: Path, offset: int, words: str) -> bool:
    """Tell whether the log holds the words after its first ``offset`` bytes."""
    with log.open("rb") as file:
        file.seek(offset)
        return words.encode() in file.read()


def wait_until(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Return True as soon as ``holds`` does, False when it has not after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def free_port(host: str) -> int:
    """Return a TCP port that nobody listens on at ``host`` now.

    It lies below those that systems give to outgoing connections, which would take it later.
    """
    for _ in range(100):
        port = 20_000 + secrets.randbelow(12_000)
        if is_free(host, port):
            return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def free_ports(
    host: str, had: Mapping[str, int], *, besides: Collection[int] = ()
) -> dict[str, int]:
    """Return a free port for each name: the one that it had, 0 for none, if that is still free.

    No two are the same, and none is one of ``besides``, on which nobody needs to listen yet.
    """
    chosen: dict[str, int] = {}
    for name, port in had.items():
        taken = {*besides, *chosen.values()}
        while not port or port in taken or not is_free(host, port):
            port = free_port(host)
        chosen[name] = port
    return chosen


def is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _record_of(log: Path) -> Path:
    return log.with_suffix(".pid")


def _start_of(pid: int) -> str | None:
    """Return a mark of the process's start; None when there is no such process any more."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_by_ps(pid)
    state, threads, ticks = fields[0], int(fields[17]), fields[19]
    has_ended = state == "Z" and threads <= 1  # a last thread may still hold the ports
    return None if has_ended else f"{boot}:{ticks}"


def _start_by_ps(pid: int) -> str | None:
    """The same where there is no /proc (macOS)."""
    said = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, start = said.stdout.strip().partition(" ")
    return start.strip() if start and not state.startswith("Z") else None
