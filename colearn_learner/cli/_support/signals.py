"""End a process by signals: after the first it finishes its current step, the second is final."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_LOOK = 0.2  # seconds between two checks whether the work has ended


class Stopping:
    """Records whether a signal asked the process to end, and which one.

    Args:
        on_first: called, in the main thread, at the first signal.
    """

    def __init__(self, on_first: Callable[[str], None]) -> None:
        self.requested = threading.Event()
        self.signal: int | None = None
        self._on_first = on_first

    def handle(self, number: int, _: FrameType | None) -> None:
        """Handle a signal."""
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
        self.requested.set()
        self._on_first(signal.Signals(number).name)


@contextmanager
def stop_on_signals(on_first: Callable[[str], None]) -> Iterator[Stopping]:
    """Let the first SIGTERM or SIGINT end the work gently, and the second one at once."""
    stopping = Stopping(on_first)
    before = {
        number: signal.signal(number, stopping.handle) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_in_thread(work: Callable[[], None]) -> None:
    """Do the work in a thread, so that the main thread can handle signals at any time.

    Errors of the work are raised here.
    """
    failures: list[BaseException] = []
    finished = threading.Event()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it again
            failures.append(error)
        finally:
            finished.set()

    threading.Thread(target=run, name="agent", daemon=True).start()
    while not finished.wait(_LOOK):
        pass
    if failures:
        raise failures[0]
