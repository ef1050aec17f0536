"""A chain's node that fails in different ways for one learner."""

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


@pytest.mark.parametrize("what", ["anything", pytest.param("sending", marks=pytest.mark.long)])
def test_experiment_completes_despite_faults_of_the_node(world: Worlds, what: str):
    w = world("alice", "bob", "carol", rounds=len(KINDS))
    alice = w.agent("alice")
    with FaultyProxy(w.chain.url) as proxy:
        alice.use_rpc(proxy.url)
        alice.hold("before-testing")  # once in each round, also for its own proposals
        w.start()
        for kind in KINDS:
            alice.wait_until_stopped_at("before-testing")
            if what == "sending":
                proxy.fail(kind, methods=[SEND])
            else:
                proxy.fail(kind, 1 if kind == "timeout" else 3)
            alice.release_once("before-testing")
        w.final_check(seconds=300)
        assert proxy.asked.count(SEND) >= len(KINDS) * (2 if what == "sending" else 1)
    assert w.reader.outcomes() == ["accepted"] * len(KINDS)


def test_restarted_agent_waits_until_its_node_answers(world: Worlds):
    w = world("alice", "bob", "carol", rounds=2)
    alice = w.agent("alice")
    with FaultyProxy(w.chain.url) as proxy:
        alice.use_rpc(proxy.url)
        w.agent("bob").hold("before-testing")
        w.start()
        w.agent("bob").wait_until_stopped_at("before-testing")
        alice.kill()
        proxy.down()
        alice.start()
        alice.wait_log("cannot be reached", times=2)
        proxy.up()
        w.agent("bob").release("before-testing")
        w.final_check()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("alice", id="proposing"),
        pytest.param("bob", id="voting", marks=pytest.mark.long),
    ],
)
def test_experiment_completes_despite_connections_cut_during_an_answer(
    world: Worlds, tmp_path: Path, toxiproxy_binary: None, name: str
):
    w = world("alice", "bob", "carol")
    agent = w.agent(name)
    with Toxiproxy(tmp_path / "toxiproxy.log") as toxiproxy:
        link = toxiproxy.link(f"{name}-chain", w.chain.url)
        agent.use_rpc(link.url)
        agent.hold("before-testing")
        w.start()
        agent.wait_until_stopped_at("before-testing")
        with link.inject("limit_data", bytes=400):  # the head of an answer, and part of its body
            agent.release("before-testing")
            agent.wait_log("broke the connection")
        w.final_check()
    assert w.reader.outcomes() == ["accepted"] * 3
