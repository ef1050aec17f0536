"""Write a learner in plain numpy: a class with the five methods and no base class.

It predicts the progress of diabetes by linear regression; smaller scores are better.

    python examples/mli_numpy.py
    python examples/mli_numpy.py --ledger evm
"""

import common
import numpy as np

from colearn_learner import ColearnModel, ModelFormat, ProposedWeights, Weights

STEPS_PER_ROUND, STEP = 5, 0.1


class ClinicLearner:
    """A clinic's linear model: a weight for each measurement, followed by an offset."""

    def __init__(self, share, seed=1):
        self.share = share
        self.weights = np.zeros(share.train.inputs.shape[1] + 1)
        self.vote_score = error(self.weights, share.vote)

    def mli_propose_weights(self):
        """Return weights after some steps of gradient descent."""
        weights, train = self.weights, self.share.train
        for _ in range(STEPS_PER_ROUND):
            wrong = predict(weights, train.inputs) - train.targets
            slope = np.append(wrong @ train.inputs, wrong.sum()) / len(train)
            weights = weights - STEP * slope
        return Weights(weights=weights)

    def mli_test_weights(self, weights):
        """Score weights, and approve them if they are no worse than the current ones."""
        vote_score = error(weights.weights, self.share.vote)
        return ProposedWeights(
            weights=weights,
            vote_score=vote_score,
            test_score=error(weights.weights, self.share.test),
            vote=vote_score <= self.vote_score,
        )

    def mli_accept_weights(self, weights):
        """Make the weights current."""
        self.weights = weights.weights.copy()
        self.vote_score = error(self.weights, self.share.vote)

    def mli_get_current_weights(self):
        """Return a copy, because callers may change it."""
        return Weights(weights=self.weights.copy())

    def mli_get_current_model(self):
        """Return the weights, which are the whole model."""
        return ColearnModel(ModelFormat.PICKLE_WEIGHTS_ONLY, "", self.weights)


def predict(weights, inputs):
    """Return predictions, shape (records,)."""
    return inputs @ weights[:-1] + weights[-1]


def error(weights, data):
    """Return the mean squared error."""
    return np.mean((predict(weights, data.inputs) - data.targets) ** 2)


make_learner = common.factory(ClinicLearner, "diabetes")

if __name__ == "__main__":
    common.main(
        make_learner, __doc__, rounds=12, score="mean squared error", higher_is_better=False
    )
