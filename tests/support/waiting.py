"""Waiting for what has to come; only a hang reaches the limit, however slow the machine is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

LIMIT = 120.0
"""Seconds after which a test says that something hangs."""


def eventually(holds: Callable[[], Any], what: str = "it", *, seconds: float = LIMIT) -> Any:
    """Return what ``holds`` does once it is true."""
    ends = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > ends:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.02)
    return found


def ended(call: Callable[..., T], *arguments: Any) -> T:
    """Return what a call returns, or raise what it raises; fail if it hangs."""
    return Running(call, *arguments).result()


class Running:
    """A call that is made in a thread of its own.

    Args:
        call: what is called.
        arguments: with what.
    """

    def __init__(self, call: Callable[..., T], *arguments: Any) -> None:
        self._call, self._arguments = call, arguments
        self._returned: list[Any] = []
        self._raised: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def goes_on(self) -> bool:
        return self._thread.is_alive()

    def result(self) -> Any:
        """Return what the call returns, or raise what it raises; fail if it hangs."""
        self._thread.join(LIMIT)
        if self.goes_on:
            raise AssertionError(f"{self._call} did not end in {LIMIT:g} s")
        if self._raised:
            raise self._raised[0]
        return self._returned[0]

    def _run(self) -> None:
        try:
            self._returned.append(self._call(*self._arguments))
        except BaseException as error:
            self._raised.append(error)


class Clock:
    """Stands in for the module ``time``: a sleep is noted, and over at once.

    Args:
        at_sleep: is called at each sleep.
    """

    def __init__(self, at_sleep: Callable[[], Any] = lambda: None) -> None:
        self._now = float(int(time.time()))
        self._at_sleep = at_sleep
        self.slept: list[float] = []

    def time(self) -> float:
        return self._now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += max(seconds, 0.001)  # as a real one never takes no time
        self._at_sleep()
