"""Progress reports of an agent about training and transfers, and their display."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from colearn_learner.agent.monitoring import Monitor
from colearn_learner.agent.progress import FileInPieces, Progress, ProgressReporter, Work
from colearn_learner.cli._support.progress import SlowWork
from colearn_learner.cli.logs import start_logging
from colearn_learner.interface import Weights
from colearn_ledger.weights.store import ContentUnavailable
from colearn_ledger.weights.unixfs import content_of
from tests.support.toyworld import TowardsTarget, World
from tests.support.waiting import LIMIT


@pytest.fixture
def voter_reports(world) -> tuple[World, list[Progress]]:
    """Run one round with two learners; return the progress reports of agent 1, which votes."""
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    reports: list[Progress] = []
    agents = w.agents()
    agents[1].on_progress(reports.append)
    w.drive(agents)
    return w, reports


def test_voter_reports_fetching_and_testing(voter_reports):
    w, reports = voter_reports
    now = w.ledger.experiment(w.experiment)
    works = [(p.work, p.size) for p in reports if p.over]
    assert works == [
        (Work.FETCHING, now.params.initial.size),
        (Work.FETCHING, w.accepted()[0].size),
        (Work.TESTING, None),  # the current weights
        (Work.TESTING, None),
    ]


def test_each_piece_of_work_starts_and_ends_once_with_all_bytes_counted(voter_reports):
    _, reports = voter_reports
    current = None
    for progress in reports:
        assert current in (None, progress.work)
        assert (current is None) == (progress.done == 0 and not progress.over)
        current = None if progress.over else progress.work
    assert current is None
    assert all(p.done == (p.size or 0) for p in reports if p.over)


def test_proposer_reports_training_testing_and_sending(world):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    reports: list[Progress] = []
    agents = w.agents()
    agents[0].on_progress(reports.append)
    w.drive(agents)
    size = w.accepted()[0].size
    works = [(p.work, p.done) for p in reports if p.over]
    assert works[1:4] == [(Work.TRAINING, 0), (Work.TESTING, 0), (Work.SENDING, size)]


def test_failed_training_is_reported_as_over(world):
    class Fails(TowardsTarget):
        def mli_propose_weights(self) -> Weights:
            raise ZeroDivisionError

    w = world([Fails(4), TowardsTarget(5)], rounds=1)
    reports: list[Progress] = []
    agents = w.agents()
    agents[0].on_progress(reports.append)
    w.drive(agents)
    assert [p.over for p in reports if p.work == Work.TRAINING] == [False, True]


def test_interrupted_transfer_reports_the_bytes_done():
    reporter, reports = ProgressReporter(), []
    reporter.on_progress(reports.append)

    def fetch() -> None:
        with reporter.track(Work.FETCHING, 9) as report_done:
            report_done(4)
            raise ContentUnavailable("gone")

    with pytest.raises(ContentUnavailable):
        fetch()
    assert reports[-1] == Progress(Work.FETCHING, 4, 9, over=True)


@pytest.mark.parametrize("size", [1, 262_144, 700_001])
def test_file_in_pieces_can_be_read_twice_and_counts_its_bytes(size: int):
    data, reported = os.urandom(size), []
    file = FileInPieces(data, content_of(data), reported.append)
    for _ in range(2):
        reported.clear()
        pieces = list(file)
        assert b"".join(pieces) == data
        assert max(map(len, pieces)) <= 262_144
        assert (len(reported), reported[-1]) == (len(pieces), size)
    assert file.nbytes == file.content.size == size


def test_monitoring_counts_bytes(world):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    agents = w.agents()
    monitor = Monitor(agents[0])
    w.drive(agents)
    lines = monitor.metrics().decode().splitlines()
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    [content], initial = w.accepted(), w.ledger.experiment(w.experiment).params.initial
    sent = float(figures['colearn_agent_bytes_moved_total{work="sending"}'])
    fetched = float(figures['colearn_agent_bytes_moved_total{work="fetching"}'])
    assert (sent, fetched) == (content.size, initial.size)  # its own proposal is in its folder


# ------------------------------------------------------------------------------ the process


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Return the log stream, in JSON."""
    before, stream = list(logging.getLogger().handlers), io.StringIO()
    start_logging(as_json=True, verbose=False, stream=stream)
    yield stream
    logging.getLogger().handlers[:] = before


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def parse_log(lines: io.StringIO) -> list[dict[str, object]]:
    entries = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [{k: v for k, v in e.items() if k not in ("time", "level")} for e in entries]


def test_long_work_is_logged_at_intervals(lines):
    clock = Clock(100.0)
    slow = SlowWork(every=30, clock=clock)
    slow.update(Progress(Work.TRAINING))
    for clock.now in (110.0, 130.0, 131.0, 159.0, 165.0):
        slow.log_if_due()
    slow.update(Progress(Work.TRAINING, over=True))
    clock.now = 300.0
    slow.log_if_due()
    assert parse_log(lines) == [
        {"event": "training", "seconds": 30},
        {"event": "training", "seconds": 65},
    ]


def test_transfer_is_logged_with_its_bytes(lines):
    clock = Clock(0.0)
    slow = SlowWork(every=30, clock=clock)
    slow.update(Progress(Work.FETCHING, 0, 1_000))
    clock.now = 40.0
    slow.update(Progress(Work.FETCHING, 250, 1_000))
    slow.log_if_due()
    assert parse_log(lines) == [{"event": "fetching", "seconds": 40, "bytes": 250, "of": 1_000}]


def test_time_of_earlier_work_does_not_count_for_later_work(lines):
    clock = Clock(0.0)
    slow = SlowWork(every=30, clock=clock)
    for clock.now in range(0, 200, 20):
        slow.update(Progress(Work.TESTING))
        slow.log_if_due()
        slow.update(Progress(Work.TESTING, over=True))
    assert parse_log(lines) == []


def test_logging_thread_ends_with_its_block(lines):
    logged, now = threading.Event(), iter(range(0, 10**9, 1_000))
    slow = SlowWork(every=0.01, clock=lambda: next(now))
    handler = logging.Handler()
    handler.emit = lambda _: logged.set()
    logging.getLogger().addHandler(handler)
    threads = threading.active_count()
    with slow.log_regularly():
        slow.update(Progress(Work.TRAINING))
        assert logged.wait(LIMIT)
    assert threading.active_count() == threads


SHOW = """
import logging, sys
from colearn_learner.agent.progress import Progress, Work
from colearn_learner.cli._support.progress import show_progress
with show_progress(as_json=sys.argv[1] == "json", verbose=False) as update:
    update(Progress(Work.TRAINING))
    logging.getLogger().info("a line " + "long " * 40 + "[bold]end")
    update(Progress(Work.TRAINING, over=True))
    update(Progress(Work.FETCHING, 0, 20_000_000))
    update(Progress(Work.FETCHING, 5_000_000, 20_000_000))
    logging.getLogger().info("a second one")
    sys.stdin.read(1)
    update(Progress(Work.FETCHING, 20_000_000, 20_000_000, over=True))
    logging.getLogger().info("the last")
"""


def run_at_terminal(how: str, *, until: bytes) -> str:
    """Return the output of a process at an 80-column terminal; let it continue after ``until``."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    run = subprocess.Popen(
        [sys.executable, "-c", SHOW, how],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment,
    )
    os.close(theirs)
    written = b""
    while piece := read_available(ours):
        written += piece
        if until in written and run.stdin and not run.stdin.closed:
            run.stdin.close()
    run.stdin = None
    _, errors = run.communicate()
    assert (run.returncode, errors) == (0, b"")
    os.close(ours)
    return written.decode()


def read_available(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # raised when the other side has closed the terminal
        return b""


def test_terminal_shows_progress_below_complete_log_lines():
    written = run_at_terminal("text", until=b"5.0 of 20.0 MB")
    assert "a line " + "long " * 40 + "[bold]end" in written
    assert "the last" in written
    assert written.count("\x1b[?25h") >= written.count("\x1b[?25l")  # the cursor is visible again


def test_json_log_at_a_terminal_contains_only_json():
    written = run_at_terminal("json", until=b"a second one")
    entries = [json.loads(line)["event"] for line in written.splitlines()]
    assert entries[1:] == ["a second one", "the last"]


def test_output_without_a_terminal_is_plain_lines():
    run = subprocess.run(
        [sys.executable, "-c", SHOW, "text"], input="", capture_output=True, text=True, check=True
    )
    assert "\x1b" not in run.stdout
    assert len(run.stdout.splitlines()) == 3
    assert run.stderr == ""
