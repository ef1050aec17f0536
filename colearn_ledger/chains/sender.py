"""Send each transaction once: the state machine that the senders of all chains share.

A transaction is *journalled* in its account's `Journal`, then *sent*, then *seen* in a block, and
*settled* once that block has enough confirmations. A restarted node or a reorganised chain may
have *lost* it; then the same bytes are sent again.

A transaction is *superseded*, and never sent again, if its round has other proposals than those
that it assumes, or if the contract would refuse it now. Its caller then reads the state
and decides again. If it is unclear whether a call was sent, making the same call again resumes it.
"""

from __future__ import annotations

import logging
import math
import time
from typing import NoReturn

from colearn_ledger.chains.accounts import Accounts
from colearn_ledger.chains.config import SenderConfig
from colearn_ledger.chains.errors import (
    CallRefused,
    KeyInUse,
    NodeRefused,
    Refusal,
    TransactionLost,
)
from colearn_ledger.chains.hooks import (
    Answer,
    Draft,
    NonceMismatch,
    OutdatedDraft,
    Own,
    Receipt,
    Request,
    SenderHooks,
    Sent,
    Signed,
)
from colearn_ledger.chains.journal import Entry, Premise
from colearn_ledger.chains.look_times import LookTimes
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import LedgerError

_log = logging.getLogger(__name__)

_TRIES = 8
"""Number of nonces to try if other software uses the key too; also the number of prices to try."""

_FORGOTTEN_AFTER = 3_600.0
"""Seconds after which a lost transaction is abandoned instead of sent again."""

_MISSED_BLOCKS = 2
"""New blocks without a transaction after which it may be lost or stuck."""

_FULL_PAUSE = 0.25
"""Seconds between two attempts to send to a node whose pool is full."""


class TransactionSender(SenderHooks[Request, Draft, Receipt]):
    """Sign and send for any number of wallets; threads and processes may share their keys.

    Args:
        chain_id: the chain's id.
        node_name: the node's name for messages.
        limits: the folder of the journals, and the daily budget.
    """

    def __init__(self, chain_id: int | str, node_name: str, limits: SenderConfig) -> None:
        self.chain_id: int | str = chain_id
        self._node_name = node_name
        self._accounts = Accounts(limits, self.denomination, self._name_folder)

    # ------------------------------------------------------------------ sending

    def _submit(
        self, wallet: Wallet, request: Request, premise: Premise | None = None
    ) -> Sent[Request]:
        """Send a request, or resume an identical earlier one whose outcome is unknown."""
        call = self._identify(request)
        for _ in range(_TRIES):
            draft = self._prepare(wallet, request)
            after = None if self.heads is None else self.heads.known
            try:
                with self._accounts.turn(self.address(wallet)) as own:
                    earlier = set(own.journal.entries)
                    entry = self._send_or_resume(wallet, own, draft, Entry(0, call, 0.0, premise))
                    own.waiting.add(entry.nonce)
                    own.settled.discard(entry.nonce)
                    if entry.nonce in earlier:  # it may be in an earlier block
                        after = None
                    gas, name = entry.last.unsigned["gas"], entry.last.hash
                    return Sent(name, gas, own.account, wallet, request, entry, after)
            except OutdatedDraft:
                continue
        raise LedgerUnavailable("prices or the account change faster than transactions are sent")

    def _send_or_resume(self, wallet: Wallet, own: Own, draft: Draft, blank: Entry) -> Entry:
        pending = self._pending_count(own.account)
        self._withdraw_superseded(wallet, own, blank.premise, pending)
        again = self._send_lost_again(wallet, own, pending)
        entry = self._find_resumable(wallet, own, blank.call, again)
        if entry is not None:
            _log.info("transaction %s is resumed", entry.last.hash)
            return entry
        self._check_sole_use(own, pending)
        return self._send_new(wallet, own, draft, blank, pending)

    def _check_sole_use(self, own: Own, pending: int) -> None:
        """Send nothing that was checked before other software's transactions took effect.

        Raises:
            KeyInUse: one of them is not in a block yet.
            OutdatedDraft: all are in blocks, so the call has to be checked again.
        """
        if pending <= max(own.counted, max(own.journal.entries, default=-1) + 1):
            return
        foreign = own.find_foreign(range(self._included_count(own.account), pending))
        if foreign is not None:
            raise KeyInUse(own.account, self.nonce_name, foreign)
        own.counted = pending
        raise OutdatedDraft("other software sent transactions with this key")

    def _send_new(self, wallet: Wallet, own: Own, draft: Draft, blank: Entry, nonce: int) -> Entry:
        ends = time.monotonic() + self.full_patience
        tries = _TRIES
        while tries > 0:
            nonce = own.free_nonce(nonce)
            try:
                signed = self._sign(wallet, draft, nonce)
            except NonceMismatch as mismatch:
                expected = nonce + 1 if mismatch.expected is None else mismatch.expected
                self._check_sole_use(own, expected)
                nonce, tries = expected, tries - 1
                continue
            entry = Entry(nonce, blank.call, time.time(), blank.premise)
            answer = self._offer(own, entry, signed)
            if answer.accepted:
                return entry
            own.forget(nonce)
            if answer.refusal == Refusal.FULL and time.monotonic() < ends:
                _log.info("%s has no room for transactions: waiting", self._node_name)
                time.sleep(_FULL_PAUSE)
                continue
            tries -= 1
            if answer.refusal in (Refusal.NONCE_USED, Refusal.NONCE_TAKEN):
                _log.warning("other software uses the key of %s too", own.account)
                nonce = self._next_nonce(own.account, nonce, answer)
                self._check_sole_use(own, nonce)
            else:
                draft = self._improve(wallet, draft, answer, signed)
        raise NodeRefused(f"{self._node_name} refuses every {self.nonce_name} of {own.account}")

    def _offer(self, own: Own, entry: Entry, signed: Signed) -> Answer:
        """Journal a version and send it for the first time."""
        own.waiting.discard(entry.nonce)
        own.settled.discard(entry.nonce)
        own.record(entry, signed)
        try:
            return self._broadcast(signed)
        except CallRefused:  # some nodes execute a transaction when they receive it
            own.forget(entry.nonce)
            raise

    # ------------------------------------------------------------------ lost transactions

    def _withdraw_superseded(
        self, wallet: Wallet, own: Own, premise: Premise | None, pending: int
    ) -> None:
        """Drop pooled transactions whose round now has other proposals.

        A ballot that was seen in a block is only in doubt if the next call is another ballot on the
        same round: a reorganisation may have returned it to the pool.
        """
        doubtful = [
            entry
            for nonce, entry in sorted(own.journal.entries.items())
            if entry.premise is not None
            and nonce < pending
            and (nonce >= own.included or entry.premise.is_alternative(premise))
        ]
        if not doubtful:
            return
        own.included = self._included_count(own.account)
        for entry in doubtful:
            if entry.nonce >= own.included and not self._has_valid_premise(entry):
                signed = self._restore_or_forget(wallet, own, entry)
                if signed is not None:
                    self._drop(own, entry)
                    self._withdraw(wallet, own, signed)

    def _send_lost_again(self, wallet: Wallet, own: Own, pending: int) -> set[int]:
        """Resend, in order, the transactions that the node lost; return the accepted nonces.

        A superseded transaction is dropped together with all later ones, which may depend on it.
        """
        again: set[int] = set()
        lost = sorted(n for n in own.journal.entries if n >= pending)
        for position, nonce in enumerate(lost):
            entry = own.journal.entries[nonce]
            if time.time() - entry.time > _FORGOTTEN_AFTER:
                own.journal.forget(nonce)  # the next transaction uses the nonce
                continue
            signed = self._restore_or_forget(wallet, own, entry)
            if signed is None:
                continue
            if not self._has_valid_premise(entry) or (
                not own.is_awaited(nonce) and self._would_be_refused(wallet, entry, position)
            ):
                for later in lost[position:]:
                    self._drop(own, own.journal.entries[later])
                break
            if self._send_again(own, entry, signed).accepted:
                again.add(nonce)
        return again

    def _has_valid_premise(self, entry: Entry) -> bool:
        if entry.premise is None or self.check_premise is None:
            return True
        return self.check_premise(entry.premise)

    def _drop(self, own: Own, entry: Entry) -> None:
        _log.warning("transaction %s is superseded: it is not sent again", entry.last.hash)
        own.journal.forget(entry.nonce)

    def _restore_or_forget(self, wallet: Wallet, own: Own, entry: Entry) -> Signed | None:
        """Sign a journalled transaction again; forget it if that is not what was signed before."""
        signed = self._restore(wallet, entry)
        if signed is None:
            _log.error(
                "the journal's transaction %s was changed on the disk: it is neither sent again "
                "nor replaced; find out who can write to the journal",
                entry.last.hash,
            )
            own.journal.forget(entry.nonce)
        return signed

    def _send_again(self, own: Own, entry: Entry, signed: Signed) -> Answer:
        """Send the bytes of a lost transaction again."""
        _log.warning("the node lost transaction %s: sent again", entry.last.hash)
        try:
            answer = self._broadcast(signed)
        except CallRefused:
            answer = Answer(Refusal.OTHER, "the contract refuses the call")
        if not answer.accepted:
            _log.warning("transaction %s is refused now: %s", entry.last.hash, answer.text[:200])
            if answer.refusal in self.dropped_when:
                own.journal.forget(entry.nonce)
        return answer

    def _find_resumable(self, wallet: Wallet, own: Own, call: str, again: set[int]) -> Entry | None:
        """Return a transaction of the same call whose caller does not have its outcome."""
        same = [entry for entry in own.journal.entries.values() if entry.call == call]
        for entry in sorted(same, key=lambda e: e.nonce, reverse=True):
            if own.is_awaited(entry.nonce):  # by the caller of an identical call
                continue
            if entry.nonce in again:
                return entry
            in_doubt = entry.nonce not in own.settled and self._is_in_doubt(own, entry)
            if in_doubt and self._restore_or_forget(wallet, own, entry) is not None:
                return entry
        return None

    def _is_in_doubt(self, own: Own, entry: Entry) -> bool:
        """Return whether the caller of a transaction may lack its outcome.

        If this process sent it, its caller never received the outcome. If another process sent it,
        that caller has seen the effect of an included transaction in the state.
        """
        for version in reversed(entry.versions):
            is_included = self._is_included(version.hash)
            if is_included is not None:
                return not is_included or version.hash in own.made
        return False

    # ------------------------------------------------------------------ waiting

    def _await(self, sent: Sent[Request], timeout: float | None) -> Receipt:
        """Return a transaction's receipt once its block is deep enough."""
        own, nonce = self._accounts.find(sent.account), sent.entry.nonce
        try:
            receipt = self._watch(sent, timeout)
        except LedgerError:
            own.waiting.discard(nonce)  # making the same call again resumes it
            raise
        own.settled.add(nonce)
        own.included = max(own.included, nonce + 1)
        cost = self._cost_of(receipt)
        if own.budget is not None and cost is not None:
            with own.journal.turn():
                own.budget.settle(nonce, cost, time.time())
        return receipt

    def _watch(self, sent: Sent[Request], timeout: float | None) -> Receipt:
        started = tended = time.monotonic()
        looks = LookTimes(
            self.heads,
            sent.after,
            first=self.first_pause,
            longest=self.longest_pause,
            lags=self.receipt_lags,
        )
        missing = checked = tended_blocks = 0
        last_block: int | None = None
        while True:
            now = time.monotonic()
            left = math.inf if timeout is None else started + timeout - now
            patience = tended + self.tend_after - now
            if last_block is not None or (patience <= 0 and self.heads is not None):
                patience = math.inf  # only a new block changes anything
            looks.wait(min(left, max(self.first_pause, patience)))
            sighting = self._find(sent.entry)
            if sighting is not None and sighting.receipt is not None:
                return sighting.receipt
            block = None if sighting is None else sighting.block
            if block is None and last_block is not None:
                _log.warning("block %d with transaction %s is gone", last_block, sent.hash)
                self._tend(sent, is_stuck=False)
            last_block = block
            now = time.monotonic()
            if timeout is not None and now - started >= timeout:
                where = "in no block" if block is None else f"not deep enough in block {block}"
                raise LedgerUnavailable(
                    f"transaction {sent.hash} is {where} after {timeout:g} s; "
                    "it may still take effect: read the state before you send again"
                )
            passed_over = self.heads is None or looks.blocks - tended_blocks >= _MISSED_BLOCKS
            is_stuck = passed_over and now - tended >= self.tend_after
            is_doubtful = looks.blocks - checked >= _MISSED_BLOCKS
            if is_doubtful:
                checked = looks.blocks
            if block is None and (is_stuck or (is_doubtful and self._is_lost(sent.entry))):
                missing = missing + 1 if self._tend(sent, is_stuck=is_stuck) else 0
                tended, tended_blocks = now, looks.blocks
                if missing > 1:  # the first time, the node may only lag behind
                    self._give_up(sent)

    def _tend(self, sent: Sent[Request], *, is_stuck: bool) -> bool:
        """Resend or replace a transaction; return whether another transaction used its nonce.

        Raises:
            TransactionLost: it is superseded, or its journal was changed.
        """
        entry = sent.entry
        with self._accounts.turn(sent.account) as own:
            included = self._included_count(sent.account)
            if included > entry.nonce:
                return self._find(entry) is None
            for nonce in range(included, entry.nonce + 1):
                waiting = own.journal.entries.get(nonce)
                if waiting is None and nonce == entry.nonce:
                    if not own.journal.has_pruned(nonce):
                        return True  # another thread or process dropped it
                    waiting = entry
                if waiting is None:
                    self._fill_gap(sent.wallet, own, nonce)
                else:
                    self._tend_one(sent, own, waiting, is_stuck=is_stuck and nonce == included)
            return entry.nonce not in own.journal.entries

    def _tend_one(self, sent: Sent[Request], own: Own, waiting: Entry, *, is_stuck: bool) -> None:
        """Resend or replace a transaction that is the awaited one, or one before it."""
        wallet, is_awaited = sent.wallet, waiting.nonce == sent.entry.nonce
        signed = self._restore_or_forget(wallet, own, waiting)
        if signed is None:
            if is_awaited:
                raise TransactionLost(
                    f"the journal's entry of transaction {sent.hash} was changed on the disk; the "
                    "transaction may still take effect: read the state before you send again"
                )
        elif waiting.premise is not None and not self._has_valid_premise(waiting):
            self._drop(own, waiting)
            self._withdraw(wallet, own, signed)
            if is_awaited:
                raise TransactionLost(
                    f"transaction {sent.hash} was dropped: round {waiting.premise.round} now has "
                    "other proposals than those it assumes; read the state and decide again"
                )
        elif self._is_included(waiting.last.hash) is None:
            answer = self._send_again(own, waiting, signed)
            if answer.refusal in (Refusal.FEE, Refusal.NONCE_TAKEN):
                self._raise_fee(wallet, own, waiting, signed)
        elif is_stuck:
            self._raise_fee(wallet, own, waiting, signed)

    def _give_up(self, sent: Sent[Request]) -> NoReturn:
        nonce = sent.entry.nonce
        with self._accounts.turn(sent.account) as own:
            if own.journal.entries.get(nonce) is sent.entry:
                own.journal.forget(nonce)
        raise TransactionLost(
            f"transaction {sent.hash} cannot take effect: {self.nonce_name} {nonce} of "
            f"{sent.account} was used for another; read the state before you send again"
        )

    def _name_folder(self) -> str | None:
        """Return the name of the journals' folder, one for each chain and first block."""
        mark = self._first_block_mark()
        return None if mark is None else f"{self.chain_id}{mark and '-'}{mark}"
