"""The readable reference of the protocol: pure rules, and an in-memory ledger that applies them."""

from __future__ import annotations

from colearn_ledger.reference.ledger import LocalLedger

__all__ = ["LocalLedger"]
