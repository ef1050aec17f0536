"""A Cosmos chain's gRPC that fails in every way for one learner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from grpc import StatusCode

from tests.support.faults.cosmos_world import CosmosWorld
from tests.support.faults.grpc_gate import Faulty
from tests.support.faults.toxiproxy import Toxiproxy

Worlds = Callable[..., CosmosWorld]

SAYS = "does not answer"

LINKS = ({"kind": "limit_data", "bytes": 60}, {"kind": "reset_peer"}, {"kind": "timeout"})
"""Links that cut an answer in the middle, are reset, or never deliver."""


def test_a_bad_link_delays_and_does_no_more(world: Worlds, tmp_path: Path, toxiproxy_is_here: None):
    w = world(rounds=len(LINKS))
    alice = w.agents["alice"]
    with Toxiproxy(tmp_path / "toxiproxy.log") as toxiproxy:
        link = toxiproxy.link("alice-chain", alice.rpc)
        alice.use_rpc(link.url)
        alice.hold("before-testing")  # once in each round, also for its own proposals
        w.start()
        for toxic in LINKS:
            alice.wait_held("before-testing")
            with link.fails(**{"timeout": 0, **toxic}):
                said = sum(SAYS in json.dumps(line) for line in alice.lines())
                alice.pass_on("before-testing")
                alice.wait_log(SAYS, times=said + 1)
        w.final_check()


def test_faults_of_the_node_while_sending_delay_and_do_no_more(world: Worlds):
    w = world(rounds=4, gated=["alice"])
    gate = w.gates["alice"]
    for code in (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED, None):
        gate.fail(
            Faulty("BroadcastTx", code),  # the node never received it
            Faulty("BroadcastTx", code, late=True),  # the node's answer was lost
            Faulty("GetTx", code),
            Faulty("Simulate", code),
        )
    w.start()
    w.final_check()
    assert gate.faults_left == 0
