"""Nodes that are killed and restarted, and a chain that removes blocks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.faults.harness import World

Worlds = Callable[..., World]

SEND = "eth_sendRawTransaction"


class TestChain:
    @pytest.mark.long
    def test_experiment_completes_after_the_chain_is_killed(self, world: Worlds):
        w = world("alice", "bob", "carol")
        w.agent("bob").hold("before-testing")
        w.start()
        w.wait_ballots(0, "carol")
        w.agent("bob").wait_until_stopped_at("before-testing")  # so that bob has used the chain too
        w.dump()
        w.chain.kill()
        w.agent("alice").wait_log("trying again")
        w.chain.start()
        w.agent("bob").release("before-testing")
        w.final_check()
        assert w.reader.outcomes() == ["accepted"] * 3

    def test_experiment_completes_after_the_chain_loses_its_last_blocks(self, world: Worlds):
        w = world("alice", "bob", "carol")
        w.agent("alice").hold("after-training")
        w.agent("carol").hold("before-training")
        w.start()
        w.agent("alice").wait_until_stopped_at("after-training")
        w.dump()
        w.agent("alice").release("after-training")
        w.agent("carol").wait_until_stopped_at("before-training")  # all agents have sent by then
        first = w.reader.slot(0).content
        w.kill_chain_and_restore_dump()
        w.chain.start()
        w.agent("carol").release("before-training")
        # A transaction sent again may precede one that it depends on, and is then refused.
        w.final_check(resent=True)
        assert w.reader.outcomes() == ["accepted"] * 3
        assert w.reader.slot(0).content == first

    @pytest.mark.parametrize("how", ["reorg", pytest.param("rollback", marks=pytest.mark.long)])
    def test_removed_proposal_is_sent_again_without_new_training(self, world: Worlds, how: str):
        w = world("alice", "bob", "carol", rounds=2, gated=["alice"])
        for name in ("bob", "carol"):
            w.agent(name).hold("before-testing")
        sending = w.agent("alice").gate.hold(SEND)
        w.start()
        w.mine_three(sending)
        for name in ("bob", "carol"):
            w.agent(name).wait_until_stopped_at("before-testing")
        w.agent("alice").wait_log('"proposed"')
        first = w.reader.slot(0).content
        w.remove_call("propose", how)
        assert w.reader.phase(0) == "proposing"
        w.mine()
        w.wait_phase(0, "voting")
        for name in ("bob", "carol"):
            w.agent(name).release("before-testing")
        w.final_check()
        assert w.reader.slot(0).content == first
        assert len(w.agent("alice").calls("before-training")) == 1
        assert w.reader.outcomes() == ["accepted"] * 2

    @pytest.mark.parametrize("how", ["reorg", pytest.param("rollback", marks=pytest.mark.long)])
    def test_removed_ballot_is_sent_again_without_a_new_decision(self, world: Worlds, how: str):
        w = world("alice", "bob", "carol", rounds=2, gated=["bob"], terms={"reveal_window": 600})
        w.agent("carol").hold("before-testing")
        sending = w.agent("bob").gate.hold(SEND)
        w.start()
        w.mine_three(sending)
        w.agent("bob").wait_log('"committed"')
        w.remove_call("commit", how)
        w.mine()
        w.wait_ballots(0, "bob")
        w.agent("carol").release("before-testing")
        w.final_check()
        assert len([b for b in w.agent("bob").journal("ballot") if b["round"] == 0]) == 1
        assert w.reader.outcomes() == ["accepted"] * 2


class TestIpfsNodes:
    def test_proposal_is_rejected_if_the_proposers_node_dies_before_voters_fetch_it(
        self, world: Worlds
    ):
        w = world("alice", "bob", "carol", swarm=None, gated=["alice"])
        sending = w.agent("alice").gate.hold(SEND)
        w.start()
        for name in ("bob", "carol"):
            w.agent(name).wait_log('"adopted"')  # the first weights, at first only on alice's node
        sending.wait()
        w.nodes["alice"].kill()
        sending.release()
        w.wait_phase(0, "voting")
        for name in ("bob", "carol"):
            w.agent(name).wait_log("waiting for the proposal")
        w.move_clock_to_last_call(0)
        w.wait_round(1)
        w.restart_clock()
        w.nodes["alice"].start()
        w.final_check()
        assert w.reader.outcomes() == ["rejected", "accepted", "accepted"]
        assert "could not be fetched" in w.agent("bob").journal("ballot")[0]["reason"]

    def test_proposal_is_accepted_if_the_proposers_node_dies_after_voters_fetched_it(
        self, world: Worlds
    ):
        w = world("alice", "bob", "carol", swarm=None)
        for name in ("bob", "carol"):
            w.agent(name).hold("before-testing")
        w.start()
        for name in ("bob", "carol"):
            w.agent(name).wait_until_stopped_at("before-testing")
        w.nodes["alice"].kill()
        for name in ("bob", "carol"):
            w.agent(name).release("before-testing")
        w.wait_round(1)
        w.nodes["alice"].start()
        w.final_check()
        assert w.reader.outcomes() == ["accepted"] * 3

    @pytest.mark.long
    def test_experiment_completes_after_all_ipfs_nodes_were_down(self, world: Worlds):
        w = world("alice", "bob", "carol", swarm=None)
        w.agent("bob").hold("after-training")
        w.start()
        w.agent("bob").wait_until_stopped_at("after-training")
        for node in w.nodes.values():
            node.kill()
        w.agent("bob").release("after-training")
        w.agent("bob").wait_log("trying again")
        for node in w.nodes.values():
            node.start()
        w.final_check()
        assert w.reader.outcomes() == ["accepted"] * 3
