"""An IPFS node, or something in front of it, that delivers wrong bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.faults.harness import World
from tests.support.faults.lying_store import LIES, let_all_stores_lie


@pytest.mark.parametrize("kind", sorted(LIES))
def test_lying_ipfs_nodes_cost_no_round_and_no_ballot(world: Callable[..., World], kind: str):
    let_all_stores_lie(world("alice", "bob", "carol", rounds=2), kind)
