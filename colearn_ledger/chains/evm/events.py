"""An experiment's events out of a chain's logs, each block read once."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter

from colearn_ledger.chains.errors import BadAnswer, NodeRefused
from colearn_ledger.chains.evm.abi import ContractAbi
from colearn_ledger.chains.evm.node import Block, ChainLog, Node
from colearn_ledger.chains.evm.wire import event_from_log
from colearn_ledger.ledger import RecordedEvent
from colearn_ledger.protocol import Event, ExperimentId

__all__ = ["EventReader"]

_INDEX_BITS = 24
"""A cursor is the block's number, then as many bits for the log's index in the block."""

_MARKS = 64
"""Ranges that can be taken back; a reorganisation beyond them all has everything read again."""

_CURSOR = attrgetter("cursor")


@dataclass(slots=True)
class _Read:
    """What was read of one experiment; who holds the lock may read on."""

    first_block: int
    next_block: int
    events: list[RecordedEvent] = field(default_factory=list)
    marks: list[Block] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class EventReader:
    """Reads events from a contract's logs, in bounded ranges of blocks, and remembers them.

    The last block of each range is remembered by its hash: when the chain has another one there,
    what was read since the mark before is read again.

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
                read = self._read.setdefault(experiment, _Read(first, first))
        with read.lock:
            self._read_on(experiment, read, after, limit)
            start = bisect_right(read.events, after, key=_CURSOR)
            return read.events[start : start + max(limit, 0)]

    # ------------------------------------------------------------------ parts

    def _read_on(self, experiment: ExperimentId, read: _Read, after: int, limit: int) -> None:
        """Read further blocks until there are enough events, or no more blocks."""
        head = self._node.latest()
        self._take_back(read, head)
        topic, size = experiment.to_bytes(32, "big"), self._range_size
        while read.next_block <= head.number:
            if len(read.events) - bisect_right(read.events, after, key=_CURSOR) >= limit:
                return
            last = min(read.next_block + size - 1, head.number)
            try:
                logs = self._node.logs(self._contract, [topic], read.next_block, last)
            except NodeRefused:  # too many blocks or logs at once, perhaps
                if size == 1:
                    raise
                size = max(1, min(size, last - read.next_block + 1) // 2)
                continue
            mark = head if last == head.number else self._block(last)
            read.events += self._recorded(experiment, logs, read.next_block, last)
            read.marks = [*read.marks[-_MARKS:], mark]
            read.next_block = last + 1

    def _take_back(self, read: _Read, head: Block) -> None:
        """Forget what was read of blocks that are no longer the chain's."""
        while read.marks and not self._stands(read.marks[-1], head):
            read.marks.pop()
            since = read.marks[-1].number + 1 if read.marks else read.first_block
            kept = bisect_right(read.events, (since << _INDEX_BITS) - 1, key=_CURSOR)
            del read.events[kept:]
            read.next_block = since
            self._times = {n: time for n, time in self._times.items() if n < since}

    def _stands(self, mark: Block, head: Block) -> bool:
        if mark.number == head.number:
            return mark.hash == head.hash
        if mark.number > head.number:
            return False
        found = self._node.block(mark.number)
        return found is not None and found.hash == mark.hash

    def _recorded(
        self, experiment: ExperimentId, logs: list[ChainLog], first: int, last: int
    ) -> list[RecordedEvent]:
        ours: dict[int, tuple[ChainLog, Event]] = {}
        for item in logs:
            if item.address != self._contract or not first <= item.block <= last:
                raise BadAnswer(f"{self._node.name} gave logs that were not asked for")
            event = event_from_log(self._abi, item.log)
            if event is not None and event.experiment == experiment:
                ours[item.block << _INDEX_BITS | item.index] = item, event
        self._learn_times([item for item, _ in ours.values()])
        return [
            RecordedEvent(cursor, self._times[item.block], item.transaction, event)
            for cursor, (item, event) in sorted(ours.items(), key=itemgetter(0))
        ]

    def _learn_times(self, logs: list[ChainLog]) -> None:
        """Learn the blocks' times: from the logs where they tell them, else from the blocks."""
        self._times |= {item.block: item.time for item in logs if item.time is not None}
        missing = sorted({item.block for item in logs} - self._times.keys())
        for number, block in zip(missing, self._node.blocks(missing), strict=True):
            self._times[number] = self._checked(block, number).time

    def _time(self, number: int) -> int:
        if number not in self._times:
            self._times[number] = self._block(number).time
        return self._times[number]

    def _block(self, number: int) -> Block:
        return self._checked(self._node.block(number), number)

    def _checked(self, block: Block | None, number: int) -> Block:
        if block is None or block.number != number:
            raise BadAnswer(f"{self._node.name} has logs of block {number} but not the block")
        return block

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
