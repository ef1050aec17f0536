"""A small neural network of scikit-learn's on iris; one learner never saw a virginica.

Run it with `python examples/mli_iris.py`; COLEARN_EXAMPLES_TEST=1 makes it one round.
"""

import os

import numpy as np
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier

from colearn_learner import (
    ColearnModel,
    ColearnPlot,
    MachineLearningInterface,
    ModelFormat,
    ProposedWeights,
    Results,
    Weights,
    collective_learning_round,
    convert_model_to_onnx,
    initial_result,
    print_results,
    set_equal_weights,
)

N_LEARNERS = 5
N_ROUNDS = 1 if os.environ.get("COLEARN_EXAMPLES_TEST") else 20


class IrisLearner(MachineLearningInterface):
    def __init__(self, train, vote, test):
        self.train, self.votes, self.tests = train, vote, test
        self.model = MLPClassifier((8,), learning_rate_init=0.02, random_state=0)
        self.model.partial_fit(train[0][:1], train[1][:1], classes=[0, 1, 2])
        self.vote_score = self.score(self.votes)

    def mli_propose_weights(self):
        current = self.mli_get_current_weights()
        for _ in range(10):
            self.model.partial_fit(*self.train)
        proposed = self.mli_get_current_weights()
        self.set_weights(current)
        return proposed

    def mli_test_weights(self, weights):
        current = self.mli_get_current_weights()
        self.set_weights(weights)
        vote_score, test_score = self.score(self.votes), self.score(self.tests)
        self.set_weights(current)
        return ProposedWeights(
            weights=weights,
            vote_score=vote_score,
            test_score=test_score,
            vote=vote_score >= self.vote_score,
        )

    def mli_accept_weights(self, weights):
        self.set_weights(weights)
        self.vote_score = self.score(self.votes)

    def mli_get_current_weights(self):
        # copies: the model goes on changing its own arrays
        layers = self.model.coefs_ + self.model.intercepts_
        return Weights(weights=[layer.copy() for layer in layers])

    def mli_get_current_model(self):
        return ColearnModel(
            model_format=ModelFormat.ONNX, model_file="", model=convert_model_to_onnx(self.model)
        )

    def set_weights(self, weights):
        for layer, new in zip(
            self.model.coefs_ + self.model.intercepts_, weights.weights, strict=True
        ):
            layer[...] = new

    def score(self, data):
        return self.model.score(*data)


def main():
    inputs, kinds = load_iris(return_X_y=True)
    inputs = inputs - [5.84, 3.05, 3.76, 1.20]  # the means in its description, in cm
    order = np.random.default_rng(3).permutation(len(inputs))
    shares = np.array_split(order, N_LEARNERS)
    shares[0] = shares[0][kinds[shares[0]] != 2]
    learners = []
    for mine in shares:
        train, vote, test = np.split(mine, [len(mine) * 6 // 10, len(mine) * 8 // 10])
        learners.append(IrisLearner(*((inputs[p], kinds[p]) for p in (train, vote, test))))
    set_equal_weights(learners)
    results = Results()
    results.data.append(initial_result(learners))
    plot = ColearnPlot(score_name="accuracy")
    for round_index in range(N_ROUNDS):
        results.data.append(
            collective_learning_round(learners, vote_threshold=0.5, round_index=round_index)
        )
        print_results(results)
        plot.plot_results_and_votes(results)
    plot.block()


if __name__ == "__main__":
    main()
