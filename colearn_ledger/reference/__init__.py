"""The local ledger: the readable reference of the protocol, on a signed log."""

from __future__ import annotations

from colearn_ledger.reference.errors import DamagedLog, LogUnavailable, NotALedgerFile
from colearn_ledger.reference.ledger import LocalLedger
from colearn_ledger.reference.replica import LogHead

__all__ = ["DamagedLog", "LocalLedger", "LogHead", "LogUnavailable", "NotALedgerFile"]
