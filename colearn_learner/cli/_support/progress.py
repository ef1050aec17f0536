"""Show an agent's training and transfers: a live line on a terminal, otherwise lines in the log."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from colearn_learner.agent.progress import Progress, ProgressListener, Work
from colearn_learner.cli._support.output import open_console
from colearn_learner.cli.logs import log_event, start_logging

if TYPE_CHECKING:
    from rich.console import Console

_log = logging.getLogger(__name__)

_EVERY = 30.0
"""Seconds between two lines in the log about the same work."""


@contextmanager
def show_progress(*, as_json: bool, verbose: bool) -> Iterator[ProgressListener]:
    """Start logging, and yield a listener that shows an agent's progress.

    A terminal gets a live line below the log. Elsewhere, and for JSON logs, long work is logged at
    intervals.
    """
    console = open_console(soft_wrap=True)
    if as_json or not console.is_terminal:
        start_logging(as_json=as_json, verbose=verbose)
        slow = SlowWork()
        with slow.log_regularly():
            yield slow.update
    else:
        with LiveLine(console).shown() as line:  # it replaces standard output
            start_logging(as_json=False, verbose=verbose)
            yield line.update


class SlowWork:
    """Logs long work at intervals.

    Args:
        every: seconds between two lines about the same work.
        clock: returns seconds.
    """

    def __init__(
        self, *, every: float = _EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every = every
        self._clock = clock
        self._lock = threading.Lock()
        self._now: Progress | None = None
        self._began = self._logged_at = 0.0

    def update(self, progress: Progress) -> None:
        """Process a progress event."""
        with self._lock:
            if self._now is None:
                self._began = self._logged_at = self._clock()
            self._now = None if progress.over else progress

    def log_if_due(self) -> None:
        """Log the current work if its last line is old enough."""
        with self._lock:
            now, clock = self._now, self._clock()
            if now is None or clock - self._logged_at < self._every:
                return
            self._logged_at = clock
            seconds = round(clock - self._began)
        moved: dict[str, Any] = {} if now.size is None else {"bytes": now.done, "of": now.size}
        log_event(_log, now.work.value, seconds=seconds, **moved)

    @contextmanager
    def log_regularly(self) -> Iterator[None]:
        """Call `log_if_due` in a thread until the block ends."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(min(1.0, self._every)):
                self.log_if_due()

        thread = threading.Thread(target=look, name="colearn-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class LiveLine:
    """A line at the bottom of a terminal: the agent's current work, its duration and progress.

    Args:
        console: the terminal. Standard output appears above the line.
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
        """Show the line until the block ends."""
        with self._bars:
            self._bars.console.show_cursor()  # a second SIGTERM leaves no time to restore it
            yield self

    def update(self, progress: Progress) -> None:
        """Process a progress event."""
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
