"""The parts of a sender that differ between chains, and the values they exchange."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from colearn_ledger.chains.budget import Budget
from colearn_ledger.chains.errors import Refusal
from colearn_ledger.chains.heads import Head, Heads
from colearn_ledger.chains.journal import Entry, Journal, Premise, Version
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Account, LedgerError


@dataclass(frozen=True, slots=True)
class Answer:
    """A node's answer to a signed transaction, with the node's explanation."""

    refusal: Refusal
    text: str = ""

    @property
    def accepted(self) -> bool:
        """Return whether the node has the transaction."""
        return self.refusal in (Refusal.NONE, Refusal.KNOWN)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction: its bytes, its version for the journal, and the most it may cost."""

    raw: bytes
    version: Version
    cost: int


Request = TypeVar("Request")
Draft = TypeVar("Draft")
Receipt = TypeVar("Receipt")


@dataclass(frozen=True, slots=True)
class Sent(Generic[Request]):
    """A transaction in flight. A replacement has another hash than ``hash``.

    ``after`` is the head before it was sent; ``None`` if it is unknown, or if the transaction may
    be in an earlier block.
    """

    hash: str
    gas: int
    account: Account
    wallet: Wallet = field(repr=False)
    request: Request = field(repr=False)
    entry: Entry = field(repr=False)
    after: Head | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Sighting(Generic[Receipt]):
    """A transaction in a block; ``receipt`` is ``None`` until it has enough confirmations."""

    block: int
    receipt: Receipt | None


class OutdatedDraft(LedgerError):
    """The state may have changed while a transaction was prepared; it must be prepared again."""


class OutdatedPrice(OutdatedDraft):
    """The price rose while a transaction was prepared."""


class NonceMismatch(LedgerError):
    """The node expects another nonce; ``expected`` is ``None`` if it does not report which."""

    def __init__(self, expected: int | None) -> None:
        self.expected = expected
        super().__init__(f"the node expects nonce {expected}")


@dataclass(slots=True)
class Own:
    """An account, and the state of this process's transactions from it."""

    account: Account
    journal: Journal
    budget: Budget | None = None
    waiting: set[int] = field(default_factory=set)
    """Nonces of the transactions that a caller in this process waits for, or may still wait for."""
    settled: set[int] = field(default_factory=set)
    """Nonces of the transactions that this process has seen with enough confirmations."""
    made: set[str] = field(default_factory=set)
    """Hashes of the versions that this process signed."""
    included: int = 0
    """Number of the account's transactions in blocks, when it was last known."""
    signed: set[int] = field(default_factory=set)
    """Nonces of the transactions that this process signed, unless the node refused them."""
    counted: int = 0
    """Nonces below this are in blocks, or in the journal: other software's were taken into account.
    """

    def is_awaited(self, nonce: int) -> bool:
        """Return whether a caller in this process waits for a transaction, or may still do so."""
        return nonce in self.waiting and nonce not in self.settled

    def record(self, entry: Entry, signed: Signed) -> None:
        """Journal a version just before it is sent.

        Raises:
            BudgetSpent: the daily budget does not allow it.
        """
        if self.budget is not None:
            self.budget.reserve(entry.nonce, signed.cost, time.time())
        self.journal.add(entry, signed.version)
        self.made.add(signed.version.hash)
        self.signed.add(entry.nonce)

    def forget(self, nonce: int) -> None:
        """Abandon a transaction that the node refused."""
        self.journal.forget(nonce)
        self.signed.discard(nonce)
        if self.budget is not None:
            self.budget.release(nonce, time.time())

    def find_foreign(self, nonces: Iterable[int]) -> int | None:
        """Return the first of these nonces that only other software can have used."""
        ours = self.signed | self.journal.entries.keys()
        return next((nonce for nonce in nonces if nonce not in ours), None)

    def free_nonce(self, nonce: int) -> int:
        """Return the first nonce at or after ``nonce`` that is not in the journal."""
        while nonce in self.journal.entries:
            nonce += 1
        return nonce


class SenderHooks(ABC, Generic[Request, Draft, Receipt]):
    """The operations of a chain that `TransactionSender` requires."""

    nonce_name: ClassVar[str] = "nonce"
    first_pause: ClassVar[float] = 0.01
    longest_pause: ClassVar[float] = 1.0
    """Most seconds between two checks for a transaction, if the head is not followed."""

    dropped_when: ClassVar[frozenset[Refusal]] = frozenset()
    """Refusals after which a lost transaction is abandoned instead of sent again later."""

    check_premise: Callable[[Premise], bool] | None = None
    """Returns whether a call's premise holds, so that it may be sent again."""

    receipt_lags: ClassVar[tuple[float, ...]] = (0.0,)
    """Seconds from a new block to each check for a transaction, if the head is followed."""

    heads: Heads[Any] | None = None
    """The head of the chain, ``None`` if it is not followed."""

    full_patience: float = 0.0
    """Seconds to wait for room in the node's pool."""

    denomination: str | None = None
    """The unit of fees; wei if ``None``."""

    @property
    @abstractmethod
    def tend_after(self) -> float:
        """Return the seconds outside of a block after which to resend or replace a transaction."""

    @abstractmethod
    def address(self, wallet: Wallet) -> Account:
        """Return a wallet's account on this chain."""

    @abstractmethod
    def _identify(self, request: Request) -> str:
        """Return an identifier of a request that is independent of fee and nonce."""

    @abstractmethod
    def _prepare(self, wallet: Wallet, request: Request) -> Draft:
        """Check and price a transaction; return it without a nonce."""

    @abstractmethod
    def _sign(self, wallet: Wallet, draft: Draft, nonce: int) -> Signed:
        """Sign a transaction.

        Raises:
            NonceMismatch: the node would refuse this nonce.
        """

    @abstractmethod
    def _restore(self, wallet: Wallet, entry: Entry) -> Signed | None:
        """Sign the last version of a journalled transaction again.

        Return ``None`` unless the result is what was signed before: chain, nonce, call and hash are
        those of the entry. Whoever can write the journal could otherwise spend without the
        password.
        """

    @abstractmethod
    def _broadcast(self, signed: Signed) -> Answer:
        """Send signed bytes to the node.

        Raises:
            CallRefused: the contract refuses the call.
        """

    @abstractmethod
    def _improve(self, wallet: Wallet, draft: Draft, answer: Answer, signed: Signed) -> Draft:
        """Return a draft that the node should accept after its refusal, or raise an explanation.

        Raises:
            OutdatedPrice: the transaction must be prepared again.
        """

    @abstractmethod
    def _next_nonce(self, account: Account, nonce: int, answer: Answer) -> int:
        """Return the nonce to try after the node refused ``nonce``."""

    @abstractmethod
    def _included_count(self, account: Account) -> int:
        """Return the number of an account's transactions in blocks."""

    def _pending_count(self, account: Account) -> int:
        """Return the number of an account's transactions, including those not in a block yet."""
        return self._included_count(account)

    @abstractmethod
    def _is_included(self, name: str) -> bool | None:
        """Return whether a transaction is in a block; ``None`` if the node does not have it."""

    @abstractmethod
    def _find(self, entry: Entry) -> Sighting[Receipt] | None:
        """Return the position in the chain of a transaction, in any of its versions."""

    def _is_lost(self, entry: Entry) -> bool:
        """Return whether the node has no version of a transaction, if the node can report it."""
        return False

    @abstractmethod
    def _would_be_refused(self, wallet: Wallet, entry: Entry, position: int) -> bool:
        """Return whether the contract would refuse a lost transaction now.

        ``position`` counts the lost transactions that are sent again before this one.
        """

    @abstractmethod
    def _first_block_mark(self) -> str | None:
        """Identify the chain's first block; return ``None`` to keep the journal in memory."""

    def _cost_of(self, receipt: Receipt) -> int | None:
        """Return the cost of an included transaction; ``None`` if it is the reserved amount."""
        return None

    def _withdraw(self, wallet: Wallet, own: Own, signed: Signed) -> None:
        """Replace a transaction in the node's pool with an empty one, if the chain allows it.

        ``signed`` is the result of `_restore`.
        """

    def _raise_fee(self, wallet: Wallet, own: Own, entry: Entry, signed: Signed) -> None:
        """Replace a stuck transaction with one that pays more, if the chain allows it.

        ``signed`` is the result of `_restore`, the only fields that may be signed again.
        """

    def _fill_gap(self, wallet: Wallet, own: Own, nonce: int) -> None:
        """Use up a nonce that blocks later transactions, if the chain allows it."""
