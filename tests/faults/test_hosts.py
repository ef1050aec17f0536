"""Chain, IPFS nodes and agents on separate hosts, with bad links between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.faults.harness import World
from tests.support.faults.hosts import Hosts, can_create_hosts
from tests.support.faults.toxiproxy import Link, Toxiproxy

NAMES = ("alice", "bob", "carol", "dave", "erin")
NUMBERS = 12_500
"""Length of the weights; their 100 kB take seconds on a slow link."""

LONG = 240.0
"""Limit in seconds; an agent waits three times 20 s for a silent chain before it logs that."""


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    if not can_create_hosts():
        pytest.skip("network namespaces need root and iproute2")
    with Hosts("chain", *NAMES) as hosts:
        yield hosts


@pytest.fixture
def toxiproxy(hosts: Hosts, tmp_path: Path, toxiproxy_binary: None) -> Iterator[Toxiproxy]:
    """Start Toxiproxy on the chain's host; all requests of the agents go through it."""
    host = partial(hosts.inside, "chain")
    with Toxiproxy(
        tmp_path / "toxiproxy.log", address=hosts.address("chain"), host=host
    ) as toxiproxy:
        yield toxiproxy


class Links:
    """Links between the agents of a world and its nodes."""

    def __init__(self, toxiproxy: Toxiproxy, w: World) -> None:
        self.chain: dict[str, Link] = {}
        self.ipfs: dict[str, Link] = {}
        for name, node in w.nodes.items():
            self.chain[name] = toxiproxy.link(f"{name}-chain", w.chain.url)
            self.ipfs[name] = toxiproxy.link(f"{name}-ipfs", node.api_url)
            w.agent(name).use_rpc(self.chain[name].url)
            w.agent(name).store = self.ipfs[name].url

    def select(self, *names: str) -> list[Link]:
        return [links[name] for links in (self.chain, self.ipfs) for name in names]


def test_experiment_completes_over_bad_links(
    world: Callable[..., World], hosts: Hosts, toxiproxy: Toxiproxy
):
    w = world(*NAMES, swarm=None, rounds=5, hosts=hosts, numbers=NUMBERS)
    links = Links(toxiproxy, w)
    for link in links.select(*NAMES):
        link.add_toxic("latency", latency=30, jitter=20)
    for link in links.select("erin"):
        link.add_toxic("bandwidth", rate=50)
        link.add_toxic("bandwidth", rate=50, stream="upstream")

    # Round 0: three voters lose the chain, each in a different way.
    bob, carol, dave = (w.agent(name) for name in ("bob", "carol", "dave"))
    for agent in (bob, carol, dave):
        agent.hold("before-testing")
    bob.hold("after-training")  # the proposer of round 1
    w.start()
    for agent in (bob, carol, dave):
        agent.wait_until_stopped_at("before-testing")
    with links.chain["dave"].inject("timeout", timeout=0):
        dave.release("before-testing")
        with links.chain["carol"].inject("reset_peer", timeout=0):
            carol.release("before-testing")
            carol.wait_log("trying again")
        hosts.cut("bob")
        bob.release("before-testing")
        bob.wait_log("trying again", seconds=LONG)
        hosts.heal("bob")
        dave.wait_log("trying again", seconds=LONG)
        w.wait_ballots(0, "bob", "carol", "erin")
        assert w.reader.ballots(0)[dave.account] == 0

    # Round 1: two voters lose their IPFS nodes before they have the proposal.
    bob.wait_until_stopped_at("after-training")
    for agent in (carol, dave):  # after round 0, whose accepted weights are pinned there too
        agent.wait_log('"event": "adopted", "round": 1', seconds=LONG)
    with (
        links.ipfs["carol"].inject("reset_peer", timeout=0),
        links.ipfs["dave"].inject("timeout", timeout=0),
    ):
        bob.release("after-training")
        for agent in (carol, dave):
            agent.wait_log("waiting for the proposal")
        w.wait_ballots(1, "alice", "erin")
        assert not any(w.reader.ballots(1)[agent.account] for agent in (carol, dave))

    w.final_check(seconds=LONG)
    assert w.reader.outcomes() == ["accepted"] * 5
