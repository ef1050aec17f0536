"""Read transactions and the entropy of their blocks from the JSON of a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from colearn_ledger.chains.evm.answers import address, hash32, object_of, octets, quantity


@dataclass(frozen=True, slots=True)
class SentCall:
    """A transaction in a block: its sender, its target, its data, and the block's number."""

    sender: str
    to: str | None
    data: bytes
    block: int


def read_entropy(answer: Any) -> bytes | None:
    """Return ``block.prevrandao`` from the JSON of a block, ``None`` where it is not known.

    It is the difficulty if that is not 0, otherwise ``mixHash``.
    """
    fields = {} if answer is None else object_of(answer, "a block")
    difficulty = quantity(fields.get("difficulty", 0), "a block's difficulty")
    if difficulty:
        return difficulty.to_bytes(32, "big")
    found = fields.get("mixHash")
    return None if found is None else bytes.fromhex(hash32(found, "a block's entropy")[2:])


def read_sent_call(answer: Any) -> SentCall | None:
    """Return a transaction from its JSON, ``None`` if it is not in a block."""
    fields = {} if answer is None else object_of(answer, "a transaction")
    to, block = fields.get("to"), fields.get("blockNumber")
    if block is None:
        return None
    return SentCall(
        sender=address(fields.get("from"), "a transaction's sender"),
        to=None if to is None else address(to, "a transaction's target"),
        data=octets(fields.get("input"), "a transaction's data"),
        block=quantity(block, "a transaction's block"),
    )
