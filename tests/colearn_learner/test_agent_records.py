"""Records of how much each learner's proposals improved the current weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from colearn_learner.agent.folder import AgentFolder, DecidedBallot
from colearn_learner.agent.judge import Evidence, Judge, Trial
from colearn_learner.agent.records import (
    choose_parts,
    compute_records,
    limit_gains,
    move_partly,
)
from colearn_learner.interface import ProposedWeights, Weights
from colearn_ledger.protocol import Merge, Phase, Scores, Vote, VoteCast
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.schema import WeightsSchema
from tests.support.plural_agents import make_learners, step_all
from tests.support.toyworld import TowardsTarget, World


def test_partial_step_moves_floating_tensors_only():
    current = {"a": np.zeros(2), "b": [np.float32([4.0])], "c": np.int8([1])}
    proposal = {"a": np.array([8.0, -8.0]), "b": [np.float32([0.0])], "c": np.int8([3])}
    moved = move_partly(current, proposal, 0.25)
    assert moved["a"].tolist() == [2.0, -2.0]
    assert (moved["b"][0].tolist(), moved["b"][0].dtype) == ([3.0], np.float32)
    assert moved["c"].tolist() == [3]
    assert current["a"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("reach", "parts"),
    [(0.1, (0.25,)), (2.0, (0.25,)), (2.75, (0.25, 0.625)), (3.5, (0.25, 1.0)), (9.0, (0.25, 1.0))],
)
def test_long_steps_are_also_tested_further_along(reach, parts):
    assert choose_parts(reach) == parts


@pytest.mark.parametrize(
    ("gains", "limited"),
    [
        ({0: 2.0, 1: -1.0, 2: 9.0, 3: -8.0, 4: 4.0}, {0: 0.5, 1: -0.25, 2: 1.0, 3: -1.0, 4: 1.0}),
        ({0: -math.inf, 1: 2.0}, {0: -1.0, 1: 1.0}),
        ({0: 0.0, 1: 0.0}, {0: 0.0, 1: 0.0}),
        ({}, {}),
    ],
    ids=["limits", "not finite", "no gain", "empty"],
)
def test_gains_are_in_units_of_their_median_size_and_limited(gains, limited):
    assert limit_gains(gains) == limited


def test_older_rounds_count_less():
    rounds = [{"a": 1.0, "b": 1.0}, {"a": -1.0}, {"a": 0.5, "c": -0.5}]
    assert compute_records(rounds) == {"a": pytest.approx(0.34), "b": 1.0, "c": -0.5}


# ------------------------------------------------------------------ judging


def judge(gains: dict[int, float], records: dict[int, float], **means: Any) -> tuple[int, ...]:
    """Return what is approved of slots 0 to 2, of which only 2 is worse than the current weights.

    The mean of several is better.
    """
    spec = ExperimentSpec("m", WeightsSchema.of([np.zeros(1)]), "score", True)
    spec = ExperimentSpec(**{**_fields(spec), "vote_rule": "track-record"})
    alone = {slot: Trial(Scores(0.6), slot != 2) for slot in (0, 1, 2)}
    better = Trial(Scores(0.7), True)
    made = Judge(spec, Merge.MEAN, lambda _: better)
    return made.judge(Evidence(Scores(0.5), alone, None, gains, records)).approved


def _fields(spec: ExperimentSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in spec.__dataclass_fields__}


@pytest.mark.parametrize(
    ("gains", "records", "approved"),
    [
        ({0: 1.0, 1: -1.0, 2: 1.0}, {}, (0, 2)),
        ({0: 1.0, 1: 1.0, 2: -1.0}, {2: 1.3}, (0, 1, 2)),
        ({0: 1.0, 1: 1.0, 2: -1.0}, {2: 1.2, 0: -1.3}, (1,)),
        ({0: -1.0, 1: -1.0, 2: 1.0}, {}, ()),
        ({}, {2: 5.0}, (0, 1)),
    ],
    ids=["this round", "good record", "bad records", "single and worse alone", "no gains"],
)
def test_record_with_this_round_decides(gains, records, approved):
    assert judge(gains, records) == approved


# ------------------------------------------------------------------ agents


class Turncoat(TowardsTarget):
    """A learner that makes the weights a little worse from its fourth training on."""

    def mli_propose_weights(self) -> Weights:
        proposed = super().mli_propose_weights()
        return proposed if self.trainings < 4 else Weights([self.weights[0] - 0.1])


def find_vote(w: World, voter: int, index: int) -> Vote:
    events = [recorded.event for recorded in w.ledger.events(w.experiment)]
    address = w.wallets[voter].address
    cast = [e for e in events if isinstance(e, VoteCast)]
    [vote] = [e.vote for e in cast if (e.round, e.learner) == (index, address)]
    return vote


def run_to_the_end(w: World) -> Vote:
    """Restart the last agent before the last vote, and return its ballot on it."""
    agents = w.agents()
    step_all(w, agents, Phase.VOTING, 3)
    agents[2].close()
    agents[2] = w.agent(2)
    w.drive(agents)
    return find_vote(w, 2, 3)


@pytest.mark.parametrize(
    ("rule", "approves_turncoat"), [("track-record", True), ("better-alone", False)]
)
def test_record_survives_a_restart(tmp_path, rule, approves_turncoat):
    params = {"proposers": 3, "rounds": 4}
    w = World(tmp_path, [Turncoat(8), *make_learners(9, 8)], params, spec={"vote_rule": rule})
    vote = run_to_the_end(w)
    slots = {slot.proposer: n for n, slot in enumerate(w.rounds()[3].slots)}
    turncoat, other = (slots[w.wallets[n].address] for n in (0, 1))
    assert (vote.approves(turncoat), vote.approves(other)) == (approves_turncoat, True)


@pytest.mark.parametrize(
    ("agreed", "own", "has_gains"),
    [("better-alone", "track-record", True), ("track-record", "better-alone", False)],
)
def test_gains_are_measured_if_the_agents_own_rule_needs_them(tmp_path, agreed, own, has_gains):
    params = {"proposers": 3, "rounds": 1}
    w = World(tmp_path, make_learners(8, 9, 10), params, spec={"vote_rule": agreed})
    w.drive([w.agent(0), w.agent(1), w.agent(2, vote_rule=own)])
    gains = [line["gains"] for n in (0, 2) for line in w.journal(n) if line["kind"] == "ballot"]
    assert [bool(each) for each in gains] == [not has_gains, has_gains]


@pytest.mark.parametrize("fails", ["raises", "has no score"])
def test_part_of_a_step_that_cannot_be_tested_is_a_loss(tmp_path, fails):
    class FailsOnParts(TowardsTarget):
        def mli_test_weights(self, weights: Weights) -> ProposedWeights:
            tested = super().mli_test_weights(weights)
            if weights.weights[0][0] == 0.5:  # a quarter of the step of the first proposer
                if fails == "raises":
                    raise ZeroDivisionError
                tested.vote_score = None
            return tested

    params = {"proposers": 3, "rounds": 1}
    learners = [*make_learners(8, 9), FailsOnParts(8)]
    w = World(tmp_path, learners, params, spec={"vote_rule": "track-record"})
    w.drive(w.agents())
    vote = find_vote(w, 2, 0)
    slots = {slot.proposer: n for n, slot in enumerate(w.rounds()[0].slots)}
    first, second = (w.wallets[n].address for n in (0, 1))
    assert (vote.approves(slots[first]), vote.approves(slots[second])) == (False, True)
    [line] = [line for line in w.journal(2) if line["kind"] == "ballot"]
    assert line["gains"] == {first: -1.0, second: 1.0}


def test_lower_scores_are_gains_if_lower_is_better(tmp_path):
    class Loss(TowardsTarget):
        def _score(self, weights: list[np.ndarray]) -> float:
            return -super()._score(weights)

        def mli_test_weights(self, weights: Weights) -> ProposedWeights:
            tested = super().mli_test_weights(weights)
            tested.vote = not tested.vote
            return tested

    spec = {"vote_rule": "track-record", "higher_is_better": False}
    w = World(tmp_path, [Loss(8), Loss(9), Loss(8)], {"proposers": 3, "rounds": 1}, spec=spec)
    w.drive(w.agents())
    assert find_vote(w, 2, 0).approvals.bit_count() == 2


def test_only_the_last_ballot_on_a_round_counts(tmp_path):
    def decide(index: int, digest: bytes, gain: float) -> DecidedBallot:
        return DecidedBallot(index, digest * 32, Vote(0, (Scores(),)), None, "", {"0xa": gain})

    with AgentFolder(tmp_path, "me") as folder:
        for ballot in (decide(2, b"a", 0.5), decide(0, b"b", 1.0), decide(2, b"c", -0.5)):
            folder.record_ballot(ballot)
    with AgentFolder(tmp_path, "me") as folder:
        assert folder.gains_before(3) == [{"0xa": 1.0}, {"0xa": -0.5}]
        assert folder.gains_before(2) == [{"0xa": 1.0}]
        assert folder.gains_before(0) == []


def test_single_proposal_is_decided_by_the_learners_vote(tmp_path):
    params = {"proposers": 2, "rounds": 5}
    w = World(tmp_path, make_learners(8, 9), params, spec={"vote_rule": "track-record"})
    w.drive(w.agents())
    assert [find_vote(w, 0, index).approvals.bit_count() for index in range(5)] == [1] * 5
    assert not any(line["gains"] for line in w.journal(0) if line["kind"] == "ballot")


@pytest.mark.parametrize("hump", [None, 0.875], ids=["further along", "at first"])
def test_long_step_has_to_be_good_at_first_and_further_along(tmp_path, hump):
    class StepsTo(TowardsTarget):
        def mli_propose_weights(self) -> Weights:
            return Weights([np.full(3, self.target)])

        def _score(self, weights: list[np.ndarray]) -> float:
            if hump is None:
                return super()._score(weights)
            number = float(weights[0][0])  # good everywhere, except after a quarter of 3.5
            return -9.0 if number == hump else number

    params = {"proposers": 4, "rounds": 1}
    learners = [StepsTo(1.0), StepsTo(1.1), StepsTo(3.5), StepsTo(0.5)]
    w = World(tmp_path, learners, params, spec={"vote_rule": "track-record"})
    w.drive(w.agents())
    [line] = [line for line in w.journal(3) if line["kind"] == "ballot"]
    gains = [line["gains"][w.wallets[n].address] for n in range(3)]
    # the distances are 0.5, 1, 1.1 and 3.5
    assert gains == pytest.approx([0.25 / 0.275, 1.0, -1.0])
