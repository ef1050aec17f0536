"""Sign and send transactions on a Cosmos chain: sequences, gas and fees."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import NoReturn

from colearn_ledger.chains.cosmos.config import CosmosSenderConfig
from colearn_ledger.chains.cosmos.errors import (
    FeeTooHigh,
    Refused,
    classify_refusal,
    find_expected_sequence,
    find_wanted_fee,
)
from colearn_ledger.chains.cosmos.gas import describe_actions, find_ceiling
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.records import Executed
from colearn_ledger.chains.cosmos.transactions import (
    Action,
    Signing,
    hash_transaction,
    identify_call,
    read_actions,
    sign_transaction,
    unsigned_transaction,
)
from colearn_ledger.chains.errors import EmptyWallet, GasTooHigh, NodeRefused, Refusal
from colearn_ledger.chains.hooks import Answer, NonceMismatch, Sent, Sighting, Signed
from colearn_ledger.chains.journal import Entry, Premise, Version
from colearn_ledger.chains.sender import TransactionSender
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.protocol import Account

_log = logging.getLogger(__name__)

_MORE_GAS = 3
"""Number of times that a transaction's gas is doubled after it ran out of gas."""

_TEND_AFTER = 5.0
"""Fewest seconds without inclusion in a block after which a transaction is sent again."""

_TEND_BLOCKS = 3
"""Number of times between two blocks after which it is sent again, if that is longer."""

Actions = tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A transaction without a sequence.

    Args:
        actions: its actions; they take effect together or not at all.
        gas: the gas limit; simulated if ``None``.
        fee: the fee; computed from the network's gas price if ``None``.
        more_gas: gas that it may need in addition to what a simulation shows.
    """

    actions: Actions
    gas: int | None = None
    fee: int | None = None
    more_gas: int = 0


class Sender(TransactionSender[Draft, Draft, Executed]):
    """Sign and send transactions for any number of wallets on one chain.

    Args:
        node: a node of the chain.
        chain_id: the chain's id.
        access: the chain's address prefix and gas price.
        config: limits on costs, and the folder of the journals.
    """

    chain_id: str
    nonce_name = "sequence"
    first_pause = 0.03
    longest_pause = 0.25
    receipt_lags = (0.0, 0.5)
    dropped_when = frozenset({Refusal.FUNDS, Refusal.FEE, Refusal.NONCE_USED})

    def __init__(
        self, node: Node, chain_id: str, access: CosmosAccess, config: CosmosSenderConfig
    ) -> None:
        self.denomination = access.denomination
        super().__init__(chain_id, node.name, config)
        self.access = access
        self.full_patience = config.full_patience
        self._node = node
        self._config = config
        self._price = Decimal(str(access.gas_price))
        self._numbers: dict[Account, int] = {}

    def send(
        self,
        wallet: Wallet,
        *actions: Action,
        gas: int | None = None,
        premise: Premise | None = None,
        more_gas: int = 0,
    ) -> Sent[Draft]:
        """Send a transaction.

        Args:
            wallet: signs and pays.
            *actions: its actions; they take effect together or not at all.
            gas: the gas limit; simulated if ``None``.
            premise: the proposals that the call assumes, if it depends on any.
            more_gas: gas that it may need in addition to what a simulation shows.

        Raises:
            Refused: the contract would refuse it; nothing was sent.
            EmptyWallet: the account cannot pay for it.
            GasTooHigh: it needs more gas than the configuration allows.
            FeeTooHigh: the node demands a higher fee than the configuration allows.
            NodeRefused: the node does not accept it.
            LedgerUnavailable: the node cannot be reached. The transaction may have been sent;
                making the same call again resumes it.
        """
        return self._submit(wallet, Draft(actions, gas, more_gas=more_gas), premise)

    def wait(self, sent: Sent[Draft], timeout: float | None) -> Executed:
        """Return a transaction once it is in a block.

        The transaction is sent again if the node lost it, and with more gas if it ran out of gas.

        Raises:
            LedgerUnavailable: it is not in a block after ``timeout`` seconds, or the node cannot
                be reached.
            TransactionLost: another transaction used its sequence, or it is superseded.
        """
        started = time.monotonic()
        for attempt in range(_MORE_GAS + 1):
            left = None if timeout is None else max(0.0, timeout - (time.monotonic() - started))
            found = self._await(sent, left)
            ran_out = classify_refusal(found.code, found.codespace, found.log) == Refusal.GAS
            more = min(sent.gas * 2, self._ceiling(sent.request.actions))
            if not ran_out or more <= sent.gas or attempt == _MORE_GAS:
                break
            _log.warning("transaction %s ran out of gas: sent again with %d", sent.hash, more)
            sent = self._submit(sent.wallet, replace(sent.request, gas=more), sent.entry.premise)
        return found

    # ------------------------------------------------------------------ hooks

    @property
    def tend_after(self) -> float:
        """Return the seconds outside of a block after which a transaction is sent again."""
        seconds = None if self.heads is None else self.heads.block_seconds
        return max(_TEND_AFTER, _TEND_BLOCKS * (seconds or 0.0))

    def address(self, wallet: Wallet) -> Account:
        """Return a wallet's account on this chain."""
        return wallet.cosmos_address(self.access.prefix)

    def _identify(self, request: Draft) -> str:
        return identify_call(request.actions)

    def _prepare(self, wallet: Wallet, request: Draft) -> Draft:
        return request

    def _sign(self, wallet: Wallet, draft: Draft, nonce: int) -> Signed:
        gas = draft.gas or self._simulate(wallet, draft, nonce)
        signing = self._signing(self.address(wallet), nonce, gas, draft.fee)
        raw = sign_transaction(wallet, draft.actions, signing)
        fields = {"raw": raw, "gas": gas, "fee": signing.fee}
        return Signed(raw, Version(hash_transaction(raw), fields), signing.fee)

    def _restore(self, wallet: Wallet, entry: Entry) -> Signed | None:
        fields = entry.last.unsigned
        try:
            actions = read_actions(fields["raw"])
            signing = self._signing(
                self.address(wallet), entry.nonce, fields["gas"], int(fields["fee"])
            )
            raw = sign_transaction(wallet, actions, signing)
        except Exception:  # noqa: BLE001 - the fields may be anything
            return None
        signed = Signed(raw, Version(hash_transaction(raw), fields), signing.fee)
        is_same_call = identify_call(actions) == entry.call
        return signed if is_same_call and signed.version.hash == entry.last.hash else None

    def _broadcast(self, signed: Signed) -> Answer:
        try:
            code, codespace, text = self._node.broadcast(signed.raw)
        except NodeRefused as error:  # nodes report some refusals as errors of the request
            code, codespace, text = 1, "", str(error)
            if "already in" in text or "already exists" in text:
                return Answer(Refusal.KNOWN, text)
        refusal = classify_refusal(code, codespace, text)
        # if the first answer was lost, the repeated request finds the sequence used
        if refusal == Refusal.NONCE_USED and self._is_included(signed.version.hash):
            return Answer(Refusal.KNOWN, text)
        return Answer(refusal, text)

    def _next_nonce(self, account: Account, nonce: int, answer: Answer) -> int:
        expected = find_expected_sequence(answer.text)
        return nonce + 1 if expected is None else expected

    def _included_count(self, account: Account) -> int:
        self._numbers[account], sequence = self._node.account(account)
        return sequence

    def _is_included(self, name: str) -> bool | None:
        return True if self._node.transaction(name) is not None else None

    def _find(self, entry: Entry) -> Sighting[Executed] | None:
        for version in reversed(entry.versions):
            found = self._node.transaction(version.hash)
            if found is not None:  # blocks are final
                return Sighting(found.height, found)
        return None

    def _would_be_refused(self, wallet: Wallet, entry: Entry, position: int) -> bool:
        if position:  # a simulation ignores transactions in flight
            return False
        signed = self._restore(wallet, entry)
        try:
            if signed is not None:
                self._node.simulate(signed.raw)
        except Refused:
            return True
        except NodeRefused:
            return False  # the sequence or the fee is refused, not the call
        return False

    def _first_block_mark(self) -> str:
        first = self._node.block(1)
        return first.hash[:16] if first is not None else ""

    # ------------------------------------------------------------------ gas and fees

    def _simulate(self, wallet: Wallet, draft: Draft, sequence: int) -> int:
        """Simulate a transaction and return its gas limit.

        Raises:
            NonceMismatch: the node expects another sequence.
        """
        actions, margin = draft.actions, self._config.gas_margin + draft.more_gas
        ceiling = self._ceiling(actions)
        signing = self._signing(self.address(wallet), sequence, ceiling, 0)
        try:
            used = self._node.simulate(unsigned_transaction(wallet, actions, signing))
        except NodeRefused as error:
            if (expected := find_expected_sequence(str(error))) is not None:
                raise NonceMismatch(expected) from None
            self._explain_simulation(wallet, error)
        limit = int(used * self._config.gas_headroom) + margin
        if used > ceiling:
            raise GasTooHigh(
                f"this {describe_actions(actions)} needs {used:,} gas, as the node reports, and "
                f"the ceiling is {ceiling:,}; send less at once or use another node, or raise "
                "gas_ceiling and call_ceilings"
            )
        return min(limit, ceiling)

    def _ceiling(self, actions: Actions) -> int:
        """Return the most gas that a transaction may use."""
        own = find_ceiling(actions)
        if own is None:
            return self._config.gas_ceiling
        return min(self._config.gas_ceiling, int(own * self._config.call_ceilings))

    def _signing(self, account: Account, sequence: int, gas: int, fee: int | None) -> Signing:
        if fee is None:
            fee = int((gas * self._price).to_integral_value(ROUND_CEILING))
        number, unit = self._numbers.get(account, 0), self.access.denomination
        return Signing(self.chain_id, number, sequence, gas, fee, unit)

    def _improve(self, wallet: Wallet, draft: Draft, answer: Answer, signed: Signed) -> Draft:
        """Return a draft with the fee that the node demands, if that fee is allowed."""
        gas, unit = signed.version.unsigned["gas"], self.access.denomination
        if answer.refusal != Refusal.FEE:
            self._explain(wallet, signed, answer)
        wanted = find_wanted_fee(answer.text, unit)
        ceiling = self._config.price_ceiling * (float(self._price) or 1.0) * gas
        if wanted is None:
            raise NodeRefused(
                f"{self._node.name} does not accept fees in {unit}: {answer.text[:200]}"
            )
        if wanted > ceiling:
            raise FeeTooHigh(wanted, int(ceiling), unit)
        return replace(draft, gas=gas, fee=wanted)

    def _explain_simulation(self, wallet: Wallet, refusal: NodeRefused) -> NoReturn:
        account, unit = self.address(wallet), self.access.denomination
        if self._price and self._node.balance(account, unit) == 0:
            needed = int(self._config.gas_margin * self._price) + 1
            raise EmptyWallet(account, 0, needed, unit) from None
        raise refusal

    def _explain(self, wallet: Wallet, signed: Signed, answer: Answer) -> NoReturn:
        if answer.refusal == Refusal.FUNDS:
            account, unit = self.address(wallet), self.access.denomination
            balance = self._node.balance(account, unit)
            raise EmptyWallet(account, balance, signed.version.unsigned["fee"], unit)
        if answer.refusal == Refusal.FULL:
            raise LedgerUnavailable(f"the node {self._node.name} has no room for transactions")
        raise NodeRefused(f"{self._node.name} does not accept the transaction: {answer.text[:300]}")
