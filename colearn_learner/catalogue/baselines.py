"""What learning together is compared with: each learner alone, and all data in one place.

Both are for developing models only: in real life nobody has all data in one place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from colearn_learner.catalogue.models import Model, Training, make_learner
from colearn_learner.datasets import Data, Dataset, Share, Split
from colearn_learner.interface import Weights

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scores on the common test set, which no learner trained, voted or tested with.

    Args:
        collective: of the weights that the learners agreed on.
        alone: of each learner that trains by itself as often as all of them did together.
        together: of one learner that has everybody's records, as often.
    """

    collective: float
    alone: tuple[float, ...]
    together: float

    @property
    def mean_alone(self) -> float:
        """Return the mean of what the learners reach alone."""
        return math.fsum(self.alone) / len(self.alone)


def compare(
    weights: Any,
    split: Split,
    *,
    model: tuple[Model, Dataset],
    trainings: Sequence[Training],
    n_rounds: int,
) -> Comparison:
    """Score the collective's weights beside the two baselines.

    Args:
        weights: of the collective, in the end.
        split: the records.
        model: what was trained, on which data set.
        trainings: how each learner trains.
        n_rounds: how often the collective trained.
    """
    chosen, data = model
    everything = Share(_joined([s.train for s in split.shares]), *_votes_and_tests(split))

    def reached(share: Share, training: Training) -> float:
        plainly = replace(training, level=False)  # there are no others' labels to be mindful of
        learner = make_learner(chosen, share, data=data, training=plainly)
        for _ in range(n_rounds):
            learner.mli_accept_weights(learner.mli_propose_weights())
        return score(learner.mli_get_current_weights().weights)

    examined = Share(everything.train, split.common_test, split.common_test)
    examiner = make_learner(chosen, examined, data=data, training=trainings[0], shown_score=True)

    def score(some: Any) -> float:
        return float(examiner.mli_test_weights(Weights(weights=some)).test_score)

    return Comparison(
        collective=score(weights),
        alone=tuple(
            reached(share, training)
            for share, training in zip(split.shares, trainings, strict=True)
        ),
        together=reached(everything, trainings[0]),
    )


def _votes_and_tests(split: Split) -> tuple[Data, Data]:
    return _joined([s.vote for s in split.shares]), _joined([s.test for s in split.shares])


def _joined(parts: Sequence[Data]) -> Data:
    return Data(
        np.concatenate([p.inputs for p in parts]), np.concatenate([p.targets for p in parts])
    )
