"""IPFS nodes compute the CIDs that merging returns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from colearn_ledger.weights.stores.kubo import KuboStore
from tests.support.merging import make_tree, merge_trees

if TYPE_CHECKING:
    from colearn_localnet.kubo import Kubo


@pytest.mark.parametrize("size", [1, 100_000, 12_000_000])
def test_node_stores_a_merged_file_under_the_same_cid(
    swarm: Sequence[Kubo], tmp_path: Path, size: int
):
    trees = [[np.full(size, slot, np.float32), make_tree(slot)] for slot in range(2)]
    content, data = merge_trees(tmp_path, trees)
    assert KuboStore(swarm[0].api).put([data]) == content
