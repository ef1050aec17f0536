"""Run learners without a base class that only have the five methods; weights are one number.

This toy imitates the ancestor's smoke test: the highest number is adopted by all learners.
"""

from colearn.ml_interface import ColearnModel, ModelFormat, ProposedWeights, Weights
from colearn.standalone_driver import run


class PlusOneLearner:
    def __init__(self, start_value):
        self.current_value = start_value

    def mli_propose_weights(self):
        return Weights(weights=self.current_value + 1)

    def mli_test_weights(self, weights):
        result = weights.weights
        return ProposedWeights(
            weights=weights,
            vote_score=result,
            test_score=result,
            vote=result > self.current_value,
        )

    def mli_accept_weights(self, weights):
        self.current_value = weights.weights

    def mli_get_current_weights(self):
        return Weights(weights=self.current_value)

    def mli_get_current_model(self):
        return ColearnModel(
            model_format=ModelFormat(ModelFormat.PICKLE_WEIGHTS_ONLY),
            model_file="",
            model=self.current_value,
        )


n_rounds = 7
all_learner_models = [PlusOneLearner(start) for start in (3, 1, 2)]
run(n_rounds, all_learner_models)
