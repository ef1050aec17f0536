"""Nodes of a Cosmos chain that are killed and restarted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from colearn_localnet.cosmos import CosmosChain
from tests.support.cosmos_place import Place
from tests.support.faults.cosmos_world import CosmosWorld

Worlds = Callable[..., CosmosWorld]

BLOCK_TIME = 0.1  # seconds


@contextmanager
def start_chain(folder: Path, *, validators: int) -> Iterator[Place]:
    with CosmosChain(folder / "chain", validators=validators, block_time=BLOCK_TIME) as chain:
        yield Place(chain, folder / "journals")


@pytest.fixture(scope="module")
def four_validators(
    tmp_path_factory: pytest.TempPathFactory, cosmos_place: Place
) -> Iterator[Place]:
    """Start a chain of four validators; the three agents of a world use the first three."""
    with start_chain(tmp_path_factory.mktemp("four"), validators=4) as place:
        yield place


def test_experiment_completes_after_the_only_node_is_killed(world: Worlds, tmp_path: Path):
    with start_chain(tmp_path, validators=1) as place:
        w = world(place, gated=["alice"])
        alice, bob = w.agents["alice"], w.agents["bob"]
        bob.hold("before-testing")
        proposing = w.gates["alice"].hold("BroadcastTx", answer=True)
        w.start()
        proposing.wait()  # the transaction is in the mempool or already in a block
        for agent in w.agents.values():
            agent.wait_log("started")  # one that never reached its node would end with an error
        height = place.chain.height()
        place.chain.kill()
        proposing.drop()
        alice.wait_log("does not answer")
        place.chain.start()
        assert place.chain.height() >= height
        bob.wait_until_stopped_at("before-testing")
        bob.release("before-testing")
        w.final_check()
        assert len(alice.calls("before-training")) == 1


def test_experiment_completes_without_one_of_four_validators(world: Worlds, four_validators: Place):
    w = world(four_validators, rounds=3)
    bob = w.agents["bob"]
    bob.hold("before-testing")
    w.start()
    bob.wait_until_stopped_at("before-testing")
    four_validators.chain.nodes[3].kill()
    height = four_validators.chain.height()
    bob.release("before-testing")
    w.final_check()
    assert four_validators.chain.height() > height
    four_validators.chain.start()  # the lost validator catches up


@pytest.mark.long
def test_agent_continues_once_its_own_validator_is_back(world: Worlds, four_validators: Place):
    w = world(four_validators)
    bob = w.agents["bob"]
    bob.hold("before-testing")
    w.start()
    bob.wait_until_stopped_at("before-testing")
    four_validators.chain.nodes[1].kill()
    bob.release("before-testing")
    bob.wait_log("does not answer")
    w.wait_ballots(0, "carol", state="cast")  # the others continue
    assert w.reader.ballots(0)[bob.account] == "none"
    four_validators.chain.start()
    w.final_check()
    assert len([b for b in bob.journal("ballot") if b["round"] == 0]) == 1
