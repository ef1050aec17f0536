"""A store that needs long for a file: an agent waits as long as the voting window allows."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from colearn_learner.agent.observation import Action
from colearn_ledger.protocol import ContentRef, Outcome
from colearn_ledger.weights.store import ContentUnavailable
from tests.support.toyworld import TowardsTarget


class SlowStore:
    """A store that needs some seconds for each file, and fails if its caller does not wait."""

    def __init__(self, target: Any, seconds: float) -> None:
        self._target, self._seconds = target, seconds
        self.timeouts: list[float | None] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def get(self, content: ContentRef, *, timeout: float | None = None, **how: Any) -> Any:
        self.timeouts.append(timeout)
        if timeout is not None and timeout < self._seconds:
            raise ContentUnavailable(f"did not deliver within {timeout:g} s")
        return self._target.get(content, timeout=timeout, **how)


def test_file_may_take_half_of_the_voting_window(world):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=2, vote_window=100)
    store = SlowStore(w.store(1), 45.0)
    w.drive([w.agent(0), w.agent(1, store=store)])
    assert [round_.outcome for round_ in w.rounds()] == [Outcome.ACCEPTED] * 2
    assert 50.0 in store.timeouts


def test_file_that_takes_longer_is_not_approved(world):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1, vote_window=100)
    w.drive([w.agent(0), w.agent(1, store=SlowStore(w.store(1), 55.0))])
    assert [round_.outcome for round_ in w.rounds()] == [Outcome.REJECTED]


def test_agent_that_has_to_stop_does_not_fetch_to_the_end(world):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    stop = threading.Event()

    class Endless(SlowStore):
        @contextmanager
        def get(self, content: ContentRef, **how: Any) -> Iterator[Iterator[bytes]]:
            if content != specification:
                stop.set()
                yield itertools.repeat(b"0")
                return
            with super().get(content, **how) as pieces:
                yield pieces

    specification = w.ledger.experiment(w.experiment).params.spec
    agents = [w.agent(0), w.agent(1, store=Endless(w.store(1), 0.0))]
    assert [agent.step() for agent in agents] == [Action.JOINED] * 2
    agents[1].run(stop)
    assert stop.is_set()
    assert not list((w.folder / "agent-1" / "weights").rglob("*.safetensors"))
