"""Choose when to look for the receipt of a transaction."""

from __future__ import annotations

import time
from typing import Any

from colearn_ledger.chains.heads import Head, Heads, is_same

_LONGEST_WAIT = 30.0
"""Most seconds between two looks, in case no new block is noticed."""


class LookTimes:
    """Wait until it is worthwhile to look for a receipt.

    That is once for each new block if the head of the chain is followed. Otherwise the pauses
    grow.

    Args:
        heads: the head of the chain, ``None`` if it is not followed.
        after: the head before the transaction was sent; if it is ``None``, the first look is at
            once.
        first: seconds before the second look, if the head is not followed.
        longest: most seconds between two looks, if the head is not followed.

    Attributes:
        blocks: number of new blocks since the first look, or since ``after``.
    """

    def __init__(
        self, heads: Heads[Any] | None, after: Head | None, *, first: float, longest: float
    ) -> None:
        self.blocks = 0
        self._heads = heads
        self._seen = after
        self._first, self._longest = first, longest
        self._is_first = after is None
        self._pause = first

    def wait(self, limit: float) -> None:
        """Wait until the next look is due, or for ``limit`` seconds."""
        if self._is_first:
            self._is_first = False
            if self._heads is not None:
                self._seen = self._heads.known
        elif self._heads is not None:
            self._wait_for_block(self._heads, min(limit, _LONGEST_WAIT))
        else:
            time.sleep(max(0.0, min(self._pause, limit)))
            self._pause = min(self._pause * 1.5, self._longest)

    def _wait_for_block(self, heads: Heads[Any], limit: float) -> None:
        head, seen = heads.wait_past(self._seen, limit), self._seen
        self._seen = head
        if head is not None and seen is not None and not is_same(head, seen):
            self.blocks += max(1, head.number - seen.number)
