"""Follow the head of a chain: pushed by a subscription if one works, polled otherwise.

All views of a deployed contract share what is known of the head, so that several agents in one
process poll once. A poll is due about when the next block is, and not more often.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from colearn_ledger.chains.subscription import Subscription

_LONGEST = 16
"""Most seconds between two polls, as a multiple of the fewest."""

_EARLY = 1 / 8
"""Part of the time between two blocks by which a poll may be early or late."""

_INTERVALS = 5
"""Number of times between two blocks of which the shortest counts."""

_SILENT_BLOCKS = 3
"""Number of blocks that a subscription may miss before the head is polled again."""

_SILENT_SECONDS = 30.0, 180.0
"""Fewest and most seconds of that; the most also count while the time of a block is unknown."""


class Head(Protocol):
    """A block at the head of a chain; ``time`` is in seconds since the epoch."""

    @property
    def number(self) -> int:
        """Return the number of the block."""

    @property
    def hash(self) -> str:
        """Return the hash of the block, empty if it is unknown."""

    @property
    def time(self) -> int:
        """Return the time of the block."""


H = TypeVar("H", bound=Head)


def is_same(one: Head | None, other: Head | None) -> bool:
    """Return whether two heads are the same block, by their numbers if a hash is unknown."""
    if one is None or other is None:
        return one is other
    has_hashes = one.hash and other.hash
    return one.number == other.number and (not has_hashes or one.hash == other.hash)


class PollTimes:
    """Choose when to look for the next block.

    A poll is due when the next block is expected: one time between blocks after the last one. The
    lag between a block's time and our first sight of it is first unknown, because a poll may come
    long after its block. Polls therefore become earlier until one misses its block.

    Args:
        fewest: fewest seconds between two polls.
    """

    def __init__(self, fewest: float) -> None:
        self.due = 0.0
        self._fewest = fewest
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._last: Head | None = None
        self._lag: float | None = None
        self._expected = 0.0
        self._is_exploring = True
        self._has_missed = False

    @property
    def block_seconds(self) -> float | None:
        """Return the shortest recent time between two blocks, ``None`` while it is unknown."""
        return min(self._intervals) if self._intervals else None

    def note(self, head: Head) -> None:
        """Take a new head into account, however it was noticed."""
        if self._last is not None and head.number > self._last.number:
            seconds = max(0, head.time - self._last.time)
            self._intervals.append(seconds / (head.number - self._last.number))
        self._last = head

    def find(self, at: float, head: Head) -> None:
        """Choose the next time after a poll at ``at`` found a new head."""
        self.note(head)
        lag, known = at - head.time, self._lag
        if known is None or lag < known or self._has_missed:
            self._is_exploring = known is None or self._is_exploring or lag > known + self._step
            self._lag = known = lag
        self._has_missed = False
        seconds = self.block_seconds or 0.0
        early = self._step if self._is_exploring else 0.0
        self._expected = head.time + known + seconds - early
        self._set_due(at, self._expected)

    def miss(self, at: float) -> None:
        """Choose the next time after a poll at ``at`` found no new head."""
        if at >= self._expected:
            self._is_exploring, self._has_missed = False, True
            self._expected = at + self._step
        self._set_due(at, self._expected)

    def delay(self, at: float) -> None:
        """Let no other poll be due while one is in flight, or right after a failure."""
        self._set_due(at, at)

    def find_start(self, at: float) -> float:
        """Return when a look began that took the place of a poll and ended at ``at``.

        Otherwise polls would come later after each block, until agents miss the next block.
        """
        return self.due if 0 <= at - self.due < self._fewest else at

    @property
    def _step(self) -> float:
        return (self.block_seconds or 0.0) * _EARLY

    def _set_due(self, at: float, due: float) -> None:
        self.due = min(max(due, at + self._fewest), at + _LONGEST * self._fewest)


class Heads(Generic[H]):
    """The head of a chain, as far as it is known. Several threads may use it.

    Args:
        poll: asks the node for the last block.
        poll_seconds: fewest seconds between two polls.
        subscription: pushes new blocks.
    """

    def __init__(
        self, poll: Callable[[], H], poll_seconds: float, subscription: Subscription[H] | None
    ) -> None:
        self._poll = poll
        self._fewest = poll_seconds
        self._times = PollTimes(poll_seconds)
        self._subscription = subscription
        self._changed = threading.Condition()
        self._is_polling = threading.Lock()
        self._head: H | None = None
        self._first_seen_at = self._polled_at = 0.0
        if subscription is not None:
            subscription.notify(self._take_pushed, self._wake)

    @property
    def known(self) -> H | None:
        """Return the last head that was noticed, without asking; ``None`` if there was none."""
        return self._head

    @property
    def pushed(self) -> H | None:
        """Return the head if the subscription works, otherwise ``None``."""
        return self._head if self._is_pushed() else None

    @property
    def block_seconds(self) -> float | None:
        """Return the shortest recent time between two blocks, ``None`` while it is unknown."""
        return self._times.block_seconds

    def recent(self, seconds: float) -> H | None:
        """Return the head if it was the last block some seconds ago, otherwise ``None``."""
        is_recent = self._is_pushed() or time.monotonic() - self._polled_at < seconds
        return self._head if is_recent else None

    def now(self) -> int | None:
        """Return the chain's time, as the head's and what has passed since it was noticed."""
        with self._changed:
            if self._head is None:
                return None
            return int(self._head.time + time.monotonic() - self._first_seen_at)

    def wait_past(self, seen: Head | None, timeout: float) -> H | None:
        """Return the head once it is not ``seen``; otherwise after ``timeout`` seconds.

        The node is asked only if the subscription does not work and a poll is due.

        Raises:
            LedgerUnavailable: the node was asked and cannot be reached.
        """
        ends = time.monotonic() + timeout
        if self._subscription is not None:
            self._subscription.listen()
        while True:
            head = self.refresh()
            left = ends - time.monotonic()
            if not is_same(head, seen) or left <= 0:
                return head
            self._wait_for_change(head, min(left, self._pause()))

    def _pause(self) -> float:
        """Return the seconds to wait: until a poll is due, or while another thread polls."""
        least = self._fewest if self._is_polling.locked() else 0.0  # its poll may take long
        return max(least, self._seconds_to_poll())

    def wait_until_due(self, seen: Head | None, timeout: float) -> H | None:
        """Return the head once it is not ``seen``, a poll is due, or ``timeout`` seconds passed.

        The node is not asked, so that the caller can ask for what it needs of the next block.
        """
        ends = time.monotonic() + timeout
        if self._subscription is not None:
            self._subscription.listen()
        while True:
            head, pause = self._head, min(ends - time.monotonic(), self._seconds_to_poll())
            if not is_same(head, seen) or pause <= 0:
                return head
            self._wait_for_change(head, pause)

    def notice(self, head: H) -> None:
        """Take a block into account that the node mentioned in another answer just now."""
        with self._changed:
            known = self._head
            if self._is_pushed() or (known is not None and head.number <= known.number):
                return
            self._polled_at = self._times.find_start(time.monotonic())
            self._times.find(self._polled_at, head)
            self._take(head)

    def refresh(self) -> H | None:
        """Return the head, polled if that is due and no other thread does it.

        Raises:
            LedgerUnavailable: the node was asked and cannot be reached.
        """
        if not self._seconds_to_poll() and self._is_polling.acquire(blocking=False):
            try:
                self._take_polled()
            finally:
                self._is_polling.release()
        return self._head

    def _wait_for_change(self, head: H | None, seconds: float) -> None:
        with self._changed:
            if is_same(self._head, head):
                self._changed.wait(seconds)

    def _take_polled(self) -> None:
        started = time.monotonic()
        self._times.delay(started)
        head = self._poll()
        with self._changed:
            self._polled_at = started
            if is_same(head, self._head):
                self._times.miss(started)
            else:
                self._times.find(started, head)
                self._take(head)

    def _take_pushed(self, head: H) -> None:
        with self._changed:
            self._times.note(head)
            self._take(head)

    def _take(self, head: H) -> None:
        self._head, self._first_seen_at = head, time.monotonic()
        self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _is_pushed(self) -> bool:
        fewest, most = _SILENT_SECONDS
        seconds = self._times.block_seconds
        patience = most if seconds is None else min(max(fewest, _SILENT_BLOCKS * seconds), most)
        quiet = None if self._subscription is None else self._subscription.quiet_seconds
        return self._head is not None and quiet is not None and quiet < patience

    def _seconds_to_poll(self) -> float:
        if self._is_pushed():
            return _SILENT_SECONDS[0]
        return max(0.0, self._times.due - time.monotonic())
