"""Getting one signed transaction to the node: the first time, again, at a higher price.

All of it happens in the turn of the account's `Journal`, where each version is noted before it
is sent.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from eth_utils.crypto import keccak

from colearn_ledger.chains.errors import BadAnswer, NodeRefused
from colearn_ledger.chains.evm.fees import Fees, Prices, raised
from colearn_ledger.chains.evm.node import Node
from colearn_ledger.chains.evm.refusals import Refusal, refusal_in
from colearn_ledger.chains.journal import Entry, Journal, Version
from colearn_ledger.keys.wallet import Wallet

__all__ = ["Outbox", "call_of", "with_fees"]

_log = logging.getLogger(__name__)

_TRANSFER_GAS = 21_000


class Outbox:
    """Signs and sends what has a nonce.

    Args:
        node: the chain's.
        chain_id: its number.
        prices: of its gas.
        ceiling: wei that a unit of gas may cost.
    """

    def __init__(self, node: Node, chain_id: int, prices: Prices, ceiling: int) -> None:
        self._node = node
        self._chain_id = chain_id
        self._prices = prices
        self._ceiling = ceiling
        self._made: set[str] = set()

    def has_made(self, version: Version) -> bool:
        """Tell whether this process signed a version."""
        return version.hash in self._made

    def send(
        self, wallet: Wallet, journal: Journal, entry: Entry, unsigned: dict[str, Any]
    ) -> Refusal:
        """Note a transaction and send it; `Refusal.KNOWN` if it is on its way now.

        Raises:
            NodeRefused: the node does not take it, for a reason that is none of `Refusal`.
        """
        numbered = unsigned | {"nonce": entry.nonce}
        raw = wallet.sign_transaction(numbered)
        version = Version("0x" + keccak(raw).hex(), numbered)
        journal.add(entry, version)
        self._made.add(version.hash)
        return self._broadcast(raw, version.hash)

    def _broadcast(self, raw: bytes, name: str) -> Refusal:
        try:
            sent = self._node.send(raw)
        except NodeRefused as error:
            refusal = refusal_in(str(error))
            if refusal == Refusal.OTHER:
                raise
            # an answer may have got lost, and the node been asked again
            if refusal == Refusal.NONCE_USED and self._node.whereabouts(name) is not None:
                return Refusal.KNOWN
            return refusal
        if sent != name:
            raise BadAnswer(f"{self._node.name} gave another transaction's hash for the one sent")
        return Refusal.KNOWN

    def send_again(self, wallet: Wallet, entry: Entry) -> Refusal:
        """Send the same bytes again; a refusal is for the log only: it may be in a block."""
        _log.warning("the node does not count transaction %s: sent again", entry.last.hash)
        try:
            return self._broadcast(wallet.sign_transaction(entry.last.unsigned), entry.last.hash)
        except NodeRefused as error:
            _log.warning("transaction %s is refused now: %s", entry.last.hash, error)
            return Refusal.OTHER

    def replace(self, wallet: Wallet, journal: Journal, entry: Entry) -> None:
        """Offer an eighth more for a transaction, never more than the ceiling."""
        old = Fees(entry.last.unsigned["maxFeePerGas"], entry.last.unsigned["maxPriorityFeePerGas"])
        fees = raised(old, self._prices.now(fresh=True), self._ceiling)
        if fees is None:
            _log.warning(
                "transaction %s offers %.3f gwei and is stuck; the ceiling of %.3f gwei allows no "
                "replacement",
                entry.last.hash,
                old.max_fee / 1e9,
                self._ceiling / 1e9,
            )
            return
        _log.warning(
            "transaction %s is stuck: replaced at %.3f gwei", entry.last.hash, fees.max_fee / 1e9
        )
        try:
            self.send(wallet, journal, entry, with_fees(entry.last.unsigned, fees))
        except NodeRefused as error:
            _log.warning("its replacement was refused: %s", error)

    def fill(self, wallet: Wallet, journal: Journal, nonce: int) -> None:
        """Send nothing to oneself with a nonce that nobody uses and others wait behind."""
        _log.warning("nothing has nonce %d of %s: filled", nonce, wallet.address)
        unsigned: dict[str, Any] = {"type": 2, "chainId": self._chain_id, "gas": _TRANSFER_GAS}
        unsigned |= {"to": wallet.address, "data": b"", "value": 0}
        entry = Entry(nonce, call_of(unsigned), time.time())
        fees = self._prices.now(fresh=True).offer(self._ceiling)
        if fees is None:
            return
        try:
            self.send(wallet, journal, entry, with_fees(unsigned, fees))
        except NodeRefused as error:
            journal.forget(nonce)
            _log.warning("that was refused: %s", error)


def with_fees(unsigned: dict[str, Any], fees: Fees) -> dict[str, Any]:
    """Return a transaction that offers these fees."""
    return unsigned | {"maxFeePerGas": fees.max_fee, "maxPriorityFeePerGas": fees.tip}


def call_of(unsigned: dict[str, Any]) -> str:
    """Return what tells a call from others: recipient, value and data, not its price or nonce."""
    to, value = str(unsigned.get("to", "")), unsigned["value"]
    return keccak(to.lower().encode() + value.to_bytes(32, "big") + unsigned["data"]).hex()
