"""A learner written by hand against the interface: an SGDClassifier on breast-cancer records.

Run it with `python examples/mli_sgd.py`; COLEARN_EXAMPLES_TEST=1 makes it one round.
"""

import os

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier

from colearn_learner import (
    ColearnModel,
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
N_ROUNDS = 1 if os.environ.get("COLEARN_EXAMPLES_TEST") else 10


class HospitalLearner(MachineLearningInterface):
    """Votes for weights that are at least as accurate on its own records as the current ones."""

    def __init__(self, train, vote, test):
        self.train, self.votes, self.tests = train, vote, test
        self.model = SGDClassifier(loss="modified_huber", random_state=0)
        self.model.partial_fit(train[0][:1], train[1][:1], classes=[0, 1])
        self.vote_score = self.score(self.votes)

    def mli_propose_weights(self):
        current = self.mli_get_current_weights()
        self.model.partial_fit(*self.train)
        new_weights = self.mli_get_current_weights()
        self.set_weights(current)
        return new_weights

    def mli_test_weights(self, weights):
        current = self.mli_get_current_weights()
        self.set_weights(weights)
        vote_score, test_score = self.score(self.votes), self.score(self.tests)
        self.set_weights(current)
        vote = vote_score >= self.vote_score
        return ProposedWeights(
            weights=weights, vote_score=vote_score, test_score=test_score, vote=vote
        )

    def mli_accept_weights(self, weights):
        self.set_weights(weights)
        self.vote_score = self.score(self.votes)

    def mli_get_current_weights(self):
        # copies: the model goes on changing its own arrays
        return Weights(
            weights={"coef_": self.model.coef_.copy(), "intercept_": self.model.intercept_.copy()}
        )

    def mli_get_current_model(self):
        return ColearnModel(
            model_format=ModelFormat.ONNX,
            model_file="",
            model=convert_model_to_onnx(self.model),
        )

    def set_weights(self, weights):
        self.model.coef_ = weights.weights["coef_"].copy()
        self.model.intercept_ = weights.weights["intercept_"].copy()

    def score(self, data):
        return self.model.score(*data)


def main():
    inputs, labels = load_breast_cancer(return_X_y=True)
    inputs = inputs / inputs.max(axis=0)
    order = np.random.default_rng(1).permutation(len(inputs))
    learners = []
    for mine in np.array_split(order, N_LEARNERS):
        train, vote, test = np.split(mine, [len(mine) * 6 // 10, len(mine) * 8 // 10])
        learners.append(
            HospitalLearner(*((inputs[part], labels[part]) for part in (train, vote, test)))
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
