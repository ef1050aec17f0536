"""Sign and send transactions on an EVM chain: nonces, gas, fees and replacements."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from colearn_ledger.chains.errors import (
    BadAnswer,
    BudgetSpent,
    EmptyWallet,
    GasTooHigh,
    NodeRefused,
    Refusal,
)
from colearn_ledger.chains.evm.config import EvmSenderConfig
from colearn_ledger.chains.evm.errors import FeeTooHigh, Reverted, classify_refusal
from colearn_ledger.chains.evm.fees import Fees, Prices, raise_fees
from colearn_ledger.chains.evm.node import Node, TransactionReceipt
from colearn_ledger.chains.hooks import Answer, OutdatedPrice, Own, Sent, Sighting, Signed
from colearn_ledger.chains.journal import Entry, Premise, Version
from colearn_ledger.chains.sender import TransactionSender
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Account

_log = logging.getLogger(__name__)

_LONGEST_PAUSE = 1.0
"""Most seconds between two checks for a lower price."""

_TRANSFER_GAS = 21_000

Fields = dict[str, Any]
"""The fields of a transaction, in the form in which they are signed."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call, payment or deployment. ``to`` is ``None`` for a deployment; ``value`` is in wei."""

    to: str | None
    data: bytes
    value: int

    @property
    def fields(self) -> Fields:
        """Return the fields of the transaction that the request determines."""
        return {"data": self.data, "value": self.value} | ({"to": self.to} if self.to else {})


class Sender(TransactionSender[Request, Fields, TransactionReceipt]):
    """Sign and send transactions for any number of wallets on one node.

    Args:
        node: a node of the chain.
        chain_id: the chain's id.
        config: limits on costs, and the folder of the journals.
    """

    chain_id: int

    def __init__(self, node: Node, chain_id: int, config: EvmSenderConfig) -> None:
        super().__init__(chain_id, node.name, config)
        self._node = node
        self._config = config
        self._prices = Prices(node, config.fee_seconds, config.max_tip, self._known_base_fee)

    def send(
        self,
        wallet: Wallet,
        to: str | None,
        data: bytes,
        *,
        value: int = 0,
        premise: Premise | None = None,
    ) -> Sent[Request]:
        """Send a transaction.

        Args:
            wallet: signs and pays.
            to: the recipient; ``None`` for a deployment.
            data: the call's data, or the contract's code.
            value: the amount to pay, in wei.
            premise: the proposals that the call assumes, if it depends on any.

        Raises:
            Reverted: the contract would refuse it; nothing was sent.
            EmptyWallet: the account cannot pay for it.
            GasTooHigh: it needs more gas than the configuration allows.
            FeeTooHigh: the price of gas stayed above the ceiling.
            NodeRefused: the node does not accept it.
            LedgerUnavailable: the node cannot be reached. The transaction may have been sent;
                making the same call again resumes it.
        """
        return self._submit(wallet, Request(to, data, value), premise)

    def wait(self, sent: Sent[Request], timeout: float | None) -> TransactionReceipt:
        """Return the receipt of a transaction once it has enough confirmations.

        The transaction is sent again if the node lost it, and replaced if it is stuck.

        Raises:
            LedgerUnavailable: it lacks confirmations after ``timeout`` seconds, or the node cannot
                be reached.
            TransactionLost: another transaction used its nonce, or it is superseded.
        """
        return self._await(sent, timeout)

    # ------------------------------------------------------------------ hooks

    @property
    def tend_after(self) -> float:
        """Return the seconds outside of a block after which a transaction is replaced."""
        return self._config.bump_after

    def address(self, wallet: Wallet) -> Account:
        """Return a wallet's account."""
        return wallet.address

    def _identify(self, request: Request) -> str:
        return _identify_call(request.fields)

    def _prepare(self, wallet: Wallet, request: Request) -> Fields:
        while True:
            gas = self._estimate_limit(wallet, request.fields | {"from": wallet.address})
            started = time.monotonic()
            fees = self._wait_for_price()
            if time.monotonic() - started <= _LONGEST_PAUSE:  # the estimate is still recent
                break
        fields = {"type": 2, "chainId": self.chain_id, "gas": gas} | request.fields
        return _with_fees(fields, fees)

    def _sign(self, wallet: Wallet, draft: Fields, nonce: int) -> Signed:
        fields = draft | {"nonce": nonce}
        raw = wallet.sign_transaction(fields)
        return Signed(raw, Version("0x" + keccak(raw).hex(), fields), _highest_cost(fields))

    def _restore(self, wallet: Wallet, entry: Entry) -> Signed | None:
        fields = entry.last.unsigned
        try:
            if (fields["chainId"], fields["nonce"]) != (self.chain_id, entry.nonce):
                return None
            if _identify_call(fields) != entry.call:
                return None
            signed = self._sign(wallet, fields, entry.nonce)
        except Exception:  # noqa: BLE001 - the fields may be anything
            return None
        return signed if signed.version.hash == entry.last.hash else None

    def _broadcast(self, signed: Signed) -> Answer:
        name = signed.version.hash
        try:
            sent = self._node.send(signed.raw)
        except NodeRefused as error:
            refusal = classify_refusal(str(error))
            # if the first answer was lost, the repeated request finds the nonce used
            if refusal == Refusal.NONCE_USED and self._is_included(name) is not None:
                refusal = Refusal.KNOWN
            return Answer(refusal, str(error))
        if sent != name:
            raise BadAnswer(f"{self._node.name} returned the hash of another transaction")
        return Answer(Refusal.NONE)

    def _improve(self, wallet: Wallet, draft: Fields, answer: Answer, signed: Signed) -> Fields:
        if answer.refusal == Refusal.FEE:
            self._prices.now(fresh=True)
            raise OutdatedPrice("the price of gas rose")
        balance, needed = self._node.balance(wallet.address), _highest_cost(draft)
        if balance < needed:
            raise EmptyWallet(wallet.address, balance, needed)
        raise NodeRefused(answer.text)

    def _next_nonce(self, account: Account, nonce: int, answer: Answer) -> int:
        return max(self._node.nonce(account), nonce + 1)

    def _included_count(self, account: Account) -> int:
        return self._node.nonce(account, in_flight=False)

    def _pending_count(self, account: Account) -> int:
        return self._node.nonce(account)

    def _is_included(self, name: str) -> bool | None:
        whereabouts = self._node.whereabouts(name)
        return None if whereabouts is None else whereabouts.block is not None

    def _is_lost(self, entry: Entry) -> bool:
        return all(self._is_included(version.hash) is None for version in entry.versions)

    def _known_base_fee(self) -> int | None:
        head = None if self.heads is None else self.heads.recent(self._config.fee_seconds)
        return None if head is None else head.base_fee

    def _find(self, entry: Entry) -> Sighting[TransactionReceipt] | None:
        depth = self._config.confirmations
        head = self.find_head_number() if depth > 1 else None
        for version in reversed(entry.versions):
            receipt = self._node.receipt(version.hash)
            if receipt is not None:
                is_deep = head is None or head - receipt.block + 1 >= depth
                return Sighting(receipt.block, receipt if is_deep else None)
        return None

    def find_head_number(self) -> int:
        """Return the last block's number; the node is only asked if it announces no blocks."""
        pushed = None if self.heads is None else self.heads.pushed
        return self._node.block_number() if pushed is None else int(pushed.number)

    def _would_be_refused(self, wallet: Wallet, entry: Entry, position: int) -> bool:
        fields = {k: v for k, v in entry.last.unsigned.items() if k in ("to", "data", "value")}
        try:
            self._node.estimate_gas(fields | {"from": wallet.address}, in_flight=True)
        except Reverted:
            return True
        except NodeRefused:
            return False  # the price or the balance is refused, not the call
        return False

    def _cost_of(self, receipt: TransactionReceipt) -> int | None:
        return None if receipt.gas_price is None else receipt.gas_used * receipt.gas_price

    def _first_block_mark(self) -> str | None:
        if self._config.journal is None and not self._node.is_remote:
            return None
        first = self._node.block(0)
        return first.hash[2:18] if first is not None else ""

    # ------------------------------------------------------------------ replacements

    def _raise_fee(self, wallet: Wallet, own: Own, entry: Entry, signed: Signed) -> None:
        """Replace a transaction with one that offers an eighth more, up to the ceiling."""
        old = signed.version
        fees = self._higher_fees(old)
        if fees is None:
            return
        _log.warning("transaction %s is stuck: replaced at %.3f gwei", old.hash, fees.max_fee / 1e9)
        higher = self._sign(wallet, _with_fees(old.unsigned, fees), entry.nonce)
        try:
            own.record(entry, higher)
        except BudgetSpent as error:
            _log.warning("it is not replaced: %s", error)
            return
        answer = self._broadcast(higher)
        if not answer.accepted:
            _log.warning("its replacement was refused: %s", answer.text)

    def _withdraw(self, wallet: Wallet, own: Own, signed: Signed) -> None:
        """Replace a transaction in the pool with an empty one, so that it never takes effect."""
        old = signed.version
        if self._is_included(old.hash) is not False:
            return
        fees = self._higher_fees(old)
        if fees is not None:
            _log.warning("transaction %s is withdrawn from the node's pool", old.hash)
            self._send_empty(wallet, own, old.unsigned["nonce"], fees)

    def _fill_gap(self, wallet: Wallet, own: Own, nonce: int) -> None:
        """Send an empty transaction with an unused nonce that blocks later transactions."""
        if nonce < self._node.nonce(own.account):
            return
        fees = self._prices.now(fresh=True).offer(self._config.max_fee)
        if fees is not None:
            _log.warning(
                "nonce %d of %s is unused: an empty transaction fills it", nonce, own.account
            )
            self._send_empty(wallet, own, nonce, fees)

    def _send_empty(self, wallet: Wallet, own: Own, nonce: int, fees: Fees) -> None:
        fields: Fields = {"type": 2, "chainId": self.chain_id, "gas": _TRANSFER_GAS}
        fields |= {"to": wallet.address, "data": b"", "value": 0}
        signed = self._sign(wallet, _with_fees(fields, fees), nonce)
        answer = self._offer(own, Entry(nonce, _identify_call(fields), time.time()), signed)
        if not answer.accepted:
            own.forget(nonce)
            _log.warning("the empty transaction was refused: %s", answer.text)

    def _higher_fees(self, version: Version) -> Fees | None:
        """Return the fees of a replacement, ``None`` if the ceilings allow no increase."""
        old = Fees(version.unsigned["maxFeePerGas"], version.unsigned["maxPriorityFeePerGas"])
        config = self._config
        fees = raise_fees(old, self._prices.now(fresh=True), config.max_fee, config.max_tip)
        if fees is None:
            _log.warning(
                "transaction %s offers %.3f gwei and is stuck; the ceiling of %.3f gwei (tip "
                "%.3f) allows no replacement",
                version.hash,
                old.max_fee / 1e9,
                config.max_fee / 1e9,
                config.max_tip / 1e9,
            )
        return fees

    # ------------------------------------------------------------------ gas and fees

    def _estimate_limit(self, wallet: Wallet, fields: Fields) -> int:
        try:
            estimate = self._node.estimate_gas(fields)
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

    def _wait_for_price(self) -> Fees:
        """Return fees below the ceiling, waiting for the price to fall if necessary."""
        ceiling, patience = self._config.max_fee, self._config.fee_patience
        price, started, is_logged = self._prices.now(), time.monotonic(), False
        while (fees := price.offer(ceiling)) is None:
            waited = time.monotonic() - started
            if waited >= patience:
                raise FeeTooHigh(price.total, ceiling, waited)
            if not is_logged:
                _log.warning(
                    "gas costs %.3f gwei and the ceiling is %.3f: waiting up to %.0f s",
                    price.total / 1e9,
                    ceiling / 1e9,
                    patience,
                )
                is_logged = True
            time.sleep(min(_LONGEST_PAUSE, patience - waited))
            price = self._prices.now(fresh=True)
        return fees


def _with_fees(fields: Fields, fees: Fees) -> Fields:
    return fields | {"maxFeePerGas": fees.max_fee, "maxPriorityFeePerGas": fees.tip}


def _highest_cost(fields: Fields) -> int:
    """Return the most that a transaction may cost, in wei."""
    return int(fields["gas"] * fields["maxFeePerGas"] + fields["value"])


def _identify_call(fields: Fields) -> str:
    """Return an identifier of recipient, value and data that is independent of fees and nonce."""
    to, value = str(fields.get("to", "")), fields["value"]
    return keccak(to.lower().encode() + value.to_bytes(32, "big") + fields["data"]).hex()


def find_base_fee(receipt: TransactionReceipt, entry: Entry) -> int | None:
    """Return the base fee of a receipt's block, ``None`` if the receipt does not reveal it.

    A transaction pays the base fee and its tip, except if that is more than it offers.
    """
    fields, price = entry.last.unsigned, receipt.gas_price
    if price is None or entry.last.hash != receipt.transaction:
        return None
    tip, most = fields["maxPriorityFeePerGas"], fields["maxFeePerGas"]
    return int(price - tip) if tip <= price < most else None
