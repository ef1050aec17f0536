"""Grow a random forest by one tree a round, with pickles as weights, like the ancestor does.

No weights are set before the first round, as in the ancestor's example.
"""

import os
import pickle

import numpy as np
from colearn.ml_interface import (
    ColearnModel,
    MachineLearningInterface,
    ModelFormat,
    ProposedWeights,
    Weights,
    convert_model_to_onnx,
)
from colearn.training import collective_learning_round, initial_result
from colearn.utils.results import Results, print_results
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier


class IrisLearner(MachineLearningInterface):
    def __init__(self, train_data, vote_data, test_data, initial_trees=1, trees_per_round=1):
        self.train_data = train_data
        self.vote_data = vote_data
        self.test_data = test_data
        self.trees_per_round = trees_per_round
        self.model = RandomForestClassifier(
            n_estimators=initial_trees, warm_start=True, max_depth=3, random_state=0
        )
        self.model.fit(*train_data)
        self.vote_score = self.test(vote_data)

    def mli_propose_weights(self):
        curr_weights = self.mli_get_current_weights()
        self.model.n_estimators += self.trees_per_round
        self.model.fit(*self.train_data)
        new_weights = self.mli_get_current_weights()
        self.set_weights(curr_weights)
        return new_weights

    def mli_test_weights(self, weights):
        curr_weights = self.mli_get_current_weights()
        self.set_weights(weights)
        vote_score = self.test(self.vote_data)
        test_score = self.test(self.test_data)
        self.set_weights(curr_weights)
        return ProposedWeights(
            weights=weights,
            vote_score=vote_score,
            test_score=test_score,
            vote=self.vote_score <= vote_score,
        )

    def mli_accept_weights(self, weights):
        self.set_weights(weights)
        self.vote_score = self.test(self.vote_data)

    def mli_get_current_weights(self):
        return Weights(weights=pickle.dumps(self.model))

    def mli_get_current_model(self):
        return ColearnModel(
            model_format=ModelFormat(ModelFormat.ONNX),
            model_file="",
            model=convert_model_to_onnx(self.model),
        )

    def set_weights(self, weights):
        self.model = pickle.loads(weights.weights)

    def test(self, data):
        return self.model.score(*data)


n_learners = 3
n_rounds = 4 if os.environ.get("COLEARN_EXAMPLES_TEST") else 20

inputs, targets = load_iris(return_X_y=True)
order = np.random.default_rng(2).permutation(len(inputs))
all_learner_models = []
for mine in np.array_split(order, n_learners):
    parts = np.split(mine, [len(mine) * 6 // 10, len(mine) * 8 // 10])
    all_learner_models.append(IrisLearner(*((inputs[p], targets[p]) for p in parts)))

results = Results()
results.data.append(initial_result(all_learner_models))
for round_index in range(n_rounds):
    results.data.append(
        collective_learning_round(all_learner_models, vote_threshold=0.5, round_index=round_index)
    )
    print_results(results)
