"""One key in two agents, and a wallet that runs out of coins."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.faults.harness import ETHER, World

Worlds = Callable[..., World]

CEILING = 500 * 10**9
"""Maximum price of gas that agents pay, in wei."""


class TestOneKeyInTwoAgents:
    def test_second_agent_in_the_same_folder_is_refused(self, world: Worlds):
        w = world("alice", "bob", "carol", rounds=1)
        w.agent("alice").start().wait_log('"started"')
        second = w.make_twin("alice", shares="data").start()
        assert second.wait_end() == 3
        events = [line["event"] for line in second.lines()]
        assert any("another agent uses" in event for event in events)
        assert not any("Traceback" in event for event in events)
        w.start("bob", "carol")
        w.final_check()

    def test_second_agent_on_the_same_machine_is_refused(self, world: Worlds):
        w = world("alice", "bob", "carol", rounds=1)
        w.agent("bob").start().wait_log('"started"')
        twin = w.make_twin("bob", shares="home").start()
        assert twin.wait_end() == 3
        assert "in this experiment on this machine" in twin.lines()[-1]["event"]
        w.start("alice", "carol")
        w.final_check()

    @pytest.mark.parametrize(
        "terms", [pytest.param({}, id="open"), pytest.param({"reveal_window": 600}, id="secret")]
    )
    def test_one_of_two_agents_on_two_machines_says_so_and_ends(self, world: Worlds, terms):
        w = world("alice", "bob", "carol", rounds=6, terms=terms)
        twin = w.make_twin("bob").start()
        w.start()
        w.check_twin("bob", twin)
        assert [t for t in w.reader.transactions() if not t.succeeded] == []


class TestWallet:
    def test_agent_waits_while_gas_costs_more_than_its_ceiling(self, world: Worlds):
        w = world("alice", "bob", "carol")
        bob = w.agent("bob")
        bob.hold("after-training")
        w.start()
        bob.wait_until_stopped_at("after-training")
        for name in w.names:
            w.fund(w.agent(name).account, 10 * ETHER)
        w.set_gas_price(5_000)
        bob.release("after-training")
        bob.wait_log("gas costs")
        w.set_gas_price(1)
        w.mine()
        w.final_check()
        assert w.reader.outcomes() == ["accepted"] * 3
        assert w.reader.highest_price() <= CEILING

    def test_agent_without_coins_stops_and_continues_once_funded(self, world: Worlds):
        w = world("alice", "bob", "carol")
        bob, carol = w.agent("bob"), w.agent("carol")
        bob.hold("after-training")  # round 1 waits for bob's proposal
        w.start()
        carol.wait_log('"voted"')
        w.fund(carol.account, 1_000)
        bob.release("after-training")
        assert carol.wait_end() == 1
        (message,) = {line["event"] for line in carol.lines() if line.get("level") == "error"}
        assert carol.account in message
        assert "trying again would not help" in message
        w.fund(carol.account, ETHER)
        carol.start()
        w.final_check()
        assert w.reader.outcomes() == ["accepted"] * 3
