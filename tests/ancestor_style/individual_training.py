"""Train learners alone for comparison, as the ancestor does, and then together."""

import numpy as np
from colearn.ml_interface import (
    DiffPrivBudget,
    ErrorCodes,
    MachineLearningInterface,
    ProposedWeights,
    TrainingSummary,
    Weights,
)
from colearn.training import (
    collective_learning_round,
    individual_training_round,
    initial_result,
    set_equal_weights,
)
from colearn.utils.results import Results, print_results
from sklearn.datasets import load_diabetes


class RidgeLearner(MachineLearningInterface):
    def __init__(self, inputs, targets, test_inputs, test_targets):
        self.records = inputs, targets
        self.test_records = test_inputs, test_targets
        self.weights = np.zeros(inputs.shape[1])
        self.summary = TrainingSummary(
            dp_budget=DiffPrivBudget(
                target_epsilon=1.0, target_delta=1e-5, consumed_epsilon=0.0, consumed_delta=0.0
            )
        )

    def mli_propose_weights(self) -> Weights:
        inputs, targets = self.records
        slope = inputs.T @ (inputs @ self.weights - targets) / len(inputs)
        self.summary.dp_budget.consumed_epsilon += 0.25
        if self.summary.dp_budget.consumed_epsilon >= self.summary.dp_budget.target_epsilon:
            self.summary.error_code = ErrorCodes.DP_BUDGET_EXCEEDED
        return Weights(weights=self.weights - 0.3 * slope, training_summary=self.summary)

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        new = self.error(weights.weights, self.records)
        return ProposedWeights(
            weights=weights,
            vote_score=new,
            test_score=self.error(weights.weights, self.test_records),
            vote=bool(new < self.error(self.weights, self.records)),
        )

    def mli_accept_weights(self, weights: Weights) -> None:
        self.weights = weights.weights

    def mli_get_current_weights(self) -> Weights:
        return Weights(weights=self.weights, training_summary=self.summary)

    def mli_get_current_model(self):
        return None

    @staticmethod
    def error(weights, records):
        return float(np.mean((records[0] @ weights - records[1]) ** 2))


def make_learners():
    inputs, targets = load_diabetes(return_X_y=True)
    inputs, targets = inputs * np.sqrt(len(inputs)), (targets - targets.mean()) / targets.std()
    tests = inputs[300:], targets[300:]
    return [RidgeLearner(inputs[p], targets[p], *tests) for p in np.split(np.arange(300), 4)]


alone = Results()
learners = make_learners()
alone.data.append(initial_result(learners))
for round_index in range(4):
    alone.data.append(individual_training_round(learners, round_index))
    print_results(alone)

together = Results()
learners = make_learners()
set_equal_weights(learners)
together.data.append(initial_result(learners))
for round_index in range(4):
    together.data.append(collective_learning_round(learners, 0.5, round_index))
    print_results(together)
