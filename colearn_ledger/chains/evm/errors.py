"""Errors of EVM chains, and the reasons why their nodes refuse transactions."""

from __future__ import annotations

import math

from colearn_ledger.chains.errors import CallRefused, ChainError, Refusal

_REASONS = {
    # geth, erigon, reth: "already known"; anvil: "transaction already imported";
    # nethermind: "AlreadyKnown"; besu: "Known transaction"
    Refusal.KNOWN: ("already known", "alreadyknown", "already imported", "known transaction"),
    # nethermind: "OldNonce"
    Refusal.NONCE_USED: ("nonce too low", "nonce is too low", "oldnonce"),
    Refusal.NONCE_TAKEN: ("replacement", "already pending with same nonce"),
    Refusal.FEE: ("underpriced", "less than block base fee", "feetoolow", "fee too low"),
}


class FeeTooHigh(ChainError):
    """The price of gas stayed above the ceiling; nothing was sent. It may fall again later.

    Args:
        price: the price of a unit of gas, in wei.
        ceiling: the most that may be paid for a unit, in wei.
        waited: seconds spent waiting for a lower price.
    """

    retries = math.inf

    def __init__(self, price: int, ceiling: int, waited: float) -> None:
        self.price = price
        self.ceiling = ceiling
        super().__init__(
            f"gas costs {price / 1e9:.3f} gwei and the ceiling is {ceiling / 1e9:.3f}: nothing was "
            f"sent after waiting {waited:.0f} s; wait for a lower price, or raise max_fee"
        )


class Reverted(CallRefused):
    """A call was reverted; the ledger decodes ``data`` into the protocol's error.

    Args:
        data: the revert data, ABI-encoded; empty if the node does not return it.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        super().__init__("the call was reverted")


def classify_refusal(message: str) -> Refusal:
    """Return the meaning of a node's error message: the first reason that matches."""
    text = message.lower()
    return next(
        (r for r, words in _REASONS.items() if any(w in text for w in words)), Refusal.OTHER
    )
