"""Two agents with one key: the one that is overtaken says so within a round, and ends unpaid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colearn_learner.agent.folder import AgentFolder, TrainedProposal
from colearn_learner.agent.key_watch import AgentRuns, KeyUsedElsewhere, KeyWatch, lock_part
from colearn_learner.agent.loop import Action, Agent
from colearn_learner.interface import ProposedWeights, Weights
from colearn_ledger.chains.errors import KeyInUse
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Duty, Outcome, Scores
from tests.support.toyworld import TowardsTarget, World


class Overtaken(TowardsTarget):
    """A learner whose key's other agent acts while this one trains or tests."""

    def __init__(self, other: Agent, *, training: bool) -> None:
        super().__init__(4)
        self._other, self._training = other, training

    def mli_propose_weights(self) -> Weights:
        if self._training:
            self._act()
        return super().mli_propose_weights()

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        if not self._training:
            self._act()
        return super().mli_test_weights(weights)

    def _act(self) -> None:
        for _ in range(3):  # it may have to adopt weights first
            if self._other.step() in (Action.PROPOSED, Action.VOTED, Action.COMMITTED):
                return


def drive_all(w: World, agents: list[Agent], twin: Agent) -> list[str]:
    """Step agents in turn until the experiment ends; return why the twin ended, if it did."""
    errors: list[str] = []
    for _ in range(500):
        actions = []
        for agent in [agent for agent in agents if agent is not twin or not errors]:
            try:
                actions.append(agent.step())
            except KeyUsedElsewhere as error:
                assert agent is twin
                errors.append(str(error))
        if all(action == Action.DONE for action in actions):
            return errors
        if all(action in (Action.WAITED, Action.DONE) for action in actions):
            w.seconds += 10
    raise TimeoutError("the experiment did not end")


def join_all(w: World) -> list[Agent]:
    agents = w.agents()
    assert [agent.step() for agent in agents] == [Action.JOINED] * 3
    return agents


def make_world(world: Callable[..., World], **terms: Any) -> World:
    return world([TowardsTarget(5), TowardsTarget(4), TowardsTarget(6)], rounds=3, **terms)


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_agent_whose_ballot_another_one_casts_ends(any_world, tmp_path: Path, reveal_window):
    w = make_world(any_world, reveal_window=reveal_window)
    agents = join_all(w)
    with w.agent(1, folder=tmp_path / "twin", learner=Overtaken(agents[1], training=False)) as twin:
        [error] = drive_all(w, [agents[0], twin, *agents[1:]], twin)
    what = "secret ballot was committed" if reveal_window else "ballot was cast"
    assert f"a {what} in round 0" in error
    assert w.wallets[1].address in error
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 3


def test_agent_whose_proposal_another_one_makes_ends(any_world, tmp_path: Path):
    w = make_world(any_world)
    agents = join_all(w)
    with w.agent(0, folder=tmp_path / "twin", learner=Overtaken(agents[0], training=True)) as twin:
        seen = list(w.seen)
        while twin.step() != Action.ADOPTED:
            [agent.step() for agent in agents]
        with pytest.raises(KeyUsedElsewhere, match="weights were proposed in round 0"):
            [twin.step() for _ in range(3)]
    assert not [o for o in w.seen[len(seen) :] if o.action == Action.DECLINED]


def test_own_proposal_that_is_sent_again_after_a_reorganisation_is_no_other_agents(
    world, tmp_path: Path
):
    """The agent had proposed, and dropped the proposal when the weights before it changed."""
    w = make_world(world)
    agents = join_all(w)
    view = w.views[0]
    with AgentFolder(tmp_path / "restored", "alice") as folder:
        watch = KeyWatch(view, w.experiment, folder)
        content = w.ledger.experiment(w.experiment).params.initial
        folder.record_trained(TrainedProposal(0, content, Scores(0.5, None), None))
        folder.record_dropped(0)
        agenda = view.agenda(w.experiment, view.account)
        assert agenda.duty == Duty.PROPOSE
        watch.check(agenda)
        while agents[0].step() != Action.PROPOSED:  # what is sent again counts as its own
            pass
        watch.check(view.agenda(w.experiment, view.account))


def test_agent_that_never_comes_first_ends_after_a_round(any_world, tmp_path: Path):
    w = make_world(any_world)
    agents = join_all(w)
    with w.agent(1, folder=tmp_path / "twin") as twin:
        [error] = drive_all(w, [*agents, twin], twin)
    assert "a ballot was cast in round 0" in error


def test_agent_that_waits_for_the_other_ones_transaction_ends_after_it(world, tmp_path: Path):
    w = make_world(world)
    agents = join_all(w)

    class Waiting:
        def __init__(self, target: Any) -> None:
            self._target = target

        def __getattr__(self, name: str) -> Any:
            return getattr(self._target, name)

        def vote(self, *args: Any) -> Any:
            raise KeyInUse(self._target.account, "nonce", 1)

    with w.agent(1, ledger=Waiting(w.views[1]), folder=tmp_path / "twin") as twin:
        agents[0].step()
        agents[0].step()
        assert twin.step() == Action.ADOPTED
        with pytest.raises(KeyInUse):
            twin.step()
        for _ in range(2):
            agents[1].step()
        with pytest.raises(KeyUsedElsewhere, match="a ballot was cast in round 0"):
            twin.step()


def test_restarted_agent_takes_its_own_ballot_for_its_own(world):
    """It was killed after it had sent the ballot, before it knew of it."""
    w = make_world(world)
    agents = w.agents()

    class Lossy:
        def __init__(self, target: Any) -> None:
            self._target = target

        def __getattr__(self, name: str) -> Any:
            return getattr(self._target, name)

        def vote(self, *args: Any) -> Any:
            self._target.vote(*args)
            raise LedgerUnavailable("the answer is lost")

    agents[1].close()
    dying = w.agent(1, ledger=Lossy(w.views[1]))
    with dying, pytest.raises(LedgerUnavailable):
        w.drive([agents[0], agents[2], dying])
    agents[1] = w.agent(1)
    w.drive(agents)
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 3


def test_agent_with_a_new_folder_continues_after_its_own_ballot(world, tmp_path: Path):
    """A lost folder does not end an agent: the ballot is from before it started."""
    w = make_world(world)
    agents = join_all(w)
    while not any(o.action == Action.VOTED and o.account == agents[1]._name for o in w.seen):
        [agent.step() for agent in agents[:2]]
    agents[1].close()
    agents[1] = w.agent(1, folder=tmp_path / "new")
    w.drive(agents)
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 3


def test_second_agent_of_a_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path))
    refused = pytest.raises(AgentRuns, match="on this machine")
    with lock_part("1-ann", "ann"), lock_part("2-ann", "ann"), refused, lock_part("1-ann", "ann"):
        pass
    with lock_part("1-ann", "ann"):
        pass
