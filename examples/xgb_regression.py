"""Predict house prices in California with boosted trees; accepted proposals add trees.

python examples/xgb_regression.py --data cal_housing.tgz
python examples/xgb_regression.py --ledger evm
"""

import common

from colearn_learner.learners.xgboost import XGBoostLearner

BOOSTS_PER_ROUND = 2
SETTINGS = {
    "objective": "reg:squarederror",
    "base_score": 0.0,  # the first prediction, equal for all learners
    "max_depth": 3,
    "eta": 0.1,
    "nthread": 1,
}


def learner_of(share, seed=1):
    """Return the learner of some records."""
    train, vote, test = (
        (part.inputs, part.targets) for part in (share.train, share.vote, share.test)
    )
    return XGBoostLearner(
        SETTINGS,
        train,
        vote,
        test,
        boost_rounds=BOOSTS_PER_ROUND,
        criterion="mean_squared_error",
        minimise_criterion=True,
        seed=seed,
    )


make_learner = common.factory(learner_of, "california-housing")

if __name__ == "__main__":
    common.main(
        make_learner, __doc__, rounds=20, score="mean squared error", higher_is_better=False
    )
