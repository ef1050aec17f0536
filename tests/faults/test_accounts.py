"""One key in two places, and a wallet that runs out of coin."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.faults.agents import RunningAgent
from tests.support.faults.harness import ETHER, World

Worlds = Callable[..., World]

CEILING = 500 * 10**9
"""Highest price of gas that agents pay, in wei."""


class TestOneKeyInTwoAgents:
    def test_with_one_folder_the_second_is_refused(self, world: Worlds):
        w = world("alice", "bob", "carol", rounds=1)
        w.agent("alice").start().wait_log('"started"')
        second = w.twin("alice", shares="data").start()
        assert second.wait_end() == 1
        said = [line["event"] for line in second.lines() if "another agent uses" in line["event"]]
        assert said
        assert not any("Traceback" in line["event"] for line in second.lines())
        w.start("bob", "carol")
        w.final_check()

    @pytest.mark.parametrize("shares", ["nothing", "home"])
    def test_with_two_folders_nothing_takes_effect_twice(self, world: Worlds, shares: str):
        w = world("alice", "bob", "carol", rounds=6)
        twin = w.twin("bob", shares=shares).start()
        w.start()
        w.final_check(resent=True)
        self.check(w, twin)

    def test_with_two_folders_a_secret_ballot_counts_once(self, world: Worlds):
        w = world("alice", "bob", "carol", rounds=6, terms={"reveal_window": 600})
        twin = w.twin("bob").start()
        w.start()
        w.final_check(resent=True)
        self.check(w, twin)

    def check(self, w: World, twin: RunningAgent) -> None:
        assert twin.wait_end() == 0
        w.check_weights([twin, w.agent("bob")])
        assert w.read.outcomes() == ["accepted"] * 6


class TestAWallet:
    def test_waits_while_gas_costs_more_than_its_ceiling(self, world: Worlds):
        w = world("alice", "bob", "carol")
        bob = w.agent("bob")
        bob.hold("after-training")
        w.start()
        bob.wait_held("after-training")
        for name in w.names:
            w.fund(w.agent(name).account, 10 * ETHER)
        w.set_gas_price(5_000)
        bob.let_go("after-training")
        bob.wait_log("gas costs")
        w.set_gas_price(1)
        w.mine()
        w.final_check()
        assert w.read.outcomes() == ["accepted"] * 3
        assert w.read.highest_price() <= CEILING

    def test_runs_dry_and_is_funded_again(self, world: Worlds):
        w = world("alice", "bob", "carol")
        bob, carol = w.agent("bob"), w.agent("carol")
        bob.hold("after-training")  # round 1 waits for bob's proposal
        w.start()
        carol.wait_log('"voted"')
        w.fund(carol.account, 1_000)
        bob.let_go("after-training")
        assert carol.wait_end() == 1
        (said,) = {line["event"] for line in carol.lines() if line.get("level") == "error"}
        assert carol.account in said
        assert "trying again would not help" in said
        w.fund(carol.account, ETHER)
        carol.start()
        w.final_check()
        assert w.read.outcomes() == ["accepted"] * 3
