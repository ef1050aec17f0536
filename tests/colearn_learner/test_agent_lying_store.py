"""A store that delivers wrong bytes says nothing about the weights, and is asked again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from colearn_learner.agent.errors import max_retries
from colearn_learner.agent.observation import Action
from colearn_ledger.protocol import ContentRef, Outcome
from colearn_ledger.weights.store import ContentUnavailable
from colearn_ledger.weights.unixfs import verified
from tests.support.toyworld import TowardsTarget, World

HOUR = 3_600.0
GARBAGE: dict[str, Callable[[ContentRef], Iterator[bytes]]] = {
    "other bytes": lambda content: iter([bytes(content.size)]),
    "more bytes": lambda content: (bytes(1_000) for _ in range(content.size)),
    "fewer bytes": lambda content: iter([b"<html>"]),
}


class LyingStore:
    """A store that delivers garbage instead of some files until a moment."""

    def __init__(self, target: Any, lies: Callable[[ContentRef], bool], kind: str) -> None:
        self._target, self._lies, self._kind = target, lies, kind
        self.lies = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    @contextmanager
    def get(self, content: ContentRef, **how: Any) -> Iterator[Iterator[bytes]]:
        if self._lies(content):
            self.lies += 1
            yield verified(GARBAGE[self._kind](content), content)
            return
        with self._target.get(content, **how) as pieces:
            yield pieces


@pytest.fixture(params=sorted(GARBAGE))
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def step(agent: Any) -> Action:
    """Step an agent; what it could not fetch, it must be ready to fetch again at any time."""
    try:
        return agent.step()
    except ContentUnavailable as error:
        if max_retries(error) < math.inf:
            raise
        return Action.WAITED


def drive(w: World, agents: list[Any], seconds: float) -> None:
    """Step the agents in turn; a turn takes some seconds of injected time."""
    for _ in range(500):
        actions = [step(agent) for agent in agents]
        if set(actions) == {Action.DONE}:
            return
        w.seconds += seconds
    raise TimeoutError("the experiment did not end")


def test_voter_asks_again_and_approves(world, kind: str):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=2)
    params = w.ledger.experiment(w.experiment).params
    lying = LyingStore(
        w.store(1),
        lambda content: content not in (params.spec, params.initial) and lying.lies < 3,
        kind,
    )
    drive(w, [w.agent(0), w.agent(1, store=lying)], 1.0)
    assert lying.lies == 3
    assert [round_.outcome for round_ in w.rounds()] == [Outcome.ACCEPTED] * 2
    assert w.learners[1].weights[0].tolist() == w.learners[0].weights[0].tolist()


def test_hour_of_lies_costs_the_rounds_of_that_hour_only(world, kind: str, caplog):
    windows = {"propose_window": 600, "vote_window": 600}
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=9, **windows)
    end = w.seconds + HOUR
    specification = w.ledger.experiment(w.experiment).params.spec

    def lies(content: ContentRef) -> bool:
        return w.seconds < end and content != specification

    agents = [w.agent(i, store=LyingStore(w.store(i), lies, kind)) for i in range(2)]
    drive(w, agents, 60.0)
    later = [round_.outcome for round_ in w.rounds() if round_.started_at >= end]
    assert later == [Outcome.ACCEPTED] * len(later)
    assert len(later) >= 3
    assert "not usable" not in caplog.text
    assert w.learners[1].weights[0].tolist() == w.learners[0].weights[0].tolist()


def test_lies_about_the_specification_do_not_stop_an_agent(world, kind: str):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    specification = w.ledger.experiment(w.experiment).params.spec
    lying = LyingStore(
        w.store(1), lambda content: content == specification and lying.lies < 3, kind
    )
    drive(w, [w.agent(0), w.agent(1, store=lying)], 1.0)
    assert lying.lies == 3
    assert [round_.outcome for round_ in w.rounds()] == [Outcome.ACCEPTED]
