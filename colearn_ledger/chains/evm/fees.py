"""What a unit of gas costs, and what is offered for it: EIP-1559, under a ceiling."""

from __future__ import annotations

import time
from dataclasses import dataclass

from colearn_ledger.chains.errors import NodeRefused
from colearn_ledger.chains.evm.node import Node

__all__ = ["Fees", "Price", "Prices", "raised"]

_DEFAULT_TIP = 1_000_000_000
"""Wei per gas, for nodes that do not tell what they want."""


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction offers for a unit of gas, in wei."""

    max_fee: int
    tip: int


@dataclass(frozen=True, slots=True)
class Price:
    """What a unit of gas costs in the next block, in wei."""

    base_fee: int
    tip: int

    @property
    def total(self) -> int:
        """The least that gets a transaction included."""
        return self.base_fee + self.tip

    def offer(self, ceiling: int) -> Fees | None:
        """Return fees that stay enough while the base fee doubles; ``None`` above the ceiling."""
        if self.total > ceiling:
            return None
        return Fees(min(self.base_fee + self.total, ceiling), self.tip)


def raised(old: Fees, price: Price, ceiling: int) -> Fees | None:
    """Return fees with which a transaction replaces itself: an eighth more, as nodes demand.

    ``None`` when that or the price of the moment is above the ceiling.
    """
    least = Fees(_and_an_eighth(old.max_fee), _and_an_eighth(old.tip))
    offer = price.offer(ceiling)
    if offer is None or least.max_fee > ceiling:
        return None
    max_fee = max(least.max_fee, offer.max_fee)
    tip = max(least.tip, offer.tip)
    return Fees(max_fee, tip) if tip <= max_fee else None


def _and_an_eighth(fee: int) -> int:
    return fee + -(-fee // 8)


class Prices:
    """The price of gas, asked for again after some seconds.

    Args:
        node: whose.
        seconds: for how long a price last seen is believed.
    """

    def __init__(self, node: Node, seconds: float) -> None:
        self._node = node
        self._seconds = seconds
        self._seen: tuple[Price, float] | None = None

    def now(self, *, fresh: bool = False) -> Price:
        """Return the price; ``fresh`` when one seen before will not do."""
        seen = self._seen
        if seen is None or fresh or time.monotonic() > seen[1]:
            price = Price(self._node.upcoming().base_fee, self._tip())
            seen = self._seen = price, time.monotonic() + self._seconds
        return seen[0]

    def _tip(self) -> int:
        try:
            return self._node.tip()
        except NodeRefused:
            return _DEFAULT_TIP
