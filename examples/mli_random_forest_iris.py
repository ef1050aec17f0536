"""Classify irises with a random forest to which every accepted proposal adds a tree.

Trees are sent as arrays of nodes and thresholds. They are never pickled, because a pickle could run
code on the machine that loads it.

    python examples/mli_random_forest_iris.py
    python examples/mli_random_forest_iris.py --ledger evm
"""

import common
from sklearn.ensemble import RandomForestClassifier

from colearn_learner.learners.forest import ForestLearner

TREES_PER_ROUND = 1
CLASSES = [0, 1, 2]  # given to all learners, because a share may lack a class


def learner_of(share, seed=1):
    """Return the learner of some records."""
    train, vote, test = (
        (part.inputs, part.targets) for part in (share.train, share.vote, share.test)
    )
    return ForestLearner(
        RandomForestClassifier(max_depth=3),
        train,
        vote,
        test,
        trees_per_round=TREES_PER_ROUND,
        classes=CLASSES,
        criterion="accuracy",
        seed=seed,
    )


make_learner = common.factory(learner_of, "iris")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=20, score="accuracy")
