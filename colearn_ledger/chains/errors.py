"""Errors of chains, nodes and transactions, in addition to the protocol's own.

``retries`` is the number of times in a row that an agent should try again.
"""

from __future__ import annotations

import math
from enum import Enum
from pathlib import Path
from typing import ClassVar, Self

from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account, LedgerError
from colearn_ledger.text.amounts import format_amount

_MANY = 120
"""Retries after a wrong answer from a node: about an hour at an agent's longest pause."""


class Refusal(Enum):
    """The reason why a node refuses a signed transaction."""

    NONE = "the node accepted it"
    KNOWN = "the node already has this transaction"
    NONCE_USED = "a transaction with this nonce is in a block, or an earlier nonce is missing"
    NONCE_TAKEN = "another transaction with this nonce waits, and this one does not pay enough more"
    FEE = "it offers less than the node's price"
    FUNDS = "the account cannot pay for it"
    GAS = "its gas was not enough"
    FULL = "the node has no room for more transactions now"
    OTHER = "any other reason"


class ChainError(LedgerError):
    """A chain, its node or a transaction failed.

    ``retries`` is the number of times in a row to try again. It is small if the failure may be due
    to chance and each try may cost a fee, and 0 if a person has to fix the cause.
    """

    retries: ClassVar[float] = 5


class WrongChain(ChainError):
    """The node is on another chain than the requested one.

    Once a connection was opened, this means that the node is wrong now, and it may be right later.
    """

    retries = math.inf


class WrongContract(ChainError):
    """The address has no contract, or another one than this package's.

    Once a connection was opened, this means that the node is wrong now, and it may be right later.
    """

    retries = math.inf

    @classmethod
    def missing(cls, where: str) -> Self:
        """Create the error that there is no contract at an address."""
        return cls(f"there is no contract at {where}; check the address and the network")

    @classmethod
    def foreign(cls, where: str) -> Self:
        """Create the error that there is another contract at an address."""
        return cls(
            f"the contract at {where} is not the one that this version of colearn-ledger uses; "
            "check the address, or install the version that deployed it"
        )


class BadAnswer(ChainError):
    """The node's answer is invalid, so the node is faulty or hostile. No part of it was used."""

    retries = _MANY


class ProofFailed(BadAnswer):
    """A node's answer does not follow from the hash of the trusted block."""


class AnswerTooLong(BadAnswer):
    """A node's answer is longer than this package reads; less has to be asked for at once."""


class NodeRefused(ChainError):
    """The node answered a request with an error; the message repeats it."""

    retries: ClassVar[float] = _MANY


class TooFewAccept(NodeRefused):
    """Some of several nodes answered a request with an error, and too few others gave an answer."""

    retries = math.inf


class CallRefused(ChainError):
    """The contract refuses a call; the ledger raises the protocol's error instead."""


class EmptyWallet(ChainError):
    """An account cannot pay for its transaction.

    Args:
        account: the account.
        balance: its balance in the smallest unit, which is wei on EVM chains.
        needed: the most that the transaction may cost.
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
            owned, cost = f"{balance / 1e18:.6f} of the chain's coin", f"{needed / 1e18:.6f}"
        else:
            owned = format_amount(balance, denomination)
            cost = format_amount(needed, denomination)
        super().__init__(
            f"{account} holds {owned}, and this transaction may cost up to {cost}: send it some "
            "and try again"
        )


class GasTooHigh(ChainError):
    """A transaction would need more gas than the ledger may use for one transaction."""

    retries = 0


class BudgetSpent(ChainError):
    """The daily budget does not allow a transaction; nothing was sent.

    Args:
        budget: the budget, with its unit.
        spent: the actual or highest possible cost of this day's transactions, with its unit.
        cost: the most that this transaction may cost, with its unit.
    """

    retries = math.inf

    def __init__(self, budget: str, *, spent: str, cost: str) -> None:
        super().__init__(
            f"the daily budget of {budget} does not allow this transaction: {spent} were spent "
            f"today and it may cost up to {cost}; nothing was sent. Wait until midnight UTC, or "
            "raise the budget: colearn network add … --daily-budget AMOUNT"
        )


class BudgetUnreadable(ChainError):
    """The file with the day's spending is damaged; nothing was sent."""

    retries = 0

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}, which contains what was spent today, cannot be read: nothing was sent. "
            "Check the disk, then remove the file; today's spending starts again at 0"
        )


class MissingChainId(ChainError):
    """A transaction was about to be signed without a configured chain id.

    Without an id, a node could choose the chain on which the signature is valid.

    Args:
        found: the id of the chain that the node reports.
    """

    retries = 0

    def __init__(self, found: int | str) -> None:
        self.found = found
        super().__init__(
            f"a chain id is needed to sign: the node is on chain {str(found)[:60]}. If that is the "
            f"chain you mean, set chain_id={found!r:.60} in the ledger's configuration"
        )


class TransactionFailed(ChainError):
    """A transaction was included and failed, for a reason other than the protocol's rules."""


class KeyInUse(LedgerUnavailable):
    """Other software sends with the same key, and the effect of its transaction is not known yet.

    Args:
        account: the account.
        nonce_name: the name of a nonce on this chain.
        nonce: the nonce of the other transaction.
    """

    retries: ClassVar[float] = math.inf

    def __init__(self, account: Account, nonce_name: str, nonce: int) -> None:
        super().__init__(
            f"other software uses the key of {account}: its transaction with {nonce_name} {nonce} "
            "is in no block yet, so nothing is sent now. Run one agent per key"
        )


class TransactionLost(LedgerUnavailable):
    """A transaction cannot take effect: another one used its nonce, or it is superseded.

    Read the state before making the call again.
    """

    retries: ClassVar[float] = math.inf


class TransactionMissing(LedgerUnavailable):
    """The node does not have a transaction that it had returned an event of."""

    def __init__(self, node: str, transaction: str) -> None:
        """Create the error with the node's name and the transaction's hash."""
        super().__init__(
            f"{node} does not have the receipt of transaction {transaction}; it may have dropped "
            "old ones: try another node"
        )
