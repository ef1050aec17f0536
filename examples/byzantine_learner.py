"""One learner of five lies: it proposes ruined weights, and votes for them only.

The others test what it proposes on their own records and reject it; what it votes against passes
all the same, as it is one of four voters. Voting does not stop what is bad in a way that nobody's
vote records show.

    python examples/byzantine_learner.py
    python examples/byzantine_learner.py --ledger evm
"""

import common
from sklearn.linear_model import SGDClassifier

from colearn_learner import MachineLearningInterface, ProposedWeights, Weights
from colearn_learner.learners.sklearn import SklearnLearner

LIAR = 1


def honest(share, seed=1):
    """Return an honest learner of some records."""
    return SklearnLearner(
        SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.05, random_state=seed),
        *((part.inputs, part.targets) for part in (share.train, share.vote, share.test)),
        classes=range(10),
        criterion="accuracy",
        seed=seed,
    )


class Liar(MachineLearningInterface):
    """A learner that turns what it learned upside down, and lies about what others learned.

    Args:
        own: the learner that it could be.
    """

    def __init__(self, own):
        self.own = own

    def mli_propose_weights(self):
        """Return weights that take every digit for another."""
        learned = self.own.mli_propose_weights().weights
        return Weights({name: -array for name, array in learned.items()})

    def mli_test_weights(self, weights):
        """Approve of what does badly."""
        said = self.own.mli_test_weights(weights)
        return ProposedWeights(weights, said.vote_score, said.test_score, vote=not said.vote)

    def mli_accept_weights(self, weights):
        """Go on from there, as it would be found out at once if it did not."""
        self.own.mli_accept_weights(weights)

    def mli_get_current_weights(self):
        """Return the current weights."""
        return self.own.mli_get_current_weights()

    def mli_get_current_model(self):
        """Return the current model."""
        return self.own.mli_get_current_model()


def make_learner(learner, of=5, data=None, seed=1):
    """Return a learner, which for one number is the liar."""
    own = honest(common.share("digits", learner, of, data, seed), seed)
    return Liar(own) if learner == LIAR else own


if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=10, score="accuracy")
