"""Decode a Cosmos node's answers: blocks, transactions and contracts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.ledger import TransactionCost
from colearn_ledger.protocol import Account

_NANOS = 1_000_000_000
_COIN = re.compile(r"([0-9]{1,39})([a-zA-Z][a-zA-Z0-9/:._-]{1,127})")


@dataclass(frozen=True, slots=True)
class Block:
    """A block's height, hash and time (seconds since the epoch).

    The hash is hexadecimal, and empty if it is unknown.
    """

    height: int
    hash: str
    time: int

    @property
    def number(self) -> int:
        """Return the height, as other chains name it."""
        return self.height


@dataclass(frozen=True, slots=True)
class FullBlock:
    """A block with all that a contract's entropy depends on.

    Args:
        block: its height, hash and time.
        nanoseconds: its time in nanoseconds since the epoch.
        transactions: the bytes of its transactions, in order, including those that failed.
    """

    block: Block
    nanoseconds: int
    transactions: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """An event as a chain records it."""

    type: str
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Executed:
    """A transaction in a block.

    Args:
        hash: upper-case hexadecimal.
        height: the height of the block.
        time: the time of the block, seconds since the epoch.
        code: 0 if the transaction took effect.
        codespace: the module that defines the code.
        log: the chain's explanation of a failure.
        gas_used: the gas that the transaction used.
        events: the events, in order.
    """

    hash: str
    height: int
    time: int
    code: int
    codespace: str
    log: str
    gas_used: int
    events: tuple[ChainEvent, ...]


@dataclass(frozen=True, slots=True)
class ContractInfo:
    """A contract on the chain. ``created`` is a height; ``admin`` is empty without an admin."""

    checksum: bytes
    admin: str
    created: int


def decode_number(text: str, what: str) -> int:
    """Decode a decimal number; ``what`` names it in the error.

    Raises:
        BadAnswer: it is not a decimal number.
    """
    if not text.isdecimal() or len(text) > 60:
        raise BadAnswer(f"the node returned {text[:60]!r} as {what}")
    return int(text)


def decode_time(text: str) -> int:
    """Decode the time of a block into seconds since the epoch.

    Raises:
        BadAnswer: it is not a time since the epoch.
    """
    try:
        seconds = int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError) as error:
        raise BadAnswer(f"the node returned {text[:60]!r} as the time of a block") from error
    if seconds < 0:
        raise BadAnswer(f"the node returned {text[:60]!r} as the time of a block")
    return seconds


def decode_fields(data: object) -> dict[int, Any]:
    """Decode a protobuf message of any type into its fields by number: integers or bytes.

    Raises:
        BadAnswer: it is not a protobuf message.
    """
    message = Empty()
    try:
        message.ParseFromString(data if isinstance(data, bytes) else b"")
    except DecodeError as error:
        raise BadAnswer("the node returned a message that cannot be decoded") from error
    return {field.field_number: field.data for field in UnknownFieldSet(message)}


def decode_block(answer: Any) -> Block:
    """Decode the answer to a request for a block.

    Raises:
        BadAnswer: its height or time is not valid.
    """
    header = answer.block.header
    if header.height < 1 or header.time.seconds < 0:
        raise BadAnswer("the node returned a block without a valid height and time")
    return Block(header.height, answer.block_id.hash.hex(), header.time.seconds)


def decode_full_block(answer: Any) -> FullBlock:
    """Decode the answer to a request for a block, with its transactions.

    Raises:
        BadAnswer: its height or time is not valid.
    """
    block, nanos = decode_block(answer), answer.block.header.time.nanos
    if not 0 <= nanos < _NANOS:
        raise BadAnswer("the node returned a block without a valid time")
    return FullBlock(block, block.time * _NANOS + nanos, tuple(answer.block.data.txs))


def decode_transaction(response: Any) -> Executed:
    """Decode a transaction in a block.

    Raises:
        BadAnswer: its time is not valid.
    """
    return Executed(
        hash=str(response.txhash).upper(),
        height=response.height,
        time=decode_time(str(response.timestamp)),
        code=response.code,
        codespace=str(response.codespace),
        log=str(response.raw_log),
        gas_used=response.gas_used,
        events=tuple(
            ChainEvent(
                str(event.type),
                tuple((_decode_text(a.key), _decode_text(a.value)) for a in event.attributes),
            )
            for event in response.events
        ),
    )


def read_cost(executed: Executed) -> TransactionCost:
    """Return what a transaction cost, which the chain records in events of the type ``tx``.

    The fee is None if it is not an amount of one coin.

    Raises:
        BadAnswer: the account that paid is missing.
    """
    recorded = (each.attributes for each in executed.events if each.type == "tx")
    found = {key: text for attributes in recorded for key, text in attributes}
    if not (payer := found.get("fee_payer")) or executed.gas_used < 0:
        raise BadAnswer(f"the node returned transaction {executed.hash} without who paid for it")
    amount = _COIN.fullmatch(found.get("fee", ""))
    fee, unit = (int(amount[1]), amount[2]) if amount else (None, "")
    return TransactionCost(Account(payer), executed.gas_used, fee, unit)


def _decode_text(value: Any) -> str:
    """Return an attribute's text, which chains before CometBFT 0.37 write as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
