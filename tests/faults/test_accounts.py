"""One key in two agents, and a wallet that runs out of coins."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.faults.agents import RunningAgent
from tests.support.faults.harness import ETHER, World

Worlds = Callable[..., World]

CEILING = 500 * 10**9
"""Maximum price of gas that agents pay, in wei."""


class TestOneKeyInTwoAgents:
    def test_second_agent_in_the_same_folder_is_refused(self, world: Worlds):
        w = world("alice", "bob", "carol", rounds=1)
        w.agent("alice").start().wait_log('"started"')
        second = w.make_twin("alice", shares="data").start()
        assert second.wait_end() == 1
        events = [line["event"] for line in second.lines()]
        assert any("another agent uses" in event for event in events)
        assert not any("Traceback" in event for event in events)
        w.start("bob", "carol")
        w.final_check()

    @pytest.mark.parametrize("shares", [pytest.param("nothing", marks=pytest.mark.long), "home"])
    def test_each_duty_takes_effect_once_with_two_folders(self, world: Worlds, shares: str):
        w = world("alice", "bob", "carol", rounds=6)
        twin = w.make_twin("bob", shares=shares).start()
        w.start()
        w.final_check(resent=True)
        self.check_twin(w, twin)

    def test_secret_ballot_counts_once_with_two_folders(self, world: Worlds):
        w = world("alice", "bob", "carol", rounds=6, terms={"reveal_window": 600})
        twin = w.make_twin("bob").start()
        w.start()
        w.final_check(resent=True)
        self.check_twin(w, twin)

    def check_twin(self, w: World, twin: RunningAgent) -> None:
        assert twin.wait_end() == 0
        w.check_weights([twin, w.agent("bob")])
        assert w.reader.outcomes() == ["accepted"] * 6


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
