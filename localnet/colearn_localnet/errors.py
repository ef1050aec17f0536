"""The errors of `localnet`."""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "AddressRefused",
    "InstallFailed",
    "LocalnetError",
    "NetStateError",
    "NodeFailed",
    "PortTaken",
    "SettingsRefused",
]


class LocalnetError(Exception):
    """Root of every error that `localnet` raises on purpose."""


class InstallFailed(LocalnetError):
    """A node's binary is not here and can not be installed; the message says what to do."""


class NetStateError(LocalnetError):
    """The network's folder does not allow what was asked: not up, other settings, unreadable."""


class SettingsRefused(LocalnetError, ValueError):
    """No network can be as these settings say."""


class AddressRefused(LocalnetError, ValueError):
    """Not an address, or not an amount, that the chain could credit."""


class NodeFailed(LocalnetError):
    """A node did not start, stopped, or does not answer.

    Args:
        problem: what went wrong, in one line.
        log: the node's log file; its last lines become part of the message.

    Attributes:
        log: as given.
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
