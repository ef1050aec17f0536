"""What can go wrong with an EVM chain, beside what the protocol refuses."""

from __future__ import annotations

import math

from colearn_ledger.chains.errors import ChainError

__all__ = ["FeeTooHigh", "Reverted"]


class FeeTooHigh(ChainError):
    """The chain's price of gas stayed above the ceiling; nothing was sent. Prices fall again.

    Args:
        price: of a unit of gas, in wei.
        ceiling: what may be paid for one, in wei.
        waited: for how many seconds a lower price was waited for.
    """

    retries = math.inf

    def __init__(self, price: int, ceiling: int, waited: float) -> None:
        self.price = price
        self.ceiling = ceiling
        super().__init__(
            f"gas costs {price / 1e9:.3f} gwei and the ceiling is {ceiling / 1e9:.3f}: nothing was "
            f"sent after waiting {waited:.0f} s; wait for a lower price, or raise max_fee"
        )


class Reverted(ChainError):
    """A call was reverted; the ledger turns ``data`` into the protocol's error.

    Args:
        data: the revert data, ABI-encoded; empty when the node keeps it to itself.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        super().__init__("the call was reverted")
