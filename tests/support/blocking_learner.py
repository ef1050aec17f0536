"""A learner that reports when it trains and pauses until the test lets it continue.

``reports`` and ``permits`` are named pipes, which the test keeps open (`Pipes`).
"""

from __future__ import annotations

import hashlib
import os
import select
from pathlib import Path
from typing import Any

import numpy as np

from colearn_learner.interface import ProposedWeights, Weights
from tests.support.waiting import LIMIT

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


class Pipes:
    """The pipes to a blocking learner, open at both ends so that opening them never blocks."""

    def __init__(self, folder: Path) -> None:
        paths = {name: folder / name for name in ("reports", "permits")}
        for path in paths.values():
            os.mkfifo(path)
        self._reports, self._permits = (os.open(path, os.O_RDWR) for path in paths.values())
        self.arguments = [f"--learner-arg={name}={path}" for name, path in paths.items()]

    def wait_for_training(self) -> None:
        """Wait until the learner has begun to train once more."""
        ready, _, _ = select.select([self._reports], [], [], LIMIT)
        assert ready, "the learner did not train"
        assert os.read(self._reports, len("training")) == b"training"

    def let_training_finish(self) -> None:
        os.write(self._permits, b".")

    def close(self) -> None:
        os.close(self._reports)
        os.close(self._permits)
