"""A scripted Cosmos node with real transactions, and with faults at exact moments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cosmpy.protos.cosmos.tx.v1beta1.tx_pb2 import AuthInfo, TxRaw

from colearn_ledger.chains.cosmos.errors import Refused
from colearn_ledger.chains.cosmos.records import Block, Executed
from colearn_ledger.chains.cosmos.transactions import hash_transaction
from colearn_ledger.chains.errors import NodeRefused
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account

Answer = tuple[int, str, str]


def auth_of(raw: bytes) -> AuthInfo:
    return AuthInfo.FromString(TxRaw.FromString(raw).auth_info_bytes)


def sequence_of(raw: bytes) -> int:
    return int(auth_of(raw).signer_infos[0].sequence)


def body_of(raw: bytes) -> bytes:
    return bytes(TxRaw.FromString(raw).body_bytes)


@dataclass
class ScriptedChain:
    """An implementation of the `Node` methods that `Sender` uses, for one account.

    ``override`` may answer a broadcast in place of the node, or raise. Transactions with less than
    ``gas_needed`` run out of gas. The contract refuses transactions with a body in ``refused``.
    """

    name: str = "http://scripted"
    balance_held: int = 10**12
    gas_simulated: int = 100_000
    gas_needed: int = 0
    override: Callable[[bytes], Answer | None] = lambda raw: None
    sequence: int = 0
    mempool: dict[int, bytes] = field(default_factory=dict)
    blocks: dict[str, Executed] = field(default_factory=dict)
    offered: list[bytes] = field(default_factory=list)
    simulated: list[bytes] = field(default_factory=list)
    refused: set[bytes] = field(default_factory=set)
    automatic: bool = True

    def block(self, height: int) -> Block:
        return Block(height, "ab" * 32, 0)

    def account(self, address: Account) -> tuple[int, int]:
        return 7, self.sequence

    def balance(self, address: Account, denomination: str) -> int:
        return self.balance_held

    def simulate(self, raw: bytes) -> int:
        self.simulated.append(raw)
        expected = self._expected()
        if sequence_of(raw) != expected:
            raise NodeRefused(_mismatch(expected, sequence_of(raw)))
        if body_of(raw) in self.refused:
            raise Refused("AlreadyVoted", ())
        return self.gas_simulated

    def broadcast(self, raw: bytes) -> Answer:
        self.offered.append(raw)
        if (answer := self.override(raw)) is not None:
            return answer
        if raw in self.mempool.values() or hash_transaction(raw) in self.blocks:
            return 19, "sdk", "tx already in mempool"
        expected = self._expected()
        if sequence_of(raw) != expected:
            return 32, "sdk", _mismatch(expected, sequence_of(raw))
        self.mempool[expected] = raw
        if self.automatic:
            self.make_block()
        return 0, "", ""

    def transaction(self, name: str) -> Executed | None:
        return self.blocks.get(name)

    def make_block(self) -> None:
        for sequence in sorted(self.mempool):
            raw = self.mempool.pop(sequence)
            limit = auth_of(raw).fee.gas_limit
            code = 11 if limit < self.gas_needed else 0
            log = "out of gas in location: x" if code else ""
            executed = Executed(
                hash_transaction(raw), 5, 0, code, "sdk" if code else "", log, limit, ()
            )
            self.blocks[executed.hash] = executed
            self.sequence = sequence + 1

    def _expected(self) -> int:
        return max([self.sequence, *(n + 1 for n in self.mempool)])


def _mismatch(expected: int, got: int) -> str:
    return f"account sequence mismatch, expected {expected}, got {got}: incorrect account sequence"


def unreachable(raw: bytes) -> Answer:
    raise LedgerUnavailable("the node http://scripted does not answer")
