"""A learner for the fault tests with few numbers, short training, and steps that can be stopped.

It writes each call to ``<notes>/calls.jsonl``. If a file ``<notes>/hold-<step>`` exists and the
step was reached more often than the number in that file, it creates ``<notes>/stopped-<step>`` and
waits until one of the two is deleted.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from colearn_learner.interface import ProposedWeights, Weights

_LOOK = 0.01  # seconds
_LONGEST = 300.0  # maximum stop at a step, in seconds, in case the test has ended


class TowardsTarget:
    """A learner that moves the weights towards a number, and approves weights closer to it.

    Args:
        target: the number to approach.
        notes: folder of the notes.
        poison: whether to propose the weights with their signs flipped.
        work: duration of a training in seconds; a test takes a tenth of it.
        numbers: length of the weights.
    """

    def __init__(
        self, target: float, notes: Path, *, poison: bool, work: float, numbers: int
    ) -> None:
        self._target = target
        self._notes = notes
        self._poison = poison
        self._work = work
        self._weights = [np.zeros(numbers)]

    def mli_propose_weights(self) -> Weights:
        self._reach("before-training")
        time.sleep(self._work)
        trained = self._weights[0] + 0.1 * (self._target - self._weights[0])
        self._reach("after-training")
        return Weights(weights=[-trained if self._poison else trained])

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        """Test weights; tests of the current weights do not count as steps."""
        is_current = np.array_equal(weights.weights[0], self._weights[0])
        if not is_current:
            self._reach("before-testing")
        time.sleep(self._work / 10)
        score, current = self._score(weights.weights), self._score(self._weights)
        if not is_current:
            self._reach("after-testing")
        return ProposedWeights(
            weights=weights, vote_score=score, test_score=score, vote=score > current
        )

    def mli_accept_weights(self, weights: Weights) -> None:
        self._weights = weights.weights
        self._note("accept", weights=[array.tolist() for array in self._weights])

    def mli_get_current_weights(self) -> Weights:
        return Weights(weights=self._weights)

    def mli_get_current_model(self) -> Any:
        raise NotImplementedError

    def _score(self, weights: list[np.ndarray]) -> float:
        return -float(np.abs(weights[0] - self._target).sum())

    def _reach(self, step: str) -> None:
        self._note(step)
        hold, stopped = (self._notes / f"{word}-{step}" for word in ("hold", "stopped"))
        try:
            after = int(hold.read_text())
        except FileNotFoundError:
            return
        if self._count_calls(step) <= after:
            return
        stopped.touch()
        ends = time.monotonic() + _LONGEST
        while hold.exists() and stopped.exists() and time.monotonic() < ends:
            time.sleep(_LOOK)

    def _count_calls(self, step: str) -> int:
        with (self._notes / "calls.jsonl").open() as file:
            return sum(line.startswith(f'{{"step": "{step}"') for line in file)

    def _note(self, step: str, **more: Any) -> None:
        with (self._notes / "calls.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, **more}) + "\n")


def make_learner(
    target: float = 1.0,
    notes: str = ".",
    *,
    poison: bool = False,
    work: float = 0.0,
    numbers: int = 3,
) -> TowardsTarget:
    return TowardsTarget(target, Path(notes), poison=poison, work=work, numbers=numbers)
