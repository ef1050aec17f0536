"""A learner that reports when it trains and pauses until the test lets it continue.

``reports`` and ``permits`` are named pipes, which the test keeps open.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from colearn_learner.interface import ProposedWeights, Weights

BLOCKING = f"{__name__}:make"
"""Factory in the format of `--learner`."""


class Blocking:
    def __init__(self, reports: str, permits: str, *, busy: bool) -> None:
        self._reports, self._permits, self._busy = reports, permits, busy
        self._weights: list[Any] = [np.zeros(3)]

    def mli_propose_weights(self) -> Weights:
        Path(self._reports).write_text("training")
        if self._busy:  # many minutes inside C, where Python cannot handle a signal
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
        with Path(self._permits).open("rb", buffering=0) as pipe:
            pipe.read(1)
        return Weights(weights=[self._weights[0] + 1.0])

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        return ProposedWeights(weights=weights, vote_score=1.0, test_score=1.0, vote=True)

    def mli_accept_weights(self, weights: Weights) -> None:
        self._weights = weights.weights

    def mli_get_current_weights(self) -> Weights:
        return Weights(weights=self._weights)

    def mli_get_current_model(self) -> Any:
        raise NotImplementedError


def make(reports: str = "", permits: str = "", *, busy: bool = False) -> Blocking:
    return Blocking(reports, permits, busy=busy)
