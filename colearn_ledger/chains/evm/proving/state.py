"""Execute a contract's queries in this process, on code and storage that a node proves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_utils.crypto import keccak

from colearn_ledger.chains.errors import BadAnswer, NodeRefused, ProofFailed
from colearn_ledger.chains.evm.answers import hexadecimal, object_of, octets, rows
from colearn_ledger.chains.evm.errors import Reverted
from colearn_ledger.chains.evm.machine import (
    REVERTED,
    SUCCEEDED,
    BlockContext,
    Machine,
    Outcome,
    Transaction,
)
from colearn_ledger.chains.evm.proving.headers import Header
from colearn_ledger.chains.evm.proving.tries import ProvenTrie

Ask = Callable[[str, Sequence[Any]], Any]
"""Returns a node's result of a request."""

_GAS = 10**9
"""More than any query needs; nobody pays for it."""

_SLOTS_AT_ONCE = 200
"""Slots in one request; nodes limit them, go-ethereum to 1,024."""

_ACCOUNT_FIELDS = 4


@dataclass(slots=True)
class _Contract:
    """A contract whose account is proved: the root of its storage, its code, the slots read."""

    root: bytes
    code: bytes
    slots: set[int] = field(default_factory=set)


class ProvenState:
    """The state after a block, of which only proven parts are used. One thread may use it.

    Args:
        ask: sends a request to the node, which is not trusted.
        header: the block's header.
        chain_id: the chain's id.
    """

    def __init__(self, ask: Ask, header: Header, chain_id: int) -> None:
        self._ask = ask
        self._header = header
        self._machine = Machine(chain_id)
        self._contracts: dict[bytes, _Contract] = {}

    def code(self, address: bytes) -> bytes:
        """Return the code at an address; empty if it is not a contract.

        Raises:
            ProofFailed: the node's account or code is not that of the state.
        """
        if address not in self._contracts:
            root, code_hash = self._prove_account(address)
            answer = self._ask("eth_getCode", (hexadecimal(address), hex(self._header.number)))
            code = octets(answer, "the contract's code")
            if keccak(code) != code_hash:
                raise ProofFailed(
                    f"the code at {hexadecimal(address)} that the node returned does not have the "
                    f"hash in the state of block {self._header.number}"
                )
            self._contracts[address] = _Contract(root, code)
            self._machine.set_code(address, code)
        return self._contracts[address].code

    def call_all(self, calls: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Return the results of calls to contracts, each given by its address and its data.

        The calls are repeated until all slots that they read are proved.

        Raises:
            Reverted: a contract refuses a call.
            ProofFailed: the node's storage is not that of the state.
        """
        for address, _ in calls:
            self.code(address)
        while True:
            traced = [self._trace(address, data) for address, data in calls]
            missing: dict[bytes, set[int]] = {}
            for slots, _ in traced:
                for address, slot in slots:
                    self.code(address)
                    if slot not in self._contracts[address].slots:
                        missing.setdefault(address, set()).add(slot)
            if not missing:
                return [_read_output(outcome) for _, outcome in traced]
            for address, wanted in missing.items():
                self._prove_slots(address, sorted(wanted))

    def _trace(self, address: bytes, data: bytes) -> tuple[set[tuple[bytes, int]], Outcome]:
        header = self._header
        entropy = header.entropy or bytes(32)
        block = BlockContext(header.number, header.time, _GAS, header.base_fee, entropy)
        return self._machine.trace(Transaction(address, address, data, _GAS), block)

    def _prove_account(self, address: bytes) -> tuple[bytes, bytes]:
        """Return the root of an account's storage and the hash of its code."""
        where = f"the account {hexadecimal(address)} in block {self._header.number}"
        answer = self._request_proof(address, [])
        nodes = _read_nodes(answer.get("accountProof"))
        found = ProvenTrie(self._header.state_root, nodes, where).read(address)
        if found == b"":
            return b"", keccak(b"")
        if not isinstance(found, list) or len(found) != _ACCOUNT_FIELDS:
            raise ProofFailed(f"the state has no valid account at {hexadecimal(address)}")
        return found[2], found[3]

    def _prove_slots(self, address: bytes, slots: Sequence[int]) -> None:
        contract = self._contracts[address]
        where = f"the storage of {hexadecimal(address)} in block {self._header.number}"
        for start in range(0, len(slots), _SLOTS_AT_ONCE):
            some = slots[start : start + _SLOTS_AT_ONCE]
            answer = self._request_proof(address, some)
            entries = rows(answer.get("storageProof"), "the proofs of storage")
            proofs = [object_of(each, "a proof of storage").get("proof") for each in entries]
            nodes = [node for proof in proofs for node in _read_nodes(proof)]
            trie = ProvenTrie(contract.root, nodes, where)
            values = {slot: _read_value(trie, slot) for slot in some}
            self._machine.set_storage(address, values)
            contract.slots |= values.keys()

    def _request_proof(self, address: bytes, slots: Sequence[int]) -> Any:
        keys = [hexadecimal(slot.to_bytes(32, "big")) for slot in slots]
        number = self._header.number
        try:
            answer = self._ask("eth_getProof", (hexadecimal(address), keys, hex(number)))
        except NodeRefused as error:
            raise NodeRefused(
                f"{error}; nodes can prove the state of recent blocks only: trust a newer block "
                f"than {number}, or ask an archive node"
            ) from error
        return object_of(answer, "a proof")


def _read_nodes(answer: Any) -> list[bytes]:
    return [octets(node, "a node of a proof") for node in rows(answer, "the nodes of a proof")]


def _read_value(trie: ProvenTrie, slot: int) -> int:
    found = trie.read(slot.to_bytes(32, "big"))
    return int.from_bytes(found, "big")


def _read_output(outcome: Outcome) -> bytes:
    if outcome.status == REVERTED:
        raise Reverted(outcome.output)
    if outcome.status != SUCCEEDED:
        raise BadAnswer(f"a query of the contract failed: {outcome.output.decode()[:100]}")
    return outcome.output
