"""What can go wrong with a chain, beside what the protocol refuses."""

from __future__ import annotations

from colearn_ledger.protocol import Account, LedgerError

__all__ = [
    "BadAnswer",
    "EmptyWallet",
    "GasTooHigh",
    "NodeRefused",
    "Reverted",
    "TransactionFailed",
    "WrongChain",
    "WrongContract",
]


class WrongChain(LedgerError):
    """The node is on another chain than the one that was asked for."""


class WrongContract(LedgerError):
    """There is no contract at the address, or not the one that this package speaks with."""


class BadAnswer(LedgerError):
    """The node's answer makes no sense: a faulty or hostile node. Nothing of it was used."""


class NodeRefused(LedgerError):
    """The node answered a request with an error of its own; the message repeats it."""


class EmptyWallet(LedgerError):
    """An account can not pay for its transaction.

    Args:
        account: whose wallet it is.
        balance: what it holds, in wei.
        needed: what the transaction may cost at most, in wei.
    """

    def __init__(self, account: Account, balance: int, needed: int) -> None:
        self.account = account
        self.balance = balance
        self.needed = needed
        super().__init__(
            f"{account} holds {balance / 1e18:.6f} of the chain's coin, and this transaction may "
            f"cost up to {needed / 1e18:.6f}: send it some and try again"
        )


class GasTooHigh(LedgerError):
    """A transaction would need more gas than the ledger was allowed to spend on one."""


class TransactionFailed(LedgerError):
    """A transaction was included and failed, and not by a rule of the protocol."""


class Reverted(LedgerError):
    """A call was reverted; the ledger turns ``data`` into the protocol's error.

    Args:
        data: the revert data, ABI-encoded; empty when the node keeps it to itself.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        super().__init__("the call was reverted")
