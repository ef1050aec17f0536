"""An experiment's events out of a chain's logs, each block read once."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter

from colearn_ledger.evm.abi import ContractAbi
from colearn_ledger.evm.errors import BadAnswer
from colearn_ledger.evm.node import ChainLog, Node
from colearn_ledger.evm.wire import event_from_log
from colearn_ledger.ledger import RecordedEvent
from colearn_ledger.protocol import ExperimentId

__all__ = ["EventReader"]

_INDEX_BITS = 24
"""A cursor is the block's number, then as many bits for the log's index in the block."""

_CURSOR = attrgetter("cursor")


@dataclass(slots=True)
class _Read:
    """What was read of one experiment; who holds the lock may read on."""

    next_block: int
    events: list[RecordedEvent] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class EventReader:
    """Reads events from a contract's logs, in bounded ranges of blocks, and remembers them.

    What was read is believed to stay: a block that the chain takes back afterwards is not noticed.

    Args:
        node: where the logs are.
        contract: the contract's address.
        abi: of the contract.
        range_size: blocks asked for at once.
    """

    def __init__(self, node: Node, contract: str, abi: ContractAbi, *, range_size: int) -> None:
        self._node = node
        self._contract = contract
        self._abi = abi
        self._range_size = range_size
        self._lock = threading.Lock()
        self._read: dict[ExperimentId, _Read] = {}
        self._times: dict[int, int] = {}

    def events(
        self,
        experiment: ExperimentId,
        created_at: Callable[[], int],
        *,
        after: int,
        limit: int,
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events past a cursor.

        Args:
            experiment: whose events.
            created_at: its block time of creation; asked for once, to know where to begin.
            after: the cursor.
            limit: how many at most.
        """
        with self._lock:
            read = self._read.get(experiment)
        if read is None:
            first = self._first_block_from(created_at())
            with self._lock:
                read = self._read.setdefault(experiment, _Read(first))
        with read.lock:
            self._read_on(experiment, read, after, limit)
            start = bisect_right(read.events, after, key=_CURSOR)
            return read.events[start : start + max(limit, 0)]

    # ------------------------------------------------------------------ parts

    def _read_on(self, experiment: ExperimentId, read: _Read, after: int, limit: int) -> None:
        """Read further blocks until there are enough events, or no more blocks."""
        head = self._node.block_number()
        topic = experiment.to_bytes(32, "big")
        while read.next_block <= head:
            if len(read.events) - bisect_right(read.events, after, key=_CURSOR) >= limit:
                return
            last = min(read.next_block + self._range_size - 1, head)
            logs = self._node.logs(self._contract, [topic], read.next_block, last)
            read.events += self._recorded(experiment, logs, read.next_block, last)
            read.next_block = last + 1

    def _recorded(
        self, experiment: ExperimentId, logs: list[ChainLog], first: int, last: int
    ) -> list[RecordedEvent]:
        found: dict[int, RecordedEvent] = {}
        for item in logs:
            if item.address != self._contract or not first <= item.block <= last:
                raise BadAnswer(f"{self._node.name} gave logs that were not asked for")
            event = event_from_log(self._abi, item.log)
            if event is None or event.experiment != experiment:
                continue
            cursor = item.block << _INDEX_BITS | item.index
            found[cursor] = RecordedEvent(cursor, self._time(item.block), item.transaction, event)
        return [found[cursor] for cursor in sorted(found)]

    def _time(self, number: int) -> int:
        if number not in self._times:
            block = self._node.block(number)
            if block is None or block.number != number:
                raise BadAnswer(f"{self._node.name} has logs of block {number} but not the block")
            self._times[number] = block.time
        return self._times[number]

    def _first_block_from(self, time: int) -> int:
        """Return the first block whose time is not before ``time``: some 25 requests at most."""
        low, high = 0, self._node.block_number()
        while low < high:
            middle = (low + high) // 2
            if self._time(middle) < time:
                low = middle + 1
            else:
                high = middle
        return low
