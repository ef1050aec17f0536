"""What can go wrong with any chain, beside what the protocol refuses.

Each error says how often in a row trying again may help: ``retries``, which agents go by.
"""

from __future__ import annotations

import math
from typing import ClassVar

from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account, LedgerError

__all__ = [
    "BadAnswer",
    "ChainError",
    "EmptyWallet",
    "GasTooHigh",
    "NodeRefused",
    "TransactionFailed",
    "TransactionLost",
    "WrongChain",
    "WrongContract",
]

_MANY = 120
"""For a node that answers, but not as it should: about an hour at an agent's longest pause."""


class ChainError(LedgerError):
    """Something about the chain, its node or a transaction.

    ``retries`` is how often in a row to try again what fails with it: a few times for what may be
    chance and may cost a fee each time, never for what somebody has to mend.
    """

    retries: ClassVar[float] = 5


class WrongChain(ChainError):
    """The node is on another chain than the one that was asked for."""

    retries = 0


class WrongContract(ChainError):
    """There is no contract at the address, or not the one that this package speaks with."""

    retries = 0


class BadAnswer(ChainError):
    """The node's answer makes no sense: a faulty or hostile node. Nothing of it was used."""

    retries = _MANY


class NodeRefused(ChainError):
    """The node answered a request with an error of its own; the message repeats it."""

    retries = _MANY


class EmptyWallet(ChainError):
    """An account can not pay for its transaction.

    Args:
        account: whose wallet it is.
        balance: what it holds, in the smallest unit: wei on EVM chains.
        needed: what the transaction may cost at most.
        denomination: the unit; wei if ``None``.
    """

    retries = 0

    def __init__(
        self, account: Account, balance: int, needed: int, denomination: str | None = None
    ) -> None:
        self.account = account
        self.balance = balance
        self.needed = needed
        if denomination is None:
            held, cost = f"{balance / 1e18:.6f} of the chain's coin", f"{needed / 1e18:.6f}"
        else:
            held, cost = f"{balance:,} {denomination}", f"{needed:,}"
        super().__init__(
            f"{account} holds {held}, and this transaction may cost up to {cost}: send it some and "
            "try again"
        )


class GasTooHigh(ChainError):
    """A transaction would need more gas than the ledger was allowed to spend on one."""

    retries = 0


class TransactionFailed(ChainError):
    """A transaction was included and failed, and not by a rule of the protocol."""


class TransactionLost(LedgerUnavailable):
    """A transaction can not get into a block any more: another one has its place.

    Nothing came of it. Read the state before the call is made again.
    """

    retries: ClassVar[float] = math.inf
