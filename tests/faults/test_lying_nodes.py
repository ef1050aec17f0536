"""Agents with three nodes of a chain, of which two have to agree and one fails or lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from colearn_localnet.rpc import json_rpc
from tests.support.faults.harness import BLOCK_TIME, World
from tests.support.faulty_proxy import FaultyProxy

CAREFUL = ("alice", "carol")
"""Learners whose agents use three nodes. ``bob`` uses one, and stops the experiment meanwhile."""

OTHER_CHAIN = 777
NEVER = 1_000_000.0
"""Seconds between the blocks of a node that has stopped following the chain."""

Start = Callable[[], tuple[World, FaultyProxy]]


@pytest.fixture
def start(world: Callable[..., World]) -> Iterator[Start]:
    """Return a function that starts an experiment, and a proxy as the first of the three nodes.

    It returns when ``bob`` has fetched the first proposal and has not tested it yet.
    """
    with ExitStack() as proxies:

        def start() -> tuple[World, FaultyProxy]:
            w = world("alice", "bob", "carol")
            proxy = proxies.enter_context(FaultyProxy(w.chain.url))
            honest = (w.chain.url, w.chain.url.replace("127.0.0.1", "localhost"))
            for name in CAREFUL:
                w.agent(name).use_rpc(proxy.url, *honest, agree=2)
            w.agent("bob").hold("before-testing")
            w.start()
            w.agent("bob").wait_until_stopped_at("before-testing")
            return w, proxy

        yield start


def wait_blame(w: World, text: str) -> None:
    for name in CAREFUL:
        w.agent(name).wait_log(text)


def complete(w: World, proxy: FaultyProxy) -> None:
    """Let the experiment complete; check the learners' weights, and that one node is blamed."""
    w.agent("bob").release("before-testing")
    w.final_check()
    assert w.reader.outcomes() == ["accepted"] * 3
    for name in CAREFUL:
        found = [e for line in w.agent(name).lines() if "is not used" in (e := line["event"])]
        assert all(event.startswith(f"node {proxy.url} is not used") for event in found)


def test_node_that_answers_byte_by_byte_is_replaced(start: Start):
    w, proxy = start()
    proxy.fail("trickle", times=None)
    wait_blame(w, f"not used for now: {proxy.url} did not finish its answer within")
    complete(w, proxy)


def test_node_that_reports_another_chain_later_is_not_used(start: Start):
    w, proxy = start()
    proxy.fail("500", times=None)  # a node that failed is checked before it is used again
    wait_blame(w, f"not used for now: {proxy.url} cannot answer now (HTTP 500)")
    proxy.heal()
    proxy.lie("eth_chainId", lambda *_: hex(OTHER_CHAIN))
    wait_blame(w, f"not used for now: {proxy.url} is on chain {OTHER_CHAIN}")
    complete(w, proxy)


def test_node_that_stopped_following_the_chain_is_not_used(start: Start):
    w, proxy = start()
    proxy.forward_to(w.start_copy(block_time=NEVER).url)
    w.pass_time(60)
    wait_blame(w, f"not used for now: {proxy.url} lags")
    complete(w, proxy)


def test_node_on_a_longer_fork_is_outvoted(start: Start):
    w, proxy = start()
    copy = w.start_copy(block_time=BLOCK_TIME)
    number = w.reader.block_number() + 10
    json_rpc(copy.url, "anvil_mine", hex(number - int(json_rpc(copy.url, "eth_blockNumber"), 16)))
    proxy.forward_to(copy.url)
    wait_blame(w, f"node {proxy.url} is not used for now: its answer about")
    complete(w, proxy)


def test_node_on_a_shorter_fork_is_not_used(start: Start):
    w, proxy = start()
    proxy.forward_to(w.start_copy(block_time=BLOCK_TIME).url)
    wait_blame(w, f"node {proxy.url} is not used for now")
    complete(w, proxy)
