"""Run five learners of which one lies: it proposes bad weights, and votes against good ones.

The others test its proposals on their own records and reject them. The proposals that it votes
against are still accepted, because it is only one of four voters. Voting cannot detect a defect
that affects no vote records.

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
    """A learner that negates the weights it trained, and inverts its votes on others.

    Args:
        own: the honest learner behind it.
    """

    def __init__(self, own):
        self.own = own

    def mli_propose_weights(self):
        """Return weights that classify every digit wrongly."""
        learned = self.own.mli_propose_weights().weights
        return Weights({name: -array for name, array in learned.items()})

    def mli_test_weights(self, weights):
        """Approve bad weights and reject good ones."""
        tested = self.own.mli_test_weights(weights)
        return ProposedWeights(weights, tested.vote_score, tested.test_score, vote=not tested.vote)

    def mli_accept_weights(self, weights):
        """Accept the weights, because refusing them would reveal the liar at once."""
        self.own.mli_accept_weights(weights)

    def mli_get_current_weights(self):
        """Return the current weights."""
        return self.own.mli_get_current_weights()

    def mli_get_current_model(self):
        """Return the current model."""
        return self.own.mli_get_current_model()


def make_learner(learner, of=5, data=None, seed=1):
    """Return a learner; one of them is the liar."""
    own = honest(common.share("digits", learner, of, data, seed), seed)
    return Liar(own) if learner == LIAR else own


if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=10, score="accuracy")
