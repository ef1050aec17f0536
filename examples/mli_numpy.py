"""A learner in plain numpy that derives from nothing: it merely has the five methods.

Linear regression of how a diabetes progresses, by gradient descent; smaller scores are better.
Run it with `python examples/mli_numpy.py`; COLEARN_EXAMPLES_TEST=1 makes it one round.
"""

import os

import numpy as np
from sklearn.datasets import load_diabetes

from colearn_learner import (
    ColearnModel,
    ModelFormat,
    ProposedWeights,
    Results,
    Weights,
    collective_learning_round,
    initial_result,
    print_results,
    set_equal_weights,
)

N_LEARNERS = 4
N_ROUNDS = 1 if os.environ.get("COLEARN_EXAMPLES_TEST") else 12


class ClinicLearner:
    def __init__(self, train, vote, test):
        self.train, self.votes, self.tests = train, vote, test
        self.weights = np.zeros(train[0].shape[1] + 1)
        self.vote_score = self.error(self.weights, self.votes)

    def mli_propose_weights(self):
        weights = self.weights
        inputs, targets = self.train
        for _ in range(5):
            wrong = self.predict(weights, inputs) - targets
            slope = np.append(wrong @ inputs, wrong.sum()) / len(inputs)
            weights = weights - 0.1 * slope
        return Weights(weights=weights)

    def mli_test_weights(self, weights):
        vote_score = self.error(weights.weights, self.votes)
        return ProposedWeights(
            weights=weights,
            vote_score=vote_score,
            test_score=self.error(weights.weights, self.tests),
            vote=vote_score <= self.vote_score,
        )

    def mli_accept_weights(self, weights):
        self.weights = weights.weights.copy()
        self.vote_score = self.error(self.weights, self.votes)

    def mli_get_current_weights(self):
        return Weights(weights=self.weights.copy())

    def mli_get_current_model(self):
        return ColearnModel(
            model_format=ModelFormat.PICKLE_WEIGHTS_ONLY, model_file="", model=self.weights
        )

    def predict(self, weights, inputs):
        return inputs @ weights[:-1] + weights[-1]

    def error(self, weights, data):
        inputs, targets = data
        return np.mean((self.predict(weights, inputs) - targets) ** 2)


def main():
    inputs, targets = load_diabetes(return_X_y=True)
    inputs, targets = inputs * np.sqrt(len(inputs)), targets / 100
    order = np.random.default_rng(1).permutation(len(inputs))
    learners = []
    for mine in np.array_split(order, N_LEARNERS):
        train, vote, test = np.split(mine, [len(mine) * 6 // 10, len(mine) * 8 // 10])
        learners.append(
            ClinicLearner(*((inputs[part], targets[part]) for part in (train, vote, test)))
        )
    set_equal_weights(learners)
    results = Results()
    results.data.append(initial_result(learners))
    for round_index in range(N_ROUNDS):
        results.data.append(
            collective_learning_round(learners, vote_threshold=0.5, round_index=round_index)
        )
        print_results(results)


if __name__ == "__main__":
    main()
