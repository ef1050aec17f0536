"""Report checks that take long, and end one in which the learner blocks."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from colearn_learner.checks.subject import Broken
from colearn_learner.user_code import find_line_of_threads

CHECKED_THREAD = "learner-check"
"""Name of a thread that a check starts for the learner."""


@dataclass(frozen=True, slots=True)
class SlowCheck:
    """A check that still runs.

    Args:
        name: name of the check.
        seconds: how long it has been running.
        where: the line of the user's code that it executes; empty if unknown.
    """

    name: str
    seconds: float
    where: str


class Blocked(Broken):
    """A check reached the time limit."""


@dataclass(frozen=True, slots=True)
class Watchdog:
    """Watch checks while they run.

    A check that reaches the limit is interrupted as by Ctrl-C. That needs the main thread; in
    another thread, slow checks are only reported.

    Args:
        limit: the longest duration of a check, in seconds.
        on_slow: called in another thread with a check that still runs after ``report_after``
            seconds, and again whenever twice the time has passed.
        report_after: see ``on_slow``, in seconds.
    """

    limit: float
    on_slow: Callable[[SlowCheck], None] | None = None
    report_after: float = 30.0

    @contextmanager
    def watch(self, name: str) -> Iterator[None]:
        """Watch one check.

        Raises:
            Blocked: it reached the limit.
        """
        watch = _Watch(self, name)
        try:
            with watch.run():
                yield
        except KeyboardInterrupt:
            if not watch.interrupted:
                raise
            raise Blocked(
                f"it did not end within {self.limit:g} seconds; let the factory use less data, "
                "raise the limit, or find out what it waits for",
                where=watch.where,
            ) from None


class _Watch:
    """The thread that watches one check."""

    def __init__(self, dog: Watchdog, name: str) -> None:
        self._dog, self._name = dog, name
        self._checked = threading.get_ident()
        self._done = threading.Event()
        self._lock = threading.Lock()
        self.interrupted, self.where = False, ""

    @contextmanager
    def run(self) -> Iterator[None]:
        threading.Thread(target=self._watch, name="check-watchdog", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:  # it is either done or interrupted, not both
                self._done.set()

    def _watch(self) -> None:
        passed, pause = 0.0, self._dog.report_after
        while passed < self._dog.limit:
            pause = min(pause, self._dog.limit - passed)
            if self._done.wait(pause):
                return
            passed += pause
            pause = passed
            if self._dog.on_slow is not None and passed < self._dog.limit:
                self._dog.on_slow(SlowCheck(self._name, passed, self._find_line()))
        with self._lock:
            if not self._done.is_set() and self._can_interrupt():
                self.interrupted, self.where = True, self._find_line()
                signal.pthread_kill(self._checked, signal.SIGINT)

    def _can_interrupt(self) -> bool:
        is_main = self._checked == threading.main_thread().ident
        return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def _find_line(self) -> str:
        started = [t.ident for t in threading.enumerate() if t.name == CHECKED_THREAD]
        return find_line_of_threads([self._checked, *started])
