"""How an agent's process shows training and moving weights: a live line, or lines in the log."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from colearn_learner.agent.progress import Progress, ProgressListener, Work
from colearn_learner.cli._support.output import open_console
from colearn_learner.cli.logs import log_event, start_logging

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["LiveLine", "SlowWork", "show_progress"]

_log = logging.getLogger(__name__)

_EVERY = 30.0
"""Seconds of one work between two lines in the log."""


@contextmanager
def show_progress(*, as_json: bool, verbose: bool) -> Iterator[ProgressListener]:
    """Start logging, and give what shows an agent's progress.

    A terminal gets a line at its bottom that moves, below the log. Elsewhere, and where the log
    is for programs, a work that takes long is told of in the log now and then.
    """
    console = open_console(soft_wrap=True)
    if as_json or not console.is_terminal:
        start_logging(as_json=as_json, verbose=verbose)
        slow = SlowWork()
        with slow.told():
            yield slow.hear
    else:
        with LiveLine(console).shown() as line:  # it stands in for standard output
            start_logging(as_json=False, verbose=verbose)
            yield line.hear


class SlowWork:
    """Logs what takes long, every so many seconds.

    Args:
        every: seconds of one work between two lines.
        clock: gives seconds.
    """

    def __init__(
        self, *, every: float = _EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every = every
        self._clock = clock
        self._lock = threading.Lock()
        self._now: Progress | None = None
        self._began = self._told = 0.0

    def hear(self, progress: Progress) -> None:
        """Take how far a work is."""
        with self._lock:
            if self._now is None:
                self._began = self._told = self._clock()
            self._now = None if progress.over else progress

    def tell(self) -> None:
        """Log the work at hand, if it is time to."""
        with self._lock:
            now, clock = self._now, self._clock()
            if now is None or clock - self._told < self._every:
                return
            self._told = clock
            seconds = round(clock - self._began)
        moved = {} if now.size is None else {"bytes": now.done, "of": now.size}
        log_event(_log, now.work.value, seconds=seconds, **moved)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Look after it in a thread, in the block."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(min(1.0, self._every)):
                self.tell()

        thread = threading.Thread(target=look, name="colearn-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class LiveLine:
    """A line at a terminal's bottom: what the agent is busy with, for how long, how far.

    Args:
        console: of the terminal. What is printed to standard output appears above the line.
    """

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[moved]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._tasks = {
            work: self._bars.add_task(work.value, total=None, start=False, visible=False, moved="")
            for work in Work
        }

    @contextmanager
    def shown(self) -> Iterator[LiveLine]:
        """Show it in the block."""
        with self._bars:
            self._bars.console.show_cursor()  # a second SIGTERM leaves no time to bring it back
            yield self

    def hear(self, progress: Progress) -> None:
        """Take how far a work is."""
        task = self._tasks[progress.work]
        if progress.over:
            self._bars.update(task, visible=False)
            return
        if not progress.done:
            self._bars.reset(task, total=progress.size, visible=True, moved="")
        moved = "" if progress.size is None else _megabytes(progress.done, progress.size)
        self._bars.update(task, completed=progress.done, moved=moved)


def _megabytes(done: int, size: int) -> str:
    return f"{done / 1e6:.1f} of {size / 1e6:.1f} MB"
