"""How classifiers train on shares that have more of some labels than of others.

A learner that has few sevens, or none, learns from its own records above all that there are few:
its training unlearns the sevens of the others, who then reject what it proposes. So the outputs,
which are logarithms of probabilities up to a constant, get those of the learner's own label
shares added while it trains, and only then: what labels are frequent with it need not be learned.

The label shares stay with the learner, though what it proposes depends on them. They are no part
of any privacy budget.

Source: Menon et al., Long-tail learning via logit adjustment (ICLR 2021); for learners with label
skew, Zhang et al., Federated learning with label distribution skew via logits calibration (ICML
2022).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from colearn_learner.interface import Weights
from colearn_learner.learners.sklearn import SklearnLearner

__all__ = ["LevelMlpLearner", "log_shares"]

_ABSENT = 0.5
"""Records that each label is given on top, so that none has a share of 0."""


def log_shares(targets: npt.NDArray[Any], classes: int) -> npt.NDArray[np.float64]:
    """Return the logarithm of each class's share of the records, shape (classes,).

    Args:
        targets: classes 0 … ``classes`` - 1, shape (records,).
        classes: how many there are; those without a record count as half a one.
    """
    counts = np.bincount(targets, minlength=classes) + _ABSENT
    return np.asarray(np.log(counts / counts.sum()))


class LevelMlpLearner(SklearnLearner):
    """A `SklearnLearner` of an ``MLPClassifier`` of classes 0, 1, … that trains as said above.

    The last intercepts are added to the outputs, so the logarithms are added to them.
    """

    def mli_propose_weights(self) -> Weights:
        """Train a copy of the model for ``epochs`` and return its weights."""
        held = self._model
        self._model = self._with(self._shifted(self.mli_get_current_weights(), 1))
        try:
            return self._shifted(super().mli_propose_weights(), -1)
        finally:
            self._model = held

    def _shifted(self, weights: Weights, sign: int) -> Weights:
        arrays = dict(weights.weights)
        last = f"intercepts_{len(arrays) // 2 - 1}"
        shares = log_shares(self._train_data[1], len(self._model.classes_))
        # of two classes there is one output: by how much the second is more likely
        offset = shares if len(arrays[last]) > 1 else shares[1:] - shares[0]
        arrays[last] = arrays[last] + sign * offset
        return Weights(weights=arrays)
