"""Implement the interface by hand around an SGDClassifier, like the ancestor's tutorial.

It returns the model's own arrays instead of copies, so a proposal changes when the model trains
again. Users' programs do that, and the local driver must run them nevertheless.
"""

import os

import numpy as np
from colearn.ml_interface import (
    ColearnModel,
    MachineLearningInterface,
    ModelFormat,
    ProposedWeights,
    Weights,
    convert_model_to_onnx,
)
from colearn.training import collective_learning_round, initial_result, set_equal_weights
from colearn.utils.plot import ColearnPlot
from colearn.utils.results import Results, print_results
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier


class FraudLearner(MachineLearningInterface):
    def __init__(
        self,
        train_data,
        train_labels,
        vote_data,
        vote_labels,
        test_data,
        test_labels,
        batch_size=10000,
        steps_per_round=1,
    ):
        self.steps_per_round = steps_per_round
        self.batch_size = batch_size
        self.train_data = train_data
        self.train_labels = train_labels
        self.vote_data = vote_data
        self.vote_labels = vote_labels
        self.test_data = test_data
        self.test_labels = test_labels
        self.model = SGDClassifier(loss="modified_huber", random_state=0)
        self.model.partial_fit(self.train_data[0:1], self.train_labels[0:1], classes=[0, 1])
        self.vote_score = self.test(self.vote_data, self.vote_labels)

    def mli_propose_weights(self) -> Weights:
        current_weights = self.mli_get_current_weights()
        for i in range(self.steps_per_round):
            indices = np.random.default_rng(i).permutation(len(self.train_data))
            indices = indices[: self.batch_size]
            self.model.partial_fit(self.train_data[indices], self.train_labels[indices])
        new_weights = self.mli_get_current_weights()
        self.set_weights(current_weights)
        return new_weights

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        current_weights = self.mli_get_current_weights()
        self.set_weights(weights)
        vote_score = self.test(self.vote_data, self.vote_labels)
        test_score = self.test(self.test_data, self.test_labels)
        vote = self.vote_score <= vote_score
        self.set_weights(current_weights)
        return ProposedWeights(
            weights=weights, vote_score=vote_score, test_score=test_score, vote=vote
        )

    def mli_accept_weights(self, weights: Weights):
        self.set_weights(weights)
        self.vote_score = self.test(self.vote_data, self.vote_labels)

    def mli_get_current_weights(self) -> Weights:
        return Weights(weights={"coef_": self.model.coef_, "intercept_": self.model.intercept_})

    def mli_get_current_model(self) -> ColearnModel:
        return ColearnModel(
            model_format=ModelFormat(ModelFormat.ONNX),
            model_file="",
            model=convert_model_to_onnx(self.model),
        )

    def set_weights(self, weights: Weights):
        self.model.coef_ = weights.weights["coef_"]
        self.model.intercept_ = weights.weights["intercept_"]

    def test(self, data, labels):
        return self.model.score(data, labels)


n_learners = 5
n_rounds = 5 if os.environ.get("COLEARN_EXAMPLES_TEST") else 7

inputs, targets = load_breast_cancer(return_X_y=True)
inputs = inputs / inputs.max(axis=0)
all_learner_models = []
for mine in np.array_split(np.arange(len(inputs)), n_learners):
    arrays = []
    for part in np.split(mine, [len(mine) * 6 // 10, len(mine) * 8 // 10]):
        arrays += [inputs[part], targets[part]]
    all_learner_models.append(FraudLearner(*arrays, steps_per_round=3))

set_equal_weights(all_learner_models)
results = Results()
results.data.append(initial_result(all_learner_models))
plot = ColearnPlot(score_name="accuracy")
for round_index in range(n_rounds):
    results.data.append(collective_learning_round(all_learner_models, 0.5, round_index))
    print_results(results)
    plot.plot_results_and_votes(results)
plot.block()
