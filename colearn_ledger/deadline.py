"""A point in time by which an operation has to end."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """Count down from a number of seconds.

    Args:
        seconds: the time allowed, from now.
        clock: monotonic clock in seconds; `time.monotonic` by default.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] | None = None) -> None:
        self.seconds = seconds
        self._clock = clock or time.monotonic
        self._end = self._clock() + seconds

    def left(self) -> float:
        """Return the seconds that are left, 0 once the deadline has passed."""
        return max(0.0, self._end - self._clock())

    def restart(self) -> None:
        """Restart the countdown, to limit each step of an operation."""
        self._end = self._clock() + self.seconds
