from __future__ import annotations

import hashlib
import math
import pickle

import pytest

from colearn_learner import simulation
from colearn_learner.simulation import SimulationConfig, SimulationError
from colearn_ledger.protocol import Status
from tests.support.toyworld import TowardsTarget


def make_learners(*numbers: float) -> list[TowardsTarget]:
    return [TowardsTarget(number) for number in numbers]


def run_and_hash(**options: object) -> str:
    result = simulation.run(make_learners(1, 2, 3, 9), 8, **options)
    return hashlib.sha256(result.weights_file).hexdigest()


def test_weights_do_not_depend_on_the_order_of_ballots():
    secret = SimulationConfig(secret_ballots=True)
    assert len({run_and_hash(), run_and_hash(), run_and_hash(config=secret)}) == 1


def test_result_has_all_rounds_and_proposers_take_turns():
    learners = make_learners(1, 2, 3)
    result = simulation.run(learners, 4)
    assert result.history.experiment.status == Status.COMPLETED
    assert [r.block_proposer for r in result.results.data] == [0, 1, 2, 0]
    assert result.results.data[0].votes == [None, True, True]
    assert result.content == result.history.experiment.current
    assert all((learner.weights[0] == result.weights[0]).all() for learner in learners)


def test_run_folder_keeps_each_agents_journal(tmp_path):
    simulation.run(make_learners(1, 2), 1, folder=tmp_path)
    journals = sorted(tmp_path.glob("agents/*/journal.jsonl"))
    assert len(journals) == 2


class Scoreless(TowardsTarget):
    def mli_test_weights(self, weights):
        proposed = super().mli_test_weights(weights)
        proposed.test_score = math.nan
        return proposed


def test_absent_scores_are_nan_in_results_and_none_in_history():
    result = simulation.run([Scoreless(1), Scoreless(2)], 1)
    assert all(math.isnan(s) for s in result.results.data[0].test_scores)
    assert result.history.rounds[0].scores.test_score is None


def test_error_in_an_agent_reaches_the_caller():
    def explode(_: object) -> None:
        raise ZeroDivisionError("the listener broke")

    with pytest.raises((SimulationError, ZeroDivisionError), match="the listener broke"):
        simulation.run(make_learners(1, 2), 1, config=SimulationConfig(on_event=explode))


class WithWeights(TowardsTarget):
    def __init__(self, weights: object) -> None:
        super().__init__(1)
        self.weights = weights


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (None, "are None, so there is nothing to train"),
        ([], "are an empty list"),
        ({"model": pickle.dumps([1.0])}, "'model' of the weights contain a pickle"),
    ],
)
def test_weights_that_others_cannot_use_are_refused_at_creation(weights, message):
    with pytest.raises(SimulationError, match=message):
        simulation.run([WithWeights(weights), WithWeights(weights)], 1)


@pytest.mark.parametrize(
    ("learners", "options", "message"),
    [
        ([TowardsTarget(1)], {}, "at least two"),
        (make_learners(1, 2), {"n_rounds": 0}, "at least one"),
        (make_learners(1, 2), {"vote_threshold": 0.0}, "vote threshold"),
        (make_learners(1, 2), {"vote_threshold": 1.5}, "vote threshold"),
        (make_learners(1, 2), {"vote_threshold": math.nan}, "vote threshold"),
        (make_learners(1, 2), {"ledger": "paper"}, "choose local or evm"),
    ],
)
def test_arguments_out_of_bounds_are_refused(learners, options, message):
    with pytest.raises(SimulationError, match=message):
        simulation.run(learners, **options)
