"""Read the transactions that emitted events: their senders, their calls and the chain's entropy.

The bytes of a transaction are taken from its block, and have to give its hash. The block also shows
what the contract uses as entropy: its height, its time, and the transaction's position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from colearn_ledger.chains.cosmos.event_codec import decode_events
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.records import ChainEvent, Executed, FullBlock
from colearn_ledger.chains.cosmos.sent_calls import SentCall, decode_call, read_sent_calls
from colearn_ledger.chains.cosmos.transactions import hash_transaction
from colearn_ledger.chains.errors import BadAnswer, NodeRefused
from colearn_ledger.ledger import Origin, RecordedEvent
from colearn_ledger.protocol import Account

_ENTROPY = b"CollectiveLearning entropy"
_NOBODY = Account("")

_UNKNOWN_PLACE = 2**32 - 1
"""The number of every transaction where the chain does not report it to contracts (wasmvm 1.0)."""


def read_origins(
    node: Node, contract: Account, recorded: Sequence[RecordedEvent]
) -> list[Origin | None]:
    """Return the origins of events, ``None`` for transactions that the node does not have.

    Args:
        node: the node.
        contract: the contract's address.
        recorded: the events; all of a transaction's events of an experiment, or none of them.
    """
    events: dict[str, list[RecordedEvent]] = {}
    for each in recorded:
        events.setdefault(each.transaction, []).append(each)
    reader = _OriginReader(node, contract)
    origins = {name: iter(reader.read(name, found)) for name, found in events.items()}
    return [next(origins[each.transaction]) for each in recorded]


class _OriginReader:
    """Reads transactions, and each block once for all that follow each other in it."""

    def __init__(self, node: Node, contract: Account) -> None:
        self._node = node
        self._contract = contract
        self._block: FullBlock | None = None
        self._names: list[str] = []
        self._counted: dict[str, bool] = {}

    def read(self, name: str, recorded: Sequence[RecordedEvent]) -> Sequence[Origin | None]:
        """Return the origin of each event of a transaction."""
        executed = self._node.transaction(name)
        block = None if executed is None else self._open_block(executed.height)
        if executed is None or block is None:
            return [None] * len(recorded)
        if fault := self._find_fault(executed, block, recorded):
            return [Origin(_NOBODY, None, None, fault=fault)] * len(recorded)
        place = self._names.index(name)
        number = self._count_before(block, place)
        entropy = None if number is None else _compute_entropy(block, number)
        common = Origin(
            _NOBODY, entropy, None, other_entropy=_compute_entropy(block, _UNKNOWN_PLACE)
        )
        try:
            sent = read_sent_calls(block.transactions[place])
        except BadAnswer as error:
            return [replace(common, fault=str(error))] * len(recorded)
        numbers = [0] * len(recorded)
        if len(sent) != 1:
            numbers = self._find_messages(executed, recorded, len(sent))
        if len(numbers) != len(recorded):
            fault = f"a transaction with {len(numbers)} events of the experiment"
            return [replace(common, fault=fault)] * len(recorded)
        origins = {each: self._add_call(common, sent, each) for each in set(numbers)}
        return [origins[each] for each in numbers]

    def _open_block(self, height: int) -> FullBlock | None:
        if self._block is None or self._block.block.height != height:
            self._block = self._node.full_block(height)
            transactions = self._block.transactions if self._block else ()
            self._names = [hash_transaction(raw) for raw in transactions]
            self._counted = {}
        return self._block

    def _find_fault(
        self, executed: Executed, block: FullBlock, recorded: Sequence[RecordedEvent]
    ) -> str:
        """Return why a transaction cannot have emitted events, an empty text if it can."""
        if executed.code:
            return f"a transaction that failed with code {executed.code}"
        if executed.hash not in self._names:
            return f"block {executed.height} without this transaction"
        if any(each.time != block.block.time for each in recorded):
            return f"block {executed.height} of the time {block.block.time}"
        return ""

    def _count_before(self, block: FullBlock, place: int) -> int | None:
        """Return a transaction's number in its block, as the chain counts; ``None`` if unknown.

        The chain counts the transactions that paid their fee, whether or not they then failed.
        """
        if place == 0:
            return 0
        if not self._counted:
            try:
                executed = self._node.executed_in(block.block.height)
            except NodeRefused:  # a transaction in the block that is not of the usual form
                return None
            self._counted = {each.hash: _has_paid(each) for each in executed}
        before = [self._counted.get(name) for name in self._names[:place]]
        return None if None in before else sum(map(bool, before))

    def _find_messages(
        self, executed: Executed, recorded: Sequence[RecordedEvent], messages: int
    ) -> list[int]:
        """Return the number of the message that emitted each event; -1 if it is not known."""
        parts = list(_split_by_message(executed.events))
        if len(parts) != messages:
            return [-1] * len(recorded)
        experiments = {each.event.experiment for each in recorded}
        return [
            number
            for number, part in enumerate(parts)
            for event in decode_events(part, self._contract)
            if event.experiment in experiments
        ]

    def _add_call(self, common: Origin, sent: Sequence[SentCall | None], number: int) -> Origin:
        """Add the call that a message makes, and its sender, as far as they are known."""
        call = sent[number] if 0 <= number < len(sent) else None
        if call is None:
            return replace(common, number=max(number, 0))
        decoded = decode_call(call.message) if call.contract == self._contract else None
        known, arguments = decoded or (None, ())
        return replace(common, sender=call.sender, call=known, arguments=arguments, number=number)


def _compute_entropy(block: FullBlock, number: int) -> bytes:
    """Return the entropy of a transaction as the contract computes it."""
    parts = (
        _ENTROPY,
        block.block.height.to_bytes(8, "big"),
        block.nanoseconds.to_bytes(8, "big"),
        number.to_bytes(4, "big"),
    )
    return hashlib.sha256(b"".join(parts)).digest()


def _has_paid(executed: Executed) -> bool:
    """Return whether a transaction was charged; otherwise it left no trace in the state."""
    return executed.code == 0 or any(event.type == "tx" for event in executed.events)


def _split_by_message(events: Sequence[ChainEvent]) -> Iterator[list[ChainEvent]]:
    """Yield the events of each message; the chain puts the message's action before them."""
    part: list[ChainEvent] | None = None
    for event in events:
        if event.type == "message" and any(name == "action" for name, _ in event.attributes):
            if part is not None:
                yield part
            part = []
        if part is not None:
            part.append(event)
    if part is not None:
        yield part
