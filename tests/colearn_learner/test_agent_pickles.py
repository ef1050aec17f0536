"""Agents never accept or send a pickle, whether from their own learner or from a stranger."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_learner import Weights
from colearn_learner.agent.fit import LearnerSendsPickles
from colearn_learner.interface import ProposedWeights
from colearn_ledger.protocol import Outcome
from tests.support.toyworld import TowardsTarget, World


class RunsCode:
    """An object that creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


class PickledTowardsTarget(TowardsTarget):
    """A learner that exchanges weights as pickles, as one of the ancestor's examples did."""

    def mli_get_current_weights(self) -> Weights:
        return Weights(pickle.dumps(self.weights))

    def mli_accept_weights(self, weights: Weights) -> None:
        self.weights = pickle.loads(weights.weights)


def test_agent_refuses_to_join_with_a_learner_that_sends_pickles(tmp_path):
    w = World(tmp_path, [PickledTowardsTarget(4), TowardsTarget(5)])
    with w.agent(0) as agent, pytest.raises(LearnerSendsPickles, match="stranger's code"):
        agent.run()
    assert w.ledger.learners(w.experiment) == []


def test_restarted_agent_refuses_a_learner_that_sends_pickles(tmp_path):
    w = World(tmp_path, [TowardsTarget(4), TowardsTarget(5)])
    with w.agent(0) as agent:
        agent.step()
    learner = PickledTowardsTarget(4)
    with w.agent(0, learner=learner) as agent, pytest.raises(LearnerSendsPickles):
        agent.run()


class CannotReportWeights(TowardsTarget):
    def mli_get_current_weights(self) -> Weights:
        raise ConnectionError("away")


def test_restarted_agent_continues_if_its_learner_cannot_be_checked(tmp_path, caplog):
    w = World(tmp_path, [TowardsTarget(4), TowardsTarget(5)], {"rounds": 2})
    with w.agent(0) as agent:
        agent.step()
    agents = [w.agent(0, learner=CannotReportWeights(4)), w.agent(1)]
    w.drive(agents)
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 2
    assert "not checked: away" in caplog.text


class AcceptsBytes(TowardsTarget):
    """A learner whose weights are bytes, and which unpickles whatever it accepts or tests."""

    def mli_get_current_weights(self) -> Weights:
        return Weights([b"nothing yet"])

    def mli_propose_weights(self) -> Weights:
        return Weights([b"trained"])

    def mli_accept_weights(self, weights: Weights) -> None:
        self._read(weights)

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        self._read(weights)
        return ProposedWeights(weights=weights, vote_score=1.0, test_score=1.0, vote=True)

    def _read(self, weights: Weights) -> None:
        if weights.weights[0].startswith(b"\x80"):
            pickle.loads(weights.weights[0])


class ProposesPickles(AcceptsBytes):
    def __init__(self, path: Path) -> None:
        super().__init__(0)
        self.path = path

    def mli_propose_weights(self) -> Weights:
        return Weights([pickle.dumps(RunsCode(self.path))])


def test_agent_declines_rather_than_propose_a_pickle(tmp_path, caplog):
    canary = tmp_path / "canary"
    learners = [ProposesPickles(canary), AcceptsBytes(0), AcceptsBytes(0)]
    w = World(tmp_path, learners, {"rounds": 1}, start=[b"nothing yet"])
    w.drive(w.agents())
    assert w.rounds()[0].outcome == Outcome.NO_PROPOSAL
    assert "contain a pickle" in caplog.text
    assert not canary.exists()


def test_agent_rejects_a_strangers_pickle_unread(tmp_path, monkeypatch, caplog):
    canary = tmp_path / "canary"
    learners = [ProposesPickles(canary), AcceptsBytes(0), AcceptsBytes(0)]
    w = World(tmp_path, learners, {"rounds": 1}, start=[b"nothing yet"])
    monkeypatch.setattr("colearn_learner.agent.propose.check_no_pickle", lambda _: None)
    monkeypatch.setattr(learners[0], "_read", lambda _: None)  # the proposer itself stays unharmed
    w.drive(w.agents())
    assert w.rounds()[0].outcome == Outcome.REJECTED
    assert (w.rounds()[0].ballots, w.rounds()[0].slots[0].approvals) == (2, 0)
    assert "rejects the proposal of round 0: the proposal is not usable" in caplog.text
    assert not canary.exists()


class ScribblesWhileTesting(TowardsTarget):
    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        tested = super().mli_test_weights(weights)
        weights.weights[0][:] = -1e9
        return tested


def test_learner_that_changes_weights_while_testing_cannot_spoil_its_proposal(tmp_path):
    w = World(tmp_path, [ScribblesWhileTesting(4), TowardsTarget(4)], {"rounds": 1})
    w.drive(w.agents())
    assert w.rounds()[0].outcome == Outcome.ACCEPTED
    np.testing.assert_array_equal(w.learners[1].weights[0], np.ones(3))
