"""Choose when to look for the receipt of a transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from colearn_ledger.chains.heads import Head, Heads, is_same

_LONGEST_WAIT = 30.0
"""Most seconds between two looks, in case no new block is noticed."""

_SHARE_OF_BLOCK = 1 / 4
"""Most part of the time between two blocks that a look comes after a block."""


class LookTimes:
    """Wait until it is worthwhile to look for a receipt.

    If the head of the chain is followed, that is once for each new block. If the head is polled,
    the look takes the place of the poll: it is due when the next block is, and the head is polled
    only if the look finds nothing. Otherwise the pauses grow.

    Args:
        heads: the head of the chain, ``None`` if it is not followed.
        after: the head before the transaction was sent; if it is ``None``, the first look is at
            once.
        first: seconds before the second look, if the head is not followed.
        longest: most seconds between two looks, if the head is not followed.
        lags: seconds from a new block to each look, for nodes that report receipts late.

    Attributes:
        blocks: number of new blocks since the first look, or since ``after``.
    """

    def __init__(
        self,
        heads: Heads[Any] | None,
        after: Head | None,
        *,
        first: float,
        longest: float,
        lags: Sequence[float] = (0.0,),
    ) -> None:
        self.blocks = 0
        self._heads = heads
        self._seen = after
        self._first, self._longest = first, longest
        self._lags, self._lags_left = lags, list[float]()
        self._is_first = after is None
        self._pause = first

    def wait(self, limit: float) -> None:
        """Wait until the next look is due, or for ``limit`` seconds.

        Raises:
            LedgerUnavailable: the node was asked for the head and cannot be reached.
        """
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
        if not self._lags_left:
            head, seen = heads.refresh(), self._seen
            if is_same(head, seen):
                head = heads.wait_until_due(seen, limit)
            self._seen = head
            if head is None or is_same(head, seen):
                return
            if seen is not None:
                self.blocks += max(1, head.number - seen.number)
            self._lags_left = list(self._lags)
        most = _LONGEST_WAIT if heads.block_seconds is None else heads.block_seconds
        lag = min(self._lags_left.pop(0), most * _SHARE_OF_BLOCK, limit)
        if lag > 0:
            time.sleep(lag)
