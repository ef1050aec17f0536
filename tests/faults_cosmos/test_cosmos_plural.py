"""Agents that all propose in every round on a Cosmos chain, and are killed in turn."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.faults.cosmos_world import CosmosWorld
from tests.support.faults.plural import NAMES, TERMS, kill_in_turn, start_at_work


def test_killed_agents_end_with_the_same_mean(world: Callable[..., CosmosWorld], is_long: bool):
    kills, rounds = (5, 6) if is_long else (2, 2)
    w = world(names=NAMES, rounds=rounds, terms=TERMS)
    stopped = start_at_work(w, rounds=rounds)
    kill_in_turn(w, stopped, kills=kills)
    w.final_check()  # compares the agents' weights with those that an independent script computes
    assert w.reader.count_accepted(rounds - 1) > 1
