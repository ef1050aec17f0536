"""Agents on a Cosmos chain that are killed (kill -9) at the steps of their transactions."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.support.faults.cosmos_world import CosmosWorld

Worlds = Callable[..., CosmosWorld]

SECRET = {"reveal_window": 600}


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        pytest.param("BroadcastTx", False, id="before the node has it", marks=pytest.mark.long),
        pytest.param("BroadcastTx", True, id="before the node's answer"),
        pytest.param("GetTx", False, id="before the receipt", marks=pytest.mark.long),
    ],
)
def test_agents_killed_while_sending_act_once(world: Worlds, method: str, answer: bool):
    w = world(gated=["alice", "bob"], terms=SECRET)
    alice, bob = w.agents["alice"], w.agents["bob"]
    proposing = w.gates["alice"].hold(method, answer=answer)
    committing = w.gates["bob"].hold(method, answer=answer)
    w.start()
    for agent, stopped in ((alice, proposing), (bob, committing)):
        stopped.wait()
        agent.kill()
        stopped.drop()
        agent.start()
    w.final_check()
    (trained,) = [t for t in alice.journal("trained") if t["round"] == 0]
    assert w.reader.proposed(0) == trained["content"][1]
    assert len([b for b in bob.journal("ballot") if b["round"] == 0]) == 1


def test_voter_killed_after_committing_still_reveals(world: Worlds):
    w = world(terms=SECRET)
    bob, carol = w.agents["bob"], w.agents["carol"]
    carol.hold("before-testing")
    w.start()
    w.wait_ballots(0, "bob", state="committed")
    bob.kill()
    carol.release("before-testing")
    w.wait_phase(0, "revealing")
    bob.start()
    w.final_check()
    assert w.reader.slot(0)["approvals"] == 2


def test_experiment_completes_despite_kills_at_random_times(world: Worlds, is_long: bool):
    kills, rounds = (20, 8) if is_long else (4, 5)
    dice = random.Random(4)
    w = world(rounds=rounds, terms=SECRET)
    alice = w.agents["alice"]
    alice.hold("before-testing", after=rounds // 2)  # all kills happen before the end
    w.start()
    sent = w.reader.duties().total()
    for _ in range(kills):
        sent += dice.randrange(1, 4)
        w.wait_sent(sent, or_stopped_at=(alice, "before-testing"))
        w.agents[dice.choice(w.names)].restart()
    assert w.reader.status != "completed"
    alice.release("before-testing")
    w.final_check(seconds=300)
