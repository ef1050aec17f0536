from __future__ import annotations

import hashlib
import math
import pickle

import pytest

from colearn_learner import Weights, simulation
from colearn_learner.compat import training
from colearn_learner.simulation import SimulationConfig, SimulationError
from colearn_ledger.protocol import Merge, Status
from colearn_ledger.spec import ExperimentSpec, VoteRule
from colearn_ledger.weights.codec import decode_weights
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.unixfs import content_of
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
    assert (result.content,) == result.history.experiment.current
    assert all((learner.weights[0] == result.weights[0]).all() for learner in learners)


PLURAL = SimulationConfig(n_proposers=4)


def test_several_learners_propose_and_their_mean_is_adopted():
    learners = make_learners(1, 2, 3, 4)
    result = simulation.run(learners, 4, config=PLURAL)
    params = result.history.experiment.params
    assert (params.proposers, params.merge) == (4, Merge.MEAN)
    assert all(len(record.round.contents) == 4 for record in result.history.rounds)
    assert len(result.history.experiment.current) > 1
    assert decode_weights(result.weights_file).merged.contents == result.history.experiment.current
    assert result.content == content_of(result.weights_file)
    assert all((learner.weights[0] == result.weights[0]).all() for learner in learners)
    first = result.results.data[0]
    assert (first.block_proposer, first.vote) == (None, True)
    assert set(first.proposals) == {0, 1, 2, 3}
    assert first.votes == [True] * 4


def test_plural_weights_do_not_depend_on_the_order_of_proposals_and_ballots():
    secret = SimulationConfig(n_proposers=4, secret_ballots=True)
    hashes = {run_and_hash(config=config) for config in (PLURAL, PLURAL, secret)}
    assert len(hashes) == 1


def test_best_merge_adopts_one_proposal():
    config = SimulationConfig(n_proposers=3, merge="best", vote_rule="leave-one-out")
    result = simulation.run(make_learners(1, 2, 3), 2, config=config)
    assert result.history.experiment.params.merge == Merge.BEST
    assert [len(record.accepted) for record in result.history.rounds] == [1, 1]
    assert (result.content,) == result.history.experiment.current


def test_tolerance_belongs_to_the_specification(tmp_path):
    config = SimulationConfig(vote_rule="leave-one-out", tolerance=0.25)
    result = simulation.run(make_learners(1, 2), 1, folder=tmp_path, config=config)
    store = DirectoryStore(tmp_path / "store")
    spec = ExperimentSpec.read(store, result.history.experiment.params.spec)
    assert (spec.vote_rule, spec.tolerance) == (VoteRule.LEAVE_ONE_OUT, 0.25)
    assert SimulationConfig().tolerance == ExperimentSpec("m", spec.schema, "s", True).tolerance


class WithText(TowardsTarget):
    """A learner whose weights contain text, like those of trees."""

    def mli_get_current_weights(self):
        return Weights(weights=[*super().mli_get_current_weights().weights, "trees"])


def test_weights_without_a_mean_need_the_best_merge():
    learners = [WithText(1), WithText(2)]
    with pytest.raises(SimulationError, match="have no mean; set merge to best"):
        simulation.run(learners, 1, config=SimulationConfig(n_proposers=2, merge="mean"))


def test_run_folder_keeps_each_agents_journal(tmp_path):
    simulation.run(make_learners(1, 2), 1, folder=tmp_path)
    journals = sorted(tmp_path.glob("agents/*/journal.jsonl"))
    assert len(journals) == 2


class CountsRounds(TowardsTarget):
    """A learner that wants the number of the round."""

    def __init__(self, target: float) -> None:
        super().__init__(target)
        self.rounds: list[int | None] = []

    def mli_propose_weights(self, round_index: int | None = None) -> Weights:
        self.rounds.append(round_index)
        return super().mli_propose_weights()


def test_learner_that_takes_the_number_of_the_round_receives_it():
    learners = [CountsRounds(1.0), TowardsTarget(1.0), CountsRounds(1.0)]
    simulation.run(learners, 5)
    assert [learners[0].rounds, learners[1].trainings, learners[2].rounds] == [[0, 3], 2, [2]]
    training.run_one_round(5, learners)
    assert learners[2].rounds == [2, 5]


class Scoreless(TowardsTarget):
    def mli_test_weights(self, weights):
        proposed = super().mli_test_weights(weights)
        proposed.test_score = math.nan
        return proposed


def test_absent_scores_are_nan_in_results_and_none_in_history():
    result = simulation.run([Scoreless(1), Scoreless(2)], 1)
    assert all(math.isnan(s) for s in result.results.data[0].test_scores)
    assert result.history.rounds[0].scores[0].test_score is None


class CannotTrain(TowardsTarget):
    def mli_propose_weights(self):
        raise RuntimeError("out of memory")


def test_agents_log_by_the_number_of_their_learner(caplog):
    simulation.run([*make_learners(1), CannotTrain(1)], 2)
    assert "learner 1: declines round 1: the learner failed to train" in caplog.text


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
        (make_learners(1, 2), {"config": SimulationConfig(n_proposers=17)}, "from 1 to 16"),
        (make_learners(1, 2), {"config": SimulationConfig(threads=0)}, "threads is 0"),
        (make_learners(1, 2), {"config": SimulationConfig(merge="sum")}, "choose mean or best"),
        (make_learners(1, 2), {"config": SimulationConfig(vote_rule="x")}, "better-alone"),
        (make_learners(1, 2), {"config": SimulationConfig(tolerance=-1)}, "of at least 0"),
        (make_learners(1, 2), {"config": SimulationConfig(tolerance=math.nan)}, "of at least 0"),
        (make_learners(1, 2), {"config": SimulationConfig(score_name="")}, "no score_name"),
    ],
)
def test_arguments_out_of_bounds_are_refused(learners, options, message):
    with pytest.raises(SimulationError, match=message):
        simulation.run(learners, **options)
