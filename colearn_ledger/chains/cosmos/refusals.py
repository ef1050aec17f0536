"""Why a chain does not take a transaction: the SDK's codes, and what its words tell beside."""

from __future__ import annotations

import re
from enum import Enum

__all__ = ["Refusal", "expected_sequence", "refusal_of", "wanted_fee"]

_SDK = "sdk"


class Refusal(Enum):
    """What a code of the first check, or of a block, means for whoever sent the transaction."""

    NONE = "it was taken"
    KNOWN = "the node has this very transaction"
    SEQUENCE = "another transaction has its place, or one before it is missing"
    FUNDS = "the account can not pay for it"
    FEE = "it offers less than the node's price"
    GAS = "its gas was not enough"
    FULL = "the node has no room for more transactions now"
    OTHER = "anything else"


_CODES = {
    5: Refusal.FUNDS,
    11: Refusal.GAS,
    13: Refusal.FEE,
    19: Refusal.KNOWN,
    20: Refusal.FULL,
    32: Refusal.SEQUENCE,
}

_EXPECTED = re.compile(r"account sequence mismatch, expected (\d{1,19}), got (\d{1,19})")
_WANTED = re.compile(r"required: ([^ ]{1,1000})")


def refusal_of(code: int, codespace: str, words: str) -> Refusal:
    """Return what a code means; some chains say it in words only."""
    if code == 0:
        return Refusal.NONE
    found = _CODES.get(code, Refusal.OTHER) if codespace == _SDK else Refusal.OTHER
    if found == Refusal.OTHER and expected_sequence(words) is not None:
        return Refusal.SEQUENCE
    if found == Refusal.OTHER and "mempool is full" in words:
        return Refusal.FULL
    return found


def expected_sequence(words: str) -> int | None:
    """Return the sequence that a chain expects, if it is what it complains of."""
    found = _EXPECTED.search(words)
    return int(found[1]) if found else None


def wanted_fee(words: str, denomination: str) -> int | None:
    """Return the fee that a node wants, if it tells one in the denomination."""
    found = _WANTED.search(words)
    for coin in found[1].rstrip(":").split(",") if found else ():
        amount = coin.removesuffix(denomination)
        if coin != amount and amount.isascii() and amount.isdecimal():
            return int(amount)
    return None
