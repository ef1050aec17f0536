"""One key in two agents on a Cosmos chain, and a wallet that runs out of coins."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.cosmos_place import ENOUGH
from tests.support.faults.cosmos_world import CosmosWorld

Worlds = Callable[..., CosmosWorld]

LITTLE = 20_000
"""Balance for joining and one or two more transactions."""


class TestOneKeyInTwoAgents:
    def test_second_agent_in_the_same_folder_is_refused(self, world: Worlds):
        w = world(rounds=1)
        w.agents["alice"].start().wait_log('"started"')
        second = w.make_twin("alice", shares="data").start()
        assert second.wait_end() == 3
        events = [line["event"] for line in second.lines()]
        assert any("another agent uses" in event for event in events)
        assert not any("Traceback" in event for event in events)
        w.start("bob", "carol")
        w.final_check()

    @pytest.mark.parametrize(
        "terms",
        [
            pytest.param({}, id="open", marks=pytest.mark.long),
            pytest.param({"reveal_window": 600}, id="secret"),
        ],
    )
    def test_one_of_two_agents_on_two_machines_says_so_and_ends(
        self, world: Worlds, terms: dict[str, int]
    ):
        w = world(rounds=4, terms=terms)
        twin = w.make_twin("bob").start()
        w.start()
        w.check_sent_once(w.check_twin("bob", twin), resent=False)


def test_agent_without_coins_stops_and_continues_once_funded(world: Worlds):
    w = world(rounds=4, balances={"carol": LITTLE})
    carol = w.agents["carol"]
    w.start()
    assert carol.wait_end() == 1
    assert carol.journal("ballot")
    (message,) = {line["event"] for line in carol.lines() if line.get("level") == "error"}
    assert carol.account in message
    assert "trying again would not help" in message
    w.place.pay([carol.account], ENOUGH)
    carol.start()
    w.final_check()
