"""Drive rounds by run_one_round and assemble the results by hand."""

import numpy as np
from colearn.ml_interface import MachineLearningInterface, ProposedWeights, Weights
from colearn.standalone_driver import run_one_round
from colearn.training import set_equal_weights
from colearn.utils.plot import ColearnPlot
from colearn.utils.results import Result, Results


class MeanLearner(MachineLearningInterface):
    def __init__(self, numbers):
        self.numbers = np.array(numbers, dtype=float)
        self.guess = np.zeros(1)

    def mli_propose_weights(self):
        return Weights(weights=self.guess + 0.5 * (self.numbers.mean() - self.guess))

    def mli_test_weights(self, weights):
        new, current = (((self.numbers - g) ** 2).mean() for g in (weights.weights, self.guess))
        return ProposedWeights(weights=weights, vote_score=new, test_score=new, vote=new < current)

    def mli_accept_weights(self, weights):
        self.guess = weights.weights

    def mli_get_current_weights(self):
        return Weights(weights=self.guess)

    def mli_get_current_model(self):
        return None


vote_threshold = 0.6
learners = [MeanLearner(numbers) for numbers in ([1, 2, 3], [2, 3, 4], [1, 3], [9, 10])]
set_equal_weights(learners)

results = Results()
plot = ColearnPlot("squared error", draw_time=0.001)
for i in range(8):
    proposed_weights_list, vote = run_one_round(i, learners, vote_threshold=vote_threshold)
    result = Result()
    result.vote = vote
    result.votes = [pw.vote for pw in proposed_weights_list]
    result.vote_scores = [pw.vote_score for pw in proposed_weights_list]
    result.test_scores = [pw.test_score for pw in proposed_weights_list]
    result.block_proposer = i % len(learners)
    results.data.append(result)
    plot.plot_results(results)
    plot.plot_votes(results)
results.process_statistics()
