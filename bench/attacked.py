"""The learners of `bench/voting.py` as clients of Flower's, some of which attack.

They have the same network, records, first weights and batches as in a run with votes, and the
dishonest ones propose the same attacks (`bench/attacks.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.networks import Group
from bench.voting import Cell, Start
from colearn_learner.datasets import Split

Trees = Mapping[str, NDArray[Any]]


class AttackedClients:
    """See `bench.flower_peer.Clients` and `Attackers`.

    Args:
        cell: the run; its rule and threshold are not used.
    """

    def __init__(self, cell: Cell) -> None:
        self._start = Start(cell)
        self._examiner = self._make_group(0, 0)

    def start(self) -> Trees:
        """Return the first weights."""
        return self._start.network.to_tree(self._start.weights)

    def train(
        self, client: int, weights: Trees, state: Trees | None, proximal_mu: float
    ) -> tuple[Trees, Trees, int]:
        """Train weights; the state is the number of trainings so far."""
        network = self._start.network
        trainings = 0 if state is None else int(state["trainings"])
        group = self._make_group(client, trainings)
        trained = group.train(network.to_row(dict(weights)))[0]
        records = len(self._start.parts.shares[client].train)
        return network.to_tree(trained), {"trainings": np.array(trainings + 1)}, records

    def attack(self, weights: Trees, trained: Sequence[Trees], progress: float) -> list[Trees]:
        """Return what the clients send, the attackers after they have seen the others' weights."""
        network = self._start.network
        rows = np.array([network.to_row(dict(tree)) for tree in trained])
        sent = self._start.attack(network.to_row(dict(weights)), rows, progress)
        return [network.to_tree(row) for row in sent]

    def examine(self, weights: Trees) -> float:
        """Return the accuracy of weights on the common test set."""
        return self._examiner.measure_accuracy(self._start.network.to_row(dict(weights)))

    def _make_group(self, client: int, trainings: int) -> Group:
        start = self._start
        alone = Split((start.parts.shares[client],), start.parts.common_test)
        flipped = [0] if client in start.flipped else []
        return Group(start.network, alone, start.training, flipped, trainings)


def make_clients(**cell: Any) -> AttackedClients:
    """Return the clients of a run; the arguments are the fields of its cell."""
    return AttackedClients(Cell(**cell))
