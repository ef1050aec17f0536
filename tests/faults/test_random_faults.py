"""Many minutes of random faults of agents, nodes, links, disks and clocks at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from colearn_ledger.protocol import Merge
from tests.support.faults.clock import Clock, can_build_clocks
from tests.support.faults.disk import can_mount, mount_small_disk
from tests.support.faults.harness import World
from tests.support.faults.lying_store import run_lying_store
from tests.support.faults.random_faults import Place, RandomFaults, find_missing_ballots
from tests.support.faults.toxiproxy import Toxiproxy

NAMES = ("alice", "bob", "carol", "dave")
NUMBERS = 12_500
"""Length of the weights; their 100 kB take seconds on a slow link."""
DISK = 8_000_000
"""Bytes of each agent's disk."""
WINDOW = 60
"""Seconds of a window for proposals, and of one for votes."""
HEALTHY = 20.0
"""Seconds without a fault in which every agent must vote, even after a restart."""
WORK = 8.0
"""Seconds of a training, so that faults meet agents at work."""
TERMS = {
    "proposers": 2,
    "merge": Merge.MEAN,
    "propose_window": WINDOW,
    "vote_window": WINDOW,
}


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as closing:
        yield closing


@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.long)]
)
def test_experiment_completes_despite_random_faults(
    closing: ExitStack,  # ends after the world
    world: Callable[..., World],
    tmp_path: Path,
    toxiproxy_binary: None,
    is_long: bool,
    seed: int,
):
    if not (can_mount() and can_build_clocks()):
        pytest.skip("mounting a file system needs root, and a wrong clock needs gcc")
    seconds = 600 if is_long else 120
    rounds = seconds // 10  # with its work, a round takes longer
    w = world(*NAMES, swarm=None, rounds=rounds, numbers=NUMBERS, block_time=1.0, terms=TERMS)
    toxiproxy = closing.enter_context(Toxiproxy(tmp_path / "toxiproxy.log"))
    stores = {
        name: closing.enter_context(run_lying_store(node.api_url)) for name, node in w.nodes.items()
    }
    places = {}
    for name, agent in w.agents.items():
        disk = closing.enter_context(mount_small_disk(tmp_path / "disks" / name, DISK))
        chain = toxiproxy.link(f"{name}-chain", w.chain.url)
        ipfs = toxiproxy.link(f"{name}-ipfs", stores[name].url)
        clock = Clock(tmp_path / "clocks" / name)
        places[name] = Place(agent, chain, ipfs, stores[name], disk, clock)
        agent.use_rpc(chain.url)
        agent.store = ipfs.url
        agent.data_dir = disk.path / "data"
        agent.arguments = ("--learner-arg", f"work={WORK}")
        agent.environment = clock.environment
    faults = RandomFaults(w, places, seed)

    w.start()
    for agent in w.agents.values():
        agent.wait_log("started")  # one that cannot start for the first time ends with an error
    faults.inject_until(lambda: w.reader.round_index >= rounds - 1, limit=5 * seconds)

    print(faults.describe())  # for a failure
    w.final_check(seconds=300, resent=True)
    assert w.reader.outcomes().count("accepted") >= 0.8 * rounds
    assert find_missing_ballots(w, faults, healthy=HEALTHY) == []
    reasons = [b["reason"] for agent in w.agents.values() for b in agent.journal("ballot")]
    assert not [reason for reason in reasons if "is not usable" in reason]
