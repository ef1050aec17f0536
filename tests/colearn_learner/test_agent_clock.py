"""Agents meet the ledger's deadlines even on a machine whose clock is wrong."""

from __future__ import annotations

import time
from typing import Any

import pytest

from colearn_learner.agent import context
from colearn_learner.agent.observation import Action
from colearn_ledger.protocol import ContentRef, Outcome, Status
from colearn_ledger.weights.store import ContentUnavailable
from tests.support.toyworld import TowardsTarget, World
from tests.support.waiting import Clock

HOUR = 3_600


@pytest.fixture(params=[-HOUR, HOUR], ids=["behind", "ahead"])
def wrong_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Set this machine's clock an hour off, and return the true time."""
    real, skew = time.time, request.param
    monkeypatch.setattr(time, "time", lambda: real() + skew)
    return real()


class StoreWithoutProposals:
    """A store without the files that were added after its creation."""

    def __init__(self, w: World) -> None:
        self._store = w.store(1)
        self._initial = {path.name for path in (w.folder / "store" / "files").glob("*/*")}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get(self, content: ContentRef, **how: Any) -> Any:
        if content.cid not in self._initial:
            raise ContentUnavailable("no peer has it")
        return self._store.get(content, **how)


def test_missing_proposal_is_rejected_at_half_of_the_ledgers_window(any_world, wrong_clock):
    w = any_world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    w.seconds = wrong_clock
    agents = [w.agent(0), w.agent(1, store=StoreWithoutProposals(w))]
    for _ in range(4):
        for agent in agents:
            agent.step()
    round_ = w.rounds()[0]
    assert round_.contents
    w.seconds = round_.deadline - 52
    assert agents[1].step() == Action.WAITED
    w.seconds = round_.deadline - 49
    assert agents[1].step() == Action.VOTED
    assert w.rounds()[0].outcome == Outcome.REJECTED
    assert not w.rounds()[0].by_deadline


def test_round_is_advanced_after_its_deadline_on_the_ledger(any_world, wrong_clock):
    w = any_world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    w.seconds = wrong_clock
    agents = w.agents()
    for _ in range(2):
        for agent in agents:
            assert agent.step() in (Action.JOINED, Action.ADOPTED)
    deadline = w.rounds()[0].deadline
    w.seconds = deadline - 2
    assert agents[1].step() == Action.WAITED
    w.seconds = deadline + 2
    assert agents[1].step() == Action.ADVANCED


def test_learners_advance_a_round_one_after_another(any_world, monkeypatch: pytest.MonkeyPatch):
    w = any_world([TowardsTarget(4), TowardsTarget(5), TowardsTarget(6)], rounds=2)
    clock = Clock()
    monkeypatch.setattr(context, "time", clock)
    first, second, third = agents = w.agents(stagger=2.0)
    for _ in range(2):
        for agent in agents:
            assert agent.step() in (Action.JOINED, Action.ADOPTED)

    w.seconds = w.rounds()[0].deadline + 2
    assert (third.step(), second.step()) == (Action.WAITED, Action.WAITED)
    clock.sleep(1.9)
    assert (third.step(), second.step()) == (Action.WAITED, Action.WAITED)
    clock.sleep(0.2)
    assert (third.step(), second.step()) == (Action.WAITED, Action.ADVANCED)
    clock.sleep(2.0)
    assert (third.step(), first.step()) == (Action.WAITED, Action.WAITED)  # already advanced

    w.seconds = w.rounds()[1].deadline + 2
    assert (third.step(), first.step()) == (Action.WAITED, Action.ADVANCED)


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_experiment_completes_with_a_wrong_local_clock(any_world, wrong_clock, reveal_window: int):
    w = any_world([TowardsTarget(4), TowardsTarget(5)], rounds=3, reveal_window=reveal_window)
    w.seconds = wrong_clock
    w.drive(w.agents())
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 3
    assert not any(r.by_deadline for r in w.rounds())
