"""The accounts from which a process sends, each with its journal and its daily budget."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from colearn_ledger.chains.budget import Budget
from colearn_ledger.chains.config import SenderConfig
from colearn_ledger.chains.hooks import Own
from colearn_ledger.chains.journal import Journal
from colearn_ledger.home import data_home
from colearn_ledger.protocol import Account

_LOCK_PATIENCE = 60.0
"""Seconds to wait for another process that uses the same key."""


class Accounts:
    """The state of this process's transactions, by account.

    Args:
        limits: the folder of the journals, and the daily budget.
        denomination: the unit of the budget.
        name_folder: returns the name of the chain's folder, or ``None`` for no files.
    """

    def __init__(
        self, limits: SenderConfig, denomination: str | None, name_folder: Callable[[], str | None]
    ) -> None:
        self._limits = limits
        self._denomination = denomination
        self._name_folder = name_folder
        self._folder: Path | None = None
        self._found: dict[Account, Own] = {}
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, account: Account) -> Iterator[Own]:
        """Lock an account and its journal."""
        own = self.find(account)
        with own.journal.turn():
            yield own

    def find(self, account: Account) -> Own:
        """Return an account's state, which is created on first use."""
        with self._lock:
            if account not in self._found:
                path, limit = self._find_journal(account), self._limits.daily_budget
                journal, budget = Journal(path, patience=_LOCK_PATIENCE), None
                if limit is not None:
                    spending = path and path.with_suffix(".spending.json")
                    budget = Budget(spending, limit, self._denomination)
                self._found[account] = Own(account, journal, budget)
            return self._found[account]

    def _find_journal(self, account: Account) -> Path | None:
        """Return the path of an account's journal."""
        if self._folder is None:
            name = self._name_folder()
            if name is None:
                return None
            self._folder = (self._limits.journal or data_home() / "transactions") / name
        return self._folder / f"{account}.jsonl"
