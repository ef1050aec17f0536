"""The price of gas, and the fees to offer (EIP-1559) below a ceiling."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from colearn_ledger.chains.errors import NodeRefused
from colearn_ledger.chains.evm.node import Node

_DEFAULT_TIP = 1_000_000_000
"""Wei per unit of gas, for nodes that do not suggest a tip."""


@dataclass(frozen=True, slots=True)
class Fees:
    """The fees that a transaction offers for a unit of gas, in wei."""

    max_fee: int
    tip: int


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a unit of gas in the next block, in wei."""

    base_fee: int
    tip: int

    @property
    def total(self) -> int:
        """Return the lowest price at which a transaction is included."""
        return self.base_fee + self.tip

    def offer(self, ceiling: int) -> Fees | None:
        """Return fees that suffice even if the base fee doubles; ``None`` above the ceiling."""
        if self.total > ceiling:
            return None
        return Fees(min(self.base_fee + self.total, ceiling), self.tip)


def raise_fees(old: Fees, price: Price, ceiling: int, tip_ceiling: int) -> Fees | None:
    """Return the fees of a replacement: an eighth more than before, as nodes require.

    Return ``None`` if these fees, or the current price, exceed a ceiling.
    """
    least = Fees(_add_eighth(old.max_fee), _add_eighth(old.tip))
    offer = price.offer(ceiling)
    if offer is None or least.max_fee > ceiling or least.tip > tip_ceiling:
        return None
    max_fee = max(least.max_fee, offer.max_fee)
    tip = max(least.tip, offer.tip)
    return Fees(max_fee, tip) if tip <= max_fee else None


def _add_eighth(fee: int) -> int:
    return fee + -(-fee // 8)


class Prices:
    """The price of gas, cached for some seconds.

    Args:
        node: the node to ask.
        seconds: seconds for which a price is reused.
        max_tip: the highest tip to offer, whatever the node suggests, in wei.
        known_base_fee: returns the base fee of the last block, ``None`` if it has to be asked for.
    """

    def __init__(
        self,
        node: Node,
        seconds: float,
        max_tip: int,
        known_base_fee: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._node = node
        self._known_base_fee = known_base_fee
        self._seconds = seconds
        self._max_tip = max_tip
        self._cached: tuple[Price, float] | None = None

    def now(self, *, fresh: bool = False) -> Price:
        """Return the current price; ``fresh`` bypasses the cache."""
        cached = self._cached
        if cached is None or fresh or time.monotonic() > cached[1]:
            known = None if fresh else self._known_base_fee()
            base_fee = self._node.upcoming().base_fee if known is None else known
            price = Price(base_fee, min(self._tip(), self._max_tip))
            cached = self._cached = price, time.monotonic() + self._seconds
        return cached[0]

    def _tip(self) -> int:
        try:
            return self._node.tip()
        except NodeRefused:
            return _DEFAULT_TIP
