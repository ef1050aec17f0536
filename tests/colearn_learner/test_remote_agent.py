"""An agent whose learner runs on a server that is killed and restarted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from colearn_learner.agent.fit import LearnerDoesNotFit
from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action, Observation
from colearn_learner.interface import (
    DiffPrivBudget,
    ErrorCodes,
    ProposedWeights,
    TrainingSummary,
    Weights,
)
from colearn_learner.remote.client import RemoteConfig, RemoteLearner
from colearn_learner.remote.errors import LearnerUnavailable
from colearn_ledger.protocol import Outcome, Scores, Status, VoteCast
from colearn_ledger.weights.schema import WeightsSchema
from tests.support.blocking_learner import BLOCKING, Pipes
from tests.support.remote_servers import (  # noqa: F401
    LONG,
    Line,
    ServerProcess,
    connect_learner,
    serve_learner,
    unused_address,
)
from tests.support.toyworld import TowardsTarget, World, content_of_round
from tests.support.weights import read_weights

ACCEPTED, REJECTED, NONE = Outcome.ACCEPTED, Outcome.REJECTED, Outcome.NO_PROPOSAL


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_experiment_with_remote_learners_has_the_same_result_as_with_local_ones(
    tmp_path, reveal_window
):
    def make_world(name: str) -> World:
        learners = [TowardsTarget(4), TowardsTarget(5), TowardsTarget(-9)]
        return World(tmp_path / name, learners, {"reveal_window": reveal_window})

    local, remote = make_world("local"), make_world("remote")
    local.drive(local.agents())
    with (
        serve_learner(remote.learners[0]) as one,
        connect_learner(one) as first,
        serve_learner(remote.learners[2]) as two,
        connect_learner(two) as third,
    ):
        learners = [first, remote.learners[1], third]
        remote.drive([remote.agent(i, learner=learner) for i, learner in enumerate(learners)])
    assert remote.final == local.final
    assert [r.outcome for r in remote.rounds()] == [r.outcome for r in local.rounds()]
    assert ACCEPTED in {r.outcome for r in remote.rounds()}


def step_until_round(w: World, agents: list[Agent], index: int) -> None:
    """Step the agents in turn until a round begins, before any training for it."""
    for _ in range(1_000):
        for agent in agents:
            if w.ledger.experiment(w.experiment).round == index:
                return
            agent.step()
        w.seconds += 1
    raise TimeoutError(f"round {index} did not begin")


def step_until_proposed(agent: Agent) -> Action:
    """Step an agent until it has proposed or declined."""
    while (action := agent.step()) not in (Action.PROPOSED, Action.DECLINED):
        assert action in (Action.ADOPTED, Action.ADVANCED), action
    return action


def find_observations_of_agent_0(w: World, action: Action) -> list[Observation]:
    mine = w.wallets[0].address
    return [seen for seen in w.seen if (seen.account, seen.action) == (mine, action)]


def test_restarted_server_gets_the_accepted_weights_after_a_kill_in_training(
    world: Any, pipes: Pipes
):
    w: World = world([None, TowardsTarget(5)], rounds=6)
    with Line() as line:
        with ServerProcess(BLOCKING, *pipes.arguments) as server:
            line.lead(server.address)
            learner = RemoteLearner(str(line.address), RemoteConfig(patience=0, deadline=LONG))
            learner.reach()
            agents = [w.agent(0, learner=learner), w.agent(1)]
            pipes.let_training_finish()
            step_until_round(w, agents, 2)  # accepted so far: 0 + 1, then a quarter of the way to 5
            pipes.wait_for_training()
            with ThreadPoolExecutor(1) as pool:
                step = pool.submit(step_until_proposed, agents[0])
                pipes.wait_for_training()
                server.kill()
                line.cut()
                assert step.result(LONG) == Action.DECLINED
        step_until_round(w, agents, 4)  # the server is down in round 3, when learner 1 proposes
        with ServerProcess(BLOCKING, *pipes.arguments) as server, learner:
            line.lead(server.address)
            pipes.let_training_finish()
            w.drive(agents)
    outcomes = [r.outcome for r in w.rounds()]
    assert outcomes == [ACCEPTED, ACCEPTED, NONE, REJECTED, ACCEPTED, ACCEPTED]
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED

    [declined] = find_observations_of_agent_0(w, Action.DECLINED)
    assert "the learner failed to train: LearnerUnavailable" in declined.reason
    ballots = find_observations_of_agent_0(w, Action.VOTED)
    votes = [e.vote for seen in ballots for e in seen.events if isinstance(e, VoteCast)]
    assert [vote.approvals for vote in votes] == [1, 0, 1]
    assert votes[1].scores == (Scores(), Scores())
    assert "the learner failed to test the proposal: LearnerUnavailable" in ballots[1].reason
    content = content_of_round(w.rounds()[4])
    proposed = read_weights(w.store(1), content, schema=WeightsSchema.of([np.zeros(3)]))
    assert proposed.weights[0].tolist() == [3.0] * 3  # from 2, not from the server's own 0


def test_agent_joins_and_adopts_while_its_server_is_down(world: Any):
    w: World = world([TowardsTarget(4), TowardsTarget(5)], rounds=2)
    with Line() as line:
        with serve_learner(TowardsTarget(4)) as address:
            line.lead(address)
            learner = RemoteLearner(str(line.address), RemoteConfig(patience=0, deadline=LONG))
            learner.reach()
        line.cut()
        agents = [w.agent(0, learner=learner), w.agent(1)]
        assert [agent.step() for agent in agents] == [Action.JOINED, Action.JOINED]
        assert [agent.step() for agent in agents] == [Action.ADOPTED, Action.ADOPTED]
        with serve_learner(TowardsTarget(4)) as address, learner:
            line.lead(address)
            w.drive(agents)
    assert [r.outcome for r in w.rounds()] == [ACCEPTED, ACCEPTED]


def test_agent_does_not_join_if_its_server_never_answered(world: Any, unused_address: str):  # noqa: F811
    w: World = world([TowardsTarget(4), TowardsTarget(5)])
    learner = RemoteLearner(unused_address, RemoteConfig(patience=0))
    with (
        w.agent(0, learner=learner) as agent,
        pytest.raises(LearnerUnavailable, match="check that"),
    ):
        agent.run()
    assert w.ledger.experiment(w.experiment).joined_learners == 0


def test_agent_without_its_server_performs_the_duties_that_need_no_learner(
    world: Any,
    unused_address: str,  # noqa: F811
):
    w: World = world([TowardsTarget(4), TowardsTarget(5)], rounds=3, reveal_window=100)
    agents = w.agents()
    while agents[0].step() != Action.COMMITTED:
        agents[1].step()
    agents[0].close()
    learner = RemoteLearner(unused_address, RemoteConfig(patience=0))
    agents[0] = w.agent(0, learner=learner)
    w.drive(agents)
    assert [r.outcome for r in w.rounds()] == [ACCEPTED, ACCEPTED, NONE]
    assert find_observations_of_agent_0(w, Action.REVEALED)


class CannotContribute(TowardsTarget):
    """A learner without records to vote on, and with a spent privacy budget."""

    def mli_propose_weights(self) -> Weights:
        budget = DiffPrivBudget(1.0, 1e-5, 1.0, 1e-5)
        return Weights([np.ones(3)], TrainingSummary(budget, ErrorCodes.DP_BUDGET_EXCEEDED))

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        raise ZeroDivisionError("no vote records")


def test_agent_reports_the_reasons_of_its_remote_learner(world: Any):
    w: World = world([CannotContribute(4), TowardsTarget(5)], rounds=2)
    with serve_learner(w.learners[0]) as address, connect_learner(address) as learner:
        w.drive([w.agent(0, learner=learner), w.agent(1)])
    assert [r.outcome for r in w.rounds()] == [NONE, REJECTED]
    [declined], [ballot] = (
        find_observations_of_agent_0(w, Action.DECLINED),
        find_observations_of_agent_0(w, Action.VOTED),
    )
    assert declined.reason == "the learner's privacy budget allows no more training"
    assert "LearnerFailed: ZeroDivisionError: no vote records" in ballot.reason


def test_remote_learner_with_another_model_is_refused_before_it_joins(world: Any):
    other = TowardsTarget(4)
    other.weights = [np.zeros(4)]
    w: World = world([other, TowardsTarget(5)])
    with (
        serve_learner(other) as address,
        connect_learner(address) as learner,
        w.agent(0, learner=learner) as agent,
        pytest.raises(LearnerDoesNotFit, match=r"'0' is F64 \[4\], the schema requires F64 \[3\]"),
    ):
        agent.step()
    assert w.ledger.experiment(w.experiment).joined_learners == 0
