"""When a waiting agent acts again: after a change of the ledger, or at a time that matters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from colearn_learner.agent import context, schedule
from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action
from colearn_learner.agent.schedule import StepSchedule
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.store import ContentUnavailable
from tests.support.toyworld import TowardsTarget, World
from tests.support.waiting import Clock

DAY = 86_400


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the agents' clock, which then only moves while they wait."""
    clock = Clock()
    for module in (schedule, context):
        monkeypatch.setattr(module, "time", clock)
    return clock


class WatchedLedger:
    """A ledger whose waits take no time, and which counts the agendas that an agent reads.

    The clocks move by the seconds of each wait.
    """

    def __init__(self, w: World, index: int, clock: Clock) -> None:
        self._ledger = w.views[index]
        self._w, self._clock = w, clock
        self.agendas = 0
        self.ends = 0.0
        self.stop = threading.Event()
        self.at_wait: Callable[[], Any] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def agenda(self, *arguments: Any) -> Any:
        self.agendas += 1
        return self._ledger.agenda(*arguments)

    def wait_for_change(self, timeout: float) -> bool:
        if timeout > 0:
            self._clock.sleep(timeout)
            self._w.seconds += timeout
            self.at_wait()
        if self._clock.time() >= self.ends:
            self.stop.set()
        return self._ledger.wait_for_change(0)

    def run(self, agent: Agent, seconds: float) -> int:
        """Run an agent for some seconds, and return the number of agendas that it read."""
        self.stop.clear()
        before, self.ends = self.agendas, self._clock.time() + seconds
        agent.run(self.stop)
        return self.agendas - before


def make_waiting_agent(
    world: Any, clock: Clock, index: int = 1, **config: Any
) -> tuple[World, WatchedLedger, Agent]:
    """Return a world in which learner 0 could propose, and an agent of another one."""
    w: World = world(
        [TowardsTarget(4), TowardsTarget(5), TowardsTarget(6)],
        propose_window=DAY,
        vote_window=DAY,
    )
    w.seconds = 1_000_000.0
    agents = w.agents()
    for agent in agents:
        assert agent.step() == Action.JOINED
        agent.close()
    ledger = WatchedLedger(w, index, clock)
    agent = w.agent(index, ledger=ledger, poll=1.0, **config)
    ledger.run(agent, 5)
    assert w.rounds()[0].index == 0
    return w, ledger, agent


def propose(w: World) -> None:
    """Let learner 0 propose."""
    with w.agent(0) as proposer:
        while proposer.step() != Action.PROPOSED:
            pass


def test_agent_reads_nothing_while_the_ledger_is_the_same(world, clock: Clock):
    _, ledger, agent = make_waiting_agent(world, clock)
    assert ledger.run(agent, 50) == 1


def test_agent_reads_once_after_each_change(world, clock: Clock):
    w, ledger, agent = make_waiting_agent(world, clock)
    waits = 0

    def announce() -> None:
        nonlocal waits
        waits += 1
        if waits % 10 == 0:
            w.views[0].announce(
                w.experiment, "topic", w.ledger.experiment(w.experiment).params.spec
            )

    ledger.at_wait = announce
    assert ledger.run(agent, 55) == 1 + 5


def test_agenda_is_not_read_again_after_adopting_weights(world, clock: Clock):
    _, ledger, agent = make_waiting_agent(world, clock)
    assert agent._adopter.base is not None
    assert ledger.agendas == 1


def test_agent_reads_its_own_change_once(world, clock: Clock):
    w, ledger, agent = make_waiting_agent(world, clock)
    propose(w)
    assert ledger.run(agent, 30) == 2  # it votes, and reads the state with its ballot
    assert w.rounds()[0].ballots == 1


def test_unchanged_head_silences_the_agent_for_a_minute_only(world, clock: Clock):
    _, ledger, agent = make_waiting_agent(world, clock)
    assert ledger.run(agent, 600) == 10


def test_deadline_on_the_ledger_wakes_the_agent_once(world, clock: Clock):
    w, ledger, agent = make_waiting_agent(world, clock, index=2, stagger=1e9)
    deadline = w.rounds()[0].deadline
    w.seconds = float(deadline - 10)
    assert ledger.run(agent, 9) == 1
    assert ledger.run(agent, 30) == 2
    assert w.rounds()[0].closed_at is None


def test_learner_advances_when_its_turn_has_come(world, clock: Clock):
    w, ledger, agent = make_waiting_agent(world, clock, index=2, stagger=7.5)
    w.seconds = float(w.rounds()[0].deadline)
    ledger.run(agent, 14)
    assert w.rounds()[0].closed_at is None
    ledger.run(agent, 2)
    assert w.rounds()[0].closed_at is not None


class EmptyStore:
    """A store that counts attempts to fetch from it, and delivers nothing."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.attempts = 0
        self.is_empty = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get(self, content: ContentRef, **how: Any) -> Any:
        if self.is_empty:
            self.attempts += 1
            raise ContentUnavailable("no peer has it")
        return self._store.get(content, **how)


def test_proposal_that_cannot_be_fetched_is_tried_again_until_half_of_the_window(
    world, clock: Clock
):
    w, ledger, agent = make_waiting_agent(world, clock)
    agent._context.store = store = EmptyStore(agent._context.store)
    propose(w)
    store.is_empty = True
    ledger.run(agent, 40)
    assert 5 < store.attempts < 15  # after 1, 2, 4, and then each 8 s, less a random part
    w.seconds = (w.rounds()[0].voting_started_at + w.rounds()[0].deadline) / 2 - 3
    ledger.run(agent, 2)
    assert w.rounds()[0].ballots == 0
    ledger.run(agent, 2)
    assert w.rounds()[0].ballots == 1


class TestRetries:
    def test_pause_grows_with_each_retry_and_not_beyond_its_limit(self, clock: Clock):
        one = StepSchedule(1.0)
        pauses = []
        for _ in range(6):
            one.retry()
            pauses.append(one._retry_at - clock.time())
            one._retry_at = float("inf")
        assert all(2**n / 2 <= pause <= 2**n for n, pause in enumerate(pauses[:4]))
        assert max(pauses) <= 8.0
        one.retry(0.25)
        assert one._retry_at - clock.time() == 0.25

    def test_completed_step_starts_with_the_shortest_pause_again(self, world, clock: Clock):
        _, ledger, agent = make_waiting_agent(world, clock)
        one, agenda = agent._context.schedule, agent._agenda
        for _ in range(5):
            one.retry()
        ledger.ends = clock.time() + DAY
        for _ in range(2):
            one.wait(ledger, agenda, ledger.stop)
        one.retry()
        assert one._retry_at - clock.time() <= 1.0
