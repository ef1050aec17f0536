"""Pauses between retries."""

from __future__ import annotations

from colearn_ledger.backoff import Backoff
from colearn_ledger.deadline import Deadline


def test_pauses_double_up_to_the_longest():
    backoff = Backoff(first=1.0, longest=10.0, fraction=lambda: 0.0)
    assert [backoff.pause(n) for n in (1, 2, 3, 4, 5, 10_000)] == [1, 2, 4, 8, 10, 10]


def test_jitter_takes_away_up_to_half_of_a_pause():
    shortest = Backoff(first=1.0, longest=10.0, fraction=lambda: 1.0)
    assert [shortest.pause(n) for n in (1, 2, 5)] == [0.5, 1.0, 5.0]


def test_two_processes_do_not_pause_for_the_same_time():
    assert len({Backoff(first=1.0).pause(1) for _ in range(100)}) > 90


def test_pause_without_a_failure_is_the_first_one():
    assert Backoff(first=1.0, fraction=lambda: 0.0).pause(0) == 1.0


class TestDeadline:
    def test_deadline_counts_down_to_zero(self):
        now = [100.0]
        deadline = Deadline(2.0, clock=lambda: now[0])
        assert deadline.left() == 2.0
        now[0] = 101.5
        assert deadline.left() == 0.5
        now[0] = 200.0
        assert deadline.left() == 0.0
