"""Compare collective learning with each learner alone, and with all data in one place.

Both baselines are only for developing models: in a real experiment, no party has all data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from colearn_learner.catalogue.models import Model, make_learner
from colearn_learner.catalogue.settings import Training
from colearn_learner.datasets import Data, Dataset, Share, Split
from colearn_learner.interface import Weights


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scores on the common test set, which no learner used to train, vote or test.

    Args:
        collective: score of the weights that the learners agreed on.
        alone: score of each learner that trained alone, with as many trainings as the collective.
        together: score of one learner with all records, with the same number of trainings.
    """

    collective: float
    alone: tuple[float, ...]
    together: float

    @property
    def mean_alone(self) -> float:
        """Return the mean score of the learners that trained alone."""
        return math.fsum(self.alone) / len(self.alone)


def compare(
    weights: Any,
    split: Split,
    *,
    model: Model,
    data: Dataset,
    trainings: Sequence[Training],
    n_rounds: int,
) -> Comparison:
    """Score the collective's weights and the two baselines.

    Args:
        weights: the collective's final weights.
        split: the records.
        model: the model that was trained.
        data: the data set of the records.
        trainings: the training configuration of each learner.
        n_rounds: the number of rounds of the collective.
    """
    all_records = Share(
        train=_join([s.train for s in split.shares]),
        vote=_join([s.vote for s in split.shares]),
        test=_join([s.test for s in split.shares]),
    )
    common_test = Share(all_records.train, split.common_test, split.common_test)
    examiner = make_learner(model, common_test, data=data, training=trainings[0], shown_score=True)

    def score(candidate: Any) -> float:
        return float(examiner.mli_test_weights(Weights(candidate)).test_score)

    def train_alone(share: Share, training: Training) -> float:
        without_skew_correction = replace(training, level=False)
        learner = make_learner(model, share, data=data, training=without_skew_correction)
        for _ in range(n_rounds):
            learner.mli_accept_weights(learner.mli_propose_weights())
        return score(learner.mli_get_current_weights().weights)

    return Comparison(
        collective=score(weights),
        alone=tuple(map(train_alone, split.shares, trainings)),
        together=train_alone(all_records, trainings[0]),
    )


def _join(parts: Sequence[Data]) -> Data:
    return Data(
        np.concatenate([p.inputs for p in parts]), np.concatenate([p.targets for p in parts])
    )
