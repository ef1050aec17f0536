"""Detect fraud among online payments with a linear SVM; implements the interface by hand.

Any object with these five methods is a learner. Fraud is rare, so a model that calls every payment
honest is seldom wrong. The score is therefore the area under the ROC curve.

    python examples/mli_fraud.py --data ieee-fraud-detection
    python examples/mli_fraud.py --ledger evm
"""

import common
import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import roc_auc_score

from colearn_learner import (
    ColearnModel,
    MachineLearningInterface,
    ModelFormat,
    ProposedWeights,
    Weights,
    convert_model_to_onnx,
)


class FraudLearner(MachineLearningInterface):
    """A shop that approves weights that are at least as good on its own payments."""

    def __init__(self, share, seed=1, learning_rate=0.001, batch_size=1000):
        self.share, self.batch_size = share, batch_size
        self.random = np.random.default_rng(seed)
        self.model = SGDClassifier(
            loss="hinge", learning_rate="constant", eta0=learning_rate, random_state=seed
        )
        nothing = np.zeros_like(share.train.inputs[:1])
        self.model.partial_fit(nothing, [0], classes=[0, 1])  # creates its arrays
        self.vote_score = self.score(share.vote)

    def mli_propose_weights(self):
        """Train on a random batch; the current weights do not change."""
        current = self.mli_get_current_weights()
        train = self.share.train.take(self.random.permutation(len(self.share.train)))
        batch = slice(self.batch_size)
        self.model.partial_fit(train.inputs[batch], train.targets[batch])
        proposed = self.mli_get_current_weights()
        self.set_weights(current)
        return proposed

    def mli_test_weights(self, weights):
        """Score weights and vote; the current weights do not change."""
        current = self.mli_get_current_weights()
        self.set_weights(weights)
        vote_score, test_score = self.score(self.share.vote), self.score(self.share.test)
        self.set_weights(current)
        return ProposedWeights(
            weights=weights,
            vote_score=vote_score,
            test_score=test_score,
            vote=vote_score >= self.vote_score,
        )

    def mli_accept_weights(self, weights):
        """Make the weights current; the next proposals are compared with them."""
        self.set_weights(weights)
        self.vote_score = self.score(self.share.vote)

    def mli_get_current_weights(self):
        """Return copies, because the model changes its own arrays later."""
        arrays = {"coef_": self.model.coef_.copy(), "intercept_": self.model.intercept_.copy()}
        return Weights(weights=arrays)

    def mli_get_current_model(self):
        """Return the model for use elsewhere."""
        return ColearnModel(ModelFormat.ONNX, "", convert_model_to_onnx(self.model))

    def set_weights(self, weights):
        """Set the model's arrays."""
        self.model.coef_ = weights.weights["coef_"].copy()
        self.model.intercept_ = weights.weights["intercept_"].copy()

    def score(self, data):
        """Return the area under the ROC curve: 0.5 is guessing, 1 is the best."""
        distances = self.model.decision_function(data.inputs)
        if not np.isfinite(distances).all():
            return np.nan  # weights from others may be invalid; NaN is never better
        return roc_auc_score(data.targets, distances)


learner_of = FraudLearner
make_learner = common.factory(learner_of, "fraud-ieee")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=7, score="area under ROC")
