"""A chain's node that fails in every way for one learner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.faults.harness import World
from tests.support.faults.toxiproxy import Toxiproxy
from tests.support.faulty_proxy import FaultyProxy

KINDS = ("lost", "cut", "429", "500", "malformed", "empty", "reset", "wrong-id", "timeout")

SEND = "eth_sendRawTransaction"

Worlds = Callable[..., World]


@pytest.mark.parametrize("what", ["anything", "sending"])
def test_faults_of_the_node_delay_and_do_no_more(world: Worlds, what: str):
    w = world("alice", "bob", "carol", rounds=len(KINDS))
    alice = w.agent("alice")
    with FaultyProxy(w.chain.url) as proxy:
        alice.use_rpc(proxy.url)
        alice.hold("before-testing")  # once in each round, also for its own proposals
        w.start()
        for kind in KINDS:
            alice.wait_held("before-testing")
            if what == "sending":
                proxy.fail(kind, methods=[SEND])
            else:
                proxy.fail(kind, 1 if kind == "timeout" else 3)
            alice.pass_on("before-testing")
        w.final_check(seconds=300)
        assert proxy.asked.count(SEND) >= len(KINDS) * (2 if what == "sending" else 1)
    assert w.read.outcomes() == ["accepted"] * len(KINDS)


@pytest.mark.parametrize("name", ["alice", "bob"], ids=["proposing", "voting"])
def test_connections_cut_in_the_middle_of_an_answer_delay_and_do_no_more(
    world: Worlds, tmp_path: Path, toxiproxy_is_here: None, name: str
):
    w = world("alice", "bob", "carol")
    agent = w.agent(name)
    with Toxiproxy(tmp_path / "toxiproxy.log") as toxiproxy:
        link = toxiproxy.link(f"{name}-chain", w.chain.url)
        agent.use_rpc(link.url)
        agent.hold("before-testing")
        w.start()
        agent.wait_held("before-testing")
        with link.fails("limit_data", bytes=400):  # the head of an answer, and part of its body
            agent.let_go("before-testing")
            agent.wait_log("broke the connection")
        w.final_check()
    assert w.read.outcomes() == ["accepted"] * 3
