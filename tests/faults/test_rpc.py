"""A chain's node, as one learner reaches it, that goes wrong in every way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from faulty_proxy import FaultyProxy
from harness import World

KINDS = ("lost", "cut", "429", "500", "malformed", "empty", "reset", "wrong-id", "timeout")


SEND = "eth_sendRawTransaction"


@pytest.mark.parametrize("what", ["anything", "sending"])
def test_faults_of_the_node_delay_and_do_no_more(world: Callable[..., World], what: str):
    w = world("alice", "bob", "carol", rounds=len(KINDS) + 1)
    alice = w.agent("alice")
    with FaultyProxy(w.chain.url) as proxy:
        alice.use_rpc(proxy.url)
        w.start()
        for index, kind in enumerate(KINDS, start=1):
            w.wait_round(index)
            if what == "sending":
                proxy.fail(kind, methods=[SEND])
            else:
                proxy.fail(kind, 1 if kind == "timeout" else 3)
        w.final_check(seconds=150)
        assert proxy.asked.count(SEND) > len(KINDS)
    assert w.read.outcomes() == ["accepted"] * (len(KINDS) + 1)
