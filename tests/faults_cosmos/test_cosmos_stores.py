"""An IPFS node that delivers wrong bytes, with a Cosmos chain."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.faults.cosmos_world import CosmosWorld
from tests.support.faults.lying_store import LIES, let_all_stores_lie

FIRST, *OTHERS = sorted(LIES)


@pytest.mark.parametrize(
    "kind", [FIRST, *(pytest.param(kind, marks=pytest.mark.long) for kind in OTHERS)]
)
def test_lying_ipfs_nodes_cost_no_round_and_no_ballot(world: Callable[..., CosmosWorld], kind: str):
    let_all_stores_lie(world(rounds=2), kind)
