"""Learners on a Cosmos chain that do nothing."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.faults.cosmos_world import CosmosWorld

Worlds = Callable[..., CosmosWorld]

VOTE_WINDOW = 3  # seconds


def test_rounds_without_a_quorum_end_at_the_deadline_and_absent_learners_get_strikes(world: Worlds):
    w = world(rounds=4, terms={"vote_window": VOTE_WINDOW})
    alice, *absent = (w.agents[name] for name in w.names)
    alice.start()
    for index, name in enumerate(("bob", "carol"), start=1):  # so that the rounds need no deadline
        w.wait_phase(index, "proposing")
        w.view(name).decline(w.experiment, index).wait()
    w.final_check("alice", outcomes=["rejected", "no_proposal", "no_proposal", "rejected"])
    assert [w.reader.strikes(agent.account) for agent in absent] == [2, 2]
    assert w.reader.strikes(alice.account) == 0
    advances = [sender for sender, call, _ in w.reader.duties().elements() if call == "advance"]
    assert advances == [alice.account] * 2
