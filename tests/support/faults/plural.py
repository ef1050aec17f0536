"""Agents that all propose in every round, and are killed one after another."""

from __future__ import annotations

from itertools import count, cycle
from typing import Any

from colearn_ledger.protocol import Merge
from tests.support.faults.agents import RunningAgent
from tests.support.faults.fault_world import FaultWorld
from tests.support.waiting import is_true_within

NAMES = ("alice", "bob", "carol", "dave", "erin")
TERMS = {"proposers": len(NAMES), "merge": Merge.MEAN}

EVERY = 10.0
"""Seconds between two kills."""

WORK = 3.0
"""Seconds of a training, so that kills meet agents at work."""

LONG = 600.0
"""Limit in seconds of a test, which kills make longer on a slow machine."""


def start_at_work(w: FaultWorld[Any], *, rounds: int) -> RunningAgent:
    """Start agents that take some time for their work; return one that stops in the last round."""
    first = w.agents[w.names[0]]
    first.hold("before-training", after=rounds - 1)
    for agent in w.agents.values():
        agent.arguments = ("--learner-arg", f"work={WORK}")
        agent.start()
    return first


def kill_in_turn(w: FaultWorld[Any], stopped: RunningAgent, *, kills: int) -> None:
    """Kill and restart one agent after another until the experiment completes.

    Args:
        w: the experiment.
        stopped: the agent that stops in the last round.
        kills: number of kills after which it continues.
    """
    for number, name in zip(count(), cycle(w.names)):
        if number == kills:
            stopped.release("before-training")
        if is_true_within(EVERY, lambda: is_over(w)):
            return
        assert number * EVERY < LONG, "the experiment does not complete"
        w.agents[name].restart()


def is_over(w: FaultWorld[Any]) -> bool:
    """Return whether the experiment is completed; fail if an agent has failed."""
    for agent in w.agents.values():
        agent.check()
    return bool(w.reader.status == "completed")
