"""Weights that stay pinned on an IPFS node, by policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from colearn_learner.agent.context import AgentConfig
from colearn_learner.agent.loop import Agent
from colearn_learner.cli import main
from colearn_learner.cli.agent import agent as agent_commands
from colearn_ledger.protocol import ContentRef, Outcome
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_ledger.weights.stores.open_store import open_store
from colearn_localnet.kubo import Kubo
from tests.support.toyworld import TowardsTarget, World

POLICIES: dict[str, dict[str, Any]] = {
    "last:1": {"keep_accepted": 1},
    "last:2": {"keep_accepted": 2},
    "accepted": {"keep_accepted": None},
    "all": {"keep_accepted": None, "keep_proposals": True},
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    with Kubo(tmp_path_factory.mktemp("ipfs") / "node") as running:
        yield running


@pytest.fixture
def divided_world(tmp_path: Path) -> World:
    """Create a world whose learner 2 disagrees with the others, so its proposals are rejected."""
    learners = [TowardsTarget(4.25), TowardsTarget(5.5), TowardsTarget(-9)]
    return World(tmp_path, learners, {"rounds": 6})


def make_agents(w: World, node: Kubo, config: dict[str, Any]) -> list[Agent]:
    """Return the agents; learner 2 stores its weights on a node and in the shared folder."""
    own = open_store(f"{w.folder / 'store'},{node.api_url}", owner="learner-2")
    return [w.agent(0), w.agent(1), w.agent(2, store=own, **config)]


def find_contents(w: World, outcome: Outcome) -> list[ContentRef]:
    return [c for r in w.rounds() if r.outcome == outcome for c in r.contents.values()]


def unpin_all(node: Kubo, w: World) -> None:
    """Unpin this world's weights, because tests share the node and produce the same weights."""
    initial = w.ledger.experiment(w.experiment).params.initial
    for content in {initial, *(c for r in w.rounds() for c in r.contents.values())}:
        KuboStore(node.api).unpin(content)


@pytest.mark.parametrize("policy", POLICIES)
def test_policy_decides_which_weights_stay_pinned(divided_world: World, node: Kubo, policy: str):
    w, store = divided_world, KuboStore(node.api)
    w.drive(make_agents(w, node, POLICIES[policy]))
    initial = w.ledger.experiment(w.experiment).params.initial
    accepted = [initial, *find_contents(w, Outcome.ACCEPTED)]
    rejected = find_contents(w, Outcome.REJECTED)
    assert len(accepted) > 3
    assert rejected
    last = {"last:1": 1, "last:2": 2}.get(policy, len(accepted))
    kept = [False] * (len(accepted) - last) + [True] * last
    assert [store.pinned(content) for content in accepted] == kept
    assert [store.pinned(c) for c in rejected] == [policy == "all"] * len(rejected)
    unpin_all(node, w)


def test_agent_restarted_with_a_stricter_policy_unpins_the_rest(divided_world: World, node: Kubo):
    w, store = divided_world, KuboStore(node.api)
    agents = make_agents(w, node, POLICIES["all"])
    for _ in range(200):
        if len(find_contents(w, Outcome.ACCEPTED)) >= 4:
            break
        for agent in agents:
            agent.step()
    agents[2].step()
    [rejected] = find_contents(w, Outcome.REJECTED)
    assert store.pinned(rejected)
    for agent in agents:
        agent.close()
    w.drive(make_agents(w, node, POLICIES["last:1"]))
    accepted = [
        w.ledger.experiment(w.experiment).params.initial,
        *find_contents(w, Outcome.ACCEPTED),
    ]
    assert [store.pinned(content) for content in accepted] == [False] * (len(accepted) - 1) + [True]
    assert not any(store.pinned(content) for content in find_contents(w, Outcome.REJECTED))
    unpin_all(node, w)


def test_folder_keeps_two_copies_even_if_the_store_keeps_all_weights(
    divided_world: World, node: Kubo
):
    w = divided_world
    w.drive(make_agents(w, node, POLICIES["all"]))
    copies = {path.name for path in (w.folder / "agent-2" / "weights").iterdir()}
    last = find_contents(w, Outcome.ACCEPTED)[-2:]
    assert copies == {f"{content.sha256}.safetensors" for content in last}
    unpin_all(node, w)


def parse_keep(*arguments: str) -> Any:
    """Return the parsed value of ``--keep``."""
    command = agent_commands.get_command(click.Context(main), "run")
    needed = ["--experiment", "1", "--learner", "m:f", "--key", "alice"]
    return command.make_context("run", [*needed, *arguments]).params["keep"]


@pytest.mark.parametrize("policy", POLICIES)
def test_policy_option_becomes_agent_configuration(policy: str):
    assert AgentConfig(**parse_keep("--keep", policy)) == AgentConfig(**POLICIES[policy])


def test_default_policy_matches_the_default_configuration():
    assert AgentConfig(**parse_keep()) == AgentConfig()


@pytest.mark.parametrize("text", ["last:0", "last:-1", "last:", "last", "none", "", "last:2x"])
def test_unknown_policy_is_refused_with_a_list_of_the_valid_ones(text: str):
    with pytest.raises(click.BadParameter, match="last:N") as caught:
        parse_keep("--keep", text)
    assert "--keep" in caught.value.format_message()
