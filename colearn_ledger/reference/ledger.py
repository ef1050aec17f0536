"""LocalLedger: the whole protocol in the memory of one process."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Self, TypeVar

from colearn_ledger.calls import AGENDA, DUTY, Call, Query, check_arguments
from colearn_ledger.keys.signing import signing_domain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger, Origin, Receipt, RecordedEvent
from colearn_ledger.protocol import Account, Event, ExperimentId, LedgerError, SigningDomain
from colearn_ledger.reference.rounds import Transaction
from colearn_ledger.reference.rules import Rules
from colearn_ledger.reference.state import LedgerState
from colearn_ledger.reference.views import Views
from colearn_ledger.text.address import check_evm_address

T = TypeVar("T")

Clock = Callable[[], float]
"""Returns seconds since the epoch."""

Entropy = Callable[[], bytes]
"""Returns 32 unpredictable bytes."""


def new_domain() -> SigningDomain:
    """Return the domain of a new ledger: chain 0 and a random contract address."""
    return signing_domain(0, Account(check_evm_address("0x" + os.urandom(20).hex())))


def _random_word() -> bytes:
    return os.urandom(32)


@dataclass(frozen=True, slots=True)
class Done:
    """A transaction that took effect before its call returned."""

    receipt: Receipt

    def wait(self, timeout: float | None = None) -> Receipt:
        """Return the receipt."""
        return self.receipt


_DEPENDS_ON_TIME = {DUTY.name, AGENDA.name}
"""Queries whose answer depends on the time at which they are asked."""


class _Deployment:
    """The state that all ledgers of one deployment share, and the lock that guards it."""

    def __init__(self, domain: SigningDomain, clock: Clock, entropy: Entropy) -> None:
        self.domain = domain
        self._clock = clock
        self._entropy = entropy
        self._state = LedgerState()
        self._rules = Rules(self._state, domain)
        self._views = Views(self._state)
        self._transactions = 0
        self._last_time = 0
        self._event_count = 0
        self._events: defaultdict[ExperimentId, list[RecordedEvent]] = defaultdict(list)
        self._origins: dict[str, Origin] = {}
        self._changed = threading.Condition(threading.RLock())

    def now(self) -> int:
        """Return the clock's time, but never an earlier time than that of the last transaction."""
        with self._changed:
            return max(int(self._clock()), self._last_time)

    def submit(self, caller: Account, call: Call, arguments: Sequence[Any]) -> Receipt:
        """Apply a call to the state, or raise the protocol's error."""
        checked = check_arguments(call, arguments, self.domain.scheme)
        with self._changed:
            tx = Transaction(caller, self.now(), self._fresh_entropy())
            events: list[Event] = getattr(self._rules, call.name)(tx, *checked)
            receipt = self._record(tx, events)
            self._origins[receipt.transaction] = Origin(caller, tx.entropy, call, checked)
            self._changed.notify_all()
            return receipt

    def ask(self, query: Query[T], arguments: Sequence[Any]) -> T:
        """Return the answer to a query."""
        checked = check_arguments(query, arguments, self.domain.scheme)
        with self._changed:
            time_of_answer = (self.now(),) if query.name in _DEPENDS_ON_TIME else ()
            answer: T = getattr(self._views, query.name)(*checked, *time_of_answer)
            return answer

    def events(self, experiment: ExperimentId, after: int, limit: int) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``."""
        with self._changed:
            recorded = self._events[self._state.find(experiment).id]
            start = bisect_right(recorded, after, key=attrgetter("cursor"))
            return recorded[start : start + max(limit, 0)]

    def read_origins(self, recorded: Sequence[RecordedEvent]) -> list[Origin | None]:
        """Return the senders, calls and entropies of the events' transactions."""
        with self._changed:
            return [self._origins.get(each.transaction) for each in recorded]

    def wait_past(self, transactions: int, timeout: float) -> int:
        """Return the number of transactions once it differs, or after ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._transactions != transactions, timeout)
            return self._transactions

    def _record(self, tx: Transaction, events: Sequence[Event]) -> Receipt:
        self._transactions += 1
        self._last_time = tx.time
        number = self._transactions.to_bytes(8, "big")
        transaction = "0x" + hashlib.sha256(self.domain.separator + number).hexdigest()
        for event in events:
            recorded = RecordedEvent(self._event_count, tx.time, transaction, event)
            self._events[event.experiment].append(recorded)
            self._event_count += 1
        return Receipt(transaction, tx.time, 0, tuple(events))

    def _fresh_entropy(self) -> bytes:
        entropy = self._entropy()
        if len(entropy) != 32:
            raise LedgerError(
                f"the entropy source returned {len(entropy)} bytes; it has to return 32"
            )
        return entropy


class LocalLedger(Ledger):
    """A ledger without a chain: the rules of the protocol on state in memory.

    Calls take effect before they return. Ledgers made with `acting_for` share the state; several
    threads may use them. The state is lost when the process ends.
    """

    def __init__(self, deployment: _Deployment, wallet: Wallet) -> None:
        """Create the ledger of one account; prefer `new`."""
        self._deployment = deployment
        self._wallet = wallet
        self._seen = -1

    @classmethod
    def new(
        cls,
        wallet: Wallet,
        *,
        clock: Clock = time.time,
        entropy: Entropy = _random_word,
        domain: SigningDomain | None = None,
    ) -> Self:
        """Create a deployment and return the ledger of one account.

        Args:
            wallet: signs for the account.
            clock: returns the time of transactions, in seconds since the epoch.
            entropy: returns the 32 random bytes of a transaction.
            domain: the signing domain; chain 0 and a random address by default.
        """
        return cls(_Deployment(domain or new_domain(), clock, entropy), wallet)

    @property
    def account(self) -> Account:
        """Return the account that sends the transactions."""
        return self._wallet.account_on(self.domain)

    @property
    def domain(self) -> SigningDomain:
        """Return the domain that signed ballots and commitments are bound to."""
        return self._deployment.domain

    def acting_for(self, wallet: Wallet) -> Self:
        """Return a ledger of the same deployment that signs with another wallet."""
        return type(self)(self._deployment, wallet)

    def now(self) -> int:
        """Return the ledger's time, seconds since the epoch."""
        return self._deployment.now()

    def submit(self, call: Call, *arguments: Any) -> Done:
        """Apply a call to the state."""
        return Done(self._deployment.submit(self.account, call, arguments))

    def ask_all(self, query: Query[T], questions: Sequence[Sequence[Any]]) -> list[T]:
        """Return the answers to one query for several sets of arguments."""
        return [self._deployment.ask(query, arguments) for arguments in questions]

    def events(
        self, experiment: ExperimentId, after: int = -1, limit: int = 1_000
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``."""
        return self._deployment.events(experiment, after, limit)

    def read_origins(self, recorded: Sequence[RecordedEvent]) -> list[Origin | None]:
        """Return the senders, calls and entropies of the events' transactions."""
        return self._deployment.read_origins(recorded)

    def wait_for_change(self, timeout: float) -> bool:
        """Return whether something has changed since the last wait, waiting up to ``timeout``."""
        seen, self._seen = self._seen, self._deployment.wait_past(self._seen, timeout)
        return self._seen != seen
