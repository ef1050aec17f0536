"""Drive rounds by collective_learning_round and read the statistics of the results."""

from colearn.ml_interface import MachineLearningInterface, ProposedWeights, Weights
from colearn.training import collective_learning_round, initial_result, set_equal_weights
from colearn.utils.results import Results, print_results
from sklearn.datasets import load_wine
from sklearn.linear_model import Perceptron


class WineLearner(MachineLearningInterface):
    def __init__(self, train, vote, test):
        self.train, self.vote, self.tests = train, vote, test
        self.model = Perceptron(random_state=0)
        self.model.partial_fit(*train, classes=[0, 1, 2])

    def mli_propose_weights(self):
        before = self.mli_get_current_weights()
        self.model.partial_fit(*self.train)
        proposed = self.mli_get_current_weights()
        self.mli_accept_weights(before)
        return proposed

    def mli_test_weights(self, weights):
        before = self.mli_get_current_weights()
        current = self.model.score(*self.vote)
        self.mli_accept_weights(weights)
        vote_score, test_score = self.model.score(*self.vote), self.model.score(*self.tests)
        self.mli_accept_weights(before)
        return ProposedWeights(
            weights=weights,
            vote_score=vote_score,
            test_score=test_score,
            vote=vote_score >= current,
        )

    def mli_accept_weights(self, weights):
        self.model.coef_, self.model.intercept_ = (array.copy() for array in weights.weights)

    def mli_get_current_weights(self):
        return Weights(weights=[self.model.coef_.copy(), self.model.intercept_.copy()])

    def mli_get_current_model(self):
        return None


inputs, kinds = load_wine(return_X_y=True)
inputs = inputs / inputs.max(axis=0)
learners = []
for n in range(4):
    mine = slice(n, None, 4)
    x, y = inputs[mine], kinds[mine]
    learners.append(WineLearner((x[::2], y[::2]), (x[1::4], y[1::4]), (x[3::4], y[3::4])))

set_equal_weights(learners)
results = Results()
results.data.append(initial_result(learners))
for round_index in range(8):
    results.data.append(collective_learning_round(learners, 0.5, round_index))
    print_results(results)
results.process_statistics()
mean_scores = results.mean_test_scores
history_of_the_first = results.h_test_scores[0]
