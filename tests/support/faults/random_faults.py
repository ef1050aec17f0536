"""Random faults of agents, nodes, links, disks and clocks, several at the same time.

Each fault lasts some seconds and belongs to one resource, such as an agent's clock or the chain; a
resource has one fault at a time. The same seed chooses the same faults in the same order.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random

from colearn_localnet.rpc import json_rpc
from tests.support.faults.agents import RunningAgent
from tests.support.faults.clock import Clock
from tests.support.faults.disk import SmallDisk
from tests.support.faults.harness import World
from tests.support.faults.lying_store import LIES, LyingStore
from tests.support.faults.toxiproxy import Link

LONGEST = 6.0
"""Longest duration of a fault, in seconds."""
LONGEST_PAUSE = 4.0
"""Longest time between the beginnings of two faults, in seconds."""
HOUR = 3_600

CHAIN = "the chain"

TOXICS: tuple[Mapping[str, int | str], ...] = (
    {"kind": "latency", "latency": 800, "jitter": 400},
    {"kind": "bandwidth", "rate": 5},
    {"kind": "reset_peer", "timeout": 0},
    {"kind": "timeout", "timeout": 0},
    {"kind": "limit_data", "bytes": 400},
)


@dataclass(frozen=True, slots=True)
class Place:
    """An agent, and what it depends on.

    Args:
        agent: the agent.
        chain: its link to the chain's node.
        ipfs: its link to its IPFS node.
        store: a proxy behind that link, which can lie.
        disk: the disk with its folder.
        clock: its clock.
    """

    agent: RunningAgent
    chain: Link
    ipfs: Link
    store: LyingStore
    disk: SmallDisk
    clock: Clock


@dataclass(frozen=True, slots=True)
class Outage:
    """A fault that has ended. Times are in seconds since the epoch.

    Args:
        target: the name of the agent that had it, or `CHAIN`.
        kind: what failed.
        began: when it began.
        ended: when it ended.
    """

    target: str
    kind: str
    began: float
    ended: float


@dataclass
class _Active:
    resource: str
    outage: Outage
    effect: ExitStack


@dataclass
class RandomFaults:
    """Faults of a world with an EVM chain.

    Args:
        world: the experiment.
        places: each agent with what it depends on, by the agent's name.
        seed: chooses the faults.

    Attributes:
        outages: all faults that have ended.
    """

    world: World
    places: Mapping[str, Place]
    seed: int
    outages: list[Outage] = field(default_factory=list, init=False)
    _active: list[_Active] = field(default_factory=list, init=False)
    _loaded: int = field(default=0, init=False)  # newest block when anvil last started

    def inject_until(self, is_enough: Callable[[], bool], *, limit: float) -> None:
        """Inject faults until a function returns true, and end all of them.

        Args:
            is_enough: only called while the chain answers.
            limit: seconds after which the test fails.
        """
        random, ends = Random(self.seed), time.time() + limit
        try:
            while True:
                assert time.time() < ends, f"too slow:\n{self.describe()}"
                for place in self.places.values():
                    place.agent.check()
                if not self._has_fault(CHAIN):
                    if is_enough():
                        return
                    self._start_ended()
                self._begin_one(random)
                self._end_old(time.time() + random.uniform(0.5, LONGEST_PAUSE))
        finally:
            for active in list(self._active):
                self._end(active)

    def _start_ended(self) -> None:
        """Start agents that saw the end of the experiment, if the chain lost the block with it."""
        for place in self.places.values():
            process = place.agent.process
            if (
                process is not None
                and process.poll() == 0
                and self.world.reader.status == "running"
            ):
                place.agent.start()

    def describe(self) -> str:
        """Return one line for each fault that has ended."""
        return "\n".join(
            f"{o.began:.1f} to {o.ended:.1f}: {o.target}: {o.kind}" for o in self.outages
        )

    # ------------------------------------------------------------------ schedule

    def _begin_one(self, random: Random) -> None:
        kinds = self._kinds(random)
        resource, target, kind = random.choice(sorted(kinds))
        seconds = random.uniform(1.0, LONGEST)
        if self._has_fault(resource):
            return
        effect, now = ExitStack(), time.time()
        effect.enter_context(kinds[resource, target, kind])
        outage = Outage(target, kind, now, now + seconds)
        self._active.append(_Active(resource, outage, effect))

    def _end_old(self, until: float) -> None:
        """Wait until a moment, and end faults when their time is over."""
        while self._active or time.time() < until:
            first = min(self._active, key=lambda each: each.outage.ended, default=None)
            moment = min(until, first.outage.ended) if first else until
            time.sleep(max(0.0, moment - time.time()))
            if first is None or first.outage.ended > until:
                return
            self._end(first)

    def _end(self, active: _Active) -> None:
        self._active.remove(active)
        active.effect.close()
        was = active.outage
        self.outages.append(Outage(was.target, was.kind, was.began, time.time()))

    def _has_fault(self, resource: str) -> bool:
        return any(active.resource == resource for active in self._active)

    def _kinds(self, random: Random) -> dict[tuple[str, str, str], AbstractContextManager[None]]:
        """Return all faults by their resource, their target and their kind."""
        kinds: dict[tuple[str, str, str], AbstractContextManager[None]] = {
            (CHAIN, CHAIN, "stands still"): self._pause_chain(),
            (CHAIN, CHAIN, "removes blocks"): self._remove_blocks(random.randint(1, 3)),
            (CHAIN, CHAIN, "is killed"): self._kill_chain(),
        }
        toxic = random.choice(TOXICS)
        lie = random.choice(sorted(LIES))
        hours = random.choice((-1, 1))
        for name, place in self.places.items():
            for resource, kind, effect in (
                ("process", "is killed", _kill(place.agent)),
                ("process", "is stopped", _pause(place.agent)),
                ("chain link", f"chain: {toxic['kind']}", _add_toxic(place.chain, toxic)),
                ("ipfs link", f"IPFS: {toxic['kind']}", _add_toxic(place.ipfs, toxic)),
                ("store", f"IPFS node lies: {lie}", place.store.lie(lie)),
                ("node", "IPFS node is killed", self._kill_node(name)),
                ("disk", "disk is full", _fill(place.disk)),
                ("clock", f"clock is {hours:+d} h wrong", _move(place.clock, hours * HOUR)),
            ):
                kinds[f"{name}'s {resource}", name, kind] = effect
        return kinds

    # ------------------------------------------------------------------ faults of nodes

    @contextmanager
    def _pause_chain(self) -> Iterator[None]:
        pid = self.world.chain.process.pid
        os.kill(pid, signal.SIGSTOP)
        yield
        os.kill(pid, signal.SIGCONT)

    @contextmanager
    def _remove_blocks(self, depth: int) -> Iterator[None]:
        """Remove blocks that were made since anvil last started.

        It loses contracts and blocks if others are removed.
        """
        made = self.world.reader.block_number() - self._loaded
        if made > 1:
            json_rpc(self.world.chain.url, "anvil_reorg", min(depth, made - 1), [])
        yield

    @contextmanager
    def _kill_chain(self) -> Iterator[None]:
        """Kill the chain's node; it loses the blocks since the last dump."""
        self.world.dump()
        self.world.kill_chain_and_restore_dump()
        yield
        self.world.chain.start()
        self._loaded = self.world.reader.block_number()

    @contextmanager
    def _kill_node(self, name: str) -> Iterator[None]:
        node = self.world.nodes[name]
        node.kill()
        yield
        node.start()


@contextmanager
def _kill(agent: RunningAgent) -> Iterator[None]:
    ended = agent.process is not None and agent.process.poll() is not None
    if not ended:
        agent.check()
        agent.kill()
    yield
    if not ended:
        agent.start()


@contextmanager
def _pause(agent: RunningAgent) -> Iterator[None]:
    process = agent.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    yield
    process.send_signal(signal.SIGCONT)


@contextmanager
def _add_toxic(link: Link, toxic: Mapping[str, int | str]) -> Iterator[None]:
    with link.inject(**toxic):  # type: ignore[arg-type]
        yield


@contextmanager
def _fill(disk: SmallDisk) -> Iterator[None]:
    disk.fill()
    yield
    disk.free()


@contextmanager
def _move(clock: Clock, seconds: int) -> Iterator[None]:
    clock.set_wrong(seconds)
    yield
    clock.set_wrong(0)


def find_missing_ballots(world: World, faults: RandomFaults, *, healthy: float) -> list[str]:
    """Return the ballots that are missing although their agents could have sent them.

    Args:
        world: the experiment, which is over.
        faults: the faults that there were.
        healthy: seconds without a fault that an agent needs for a ballot.
    """
    missing = []
    for index in range(world.rounds):
        round_ = world.reader.round(index)
        ballots = world.reader.ballots(index)
        proposers = [slot.proposer for slot in round_.slots if slot.content.size]
        began, ended = round_.votingStartedAt, round_.deadline
        for name, agent in world.agents.items():
            if not began or ballots[agent.account] or proposers == [agent.account]:
                continue
            stretch = _longest_stretch(faults.outages, name, began, ended)
            if stretch >= healthy:
                missing.append(f"round {index}: {name}, {stretch:.0f} s without a fault")
    return missing


def _longest_stretch(outages: list[Outage], name: str, began: float, ended: float) -> float:
    """Return the longest time without a fault of an agent or the chain, in seconds."""
    longest, free_since = 0.0, began
    for outage in sorted(outages, key=lambda each: each.began):
        if outage.target in (name, CHAIN) and outage.ended > began:
            longest = max(longest, min(outage.began, ended) - free_since)
            free_since = max(free_since, outage.ended)
    return max(longest, ended - free_since)
