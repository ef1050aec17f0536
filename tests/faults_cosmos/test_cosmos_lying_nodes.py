"""Agents with three nodes of a Cosmos chain, of which two have to agree and one fails or lies."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import GetLatestBlockResponse

from colearn_localnet.wasmd import Wasmd
from tests.support.cosmos_place import BLOCK_TIME
from tests.support.faults.cosmos_world import CosmosWorld
from tests.support.faults.grpc_gate import GrpcFault, GrpcGate
from tests.support.faults.toxiproxy import Toxiproxy

CAREFUL = ("alice", "carol")
"""Learners whose agents use three nodes. ``bob`` uses one, and stops the experiment meanwhile."""


@pytest.fixture
def w(world: Callable[..., CosmosWorld]) -> CosmosWorld:
    return world()


def start(w: CosmosWorld, url: str) -> None:
    """Start the agents; ``bob`` stops before it tests the first proposal.

    Args:
        w: the experiment.
        url: URL of the first of three nodes.
    """
    honest = w.agents["alice"].rpc
    for name in CAREFUL:
        w.agents[name].use_rpc(url, honest, honest.replace("127.0.0.1", "localhost"), agree=2)
    w.agents["bob"].hold("before-testing")
    w.start()
    w.agents["bob"].wait_until_stopped_at("before-testing")


def complete(w: CosmosWorld, url: str, why: str) -> None:
    """Wait until a node is blamed, let the experiment complete, and check its weights."""
    for name in CAREFUL:
        w.agents[name].wait_log(f"node {url} is not used for now: {why}")
    w.agents["bob"].release("before-testing")
    w.final_check()
    for name in CAREFUL:
        found = [e for line in w.agents[name].lines() if "is not used" in (e := line["event"])]
        assert all(event.startswith(f"node {url} is not used") for event in found)


def test_node_that_answers_byte_by_byte_is_replaced(
    w: CosmosWorld, tmp_path: Path, toxiproxy_binary: None
):
    with Toxiproxy(tmp_path / "toxiproxy.log") as toxiproxy:
        link = toxiproxy.link("chain", w.agents["alice"].rpc)
        start(w, link.url)
        link.add_toxic("slicer", average_size=1, size_variation=0, delay=500_000)
        complete(w, link.url, "")


def test_node_that_stopped_following_the_chain_is_not_used(w: CosmosWorld):
    with GrpcGate(w.agents["alice"].rpc) as gate:
        start(w, gate.url)
        gate.freeze("GetLatestBlock")
        complete(w, gate.url, f"{gate.url} lags")


def rename_chain(answer: bytes) -> bytes:
    found = GetLatestBlockResponse.FromString(answer)
    found.block.header.chain_id = "another-chain"
    return bytes(found.SerializeToString())


def test_node_that_reports_another_chain_later_is_not_used(w: CosmosWorld):
    with GrpcGate(w.agents["alice"].rpc) as gate:
        start(w, gate.url)
        gate.lie("GetLatestBlock", rename_chain)
        gate.fail(GrpcFault("GetLatestBlock", grpc.StatusCode.INTERNAL, times=2 * len(CAREFUL)))
        complete(w, gate.url, f"{gate.url} is on chain another-chain")


SHORTER = BLOCK_TIME / 5


def start_fork(w: CosmosWorld, home: Path) -> Wasmd:
    """Start a node with a copy of the chain so far, which then makes more blocks than the chain."""
    [node] = w.place.chain.nodes
    os.kill(node.process.pid, signal.SIGSTOP)
    try:
        shutil.copytree(node.home, home)
    finally:
        os.kill(node.process.pid, signal.SIGCONT)
    return Wasmd(home, release=w.place.chain.release, block_time=SHORTER)


def test_node_on_a_longer_fork_is_outvoted(w: CosmosWorld, tmp_path: Path):
    with GrpcGate(w.agents["alice"].rpc) as gate:
        start(w, gate.url)
        with start_fork(w, tmp_path / "fork") as fork:
            gate.forward_to(fork.grpc)
            complete(w, gate.url, "its answer about")
