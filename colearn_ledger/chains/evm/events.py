"""Read the events of experiments from the chain's logs, reading each block once."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter

from colearn_ledger.chains.errors import AnswerTooLong, BadAnswer, NodeRefused
from colearn_ledger.chains.evm.abi import ContractAbi
from colearn_ledger.chains.evm.event_codec import event_from_log
from colearn_ledger.chains.evm.node import Block, ChainLog, Node
from colearn_ledger.ledger import RecordedEvent
from colearn_ledger.protocol import Event, ExperimentId

_INDEX_BITS = 24
"""Number of low bits of a cursor for the index of a log in its block. The higher bits are the
block's number.
"""

_MARKS = 64
"""Number of ranges that can be withdrawn one by one. After a deeper reorganisation, everything is
read again.
"""

_CURSOR = attrgetter("cursor")


@dataclass(slots=True)
class _Read:
    """The events of one experiment read so far; acquire the lock before reading more."""

    first_block: int
    next_block: int
    events: list[RecordedEvent] = field(default_factory=list)
    marks: list[Block] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class EventReader:
    """Read events from a contract's logs in bounded ranges of blocks, and keep them.

    The hash of each range's last block is kept as a mark. If the chain later has another block
    at a mark, everything after the previous mark is read again.

    Args:
        node: the node to read from.
        contract: the contract's address.
        abi: the contract's interface.
        range_size: the most blocks in one request.
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
            experiment: the id of the experiment.
            created_at: returns the block time of its creation, from which the search begins.
            after: the cursor.
            limit: the most events to return.
        """
        with self._lock:
            read = self._read.get(experiment)
        if read is None:
            first = self._first_block_from(created_at())
            with self._lock:
                read = self._read.setdefault(experiment, _Read(first, first))
        with read.lock:
            self._read_new_blocks(experiment, read, after, limit)
            start = bisect_right(read.events, after, key=_CURSOR)
            return read.events[start : start + max(limit, 0)]

    # ------------------------------------------------------------------ parts

    def _read_new_blocks(
        self, experiment: ExperimentId, read: _Read, after: int, limit: int
    ) -> None:
        """Read blocks until there are enough events, or until the last block."""
        head = self._node.latest()
        self._withdraw_replaced_blocks(read, head)
        topic, size = experiment.to_bytes(32, "big"), self._range_size
        while read.next_block <= head.number:
            if len(read.events) - bisect_right(read.events, after, key=_CURSOR) >= limit:
                return
            last = min(read.next_block + size - 1, head.number)
            try:
                logs = self._node.logs(self._contract, [topic], read.next_block, last)
            except (NodeRefused, AnswerTooLong):  # probably too many blocks or logs at once
                if size == 1:
                    raise
                size = max(1, min(size, last - read.next_block + 1) // 2)
                continue
            mark = head if last == head.number else self._block(last)
            read.events += self._record_logs(experiment, logs, read.next_block, last)
            read.marks = [*read.marks[-_MARKS:], mark]
            read.next_block = last + 1

    def _withdraw_replaced_blocks(self, read: _Read, head: Block) -> None:
        """Drop the events of blocks that the chain has replaced."""
        while read.marks and not self._is_current(read.marks[-1], head):
            read.marks.pop()
            since = read.marks[-1].number + 1 if read.marks else read.first_block
            kept = bisect_right(read.events, (since << _INDEX_BITS) - 1, key=_CURSOR)
            del read.events[kept:]
            read.next_block = since
            self._times = {n: time for n, time in self._times.items() if n < since}

    def _is_current(self, mark: Block, head: Block) -> bool:
        if mark.number == head.number:
            return mark.hash == head.hash
        if mark.number > head.number:
            return False
        found = self._node.block(mark.number)
        return found is not None and found.hash == mark.hash

    def _record_logs(
        self, experiment: ExperimentId, logs: list[ChainLog], first: int, last: int
    ) -> list[RecordedEvent]:
        ours: dict[int, tuple[ChainLog, Event]] = {}
        for item in logs:
            if item.address != self._contract or not first <= item.block <= last:
                raise BadAnswer(f"{self._node.name} returned logs that were not requested")
            event = event_from_log(self._abi, item.log)
            if event is not None and event.experiment == experiment:
                ours[item.block << _INDEX_BITS | item.index] = item, event
        self._fetch_times([item for item, _ in ours.values()])
        return [
            RecordedEvent(cursor, self._times[item.block], item.transaction, event)
            for cursor, (item, event) in sorted(ours.items(), key=itemgetter(0))
        ]

    def _fetch_times(self, logs: list[ChainLog]) -> None:
        """Store the times of the logs' blocks, requesting those that the node did not return."""
        self._times |= {item.block: item.time for item in logs if item.time is not None}
        missing = sorted({item.block for item in logs} - self._times.keys())
        for number, block in zip(missing, self._node.blocks(missing), strict=True):
            self._times[number] = self._check_block(block, number).time

    def _time(self, number: int) -> int:
        if number not in self._times:
            self._times[number] = self._block(number).time
        return self._times[number]

    def _block(self, number: int) -> Block:
        return self._check_block(self._node.block(number), number)

    def _check_block(self, block: Block | None, number: int) -> Block:
        if block is None or block.number != number:
            raise BadAnswer(f"{self._node.name} returned logs of block {number} but not the block")
        return block

    def _first_block_from(self, time: int) -> int:
        """Return the first block at or after ``time``, in at most about 25 requests."""
        low, high = 0, self._node.block_number()
        while low < high:
            middle = (low + high) // 2
            if self._time(middle) < time:
                low = middle + 1
            else:
                high = middle
        return low
