"""The errors of `colearn_localnet`."""

from __future__ import annotations

from pathlib import Path


class LocalnetError(Exception):
    """Root of every error that `colearn_localnet` raises on purpose."""


class InstallFailed(LocalnetError):
    """A node's binary is missing and cannot be installed; the message says what to do."""


class NetStateError(LocalnetError):
    """The network's folder does not allow the operation: not up, other settings, unreadable."""


class SettingsRefused(LocalnetError, ValueError):
    """The settings contradict each other or are out of range."""


class AddressRefused(LocalnetError, ValueError):
    """The address or the amount of a payment is not valid on the chain."""


class NodeFailed(LocalnetError):
    """A node did not start, stopped, or does not answer.

    Args:
        problem: the problem, in one line.
        log: the node's log file; its last lines become part of the message.

    Attributes:
        log: the node's log file.
    """

    LINES = 15

    def __init__(self, problem: str, *, log: Path | None = None) -> None:
        self.log = log
        shown = _tail(log, self.LINES) if log else ""
        where = f"\nThe end of {log}:\n{shown}" if shown else ""
        super().__init__(problem + where)


class PortTaken(NodeFailed):
    """Another process listens on a port that the node needs."""


def _tail(path: Path, lines: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])
