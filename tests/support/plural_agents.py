"""Helpers for tests of agents in rounds with several proposers."""

from __future__ import annotations

from typing import Any

import numpy as np

from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action
from colearn_ledger.protocol import ContentRef, Phase, Scores, Vote, VoteCast
from colearn_ledger.weights.codec import encode_weights
from colearn_ledger.weights.store import ContentUnavailable
from tests.support.toyworld import TowardsTarget, World


def make_learners(*numbers: float) -> list[TowardsTarget]:
    return [TowardsTarget(number) for number in numbers]


def step_all(w: World, agents: list[Agent], phase: Phase, index: int = 0) -> None:
    """Step the agents in turn until a round has reached a phase."""
    for _ in range(100):
        for agent in agents:
            rounds = w.rounds()
            if len(rounds) > index and rounds[index].phase == phase:
                return
            agent.step()
    raise TimeoutError(f"round {index} did not reach {phase}")


def step_until(agent: Agent, *actions: Action) -> Action:
    for _ in range(100):
        if (action := agent.step()) in actions:
            return action
    raise TimeoutError(f"the agent did not do {actions}")


def find_votes(w: World) -> dict[str, Vote]:
    events = [recorded.event for recorded in w.ledger.events(w.experiment)]
    return {e.learner: e.vote for e in events if isinstance(e, VoteCast) and e.round == 0}


def make_file(w: World, numbers: Any, **how: Any) -> ContentRef:
    """Store weights trained from the initial ones, as any agent would have."""
    initial = w.ledger.experiment(w.experiment).params.initial
    base = None if initial is None else initial.sha256
    data = encode_weights([np.asarray(numbers, float)], **{"base": base, **how})
    return w.store(0).put([data])


class LossyStore:
    """A store without some files."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self.lost: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def get(self, content: ContentRef, **how: Any) -> Any:
        if content.cid in self.lost:
            raise ContentUnavailable("no peer has it")
        return self._target.get(content, **how)


def propose_by_hand(w: World, *files: ContentRef, **config: Any) -> Agent:
    """Join everybody, propose files as the first learners, and return the last learner's agent."""
    agents = w.agents(**config)
    for agent in agents:
        step_until(agent, Action.JOINED)
    for agent in agents[:-1]:
        agent.close()
    for view, content in zip(w.views, files, strict=False):
        view.propose(w.experiment, 0, content, Scores()).wait()
    assert w.rounds()[0].phase == Phase.VOTING
    return agents[-1]
