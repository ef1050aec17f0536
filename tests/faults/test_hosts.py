"""Chain, IPFS nodes and agents on hosts of their own, and a link that is down for a while."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import World
from hosts import Hosts, can_make_hosts

NAMES = ("alice", "bob", "carol", "dave", "erin")


def test_a_host_is_cut_off_and_comes_back(world: Callable[..., World]):
    if not can_make_hosts():
        pytest.skip("network namespaces need root and iproute2")
    with Hosts("chain", *NAMES) as hosts:
        w = world(*NAMES, rounds=5, hosts=hosts)
        bob = w.agent("bob")
        w.start()
        w.wait_round(1)
        hosts.cut("bob")
        bob.wait_log("trying again")
        held = w.read.round_index
        hosts.heal("bob")
        w.final_check()
        assert held < 4
        assert w.read.outcomes() == ["accepted"] * 5
