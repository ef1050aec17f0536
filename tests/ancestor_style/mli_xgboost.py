"""Use the path of a file as the weights of XGBoost, like the ancestor's Boston example."""

import os
import tempfile

import numpy as np
import xgboost as xgb
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
from sklearn.datasets import load_diabetes

folder = tempfile.TemporaryDirectory()


class XGBLearner(MachineLearningInterface):
    def __init__(self, train_data, vote_data, test_data, model_name, trees_per_round=2):
        self.train = xgb.DMatrix(*train_data)
        self.vote = xgb.DMatrix(*vote_data)
        self.test_records = xgb.DMatrix(*test_data)
        self.trees_per_round = trees_per_round
        self.params = {"objective": "reg:squarederror", "max_depth": 2, "eta": 0.3, "nthread": 1}
        self.name = f"{folder.name}/{model_name}"
        self.count = 0
        self.model = xgb.train(self.params, self.train, num_boost_round=1)
        self.vote_score = self.test(self.vote)

    def mli_propose_weights(self):
        model = xgb.train(
            self.params, self.train, num_boost_round=self.trees_per_round, xgb_model=self.model
        )
        return self.saved(model)

    def mli_test_weights(self, weights):
        current = self.model
        self.set_weights(weights)
        vote_score = self.test(self.vote)
        test_score = self.test(self.test_records)
        self.model = current
        return ProposedWeights(
            weights=weights,
            vote_score=vote_score,
            test_score=test_score,
            vote=vote_score <= self.vote_score,
        )

    def mli_accept_weights(self, weights):
        self.set_weights(weights)
        self.vote_score = self.test(self.vote)

    def mli_get_current_weights(self):
        return self.saved(self.model)

    def mli_get_current_model(self):
        return ColearnModel(
            model_format=ModelFormat(ModelFormat.ONNX),
            model_file="",
            model=convert_model_to_onnx(self.model),
        )

    def saved(self, model):
        self.count += 1
        path = f"{self.name}_{self.count}.json"
        model.save_model(path)
        return Weights(weights=path)

    def set_weights(self, weights):
        self.model = xgb.Booster(self.params)
        self.model.load_model(weights.weights)

    def test(self, records):
        return np.mean((self.model.predict(records) - records.get_label()) ** 2)


n_learners = 3
n_rounds = 4 if os.environ.get("COLEARN_EXAMPLES_TEST") else 20

inputs, targets = load_diabetes(return_X_y=True)
targets = targets / 100
all_learner_models = []
for n, mine in enumerate(np.array_split(np.arange(len(inputs)), n_learners)):
    parts = np.split(mine, [len(mine) * 6 // 10, len(mine) * 8 // 10])
    learner = XGBLearner(*((inputs[p], targets[p]) for p in parts), model_name=f"model_{n}")
    all_learner_models.append(learner)

results = Results()
results.data.append(initial_result(all_learner_models))
for round_index in range(n_rounds):
    results.data.append(
        collective_learning_round(all_learner_models, vote_threshold=0.5, round_index=round_index)
    )
    print_results(results)
