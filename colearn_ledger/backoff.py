"""Pauses between retries that grow with each failure and differ between processes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

_MOST_DOUBLINGS = 64  # 2.0 ** 64 exceeds any pause; a larger exponent would overflow


@dataclass(frozen=True, slots=True)
class Backoff:
    """Compute how long to pause before the next attempt.

    The pause doubles with each consecutive failure. A random part of up to half is left out, so
    that processes that failed together, such as thousands of agents after an outage, do not all
    retry together.

    Args:
        first: longest pause after the first failure, in seconds.
        longest: longest pause after any failure, in seconds.
        fraction: returns a random number from 0 up to 1; tests pass their own.
    """

    first: float = 0.1
    longest: float = 5.0
    fraction: Callable[[], float] = random.random

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after a number of consecutive failures (1 or more)."""
        doubled = self.first * 2.0 ** min(max(failures - 1, 0), _MOST_DOUBLINGS)
        return min(self.longest, doubled) * (1 - self.fraction() / 2)
