"""Errors of Cosmos chains, and the reasons why their nodes refuse transactions."""

from __future__ import annotations

import math
import re

from colearn_ledger.chains.errors import BadAnswer, CallRefused, ChainError, Refusal
from colearn_ledger.text.strict_json import InvalidJson, load

_CONTRACT_ERROR = re.compile(r"colearn:([A-Za-z]{1,40})\((\[[^\]]{0,400}\])\)")
_EXPECTED = re.compile(r"account sequence mismatch, expected (\d{1,19}), got (\d{1,19})")
_WANTED = re.compile(r"required: ([^ ]{1,1000})")

_SDK = "sdk"
_CODES = {
    5: Refusal.FUNDS,
    11: Refusal.GAS,
    13: Refusal.FEE,
    19: Refusal.KNOWN,
    20: Refusal.FULL,
    32: Refusal.NONCE_USED,
}


class FeeTooHigh(ChainError):
    """The node demands a higher price for gas than the ledger may pay; nothing was sent.

    Args:
        wanted: the fee that the node demands for the transaction, in ``denomination``.
        ceiling: the most that may be paid for it.
        denomination: the unit of both.
    """

    retries = math.inf

    def __init__(self, wanted: int, ceiling: int, denomination: str) -> None:
        self.wanted = wanted
        self.ceiling = ceiling
        super().__init__(
            f"the node demands a fee of {wanted:,} {denomination} for this transaction, above the "
            f"ceiling of {ceiling:,}; nothing was sent: wait for a lower price, or raise gas_price "
            "of the network"
        )


class Refused(CallRefused):
    """The contract refuses a call; the ledger decodes this into the protocol's error.

    Args:
        name: the name of the contract's error.
        values: the values it carries, as in JSON.
    """

    def __init__(self, name: str, values: tuple[object, ...]) -> None:
        self.name = name
        self.values = values
        super().__init__(f"the contract refuses the call: {name}")


def find_contract_error(text: str) -> Refused | None:
    """Return the contract's error from a node's message, ``None`` if it contains no such error.

    Raises:
        BadAnswer: the message starts like a contract's error but is malformed.
    """
    match = _CONTRACT_ERROR.search(text)
    if match is None:
        return None
    try:
        values = load(match[2])
    except InvalidJson as error:
        raise BadAnswer(
            f"the values of the error {match[1]} are malformed: {match[2][:100]!r}"
        ) from error
    return Refused(match[1], tuple(values))


def classify_refusal(code: int, codespace: str, message: str) -> Refusal:
    """Return the meaning of a result code; some chains give the reason only in the message."""
    if code == 0:
        return Refusal.NONE
    refusal = _CODES.get(code, Refusal.OTHER) if codespace == _SDK else Refusal.OTHER
    if refusal == Refusal.OTHER and find_expected_sequence(message) is not None:
        return Refusal.NONCE_USED
    if refusal == Refusal.OTHER and "mempool is full" in message:
        return Refusal.FULL
    return refusal


def find_expected_sequence(message: str) -> int | None:
    """Return the sequence that a node expects, if its message states one."""
    match = _EXPECTED.search(message)
    return int(match[1]) if match else None


def find_wanted_fee(message: str, denomination: str) -> int | None:
    """Return the fee that a node demands, if its message states one in the denomination."""
    match = _WANTED.search(message)
    for coin in match[1].rstrip(":").split(",") if match else ():
        amount = coin.removesuffix(denomination)
        if coin != amount and amount.isascii() and amount.isdecimal():
            return int(amount)
    return None
