"""Agents that all propose in every round on an EVM chain, and are killed in turn."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.faults.harness import World
from tests.support.faults.plural import NAMES, TERMS, kill_in_turn, start_at_work


def test_killed_agents_end_with_the_same_mean(world: Callable[..., World], is_long: bool):
    kills, rounds = (5, 6) if is_long else (2, 2)
    w = world(*NAMES, swarm=None, rounds=rounds, terms=TERMS)
    stopped = start_at_work(w, rounds=rounds)
    kill_in_turn(w, stopped, kills=kills)
    w.final_check()  # compares the agents' weights with those that an independent script computes
    assert w.reader.outcomes() == ["accepted"] * rounds
    assert w.reader.count_accepted(rounds - 1) > 1
