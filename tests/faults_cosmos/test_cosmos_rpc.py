"""A Cosmos chain's gRPC that fails in different ways for one learner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from grpc import StatusCode

from tests.support.faults.cosmos_world import CosmosWorld
from tests.support.faults.grpc_gate import GrpcFault
from tests.support.faults.toxiproxy import Toxiproxy

Worlds = Callable[..., CosmosWorld]

LOGGED = "does not answer"

LINKS = ({"kind": "limit_data", "bytes": 60}, {"kind": "reset_peer"}, {"kind": "timeout"})
"""Links that cut an answer in the middle, are reset, or never deliver."""


def test_experiment_completes_over_a_bad_link(
    world: Worlds, tmp_path: Path, toxiproxy_binary: None
):
    w = world(rounds=len(LINKS))
    alice = w.agents["alice"]
    with Toxiproxy(tmp_path / "toxiproxy.log") as toxiproxy:
        link = toxiproxy.link("alice-chain", alice.rpc)
        alice.use_rpc(link.url)
        alice.hold("before-testing")  # once in each round, also for its own proposals
        w.start()
        for toxic in LINKS:
            alice.wait_until_stopped_at("before-testing")
            with link.inject(**{"timeout": 0, **toxic}):
                before = sum(LOGGED in json.dumps(line) for line in alice.lines())
                alice.release_once("before-testing")
                alice.wait_log(LOGGED, times=before + 1)
        w.final_check()


@pytest.mark.long
def test_experiment_completes_despite_faults_while_sending(world: Worlds):
    w = world(rounds=4, gated=["alice"])
    gate = w.gates["alice"]
    for code in (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED, None):
        gate.fail(
            GrpcFault("BroadcastTx", code),  # the node never received it
            GrpcFault("BroadcastTx", code, late=True),  # the node's answer was lost
            GrpcFault("GetTx", code),
            GrpcFault("Simulate", code),
        )
    w.start()
    w.final_check()
    assert gate.faults_left == 0
