"""Sending transactions: gas, fees and sequences, so that a call takes effect once or not at all.

Each account's transactions are in its `Journal`, bytes and all, before they are on their way. The
next sequence is the first that neither the chain counts nor the journal has. What the journal has
and the chain does not count, a node that was restarted may have lost: it is sent again, the same
bytes. A call whose sending ended in doubt is taken up when it is made again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import NoReturn

from colearn_ledger.chains.cosmos.config import SenderConfig
from colearn_ledger.chains.cosmos.errors import FeeTooHigh, Refused
from colearn_ledger.chains.cosmos.node import Executed, Node
from colearn_ledger.chains.cosmos.refusals import Refusal, expected_sequence, refusal_of, wanted_fee
from colearn_ledger.chains.cosmos.transactions import Action, Signing, call_of, name_of, signed
from colearn_ledger.chains.errors import EmptyWallet, GasTooHigh, NodeRefused, TransactionLost
from colearn_ledger.chains.journal import Entry, Journal, Version
from colearn_ledger.home import data_home
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.networks.profiles import CosmosTerms
from colearn_ledger.protocol import Account, LedgerError

__all__ = ["Sender", "Sent"]

_log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.03
_LONGEST_PAUSE = 0.25
"""Seconds between two looks for a transaction; blocks come every second or few."""

_TRIES = 8
"""Sequences that are tried when others use the key too; fees likewise."""

_MORE_GAS = 2
"""How often more gas is given to what ran out of it, doubled each time."""

_LOOK_AFTER = 5.0
"""Seconds in no block after which a transaction is looked after."""

_FORGOTTEN_AFTER = 3_600.0
_LOCK_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction on its way."""

    hash: str
    gas: int
    wallet: Wallet = field(repr=False)
    actions: tuple[Action, ...] = field(repr=False)
    entry: Entry = field(repr=False)


@dataclass(slots=True)
class _Own:
    """An account and what this process did with it."""

    journal: Journal
    number: int | None = None
    handed: set[int] = field(default_factory=set)
    """Sequences whose transactions somebody here waits for, or may."""
    settled: set[int] = field(default_factory=set)
    """Sequences whose transactions were seen in a block."""
    made: set[str] = field(default_factory=set)
    """Hashes of the transactions that this process signed."""


class Sender:
    """Signs and sends for any number of wallets on one chain; threads and processes may share keys.

    Args:
        node: the chain's.
        chain_id: its id.
        terms: its prefix, and what gas costs.
        config: how.
    """

    def __init__(self, node: Node, chain_id: str, terms: CosmosTerms, config: SenderConfig) -> None:
        self._node = node
        self.chain_id = chain_id
        self.terms = terms
        self._config = config
        self._price = Decimal(str(terms.gas_price))
        self._accounts: dict[Account, _Own] = {}
        self._accounts_lock = threading.Lock()
        self._folder: Path | None = None

    def address(self, wallet: Wallet) -> Account:
        """Return a wallet's account on this chain."""
        return wallet.cosmos_address(self.terms.prefix)

    def send(self, wallet: Wallet, *actions: Action, gas: int | None = None) -> Sent:
        """Send a transaction.

        Args:
            wallet: whose.
            actions: what it does, all or nothing.
            gas: its limit; simulated unless it is given.

        Raises:
            Refused: the contract would refuse it; nothing was sent.
            EmptyWallet: the account can not pay for it.
            GasTooHigh: it needs more gas than the configuration allows.
            FeeTooHigh: the node wants more for it than may be paid.
            NodeRefused: the chain does not take it.
            LedgerUnavailable: the node can not be reached; when that was told after the
                transaction was on its way, the same call made again takes it up.
        """
        account, call = self.address(wallet), call_of(actions)
        with self._turn(account) as own:
            number, counted = self._node.account(account)
            own.number = number
            again = self._send_lost_again(account, own, counted)
            entry = self._resumed(own, call, again)
            if entry is not None:
                _log.info("transaction %s is taken up again", entry.last.hash)
            else:
                first = Entry(counted, call, time.time())
                entry = self._send_new(wallet, own, first, actions, gas)
            own.handed.add(entry.nonce)
            own.settled.discard(entry.nonce)
            return Sent(entry.last.hash, entry.last.unsigned["gas"], wallet, actions, entry)

    def wait(self, sent: Sent, timeout: float | None) -> Executed:
        """Return a transaction once it is in a block.

        Meanwhile it is sent again when the node lost it; one that ran out of gas is given more.

        Raises:
            LedgerUnavailable: it is in none after ``timeout`` seconds, or the node can not be
                reached.
            TransactionLost: another transaction has its place.
        """
        started = time.monotonic()
        for times in range(_MORE_GAS + 1):
            left = None if timeout is None else max(0.0, timeout - (time.monotonic() - started))
            found = self._awaited(sent, left)
            ran_out = refusal_of(found.code, found.codespace, found.log) == Refusal.GAS
            more = min(sent.gas * 2, self._config.gas_ceiling)
            if not ran_out or more <= sent.gas or times == _MORE_GAS:
                break
            _log.warning("transaction %s ran out of gas: sent with %d", sent.hash, more)
            sent = self.send(sent.wallet, *sent.actions, gas=more)
        return found

    # ------------------------------------------------------------------ one at a time

    def _own(self, account: Account) -> _Own:
        with self._accounts_lock:
            if account not in self._accounts:
                journal = Journal(self._path(account), patience=_LOCK_PATIENCE)
                self._accounts[account] = _Own(journal)
            return self._accounts[account]

    @contextmanager
    def _turn(self, account: Account) -> Iterator[_Own]:
        own = self._own(account)
        with own.journal.turn():
            yield own

    def _path(self, account: Account) -> Path:
        """Return where an account's journal is: told apart by chain, and by its first block."""
        if self._folder is None:
            first = self._node.block(1)
            mark = f"-{first.hash[:16]}" if first is not None else ""
            base = self._config.journal or data_home() / "transactions"
            self._folder = base / f"{self.chain_id}{mark}"
        return self._folder / f"{account}.jsonl"

    def _send_new(
        self, wallet: Wallet, own: _Own, entry: Entry, actions: tuple[Action, ...], gas: int | None
    ) -> Entry:
        fee: int | None = None
        ends = time.monotonic() + self._config.full_patience
        tries = _TRIES
        while tries > 0:
            while entry.nonce in own.journal.entries:
                entry = replace(entry, nonce=entry.nonce + 1)
            limit = gas or self._simulated(wallet, own, entry, actions)
            if isinstance(limit, Entry):  # another sequence is expected
                entry, tries = limit, tries - 1
                continue
            signing = self._signing(own, entry.nonce, limit, fee)
            refusal, words = self._hand_over(wallet, own, entry, actions, signing)
            if refusal in (Refusal.NONE, Refusal.KNOWN):
                return entry
            own.journal.forget(entry.nonce)
            if refusal == Refusal.SEQUENCE:
                entry = _moved(entry, words)
            elif refusal == Refusal.FEE:
                fee = self._raised(signing, words)
            elif refusal == Refusal.FULL and time.monotonic() < ends:
                _log.info("%s has no room for transactions: waiting", self._node.name)
                time.sleep(_LONGEST_PAUSE)
                continue
            else:
                self._explain(wallet, signing, refusal, words)
            tries -= 1
        raise NodeRefused(f"{self._node.name} refuses every sequence of {self.address(wallet)}")

    def _simulated(
        self, wallet: Wallet, own: _Own, entry: Entry, actions: tuple[Action, ...]
    ) -> int | Entry:
        """Return the gas limit, or the entry with the sequence that the chain expects."""
        ceiling = self._config.gas_ceiling
        trial = signed(wallet, actions, self._signing(own, entry.nonce, ceiling, 0))
        try:
            used = self._node.simulate(trial)
        except NodeRefused as error:
            if expected_sequence(str(error)) is not None:
                return _moved(entry, str(error))
            self._explain_simulation(wallet, error)
        limit = int(used * self._config.gas_headroom) + self._config.gas_margin
        if used > ceiling:
            raise GasTooHigh(
                f"this transaction needs {used:,} gas and the ceiling is {ceiling:,}; "
                "send less at once, or raise gas_ceiling"
            )
        return min(limit, ceiling)

    def _signing(self, own: _Own, sequence: int, gas: int, fee: int | None) -> Signing:
        if fee is None:
            fee = int((gas * self._price).to_integral_value(ROUND_CEILING))
        number, unit = own.number or 0, self.terms.denomination
        return Signing(self.chain_id, number, sequence, gas, fee, unit)

    def _hand_over(
        self,
        wallet: Wallet,
        own: _Own,
        entry: Entry,
        actions: tuple[Action, ...],
        signing: Signing,
    ) -> tuple[Refusal, str]:
        raw = signed(wallet, actions, replace(signing, sequence=entry.nonce))
        version = Version(name_of(raw), {"raw": raw, "gas": signing.gas})
        own.handed.discard(entry.nonce)
        own.settled.discard(entry.nonce)
        own.journal.add(entry, version)
        own.made.add(version.hash)
        try:
            return self._broadcast(raw, version.hash)
        except Refused:  # some chains execute in the first check
            own.journal.forget(entry.nonce)
            raise

    def _broadcast(self, raw: bytes, name: str) -> tuple[Refusal, str]:
        try:
            code, codespace, words = self._node.broadcast(raw)
        except NodeRefused as error:  # nodes answer some refusals as errors of the request
            code, codespace, words = 1, "", str(error)
            if "already in" in words or "already exists" in words:
                return Refusal.KNOWN, words
        refusal = refusal_of(code, codespace, words)
        # an answer may have got lost, and the node been asked again
        if refusal == Refusal.SEQUENCE and self._node.transaction(name) is not None:
            return Refusal.KNOWN, words
        return refusal, words

    # ------------------------------------------------------------------ what to pay

    def _raised(self, signing: Signing, words: str) -> int:
        """Return the fee that the node wants, if it may be paid."""
        wanted = wanted_fee(words, signing.denomination)
        ceiling = self._config.price_ceiling * (float(self._price) or 1.0) * signing.gas
        if wanted is None:
            raise NodeRefused(
                f"{self._node.name} does not take fees in {signing.denomination}: {words[:200]}"
            )
        if wanted > ceiling:
            raise FeeTooHigh(wanted, int(ceiling), signing.denomination)
        return wanted

    def _explain_simulation(self, wallet: Wallet, refusal: NodeRefused) -> NoReturn:
        account, unit = self.address(wallet), self.terms.denomination
        if self._price and self._node.balance(account, unit) == 0:
            needed = int(self._config.gas_margin * self._price) + 1
            raise EmptyWallet(account, 0, needed, unit) from None
        raise refusal

    def _explain(self, wallet: Wallet, signing: Signing, refusal: Refusal, words: str) -> NoReturn:
        if refusal == Refusal.FUNDS:
            account = self.address(wallet)
            balance = self._node.balance(account, signing.denomination)
            raise EmptyWallet(account, balance, signing.fee, signing.denomination)
        if refusal == Refusal.FULL:
            raise LedgerUnavailable(f"the node {self._node.name} has no room for transactions")
        raise NodeRefused(f"{self._node.name} does not take the transaction: {words[:300]}")

    # ------------------------------------------------------------------ what got lost

    def _send_lost_again(self, account: Account, own: _Own, counted: int) -> set[int]:
        """Send again what this key sent and the chain does not count, in order; return which."""
        again = set()
        for sequence in sorted(n for n in own.journal.entries if n >= counted):
            entry = own.journal.entries[sequence]
            if time.time() - entry.time > _FORGOTTEN_AFTER:
                own.journal.forget(sequence)  # the next transaction takes its place
                continue
            refusal, words = self._broadcast(entry.last.unsigned["raw"], entry.last.hash)
            if refusal in (Refusal.NONE, Refusal.KNOWN):
                again.add(sequence)
            else:
                _log.warning(
                    "transaction %s of %s is refused now: %s", entry.last.hash, account, words[:200]
                )
                if refusal in (Refusal.FUNDS, Refusal.FEE, Refusal.SEQUENCE):
                    own.journal.forget(sequence)
        return again

    def _resumed(self, own: _Own, call: str, again: set[int]) -> Entry | None:
        """Return the transaction of the same call that nobody here knows the end of."""
        same = [entry for entry in own.journal.entries.values() if entry.call == call]
        for entry in sorted(same, key=lambda e: e.nonce, reverse=True):
            awaited = entry.nonce in own.handed and entry.nonce not in own.settled
            if awaited:  # whoever waits for it made another call that reads the same
                continue
            if entry.nonce in again:
                return entry
            # What is in a block: its sender here was never told; that of another process has seen
            # it in the state.
            is_ours = entry.nonce not in own.settled and entry.last.hash in own.made
            if is_ours and self._node.transaction(entry.last.hash) is not None:
                return entry
        return None

    # ------------------------------------------------------------------ waiting

    def _awaited(self, sent: Sent, timeout: float | None) -> Executed:
        account = self.address(sent.wallet)
        own = self._own(account)
        try:
            found = self._in_a_block(sent, account, timeout)
        except LedgerError:
            own.handed.discard(sent.entry.nonce)  # whoever makes the call again takes it up
            raise
        own.settled.add(sent.entry.nonce)
        return found

    def _in_a_block(self, sent: Sent, account: Account, timeout: float | None) -> Executed:
        started = looked = time.monotonic()
        pause, missing = _FIRST_PAUSE, 0
        while True:
            found = self._node.transaction(sent.hash)
            if found is not None:
                return found
            now = time.monotonic()
            if timeout is not None and now - started >= timeout:
                raise LedgerUnavailable(
                    f"transaction {sent.hash} is in no block after {timeout:g} s; "
                    "it may still get into one: read the state before sending again"
                )
            if now - looked >= _LOOK_AFTER:
                missing = missing + 1 if self._look_after(sent, account) else 0
                looked = now
                if missing > 1:  # once may be a node whose index lags behind
                    self._give_up(sent, account)
            time.sleep(pause if timeout is None else min(pause, max(0.0, started + timeout - now)))
            pause = min(pause * 1.2, _LONGEST_PAUSE)

    def _look_after(self, sent: Sent, account: Account) -> bool:
        """Send a transaction again; tell whether another has its place."""
        with self._turn(account) as own:
            counted = self._node.account(account)[1]
            if counted > sent.entry.nonce:
                return self._node.transaction(sent.hash) is None
            self._send_lost_again(account, own, counted)
            if sent.entry.nonce not in own.journal.entries:
                return True
        return False

    def _give_up(self, sent: Sent, account: Account) -> NoReturn:
        with self._turn(account) as own:
            if own.journal.entries.get(sent.entry.nonce) is sent.entry:
                own.journal.forget(sent.entry.nonce)
        raise TransactionLost(
            f"transaction {sent.hash} can not take effect: sequence {sent.entry.nonce} of "
            f"{account} was used for another; read the state before sending again"
        )


def _moved(entry: Entry, words: str) -> Entry:
    """Return the entry at the sequence that the chain expects, or the next one."""
    expected = expected_sequence(words)
    following = entry.nonce + 1 if expected is None else expected
    return Entry(following, entry.call, time.time())
