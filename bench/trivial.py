"""Learners and Flower clients whose own work takes no time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from colearn_learner.interface import ProposedWeights, Weights

_SIZE = 1_000
"""Number of weights, float32."""


class TrivialLearner:
    """A learner that adds a number to the weights, and approves every proposal.

    Args:
        index: its number; proposals of different learners differ by it.
    """

    def __init__(self, index: int) -> None:
        self._step = np.float32(1 + index / 1_000)
        self._weights = Weights([np.zeros(_SIZE, np.float32)])
        self.accepted: list[float] = []

    def mli_propose_weights(self) -> Weights:
        """Return different weights."""
        return Weights([self._weights.weights[0] + self._step])

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        """Approve any proposal."""
        return ProposedWeights(weights=weights, vote_score=1.0, test_score=1.0, vote=True)

    def mli_accept_weights(self, weights: Weights) -> None:
        """Accept the weights, and record when."""
        self.accepted.append(time.monotonic())
        self._weights = weights

    def mli_get_current_weights(self) -> Weights:
        """Return the current weights."""
        return self._weights


class TrivialClients:
    """The same as clients of Flower; see `bench.flower_peer.Clients`."""

    def start(self) -> Mapping[str, Any]:
        """Return the first weights."""
        return {"weights": np.zeros(_SIZE, np.float32)}

    def train(
        self, client: int, weights: Mapping[str, Any], state: object, proximal_mu: float
    ) -> tuple[Mapping[str, Any], Mapping[str, Any], int]:
        """Return different weights, an empty state, and one record."""
        step = np.float32(1 + client / 1_000)
        return {"weights": weights["weights"] + step}, {"state": np.zeros(1)}, 1

    def examine(self, weights: Mapping[str, Any]) -> float:
        """Return 0."""
        return 0.0
