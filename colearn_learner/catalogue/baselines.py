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
from colearn_learner.catalogue.settings import Training, score_of
from colearn_learner.datasets import Data, Dataset, Share, Split
from colearn_learner.interface import Weights


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scores on the common test set, which no learner used to train, vote or test.

    Args:
        collective: score of the weights that the learners agreed on.
        alone: score of each learner that trained alone, with as many trainings as the collective.
        together: score of one learner with all records, with the same number of trainings.
        best_accepted: the best score of any weights that the learners agreed on, the last ones
            included. As the test set chooses them, this is optimistic.
        higher_is_better: whether a higher score is better.
    """

    collective: float
    alone: tuple[float, ...]
    together: float
    best_accepted: float
    higher_is_better: bool

    @property
    def best_alone(self) -> float:
        """Return the score of the best learner that trained alone."""
        return choose_best(self.alone, higher_is_better=self.higher_is_better)

    @property
    def mean_alone(self) -> float:
        """Return the mean score of the learners that trained alone."""
        return math.fsum(self.alone) / len(self.alone)


def choose_best(scores: Sequence[float], *, higher_is_better: bool) -> float:
    """Return the best of some scores; NaN is never the best."""
    known = [score for score in scores if not math.isnan(score)]
    return (max if higher_is_better else min)(known, default=math.nan)


def compare(
    accepted: Sequence[Any],
    split: Split,
    *,
    model: Model,
    data: Dataset,
    trainings: Sequence[Training],
    n_rounds: int,
) -> Comparison:
    """Score the collective's weights and the two baselines.

    Args:
        accepted: the collective's weights after each round, in order; the last ones are final.
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

    scores = [score(weights) for weights in accepted]
    higher_is_better = score_of(data.task, shown=True).higher_is_better
    return Comparison(
        collective=scores[-1],
        best_accepted=choose_best(scores, higher_is_better=higher_is_better),
        higher_is_better=higher_is_better,
        alone=tuple(map(train_alone, split.shares, trainings)),
        together=train_alone(all_records, trainings[0]),
    )


def _join(parts: Sequence[Data]) -> Data:
    return Data(
        np.concatenate([p.inputs for p in parts]), np.concatenate([p.targets for p in parts])
    )
