"""A learner of your own, with scikit-learn.

Change `load_records` to read your records and the model in `make_learner`. Then, in this
file's folder:

    python starter_module.py          # simulate a whole experiment on this machine
    colearn learner check starter_module:make_learner --learner-arg learner=0
    colearn experiment create --spec experiment.toml --key NAME --store folder:/path
    colearn agent run --experiment REF --key NAME \
        --learner starter_module:make_learner --learner-arg learner=0
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import SGDClassifier

from colearn_learner import print_results
from colearn_learner.learners.sklearn import SklearnLearner
from colearn_learner.simulation import SimulationConfig, run

Array = NDArray[Any]
N_CLASSES = 2


def make_learner(learner: int, of: int = 3) -> SklearnLearner:
    """Return one learner; agents call this.

    Args:
        learner: number of the learner, from 0.
        of: number of learners.
    """
    train, vote, test = divide(*load_records(learner, of))
    return SklearnLearner(
        SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, random_state=1),
        train,
        vote,
        test,
        classes=range(N_CLASSES),  # all classes of the experiment, also those that a learner lacks
        criterion="log_loss",
        minimise_criterion=True,
    )


def load_records(learner: int, of: int) -> tuple[Array, Array]:
    """Return one learner's records: inputs (records, 4) and their classes, 0 or 1.

    Replace this by your own, such as ``numpy.loadtxt("records.csv", delimiter=",")``. Scale the
    inputs alike at all learners. These records are invented and divided among the learners.
    """
    if not 0 <= learner < of:
        raise ValueError(f"learner={learner} is not valid with of={of}; count from 0")
    random = np.random.default_rng(1)
    inputs = random.normal(size=(900, 4))
    classes = inputs @ [2.0, -1.0, 0.5, 0.0] + random.normal(size=900) > 0
    return inputs[learner::of].astype(np.float32), classes[learner::of].astype(np.int64)


def divide(inputs: Array, classes: Array) -> list[tuple[Array, Array]]:
    """Return the records to train on (60 %), to vote by and to test with (20 % each)."""
    a, b = int(0.6 * len(classes)), int(0.8 * len(classes))
    parts = (slice(a), slice(a, b), slice(b, None))
    return [(inputs[part], classes[part]) for part in parts]


if __name__ == "__main__":
    config = SimulationConfig(score_name="log loss", higher_is_better=False, n_proposers=3)
    print_results(run([make_learner(n) for n in range(3)], 10, config=config).results)
