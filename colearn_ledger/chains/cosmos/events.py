"""Read the events of a contract from the chain's transactions.

Each block is read once, except that the most recent ones are read again each time: nodes index
transactions a little after they made the block. Blocks are final, so no event is ever withdrawn.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable
from operator import attrgetter

from colearn_ledger.chains.cosmos.event_codec import decode_events
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.records import Executed
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.ledger import RecordedEvent
from colearn_ledger.protocol import Account, ExperimentId

_INDEX_BITS = 24
"""Number of low bits of a cursor for the index of an event among the contract's events in its
block. The higher bits are the block's height.
"""

_READ_AGAIN = 20
"""Number of recent blocks to read again, because nodes index late."""

_CURSOR = attrgetter("cursor")


class EventReader:
    """Read a contract's transactions in bounded ranges of blocks, and keep their events.

    Args:
        node: the node to read from; it has to index transactions, as nodes do by default.
        contract: the contract's address.
        created: returns the height of the block that created the contract.
        range_size: the most blocks in one request.
    """

    def __init__(
        self, node: Node, contract: Account, created: Callable[[], int], *, range_size: int
    ) -> None:
        self._node = node
        self._contract = contract
        self._created = created
        self._range_size = range_size
        self._lock = threading.Lock()
        self._next: int | None = None
        self._events: dict[ExperimentId, list[RecordedEvent]] = defaultdict(list)

    def events(self, experiment: ExperimentId, *, after: int, limit: int) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past a cursor."""
        with self._lock:
            self._read_new_blocks()
            recorded = self._events.get(experiment, [])
            start = bisect_right(recorded, after, key=_CURSOR)
            return recorded[start : start + max(limit, 0)]

    def _read_new_blocks(self) -> None:
        if self._next is None:
            self._next = self._created()
        head = self._node.head().height
        first = max(self._created(), self._next - _READ_AGAIN)
        while first <= head:
            last = min(first + self._range_size - 1, head)
            executed = self._node.executions(self._contract, first, last)
            self._replace(first, executed)
            first = self._next = last + 1

    def _replace(self, first: int, executed: list[Executed]) -> None:
        """Replace the events of all blocks from height ``first`` on."""
        for recorded in self._events.values():
            del recorded[bisect_left(recorded, first << _INDEX_BITS, key=_CURSOR) :]
        height, index = 0, 0
        for item in executed:
            if item.height < height:
                raise BadAnswer(f"{self._node.name} returned transactions out of order")
            index = index if item.height == height else 0
            height = item.height
            if item.code:
                continue
            for event in decode_events(item.events, self._contract):
                cursor = height << _INDEX_BITS | index
                index += 1
                found = RecordedEvent(cursor, item.time, item.hash, event)
                self._events[event.experiment].append(found)
