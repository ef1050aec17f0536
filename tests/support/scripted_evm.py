"""A scripted EVM node with real signatures and nonces, and with faults at exact moments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eth_account.typed_transactions import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from colearn_ledger.chains.errors import NodeRefused
from colearn_ledger.chains.evm.errors import Reverted
from colearn_ledger.chains.evm.node import Block, TransactionReceipt, Whereabouts
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account

GWEI = 10**9


def fields_of(raw: bytes) -> dict[str, Any]:
    return dict(TypedTransaction.from_bytes(HexBytes(raw)).as_dict())


def hash_of(raw: bytes) -> str:
    return "0x" + keccak(raw).hex()


class ScriptedEvm:
    """An implementation of the `Node` methods that `Sender` uses, for one account.

    ``override`` may raise in place of the answer to a transaction. ``refused`` contains the data of
    calls that the contract refuses.
    """

    name = "http://scripted"
    is_remote = True

    def __init__(self) -> None:
        self.automatic = True
        self.base_fee = GWEI
        self.suggested_tip = GWEI
        self.balance_held = 10**18
        self.pool: dict[int, bytes] = {}
        self.blocks: dict[str, int] = {}
        self.offered: list[bytes] = []
        self.counted_blocks = 0
        """How often the number of transactions in blocks was asked for."""
        self.refused: set[bytes] = set()
        self.override: Callable[[bytes], None] = lambda raw: None

    def block(self, number: int | str = "latest") -> Block:
        return Block(1, 0, self.base_fee, "0x" + "ab" * 32)

    def upcoming(self) -> Block:
        return self.block()

    def tip(self) -> int:
        return self.suggested_tip

    def balance(self, account: Account) -> int:
        return self.balance_held

    def nonce(self, account: Account, *, in_flight: bool = True) -> int:
        self.counted_blocks += not in_flight
        nonce = len(self.blocks)
        while in_flight and nonce in self.pool:
            nonce += 1
        return nonce

    def estimate_gas(self, transaction: Mapping[str, Any], *, in_flight: bool = False) -> int:
        if transaction["data"] in self.refused:
            raise Reverted(b"")
        return 50_000

    def send(self, raw: bytes) -> str:
        self.offered.append(raw)
        self.override(raw)
        fields = fields_of(raw)
        nonce, name = fields["nonce"], hash_of(raw)
        if raw in self.pool.values():
            raise NodeRefused("already known")
        if nonce < len(self.blocks):
            raise NodeRefused("nonce too low")
        if nonce in self.pool and fields["maxFeePerGas"] * 8 < 9 * self._max_fee(nonce):
            raise NodeRefused("replacement transaction underpriced")
        self.pool[nonce] = raw
        if self.automatic:
            self.make_block()
        return name

    def receipt(self, transaction: str) -> TransactionReceipt | None:
        if transaction not in self.blocks:
            return None
        return TransactionReceipt(
            transaction, True, 1, "0x" + "ab" * 32, self.blocks[transaction], None, (), 2 * GWEI
        )

    def whereabouts(self, transaction: str) -> Whereabouts | None:
        if transaction in self.blocks:
            return Whereabouts(1)
        return Whereabouts(None) if transaction in map(hash_of, self.pool.values()) else None

    def make_block(self) -> None:
        while (raw := self.pool.pop(len(self.blocks), None)) is not None:
            self.blocks[hash_of(raw)] = 50_000

    def _max_fee(self, nonce: int) -> int:
        return int(fields_of(self.pool[nonce])["maxFeePerGas"])


def unreachable(raw: bytes) -> None:
    raise LedgerUnavailable("the node http://scripted cannot be reached")
