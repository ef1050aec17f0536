"""A real IPFS node behind a link that is slow, drops its connections or hangs.

An agent fetches a proposal over the link. The tests count requests and bytes, not seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_learner.agent.loop import Agent
from colearn_ledger.protocol import Outcome
from colearn_ledger.weights.store import ContentStore
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_ledger.weights.stores.kubo_rpc import HttpKuboRpc
from colearn_ledger.weights.stores.layered import LayeredStore
from colearn_ledger.weights.stores.layers import Layer, Role
from colearn_ledger.weights.streams import PIECE, Patience
from colearn_localnet.kubo import Kubo
from tests.support.faults.toxiproxy import Link, Toxiproxy
from tests.support.toyworld import TowardsTarget, World

NUMBERS = 1_250_000
"""Length of the weights; their file has 10 MB."""

REACHED = 4_000_000
"""Bytes of the file after which a link fails."""

FAST = 5_000
"""Kilobytes in a second of a link that otherwise hangs: little is in transit when it does."""

SHORT = Patience(silence=3.0)
"""Limits of a store that soon gives up a connection that hangs."""


@dataclass
class Request:
    """A request for a file's bytes from an offset on, and the number of bytes that arrived."""

    cid: str
    offset: int
    arrived: int = 0


@dataclass
class Meter:
    """The requests for files over a link, and what happens during them.

    Attributes:
        when_reached: called once, when `REACHED` bytes of an answer have arrived.
        before_retry: called before each request that does not start at the first byte.
    """

    requests: list[Request] = field(default_factory=list)
    when_reached: Callable[[], None] = lambda: None
    before_retry: Callable[[], None] = lambda: None
    has_reached: bool = False

    def add(self, cid: str, offset: int) -> Request:
        """Note a request."""
        if offset:
            self.before_retry()
        self.requests.append(Request(cid, offset))
        return self.requests[-1]

    def watch(self, request: Request, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Count the bytes of an answer."""
        for piece in pieces:
            request.arrived += len(piece)
            if request.arrived >= REACHED and not self.has_reached:
                self.has_reached = True
                self.when_reached()
            yield piece

    def of(self, cid: str) -> list[Request]:
        """Return the requests for a file."""
        return [request for request in self.requests if request.cid == cid]


class MeteredRpc(HttpKuboRpc):
    """The client of a node's API, with a meter."""

    def __init__(self, address: Any, meter: Meter) -> None:
        super().__init__(address)
        self._meter = meter

    @contextmanager
    def cat(self, cid: str, *, offset: int, **how: Any) -> Iterator[Iterator[bytes]]:
        request = self._meter.add(cid, offset)
        with super().cat(cid, offset=offset, **how) as pieces:
            yield self._meter.watch(request, pieces)


class LongTowardsTarget(TowardsTarget):
    """A learner with many different numbers."""

    def __init__(self, target: float, numbers: int) -> None:
        super().__init__(target)
        self.weights = [np.random.default_rng(int(target)).random(numbers)]


@dataclass
class FarWorld(World):
    """A proposer beside an IPFS node, and a voter that reaches the node over a link."""

    stores: tuple[ContentStore, ...] = ()

    def store(self, index: int, **_: Any) -> Any:
        return self.stores[index]

    def check(self, meter: Meter) -> list[Request]:
        """Check that the proposal was accepted; return the requests for it, which cover it once."""
        [round_] = self.rounds()
        assert round_.outcome == Outcome.ACCEPTED
        [content] = self.accepted()
        requests = meter.of(content.cid)
        assert sum(request.arrived for request in requests) >= content.size
        return requests


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Kubo]:
    with Kubo(tmp_path / "ipfs") as node:
        yield node


@pytest.fixture
def toxiproxy(tmp_path: Path, toxiproxy_binary: None) -> Iterator[Toxiproxy]:
    with Toxiproxy(tmp_path / "toxiproxy.log") as toxiproxy:
        yield toxiproxy


@pytest.fixture
def link(toxiproxy: Toxiproxy, node: Kubo) -> Link:
    return toxiproxy.link("voter-ipfs", node.api_url)


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def build(
    tmp_path: Path, node: Kubo, link: Link, meter: Meter
) -> Callable[..., tuple[FarWorld, list[Agent]]]:
    """Return a function that creates the world and its agents."""

    def build(
        numbers: int = NUMBERS, patience: Patience | None = None
    ) -> tuple[FarWorld, list[Agent]]:
        far = KuboStore(
            link.url, patience=patience, client=lambda address: MeteredRpc(address, meter)
        )
        folder = DirectoryStore(tmp_path / "voter", owner="voter")
        layers = [Layer("folder", folder, Role.FOLDER), Layer("node", far, Role.NODE)]
        w = FarWorld(
            tmp_path,
            [LongTowardsTarget(target, numbers) for target in (4, 5)],
            {"rounds": 1, "initial": None, "propose_window": 600, "vote_window": 600},
            start=[np.zeros(numbers)],
            stores=(KuboStore(node.api_url), LayeredStore(layers)),
        )
        return w, w.agents()

    return build


Build = Callable[..., tuple[FarWorld, list[Agent]]]


@pytest.mark.parametrize(
    ("numbers", "rate"),
    [
        pytest.param(NUMBERS, 600, id="10 MB at 0.6 MB/s"),
        pytest.param(62_500_000, 5_000, id="500 MB at 5 MB/s", marks=pytest.mark.long),
    ],
)
def test_file_arrives_over_a_slow_link_in_one_pass(
    build: Build, link: Link, meter: Meter, numbers: int, rate: int
):
    w, agents = build(numbers)
    link.add_toxic("bandwidth", rate=rate)
    w.drive(agents)
    [request] = w.check(meter)
    assert request.offset == 0
    assert request.arrived == w.accepted()[0].size


def test_dropped_connections_resume_at_the_byte_reached(build: Build, link: Link, meter: Meter):
    w, agents = build()
    link.add_toxic("limit_data", bytes=REACHED)
    w.drive(agents)
    requests = w.check(meter)
    reached = 0
    for request in requests:
        assert request.offset == reached
        reached += request.arrived
    assert reached == w.accepted()[0].size
    assert len(requests) > reached // REACHED


def check_resumed(w: FarWorld, meter: Meter) -> list[Request]:
    """Check that the file was continued where it hung, and return the requests for it.

    One piece was incomplete, and another one waited to be verified: these are fetched again.
    """
    first, *later = w.check(meter)
    size = w.accepted()[0].size
    assert REACHED <= first.arrived < size
    assert all(request.offset > first.arrived - 2 * PIECE for request in later)
    assert later[-1].offset + later[-1].arrived == size
    return [first, *later]


def test_hanging_connection_is_replaced_by_one_that_resumes(
    build: Build, toxiproxy: Toxiproxy, link: Link, meter: Meter
):
    w, agents = build(patience=SHORT)
    link.add_toxic("bandwidth", rate=FAST)
    meter.when_reached, meter.before_retry = toxiproxy.pause, toxiproxy.resume
    w.drive(agents)
    assert len(check_resumed(w, meter)) == 2


def test_next_attempt_resumes_after_a_link_hung_for_long(
    build: Build,
    toxiproxy: Toxiproxy,
    link: Link,
    meter: Meter,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.INFO, logger="colearn_learner")
    w, agents = build(patience=SHORT)
    link.add_toxic("bandwidth", rate=FAST)
    meter.when_reached = toxiproxy.pause
    while "waiting for the proposal" not in caplog.text:
        for agent in agents:
            agent.step()
    toxiproxy.resume()
    w.drive(agents)
    assert len(check_resumed(w, meter)) == 3
