"""Register a dataloader and models by name, and run a demo with learners made from them.

The models' parameters reach the factory as JSON, as over the ancestor's gRPC.
"""

# ruff: noqa: UP006, UP035, UP045 - annotations as in such programs

import json
import os
import tempfile
from pathlib import Path
from typing import Optional, Tuple

import numpy as np
from colearn.ml_interface import DiffPrivConfig, MachineLearningInterface, ProposedWeights, Weights
from colearn.training import collective_learning_round, initial_result, set_equal_weights
from colearn.utils.data import split_list_into_fractions
from colearn.utils.results import Results, print_results
from colearn_grpc.example_mli_factory import ExampleMliFactory
from colearn_grpc.factory_registry import FactoryRegistry
from colearn_grpc.mli_factory_interface import MliFactory
from sklearn.datasets import load_breast_cancer

Loaders = Tuple[np.ndarray, np.ndarray, np.ndarray]


class LogisticLearner(MachineLearningInterface):
    def __init__(self, loaders, steps, learning_rate, diff_priv_config):
        self.train, self.vote, self.test = loaders
        self.steps, self.learning_rate = steps, learning_rate
        self.diff_priv_config = diff_priv_config
        self.coefficients = np.zeros(self.train.shape[1])

    def score(self, coefficients, records):
        guessed = records[:, :-1] @ coefficients[:-1] + coefficients[-1] > 0
        return float((guessed == records[:, -1]).mean())

    def mli_propose_weights(self):
        coefficients = self.coefficients.copy()
        inputs = np.column_stack([self.train[:, :-1], np.ones(len(self.train))])
        for _ in range(self.steps):
            probable = 1 / (1 + np.exp(-inputs @ coefficients))
            coefficients += self.learning_rate * inputs.T @ (self.train[:, -1] - probable)
        return Weights(weights=coefficients)

    def mli_test_weights(self, weights):
        vote_score = self.score(weights.weights, self.vote)
        return ProposedWeights(
            weights=weights,
            vote_score=vote_score,
            test_score=self.score(weights.weights, self.test),
            vote=vote_score >= self.score(self.coefficients, self.vote),
        )

    def mli_accept_weights(self, weights):
        self.coefficients = weights.weights.copy()

    def mli_get_current_weights(self):
        return Weights(weights=self.coefficients.copy())

    def mli_get_current_model(self):
        return None


# The dataloader must be registered before the models that reference it.
@FactoryRegistry.register_dataloader("CANCER")
def prepare_data_loaders(
    location: str, train_ratio: float = 0.8, vote_ratio: float = 0.1
) -> Loaders:
    records = np.load(Path(location) / "records.npy")
    train, vote = int(train_ratio * len(records)), int((train_ratio + vote_ratio) * len(records))
    return records[:train], records[train:vote], records[vote:]


@FactoryRegistry.register_model_architecture("CANCER_LOGISTIC", ["CANCER"])
def prepare_learner(
    data_loaders: Loaders,
    steps_per_epoch: int = 40,
    learning_rate: float = 0.001,
    diff_priv_config: Optional[DiffPrivConfig] = None,
) -> LogisticLearner:
    return LogisticLearner(data_loaders, steps_per_epoch, learning_rate, diff_priv_config)


def split_to_folders(n_learners, output_folder):
    inputs, benign = load_breast_cancer(return_X_y=True)
    records = np.column_stack([inputs / inputs.max(axis=0), benign])
    np.random.seed(42)
    order = np.random.permutation(len(records))
    folders = []
    for i, part in enumerate(split_list_into_fractions(order, [1 / n_learners] * n_learners)):
        folder = Path(output_folder) / str(i)
        folder.mkdir()
        np.save(folder / "records.npy", records[part])
        folders.append(str(folder))
    return folders


mli_fac: MliFactory = ExampleMliFactory()
model_name = "CANCER_LOGISTIC"
dataloader_name = next(iter(mli_fac.get_compatibilities()[model_name]))

n_learners = 4
n_rounds = 4 if os.environ.get("COLEARN_EXAMPLES_TEST") else 15
privacy = {
    "target_epsilon": 1.0,
    "target_delta": 1e-5,
    "max_grad_norm": 1.0,
    "noise_multiplier": 1.1,
}

all_learner_models = []
with tempfile.TemporaryDirectory() as output_folder:
    for folder in split_to_folders(n_learners, output_folder):
        model_params = mli_fac.get_models()[model_name]
        model_params.update(learning_rate=0.002, diff_priv_config=privacy)
        dataset_params = mli_fac.get_dataloaders()[dataloader_name]
        dataset_params.update(location=folder, train_ratio=0.6, vote_ratio=0.2)
        all_learner_models.append(
            mli_fac.get_mli(
                model_name=model_name,
                model_params=json.dumps(model_params),
                dataloader_name=dataloader_name,
                dataset_params=json.dumps(dataset_params),
            )
        )

set_equal_weights(all_learner_models)

results = Results()
results.data.append(initial_result(all_learner_models))
for round_index in range(n_rounds):
    results.data.append(
        collective_learning_round(all_learner_models, vote_threshold=0.5, round_index=round_index)
    )
    print_results(results)
