"""Nodes of a Cosmos chain that die and come back."""

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
def own_chain(folder: Path, *, validators: int) -> Iterator[Place]:
    with CosmosChain(folder / "chain", validators=validators, block_time=BLOCK_TIME) as chain:
        yield Place(chain, folder / "journals")


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, cosmos_place: Place) -> Iterator[Place]:
    """Start a chain of four validators; the three agents of a world use the first three."""
    with own_chain(tmp_path_factory.mktemp("four"), validators=4) as place:
        yield place


def test_the_only_node_is_killed_and_comes_back(world: Worlds, tmp_path: Path):
    with own_chain(tmp_path, validators=1) as place:
        w = world(place, gated=["alice"])
        alice, bob = w.agents["alice"], w.agents["bob"]
        bob.hold("before-testing")
        proposing = w.gates["alice"].hold("BroadcastTx", answer=True)
        w.start()
        proposing.wait()  # the transaction is in the mempool or already in a block
        height = place.chain.height()
        place.chain.kill()
        proposing.drop()
        alice.wait_log("does not answer")
        place.chain.start()
        assert place.chain.height() >= height
        bob.wait_held("before-testing")
        bob.let_go("before-testing")
        w.final_check()
        assert len(alice.calls("before-training")) == 1


def test_a_validator_of_four_is_lost_and_the_experiment_runs_to_its_end(world: Worlds, four: Place):
    w = world(four, rounds=3)
    bob = w.agents["bob"]
    bob.hold("before-testing")
    w.start()
    bob.wait_held("before-testing")
    four.chain.nodes[3].kill()
    height = four.chain.height()
    bob.let_go("before-testing")
    w.final_check()
    assert four.chain.height() > height
    four.chain.start()  # the lost validator catches up


def test_a_learner_s_own_validator_is_lost_and_he_goes_on_when_it_is_back(
    world: Worlds, four: Place
):
    w = world(four)
    bob = w.agents["bob"]
    bob.hold("before-testing")
    w.start()
    bob.wait_held("before-testing")
    four.chain.nodes[1].kill()
    bob.let_go("before-testing")
    bob.wait_log("does not answer")
    w.wait_ballots(0, "carol", state="approved")  # the others continue
    assert w.read.ballots(0)[bob.account] == "none"
    four.chain.start()
    w.final_check()
    assert len([b for b in bob.journal("ballot") if b["round"] == 0]) == 1
