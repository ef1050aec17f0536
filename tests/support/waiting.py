"""Waits with a limit that only a hanging test reaches, even on a slow machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

LIMIT = 120.0
"""Seconds after which a test is considered to hang."""


def wait_until_true(
    condition: Callable[[], Any], what: str = "it", *, seconds: float = LIMIT
) -> Any:
    """Wait until a function returns a true value, and return the value."""
    ends = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > ends:
            raise AssertionError(f"waited {seconds:g} s without success for {what}")
        time.sleep(0.02)
    return found


def is_true_within(seconds: float, condition: Callable[[], Any]) -> bool:
    """Return whether a function returns a true value before some seconds are over."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


def run_with_limit(call: Callable[..., T], *arguments: Any) -> T:
    """Return what a call returns, or raise what it raises; fail if it hangs."""
    return BackgroundCall(call, *arguments).result()


class BackgroundCall:
    """A call that runs in its own thread.

    Args:
        call: the function to call.
        arguments: arguments of the call.
    """

    def __init__(self, call: Callable[..., T], *arguments: Any) -> None:
        self._call, self._arguments = call, arguments
        self._returned: list[Any] = []
        self._raised: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def result(self) -> Any:
        """Return what the call returns, or raise what it raises; fail if it hangs."""
        self._thread.join(LIMIT)
        if self.is_running:
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
    """A substitute for the module ``time`` whose sleeps are recorded and end at once.

    Args:
        at_sleep: function that is called at each sleep.
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
        self._now += max(seconds, 0.001)  # a real sleep always takes some time
        self._at_sleep()
