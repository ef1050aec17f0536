"""The errors of `colearn_localnet`."""

from __future__ import annotations

from pathlib import Path


class LocalnetError(Exception):
    """Base class of all errors of `colearn_localnet`."""


class InstallFailed(LocalnetError):
    """A node's binary is missing and cannot be installed; the message suggests what to do."""


class NetStateError(LocalnetError):
    """The network is not up or has other settings, or its folder cannot be used."""


class SettingsRefused(LocalnetError, ValueError):
    """The settings contradict each other or are out of range."""


class AddressRefused(LocalnetError, ValueError):
    """The address or amount of a payment is not valid on the chain."""


class NodeFailed(LocalnetError):
    """A node failed to start, stopped or does not answer.

    Args:
        problem: the problem, in one line.
        log: the node's log file; the message includes its last lines.

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
    """Another process is listening on a port that the node needs."""


def _tail(path: Path, lines: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])
