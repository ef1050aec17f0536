"""The daily budget of one key on one chain, stored beside the key's journal."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from colearn_ledger.chains.errors import BudgetSpent, BudgetUnreadable
from colearn_ledger.home import write_private

_COIN = 10**18


@dataclass(slots=True)
class _Day:
    """The costs of one day's transactions: the sum of settled ones, the others by nonce."""

    date: str = ""
    settled: int = 0
    reserved: dict[int, int] = field(default_factory=dict)

    @property
    def spent(self) -> int:
        return self.settled + sum(self.reserved.values())


class Budget:
    """The daily budget of a key. Use it only while the key's journal is locked.

    A transaction reserves the most it may cost before it is sent; when it is settled, its actual
    cost takes the place of the reservation. A day ends at midnight UTC.

    Args:
        path: the file; ``None`` keeps the numbers in memory.
        limit: the budget in the smallest unit.
        denomination: the unit; wei if ``None``.
    """

    def __init__(self, path: Path | None, limit: int, denomination: str | None) -> None:
        self._path = path
        self._limit = limit
        self._denomination = denomination
        self._memory = _Day()

    def reserve(self, nonce: int, cost: int, now: float) -> None:
        """Reserve the highest cost of a transaction that is about to be sent.

        Raises:
            BudgetSpent: the day's budget does not allow it.
        """
        day = self._read(now)
        others = day.spent - day.reserved.get(nonce, 0)
        if others + cost > self._limit:
            raise BudgetSpent(
                self._format(self._limit), spent=self._format(others), cost=self._format(cost)
            )
        day.reserved[nonce] = cost
        self._write(day)

    def release(self, nonce: int, now: float) -> None:
        """Remove the reservation of a transaction that the node refused."""
        day = self._read(now)
        if day.reserved.pop(nonce, None) is not None:
            self._write(day)

    def settle(self, nonce: int, cost: int, now: float) -> None:
        """Replace a reservation by the actual cost."""
        day = self._read(now)
        if day.reserved.pop(nonce, None) is not None:
            day.settled += cost
            self._write(day)

    def _read(self, now: float) -> _Day:
        date = datetime.fromtimestamp(now, UTC).date().isoformat()
        day = self._memory if self._path is None else _parse(self._path)
        return day if day.date == date else _Day(date)

    def _write(self, day: _Day) -> None:
        self._memory = day
        if self._path is not None:
            reserved = {str(nonce): cost for nonce, cost in day.reserved.items()}
            content = {"date": day.date, "settled": day.settled, "reserved": reserved}
            write_private(self._path, json.dumps(content).encode())

    def _format(self, amount: int) -> str:
        if self._denomination is None:
            return f"{amount / _COIN:.6f} of the chain's coin"
        return f"{amount:,} {self._denomination}"


def _parse(path: Path) -> _Day:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        reserved = {int(nonce): int(cost) for nonce, cost in content["reserved"].items()}
        return _Day(str(content["date"]), int(content["settled"]), reserved)
    except FileNotFoundError:
        return _Day()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BudgetUnreadable(path) from error
