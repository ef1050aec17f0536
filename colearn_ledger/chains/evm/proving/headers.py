"""Follow a chain of headers back from a block whose hash is trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from colearn_ledger.chains.errors import ProofFailed
from colearn_ledger.chains.evm.answers import hexadecimal, object_of, octets, quantity
from colearn_ledger.chains.evm.node import Block
from colearn_ledger.chains.evm.proving.encoding import encode_header
from colearn_ledger.chains.evm.sent_calls import read_entropy

AskAll = Callable[[Sequence[tuple[str, Sequence[Any]]]], list[Any]]
"""Returns a node's results of several requests, in order."""

_AT_ONCE = 50
_BLOOM_BITS = 2_048


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a block. ``hash`` is computed from all of its fields."""

    number: int
    hash: bytes
    parent: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    bloom: bytes
    time: int
    base_fee: int
    entropy: bytes | None

    @property
    def block(self) -> Block:
        """Return the fields that do not concern proofs."""
        return Block(self.number, self.time, self.base_fee, hexadecimal(self.hash))

    def may_have(self, values: Iterable[bytes]) -> bool:
        """Return whether one log of the block may have all these addresses and topics."""
        bits = int.from_bytes(self.bloom, "big")
        return all(bits >> bit & 1 for value in values for bit in _list_bits(value))


class HeaderChain:
    """The headers from a trusted block backwards; only those that may have a contract's logs stay.

    Args:
        ask: sends requests to the node, which is not trusted.
        name: the node's name, for errors.
        trusted: the hash of the block that is trusted.
        contract: the contract.
        report_done: called with the number of headers read.

    Raises:
        ProofFailed: the node does not have the trusted block, or returned another one.
    """

    def __init__(
        self,
        ask: AskAll,
        name: str,
        *,
        trusted: bytes,
        contract: bytes,
        report_done: Callable[[int], None],
    ) -> None:
        self._ask = ask
        self._name = name
        self._contract = contract
        self._report_done = report_done
        [answer] = ask([("eth_getBlockByHash", (hexadecimal(trusted), False))])
        if answer is None:
            raise ProofFailed(
                f"{name} does not have the trusted block {hexadecimal(trusted)}; check the hash "
                "and the network, or ask another node"
            )
        self.trusted = read_header(answer)
        if self.trusted.hash != trusted:
            raise ProofFailed(
                f"the header that {name} returned for the trusted block {hexadecimal(trusted)} has "
                f"the hash {hexadecimal(self.trusted.hash)}"
            )
        self._oldest = self.trusted
        self._kept: dict[int, Header] = {}
        self._keep(self.trusted)

    def reach(self, time: int) -> int:
        """Read headers back to a time; return the number of the first block at or after it.

        Raises:
            ProofFailed: a header's hash is not the parent's hash in the next header.
        """
        while self._oldest.time >= time and self._oldest.number > 0:
            newest = self._oldest.number - 1
            numbers = range(newest, max(newest - _AT_ONCE, -1), -1)
            answers = self._ask([("eth_getBlockByNumber", (hex(n), False)) for n in numbers])
            for answer, number in zip(answers, numbers, strict=True):
                if self._oldest.time < time:
                    break
                self._add(answer, number)
            self._report_done(self.trusted.number - self._oldest.number)
        oldest = self._oldest
        return oldest.number if oldest.time >= time else oldest.number + 1

    def list_kept(self, first: int, last: int) -> list[Header]:
        """Return the headers in a range of blocks that may have the contract's logs, in order."""
        return [header for n, header in sorted(self._kept.items()) if first <= n <= last]

    def find(self, number: int) -> Header:
        """Return a header that may have the contract's logs, or that of the trusted block.

        Raises:
            ProofFailed: it was not read.
        """
        found = self.trusted if number == self.trusted.number else self._kept.get(number)
        if found is None:
            raise ProofFailed(
                f"block {number} is not proved: the proof ends with the trusted block "
                f"{self.trusted.number}"
            )
        return found

    def _add(self, answer: Any, number: int) -> None:
        header = None if answer is None else read_header(answer)
        if header is None or (header.hash, header.number) != (self._oldest.parent, number):
            raise ProofFailed(
                f"the header of block {number} that {self._name} returned is not the parent of "
                f"block {self._oldest.number}: its hash has to be "
                f"{hexadecimal(self._oldest.parent)}"
            )
        self._oldest = header
        self._keep(header)

    def _keep(self, header: Header) -> None:
        if header.may_have([self._contract]):
            self._kept[header.number] = header


def read_header(answer: Any) -> Header:
    """Return a header from the JSON of a block, whose own ``hash`` is not used.

    Raises:
        BadAnswer: a field is malformed or missing.
    """
    fields = object_of(answer, "a block")
    roots = (
        octets(fields.get(name), f"a block's {name}")
        for name in ("parentHash", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom")
    )
    parent, state, transactions, receipts, bloom = roots
    fee = fields.get("baseFeePerGas")
    return Header(
        number=quantity(fields.get("number"), "a block's number"),
        hash=keccak(encode_header(fields)),
        parent=parent,
        state_root=state,
        transactions_root=transactions,
        receipts_root=receipts,
        bloom=bloom,
        time=quantity(fields.get("timestamp"), "a block's time"),
        base_fee=0 if fee is None else quantity(fee, "a block's base fee"),
        entropy=read_entropy(fields),
    )


def _list_bits(value: bytes) -> list[int]:
    """Return the bits of a bloom filter that a value sets."""
    digest = keccak(value)
    return [int.from_bytes(digest[at : at + 2], "big") % _BLOOM_BITS for at in (0, 2, 4)]
