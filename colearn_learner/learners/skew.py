"""Train classifiers on shares that have more records of some labels than of others.

A learner that has few sevens, or none, mainly learns from its own records that sevens are rare.
Its training unlearns the sevens of the others, who then reject its proposal. The outputs of a
classifier are logarithms of probabilities up to a constant. So during training, and only then, we
add the logarithms of the learner's own label shares to them. Then the model need not learn these.

The label shares stay with the learner, although its proposals depend on them. They are not part of
any privacy budget.

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

_ABSENT = 0.5
"""Records added to each label, so that no share is 0."""


def log_shares(targets: npt.NDArray[Any], classes: int) -> npt.NDArray[np.float64]:
    """Return the logarithm of each class's share of the records, shape (classes,).

    Args:
        targets: classes 0 … ``classes`` - 1, shape (records,).
        classes: the number of classes; each gets half a record more than it has.
    """
    counts = np.bincount(targets, minlength=classes) + _ABSENT
    return np.asarray(np.log(counts / counts.sum()))


class LevelMlpLearner(SklearnLearner):
    """A `SklearnLearner` of an ``MLPClassifier`` of classes 0, 1, … that corrects label skew.

    The last intercepts are added to the outputs, so the correction is added to them.
    """

    def train(self) -> None:
        """Train with the correction in the last intercepts, and remove it afterwards."""
        self._add_log_shares(1)
        super().train()
        self._add_log_shares(-1)

    def _add_log_shares(self, sign: int) -> None:
        arrays = self._copy_weights()
        last = f"intercepts_{len(arrays) // 2 - 1}"
        shares = log_shares(self._train_data[1], len(self.model.classes_))
        # two classes share one output, the log odds of the second
        offset = shares if len(arrays[last]) > 1 else shares[1:] - shares[0]
        arrays[last] = arrays[last] + sign * offset
        self.set_weights(Weights(arrays))
