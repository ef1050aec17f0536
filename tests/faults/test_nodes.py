"""Nodes that die and come back, and a chain that removes blocks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.faults.harness import World

Worlds = Callable[..., World]

SEND = "eth_sendRawTransaction"


class TestTheChain:
    def test_is_killed_and_comes_back_with_all_its_state(self, world: Worlds):
        w = world("alice", "bob", "carol")
        w.agent("bob").hold("before-testing")
        w.start()
        w.wait_ballots(0, "carol")
        w.agent("bob").wait_held("before-testing")  # so that bob has used the chain too
        w.dump()
        w.chain.kill()
        w.agent("alice").wait_log("trying again")
        w.chain.start()
        w.agent("bob").let_go("before-testing")
        w.final_check()
        assert w.read.outcomes() == ["accepted"] * 3

    def test_is_killed_and_comes_back_without_its_last_blocks(self, world: Worlds):
        w = world("alice", "bob", "carol")
        w.agent("alice").hold("after-training")
        w.agent("carol").hold("before-training")
        w.start()
        w.agent("alice").wait_held("after-training")
        w.dump()
        w.agent("alice").let_go("after-training")
        w.agent("carol").wait_held("before-training")  # by then all three have sent in each round
        first = w.read.round(0).content
        w.kill_chain_back_to_dump()
        w.chain.start()
        w.agent("carol").let_go("before-training")
        # A transaction sent again may precede one that it depends on, and is then refused.
        w.final_check(resent=True)
        assert w.read.outcomes() == ["accepted"] * 3
        assert w.read.round(0).content == first

    @pytest.mark.parametrize("how", ["reorg", "rollback"])
    def test_takes_a_proposal_back(self, world: Worlds, how: str):
        w = world("alice", "bob", "carol", rounds=2, gated=["alice"])
        for name in ("bob", "carol"):
            w.agent(name).hold("before-testing")
        sending = w.agent("alice").gate.hold(SEND)
        w.start()
        w.mine_three(sending)
        for name in ("bob", "carol"):
            w.agent(name).wait_held("before-testing")
        w.agent("alice").wait_log('"proposed"')
        first = w.read.round(0).content
        w.take_back("propose", how)
        assert w.read.phase(0) == "proposing"
        w.mine()
        w.wait_phase(0, "voting")
        for name in ("bob", "carol"):
            w.agent(name).let_go("before-testing")
        w.final_check()
        assert w.read.round(0).content == first
        assert len(w.agent("alice").calls("before-training")) == 1
        assert w.read.outcomes() == ["accepted"] * 2

    @pytest.mark.parametrize("how", ["reorg", "rollback"])
    def test_takes_a_ballot_back(self, world: Worlds, how: str):
        w = world("alice", "bob", "carol", rounds=2, gated=["bob"], terms={"reveal_window": 600})
        w.agent("carol").hold("before-testing")
        sending = w.agent("bob").gate.hold(SEND)
        w.start()
        w.mine_three(sending)
        w.agent("bob").wait_log('"committed"')
        w.take_back("commit", how)
        w.mine()
        w.wait_ballots(0, "bob")
        w.agent("carol").let_go("before-testing")
        w.final_check()
        assert len([b for b in w.agent("bob").journal("ballot") if b["round"] == 0]) == 1
        assert w.read.outcomes() == ["accepted"] * 2


class TestTheIpfsNodes:
    def test_the_proposer_s_is_gone_before_others_have_the_proposal(self, world: Worlds):
        w = world("alice", "bob", "carol", gated=["alice"])
        sending = w.agent("alice").gate.hold(SEND)
        w.start()
        for name in ("bob", "carol"):
            w.agent(name).wait_log('"adopted"')  # the first weights, which only alice's node had
        sending.wait()
        w.nodes["alice"].kill()
        sending.let_go()
        w.wait_phase(0, "voting")
        for name in ("bob", "carol"):
            w.agent(name).wait_log("waiting for the proposal")
        w.pass_to_last_call(0)
        w.wait_round(1)
        w.let_time_pass()
        w.nodes["alice"].start()
        w.final_check()
        assert w.read.outcomes() == ["rejected", "accepted", "accepted"]
        assert "could not be fetched" in w.agent("bob").journal("ballot")[0]["reason"]

    def test_the_proposer_s_is_gone_after_others_have_the_proposal(self, world: Worlds):
        w = world("alice", "bob", "carol")
        for name in ("bob", "carol"):
            w.agent(name).hold("before-testing")
        w.start()
        for name in ("bob", "carol"):
            w.agent(name).wait_held("before-testing")
        w.nodes["alice"].kill()
        for name in ("bob", "carol"):
            w.agent(name).let_go("before-testing")
        w.wait_round(1)
        w.nodes["alice"].start()
        w.final_check()
        assert w.read.outcomes() == ["accepted"] * 3

    def test_all_are_down_for_a_while(self, world: Worlds):
        w = world("alice", "bob", "carol")
        w.agent("bob").hold("after-training")
        w.start()
        w.agent("bob").wait_held("after-training")
        for node in w.nodes.values():
            node.kill()
        w.agent("bob").let_go("after-training")
        w.agent("bob").wait_log("trying again")
        for node in w.nodes.values():
            node.start()
        w.final_check()
        assert w.read.outcomes() == ["accepted"] * 3
