"""Learners on a Cosmos chain that do not do their part."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.faults.cosmos_world import CosmosWorld

Worlds = Callable[..., CosmosWorld]

SOON = 3  # seconds


def test_without_a_quorum_rounds_end_by_their_deadlines_and_the_absent_have_strikes(world: Worlds):
    w = world(rounds=4, terms={"vote_window": SOON})
    alice, *absent = (w.agents[name] for name in w.names)
    alice.start()
    for index, name in enumerate(("bob", "carol"), start=1):  # so that no proposal is waited for
        w.wait_phase(index, "proposing")
        w.view(name).decline(w.experiment, index).wait()
    w.final_check("alice", outcomes=["rejected", "no_proposal", "no_proposal", "rejected"])
    assert [w.read.strikes(agent.account) for agent in absent] == [2, 2]
    assert w.read.strikes(alice.account) == 0
    advances = [sender for sender, call, _ in w.read.duties().elements() if call == "advance"]
    assert advances == [alice.account] * 2
