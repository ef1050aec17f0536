"""A contract's events out of its transactions, each block read once and the last ones again.

Nodes index transactions a little after they made the block, so the last blocks are read again
each time. A block that is made is final: nothing is ever taken back.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable
from operator import attrgetter

from colearn_ledger.chains.cosmos.event_codec import decode_events
from colearn_ledger.chains.cosmos.node import Executed, Node
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.ledger import RecordedEvent
from colearn_ledger.protocol import Account, ExperimentId

__all__ = ["EventReader"]

_INDEX_BITS = 24
"""A cursor is the block's height, then as many bits for the place among the contract's events in
the block, which grows with the transaction's place in it and the event's in the transaction."""

_READ_AGAIN = 20
"""Blocks."""

_CURSOR = attrgetter("cursor")


class EventReader:
    """Reads a contract's transactions, in bounded ranges of blocks, and remembers their events.

    Args:
        node: where the transactions are; it has to index them, as nodes do unless told otherwise.
        contract: the contract's address.
        created: the height of the block that made the contract; asked for once.
        range_size: blocks asked for at once.
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
            self._read_on()
            held = self._events.get(experiment, [])
            start = bisect_right(held, after, key=_CURSOR)
            return held[start : start + max(limit, 0)]

    def _read_on(self) -> None:
        if self._next is None:
            self._next = self._created()
        head = self._node.latest()[1].height
        first = max(self._created(), self._next - _READ_AGAIN)
        while first <= head:
            last = min(first + self._range_size - 1, head)
            executed = self._node.executions(self._contract, first, last)
            self._replace(first, executed)
            first = self._next = last + 1

    def _replace(self, first: int, executed: list[Executed]) -> None:
        """Put what is known of the blocks from a height on in the place of what was."""
        for held in self._events.values():
            del held[bisect_left(held, first << _INDEX_BITS, key=_CURSOR) :]
        height, index = 0, 0
        for item in executed:
            if item.height < height:
                raise BadAnswer(f"{self._node.name} gave transactions out of order")
            index = index if item.height == height else 0
            height = item.height
            if item.code:
                continue
            for event in decode_events(item.events, self._contract):
                cursor = height << _INDEX_BITS | index
                index += 1
                recorded = RecordedEvent(cursor, item.time, item.hash, event)
                self._events[event.experiment].append(recorded)
