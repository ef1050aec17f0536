"""Sending transactions: gas, fees and nonces, with as few requests as that takes."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from eth_utils.crypto import keccak

from colearn_ledger.evm.errors import BadAnswer, EmptyWallet, GasTooHigh, NodeRefused
from colearn_ledger.evm.node import Node, TransactionReceipt
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account
from colearn_ledger.wallet import Wallet

__all__ = ["Sender", "SenderConfig", "Sent"]

_log = logging.getLogger(__name__)

_DEFAULT_TIP = 1_000_000_000
"""Wei per gas, for nodes that do not tell what they want."""

_LONGEST_PAUSE = 1.0
"""Seconds between two looks for a receipt, at most."""


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """How transactions are paid for.

    Args:
        gas_ceiling: gas that no single transaction may exceed.
        gas_headroom: by how much a gas limit exceeds the estimate; state may change meanwhile.
        gas_margin: gas on top of that: a ballot may turn out to be the last of its round when it
            arrives, and then also closes the round and begins the next. Unused gas costs nothing.
        fee_seconds: for how long the fees last seen are used again.
    """

    gas_ceiling: int = 12_000_000
    gas_headroom: float = 1.3
    gas_margin: int = 200_000
    fee_seconds: float = 12.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction on its way."""

    hash: str
    gas: int


@dataclass(slots=True)
class _Nonces:
    """The next nonce of one account; who holds the lock may use it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    next: int | None = None


@dataclass(frozen=True, slots=True)
class _Fees:
    max_fee: int
    tip: int
    until: float


class Sender:
    """Signs and sends for any number of wallets on one node; threads may share it.

    One nonce manager per account: threads that send with the same key take turns, and the node
    is asked for the number only at first and after something went wrong.
    """

    def __init__(self, node: Node, chain_id: int, config: SenderConfig) -> None:
        self._node = node
        self.chain_id = chain_id
        self._config = config
        self._nonces: defaultdict[Account, _Nonces] = defaultdict(_Nonces)
        self._nonces_lock = threading.Lock()
        self._fees: _Fees | None = None

    def send(self, wallet: Wallet, to: str | None, data: bytes, *, value: int = 0) -> Sent:
        """Send a transaction; ``to`` is ``None`` for a deployment, ``value`` in wei.

        Raises:
            Reverted: the contract would refuse it; nothing was sent.
            EmptyWallet: the account can not pay for it.
            GasTooHigh: it needs more gas than the configuration allows.
            NodeRefused: the node does not take it.
        """
        wanted = {"data": data, "value": value} | ({"to": to} if to else {})
        gas = self._gas_limit(wallet, wanted | {"from": wallet.address})
        fees = self._current_fees()
        unsigned = {
            "type": 2,
            "chainId": self.chain_id,
            "gas": gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.tip,
        } | wanted
        return Sent(self._send_in_turn(wallet, unsigned), gas)

    def wait(self, sent: Sent, timeout: float | None) -> TransactionReceipt:
        """Return the receipt of a transaction once it is in a block.

        Raises:
            LedgerUnavailable: it is in none after ``timeout`` seconds.
        """
        ends = None if timeout is None else time.monotonic() + timeout
        pause = 0.01
        while (receipt := self._node.receipt(sent.hash)) is None:
            left = pause if ends is None else ends - time.monotonic()
            if left <= 0:
                raise LedgerUnavailable(
                    f"transaction {sent.hash} is in no block after {timeout:g} s; "
                    "it may still get into one: read the state before sending again"
                )
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        return receipt

    # ------------------------------------------------------------------ parts

    def _gas_limit(self, wallet: Wallet, transaction: dict[str, Any]) -> int:
        try:
            estimate = self._node.estimate_gas(transaction)
        except NodeRefused:
            if self._node.balance(wallet.address) == 0:
                raise EmptyWallet(
                    wallet.address, 0, self._current_fees().max_fee * 21_000
                ) from None
            raise
        ceiling = self._config.gas_ceiling
        if estimate > ceiling:
            raise GasTooHigh(
                f"this transaction needs {estimate:,} gas and the ceiling is {ceiling:,}; "
                "send less at once, or raise gas_ceiling"
            )
        limit = int(estimate * self._config.gas_headroom) + self._config.gas_margin
        return min(limit, ceiling)

    def _current_fees(self) -> _Fees:
        """Return fees that stay enough while the base fee doubles."""
        fees = self._fees
        if fees is None or time.monotonic() > fees.until:
            try:
                tip = self._node.tip()
            except NodeRefused:
                tip = _DEFAULT_TIP
            until = time.monotonic() + self._config.fee_seconds
            fees = self._fees = _Fees(2 * self._node.latest().base_fee + tip, tip, until)
        return fees

    def _send_in_turn(self, wallet: Wallet, unsigned: dict[str, Any]) -> str:
        with self._nonces_lock:
            nonces = self._nonces[wallet.address]
        with nonces.lock:
            known = nonces.next
            try:
                return self._send_next(wallet, nonces, unsigned)
            except NodeRefused as refusal:
                needed = unsigned["gas"] * unsigned["maxFeePerGas"] + unsigned["value"]
                balance = self._node.balance(wallet.address)
                if balance < needed:
                    raise EmptyWallet(wallet.address, balance, needed) from refusal
                if known is None or self._node.nonce(wallet.address) == known:
                    raise
            _log.info("%s was used elsewhere too: its nonce was read anew", wallet.address)
            return self._send_next(wallet, nonces, unsigned)

    def _send_next(self, wallet: Wallet, nonces: _Nonces, unsigned: dict[str, Any]) -> str:
        nonce = self._node.nonce(wallet.address) if nonces.next is None else nonces.next
        nonces.next = None  # unless the node takes it, it is not known what the next one is
        raw = wallet.sign_transaction(unsigned | {"nonce": nonce})
        sent = self._node.send(raw)
        if sent != "0x" + keccak(raw).hex():
            raise BadAnswer(f"{self._node.name} gave another transaction's hash for the one sent")
        nonces.next = nonce + 1
        return sent
