"""What can go wrong with a ledger's log, beside what the protocol refuses."""

from __future__ import annotations

from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import LedgerError

__all__ = ["DamagedLog", "LogUnavailable", "NotALedgerFile"]


class NotALedgerFile(LedgerError):
    """There is no ledger at this path: no file, a foreign one, or one of another version."""


class DamagedLog(LedgerError):
    """The log is not what its learners signed.

    Args:
        reason: what does not hold.
        entry: the first entry that it does not hold for, ``None`` when that is not known.
    """

    def __init__(self, reason: str, entry: int | None = None) -> None:
        self.reason = reason
        self.entry = entry
        where = "the log" if entry is None else f"entry {entry} of the log"
        super().__init__(
            f"{where} is damaged or was tampered with: {reason}. "
            "Nothing from this file can be trusted past that point; use a sound copy of it."
        )


class LogUnavailable(LedgerUnavailable):
    """The ledger's file could not be read or written just now; nothing was lost."""
