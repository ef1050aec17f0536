"""Sending transactions: gas, fees and nonces, so that a call takes effect once or not at all.

Each account's transactions are in its `Journal` before they are on their way. The next nonce is
the first one that neither the node counts nor the journal has; what the journal has and the node
does not count, a node that was restarted or a chain that was reorganised has lost, and it is sent
again, the same bytes. A call whose sending ended in doubt is taken up when it is made again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from colearn_ledger.chains.errors import EmptyWallet, GasTooHigh, NodeRefused, TransactionLost
from colearn_ledger.chains.evm.errors import FeeTooHigh, Reverted
from colearn_ledger.chains.evm.fees import Fees, Prices
from colearn_ledger.chains.evm.node import Node, TransactionReceipt
from colearn_ledger.chains.evm.outbox import Outbox, call_of, with_fees
from colearn_ledger.chains.evm.refusals import Refusal
from colearn_ledger.chains.journal import Entry, Journal
from colearn_ledger.home import data_home
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account, LedgerError

__all__ = ["Sender", "SenderConfig", "Sent"]

_log = logging.getLogger(__name__)

_LONGEST_PAUSE = 1.0
"""Seconds between two looks for a receipt or a lower price, at most."""

_TRIES = 8
"""Nonces that are tried when others use the key too; prices likewise."""

_FORGOTTEN_AFTER = 3_600.0
"""Seconds after which what never got into a block is not sent again for a call of the past."""

_LOCK_PATIENCE = 60.0
"""Seconds to wait for another process that sends with the same key."""

_TRANSFER_GAS = 21_000


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """How transactions are paid for, numbered and waited for.

    Args:
        gas_ceiling: gas that no single transaction may exceed.
        gas_headroom: by how much a gas limit exceeds the estimate; state may change meanwhile.
        gas_margin: gas on top of that: a ballot may turn out to be the last of its round when it
            arrives, and then also closes the round and begins the next. Unused gas costs nothing.
        fee_seconds: for how long the fees last seen are used again.
        max_fee: wei that a unit of gas may cost, tip included; never exceeded.
        fee_patience: seconds to wait for the price to fall under that.
        bump_after: seconds in no block after which a transaction is replaced by one that offers
            an eighth more.
        confirmations: blocks a transaction has to be deep before it counts; 1 is its own.
        journal: the folder of what was sent; the user's data folder by default. Processes that
            use the same key have to use the same one.
    """

    gas_ceiling: int = 12_000_000
    gas_headroom: float = 1.3
    gas_margin: int = 200_000
    fee_seconds: float = 12.0
    max_fee: int = 500_000_000_000
    fee_patience: float = 60.0
    bump_after: float = 30.0
    confirmations: int = 1
    journal: Path | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction on its way; a replacement of it has another hash than ``hash``."""

    hash: str
    gas: int
    wallet: Wallet = field(repr=False)
    entry: Entry = field(repr=False)


@dataclass(slots=True)
class _Own:
    """An account and what this process did with it."""

    journal: Journal
    handed: set[int] = field(default_factory=set)
    """Nonces whose transactions somebody here waits for, or may."""
    settled: set[int] = field(default_factory=set)
    """Nonces whose transactions were seen deep enough in the chain."""

    def awaits(self, nonce: int) -> bool:
        """Tell whether somebody here waits for a nonce's transaction, or may."""
        return nonce in self.handed and nonce not in self.settled


class _TooCheap(LedgerError):
    """The price rose meanwhile."""


class Sender:
    """Signs and sends for any number of wallets on one node; threads and processes may share keys.

    Args:
        node: the chain's.
        chain_id: its number.
        config: how.
    """

    def __init__(self, node: Node, chain_id: int, config: SenderConfig) -> None:
        self._node = node
        self.chain_id = chain_id
        self._config = config
        self._prices = Prices(node, config.fee_seconds)
        self._outbox = Outbox(node, chain_id, self._prices, config.max_fee)
        self._accounts: dict[Account, _Own] = {}
        self._accounts_lock = threading.Lock()
        self._folder: Path | None = None

    def send(self, wallet: Wallet, to: str | None, data: bytes, *, value: int = 0) -> Sent:
        """Send a transaction; ``to`` is ``None`` for a deployment, ``value`` in wei.

        Raises:
            Reverted: the contract would refuse it; nothing was sent.
            EmptyWallet: the account can not pay for it.
            GasTooHigh: it needs more gas than the configuration allows.
            FeeTooHigh: the price of gas stayed above the ceiling.
            NodeRefused: the node does not take it.
            LedgerUnavailable: the node can not be reached; when that was told after the
                transaction was on its way, the same call made again takes it up.
        """
        wanted = {"data": data, "value": value} | ({"to": to} if to else {})
        for _ in range(_TRIES):
            gas = self._gas_limit(wallet, wanted | {"from": wallet.address})
            started = time.monotonic()
            fees = self._affordable()
            if time.monotonic() - started > _LONGEST_PAUSE:
                continue  # what the contract said is out of date
            unsigned = with_fees({"type": 2, "chainId": self.chain_id, "gas": gas} | wanted, fees)
            try:
                return self._send_in_turn(wallet, unsigned)
            except _TooCheap:
                self._prices.now(fresh=True)
        raise LedgerUnavailable("the price of gas rises faster than transactions are sent")

    def wait(self, sent: Sent, timeout: float | None) -> TransactionReceipt:
        """Return the receipt of a transaction once it is as deep in the chain as configured.

        Meanwhile it is sent again when the node lost it, and replaced when it is stuck.

        Raises:
            LedgerUnavailable: it is not after ``timeout`` seconds, or the node can not be reached.
            TransactionLost: another transaction has its nonce.
        """
        own, nonce = self._own(sent.wallet.address), sent.entry.nonce
        try:
            receipt = self._awaited(sent, timeout)
        except LedgerError:
            own.handed.discard(nonce)  # whoever makes the call again takes it up
            raise
        own.settled.add(nonce)
        return receipt

    # ------------------------------------------------------------------ what to pay

    def _gas_limit(self, wallet: Wallet, transaction: dict[str, Any]) -> int:
        try:
            estimate = self._node.estimate_gas(transaction)
        except NodeRefused:
            if self._node.balance(wallet.address) == 0:
                needed = self._prices.now().total * _TRANSFER_GAS
                raise EmptyWallet(wallet.address, 0, needed) from None
            raise
        ceiling = self._config.gas_ceiling
        if estimate > ceiling:
            raise GasTooHigh(
                f"this transaction needs {estimate:,} gas and the ceiling is {ceiling:,}; "
                "send less at once, or raise gas_ceiling"
            )
        limit = int(estimate * self._config.gas_headroom) + self._config.gas_margin
        return min(limit, ceiling)

    def _affordable(self) -> Fees:
        """Return fees under the ceiling, once the price is."""
        ceiling, patience = self._config.max_fee, self._config.fee_patience
        price, started, said = self._prices.now(), time.monotonic(), False
        while (fees := price.offer(ceiling)) is None:
            waited = time.monotonic() - started
            if waited >= patience:
                raise FeeTooHigh(price.total, ceiling, waited)
            if not said:
                _log.warning(
                    "gas costs %.3f gwei and the ceiling is %.3f: waiting up to %.0f s",
                    *(price.total / 1e9, ceiling / 1e9, patience),
                )
                said = True
            time.sleep(min(_LONGEST_PAUSE, patience - waited))
            price = self._prices.now(fresh=True)
        return fees

    # ------------------------------------------------------------------ one at a time

    def _own(self, account: Account) -> _Own:
        with self._accounts_lock:
            if account not in self._accounts:
                journal = Journal(self._path(account), patience=_LOCK_PATIENCE)
                self._accounts[account] = _Own(journal)
            return self._accounts[account]

    def _path(self, account: Account) -> Path | None:
        """Return where an account's journal is: told apart by chain, and by its first block."""
        folder = self._config.journal
        if folder is None and not self._node.is_remote:
            return None
        if self._folder is None:
            first = self._node.block(0)
            mark = f"-{first.hash[2:18]}" if first is not None and first.hash else ""
            base = folder or data_home() / "transactions"
            self._folder = base / f"{self.chain_id}{mark}"
        return self._folder / f"{account}.jsonl"

    @contextmanager
    def _turn(self, wallet: Wallet) -> Iterator[_Own]:
        own = self._own(wallet.address)
        with own.journal.turn():
            yield own

    def _send_in_turn(self, wallet: Wallet, unsigned: dict[str, Any]) -> Sent:
        call = call_of(unsigned)
        with self._turn(wallet) as own:
            counted = self._node.nonce(wallet.address)
            again = self._send_lost_again(wallet, own, counted)
            entry = self._resumed(own, call, again)
            if entry is not None:
                _log.info("transaction %s is taken up again", entry.last.hash)
            else:
                entry = self._send_new(wallet, own, Entry(counted, call, time.time()), unsigned)
            own.handed.add(entry.nonce)
            own.settled.discard(entry.nonce)
            return Sent(entry.last.hash, entry.last.unsigned["gas"], wallet, entry)

    def _send_new(self, wallet: Wallet, own: _Own, entry: Entry, unsigned: dict[str, Any]) -> Entry:
        for _ in range(_TRIES):
            while entry.nonce in own.journal.entries:
                entry = replace(entry, nonce=entry.nonce + 1)
            own.handed.discard(entry.nonce)
            own.settled.discard(entry.nonce)
            try:
                refusal = self._outbox.send(wallet, own.journal, entry, unsigned)
            except NodeRefused as error:
                own.journal.forget(entry.nonce)
                self._explain(wallet, unsigned, error)
            if refusal == Refusal.KNOWN:
                return entry
            own.journal.forget(entry.nonce)
            if refusal == Refusal.TOO_CHEAP:
                raise _TooCheap("the price of gas rose")
            _log.info("%s was used elsewhere too: its nonce was read anew", wallet.address)
            counted = self._node.nonce(wallet.address)
            entry = Entry(max(counted, entry.nonce + 1), entry.call, time.time())
        raise NodeRefused(f"{self._node.name} refuses every nonce of {wallet.address}")

    def _explain(self, wallet: Wallet, unsigned: dict[str, Any], refusal: NodeRefused) -> NoReturn:
        needed = unsigned["gas"] * unsigned["maxFeePerGas"] + unsigned["value"]
        balance = self._node.balance(wallet.address)
        if balance < needed:
            raise EmptyWallet(wallet.address, balance, needed) from refusal
        raise refusal

    # ------------------------------------------------------------------ what got lost

    def _send_lost_again(self, wallet: Wallet, own: _Own, counted: int) -> set[int]:
        """Send again what this key sent and the node does not count, in order; return which.

        From the first one on that the contract would refuse now they are forgotten: on a chain
        that was set back their callers see in the state when to make them again.
        """
        again = set()
        lost = sorted(n for n in own.journal.entries if n >= counted)
        for position, nonce in enumerate(lost):
            entry = own.journal.entries[nonce]
            if time.time() - entry.time > _FORGOTTEN_AFTER:
                own.journal.forget(nonce)  # the next transaction takes its nonce, and replaces it
            elif not own.awaits(nonce) and self._is_out_of_date(wallet, entry):
                _log.warning("transaction %s is out of date: not sent again", entry.last.hash)
                for later in lost[position:]:
                    own.journal.forget(later)
                break
            elif self._outbox.send_again(wallet, entry) == Refusal.KNOWN:
                again.add(nonce)
        return again

    def _is_out_of_date(self, wallet: Wallet, entry: Entry) -> bool:
        wanted = {k: v for k, v in entry.last.unsigned.items() if k in ("to", "data", "value")}
        try:
            self._node.estimate_gas(wanted | {"from": wallet.address}, in_flight=True)
        except Reverted:
            return True
        except NodeRefused:
            return False  # no word of the contract's: it may be the price, or the wallet
        return False

    def _resumed(self, own: _Own, call: str, again: set[int]) -> Entry | None:
        """Return the transaction of the same call that nobody here knows the end of."""
        same = [entry for entry in own.journal.entries.values() if entry.call == call]
        for entry in sorted(same, key=lambda e: e.nonce, reverse=True):
            if own.awaits(entry.nonce):  # by whoever made another call that reads the same
                continue
            if entry.nonce in again:
                return entry
            if entry.nonce not in own.settled and self._is_open(entry):
                return entry
        return None

    def _is_open(self, entry: Entry) -> bool:
        """Tell whether a transaction in doubt is the answer to its call made again.

        One that this process sent is, wherever it is: its sender was never told. One that
        another process sent is only while it is in no block: what is in a block, the caller
        has seen in the state.
        """
        for version in reversed(entry.versions):
            found = self._node.whereabouts(version.hash)
            if found is not None:
                return found.block is None or self._outbox.has_made(version)
        return False

    # ------------------------------------------------------------------ waiting

    def _awaited(self, sent: Sent, timeout: float | None) -> TransactionReceipt:
        started = looked = time.monotonic()
        pause, was_in, missing = 0.01, None, 0
        while True:
            receipt = self._deep_receipt(sent)
            if isinstance(receipt, TransactionReceipt):
                return receipt
            if was_in is not None and receipt is None:
                _log.warning("block %d with transaction %s is gone", was_in, sent.hash)
                self._look_after(sent, is_stuck=False)
            was_in = receipt
            now = time.monotonic()
            if timeout is not None and now - started >= timeout:
                where = "in no block" if receipt is None else f"not deep enough in block {receipt}"
                raise LedgerUnavailable(
                    f"transaction {sent.hash} is {where} after {timeout:g} s; "
                    "it may still get into one: read the state before sending again"
                )
            if receipt is None and now - looked >= self._config.bump_after:
                missing = missing + 1 if self._look_after(sent, is_stuck=True) else 0
                looked = now
                if missing > 1:  # once may be a node that lags behind another
                    self._give_up(sent)
            time.sleep(pause if timeout is None else min(pause, max(0.0, started + timeout - now)))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _deep_receipt(self, sent: Sent) -> TransactionReceipt | int | None:
        """Return the receipt, its block's number while that is not deep enough, or nothing."""
        depth = self._config.confirmations
        head = self._node.block_number() if depth > 1 else None
        for version in reversed(sent.entry.versions):
            receipt = self._node.receipt(version.hash)
            if receipt is not None:
                is_deep = head is None or head - receipt.block + 1 >= depth
                return receipt if is_deep else receipt.block
        return None

    def _look_after(self, sent: Sent, *, is_stuck: bool) -> bool:
        """Send a transaction again, or replace it; tell whether its nonce is used by another."""
        account, entry = sent.wallet.address, sent.entry
        with self._turn(sent.wallet) as own:
            first = self._node.nonce(account, in_flight=False)
            counted = self._node.nonce(account)
            if first > entry.nonce:
                return self._deep_receipt(sent) is None
            for nonce in range(first, entry.nonce + 1):
                held = own.journal.entries.get(nonce) or (entry if nonce == entry.nonce else None)
                if held is None:
                    if nonce >= counted:
                        self._outbox.fill(sent.wallet, own.journal, nonce)
                elif self._node.whereabouts(held.last.hash) is None:
                    refusal = self._outbox.send_again(sent.wallet, held)
                    if refusal in (Refusal.TOO_CHEAP, Refusal.NONCE_TAKEN):
                        self._outbox.replace(sent.wallet, own.journal, held)
                elif is_stuck and nonce == first:
                    self._outbox.replace(sent.wallet, own.journal, held)
        return False

    def _give_up(self, sent: Sent) -> None:
        with self._turn(sent.wallet) as own:
            if own.journal.entries.get(sent.entry.nonce) is sent.entry:
                own.journal.forget(sent.entry.nonce)
        raise TransactionLost(
            f"transaction {sent.hash} can not take effect: nonce {sent.entry.nonce} of "
            f"{sent.wallet.address} was used for another; read the state before sending again"
        )
