"""Errors that an agent survives, and errors that stop it."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Iterable
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_learner.agent import weights_cache
from colearn_learner.agent.errors import AgentStopped, FolderNotWritable
from colearn_learner.agent.fit import LearnerDoesNotFit
from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action
from colearn_ledger import home
from colearn_ledger.chains.evm import (
    BadAnswer,
    EmptyWallet,
    GasTooHigh,
    NodeRefused,
    TransactionFailed,
    WrongChain,
    WrongContract,
)
from colearn_ledger.home import HomeNotWritable
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account, ExperimentId, Outcome, Status, UnknownExperiment
from colearn_ledger.weights.store import ContentMismatch, ContentNotStored, ContentUnavailable
from tests.support.toyworld import TowardsTarget, World
from tests.support.waiting import LIMIT

QUICK = {"max_backoff": 0.0, "poll": 0.01}

PERMANENT = [
    EmptyWallet(Account("0x" + "ab" * 20), 5, 1_000),
    GasTooHigh("this transaction needs 9 gas and the ceiling is 8; raise gas_ceiling"),
]
TRANSIENT = [
    WrongChain("the node is on chain 1, not on chain 5"),
    WrongContract("there is no contract at 0x12; check the address"),
    UnknownExperiment(7),  # the agent has read it before
    LedgerUnavailable("the node does not answer"),
    NodeRefused("the node has no such header yet"),
    BadAnswer("the node answered with nonsense"),
    ContentUnavailable("not in this store"),
    ContentMismatch("other bytes came"),
    ContentNotStored("could not write a file: No space left on device"),
    HomeNotWritable("the journal cannot be used: No space left on device"),
    FolderNotWritable(Path("weights"), OSError(errno.ENOSPC, "No space left on device")),
]


def get_type_name(error: Exception) -> str:
    return type(error).__name__


class TooManyCalls(BaseException):
    """An error that ends a test in which a call is retried endlessly."""


class FailingProxy:
    """A proxy whose method raises the given errors, one in each call, before it works."""

    def __init__(self, target: Any, method: str, errors: Iterable[Exception]) -> None:
        self._target, self._method, self._errors = target, method, iter(errors)
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if name != self._method:
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls > 300:
                raise TooManyCalls
            for error in self._errors:
                raise error
            return value(*args, **kwargs)

        return call


def run_together(*agents: Agent) -> None:
    """Run agents to the end of the experiment; an error of one agent stops all and is raised."""
    stop, errors = threading.Event(), []

    def run(agent: Agent) -> None:
        try:
            agent.run(stop)
        except BaseException as error:
            errors.append(error)
            stop.set()

    threads = [threading.Thread(target=run, args=(agent,)) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def make_world_before_proposal(world: Any) -> World:
    """Return a world in which both learners have joined and adopted; learner 0 proposes next."""
    w: World = world([TowardsTarget(4), TowardsTarget(5)], rounds=2)
    agents = w.agents()
    for _ in range(2):
        for agent in agents:
            assert agent.step() in (Action.JOINED, Action.ADOPTED)
    for agent in agents:
        agent.close()
    return w


@pytest.mark.parametrize("error", PERMANENT, ids=get_type_name)
def test_permanent_error_stops_the_agent_until_it_is_fixed(world, error):
    w = make_world_before_proposal(world)
    broken = FailingProxy(w.views[0], "propose", repeat(error))
    with w.agent(0, ledger=broken, **QUICK) as agent, pytest.raises(AgentStopped) as stopped:
        agent.run()
    assert broken.calls == 1
    assert stopped.value.cause is error
    for part in (str(error), w.wallets[0].address, str(w.folder / "agent-0"), "start the agent"):
        assert part in str(stopped.value)
    [trained] = [line for line in w.journal(0) if line["kind"] == "trained"]

    run_together(w.agent(0, **QUICK), w.agent(1, **QUICK))  # the cause is fixed
    first = w.rounds()[0]
    assert (first.contents[0].cid, first.outcome) == (trained["content"][0], Outcome.ACCEPTED)
    assert w.learners[0].trainings == 1
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED


def test_agent_continues_once_its_empty_wallet_is_funded(tmp_path):
    w = World(tmp_path, [TowardsTarget(4), TowardsTarget(5)], {"rounds": 2}, kind="evm")
    w.wallets[1] = poor = Wallet.from_key(b"poor" * 8)
    w.views[1] = w.ledger.acting_for(poor)
    seen = FailingProxy(w.views[1], "join", [])
    agent = w.agent(1, ledger=seen, **QUICK)
    with agent, pytest.raises(AgentStopped, match="send it some"):
        agent.run()
    assert seen.calls == 1
    w.chain.fund(poor)
    run_together(w.agent(0, **QUICK), w.agent(1, **QUICK))
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED


def test_unknown_experiment_stops_the_agent(world):
    w = world([TowardsTarget(4), TowardsTarget(5)])
    w.experiment = ExperimentId(99)
    with w.agent(0) as agent, pytest.raises(AgentStopped, match="no experiment has this id"):
        agent.run()


@pytest.mark.parametrize("error", TRANSIENT, ids=get_type_name)
def test_transient_error_is_retried_until_it_passes(world, error):
    w = make_world_before_proposal(world)
    run_together(
        w.agent(0, ledger=FailingProxy(w.views[0], "propose", repeat(error, 50)), **QUICK),
        w.agent(1, **QUICK),
    )
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 2
    assert w.learners[0].trainings == 1


class FullDisk:
    """A disk that is full for the first seven attempts to write a line or a file.

    The first half of a line still fits.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused: Counter[object] = Counter()
        self._write, self._write_file = os.write, weights_cache.write_atomically
        monkeypatch.setattr(home, "os", self)
        monkeypatch.setattr(weights_cache, "write_atomically", self.write_file)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, file: int, data: bytes) -> int:
        if data.startswith(b"{"):
            return self._write(file, data if self.has_room(data) else data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write_file(self, path: Path, data: bytes) -> None:
        if not self.has_room(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._write_file(path, data)

    def has_room(self, what: object) -> bool:
        self.refused[what] += 1
        return self.refused[what] > 7


@pytest.mark.parametrize("proposers", [1, 2])
def test_full_disk_delays_the_agent_and_tears_no_line(
    world, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, proposers: int
):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=2, proposers=proposers)
    agents = w.agents(**QUICK)
    disk = FullDisk(monkeypatch)
    run_together(*agents)
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 2
    assert [learner.trainings for learner in w.learners] == [proposers] * 2
    assert [len(w.journal(i)) for i in range(2)] == [
        len(set(map(str, w.journal(i)))) for i in range(2)
    ]
    assert len(disk.refused) > 20
    assert "No space left on device; free disk space" in caplog.text


@pytest.mark.parametrize("method", ["agenda", "wait_for_change"])
def test_failing_query_is_retried(world, method: str):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=2)
    down = LedgerUnavailable("the node does not answer")
    run_together(
        w.agent(0, ledger=FailingProxy(w.views[0], method, repeat(down, 5)), **QUICK),
        w.agent(1, **QUICK),
    )
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (TransactionFailed("it used all of its gas"), 6),
        (NodeRefused("invalid chain id for signer"), 121),
    ],
    ids=get_type_name,
)
def test_persistent_error_stops_the_agent_after_its_retries(world, error, tries: int):
    w = make_world_before_proposal(world)
    broken = FailingProxy(w.views[0], "propose", repeat(error))
    with w.agent(0, ledger=broken, **QUICK) as agent, pytest.raises(AgentStopped):
        agent.run()
    assert broken.calls == tries


def test_outage_does_not_use_up_the_retries_of_another_error(world):
    w = make_world_before_proposal(world)
    outage = [LedgerUnavailable("the node does not answer")] * 50
    failed = [TransactionFailed("it used all of its gas")] * 3
    broken = FailingProxy(w.views[0], "propose", [*outage, *failed])
    run_together(w.agent(0, ledger=broken, **QUICK), w.agent(1, **QUICK))
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED


class TestMismatchedLearner:
    def test_is_refused_after_a_restart_too_and_when_the_experiment_is_over(self, tmp_path):
        w = World(tmp_path, [TowardsTarget(1.0), TowardsTarget(1.1)], {"rounds": 1})
        agents = w.agents()
        w.drive(agents)
        agents[0].close()
        unfit = TowardsTarget(1.0)
        unfit.weights = [np.zeros(4)]
        with w.agent(0, learner=unfit) as again, pytest.raises(LearnerDoesNotFit):
            again.run()

    def test_never_joins(self, tmp_path):
        class LearnerOfFourWeights(TowardsTarget):
            def __init__(self) -> None:
                super().__init__(1.0)
                self.weights = [np.zeros(4)]

        world = World(tmp_path, [TowardsTarget(1.0), TowardsTarget(1.0), LearnerOfFourWeights()])
        stranger = world.agent(2)
        with pytest.raises(LearnerDoesNotFit, match=r"\(4,\).*\(3,\)|\[4\].*\[3\]"):
            stranger.run()
        assert world.ledger.learners(world.experiment) == []


class RecordedPauses(threading.Event):
    """A stop signal that records how long an agent pauses instead of pausing."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self._wanted = wanted
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.pauses.append(timeout)
        if len(self.pauses) == self._wanted:
            self.set()
        return self.is_set()


def test_agents_do_not_retry_in_lockstep(world):
    w = make_world_before_proposal(world)
    recorded = []
    for agent in w.agents():
        agent._ledger = FailingProxy(agent._ledger, "agenda", [TRANSIENT[0]] * 9)
        stop = RecordedPauses(9)
        agent.run(stop)
        recorded.append(stop.pauses)
    assert all(0.1 * 2**n <= pause <= 0.2 * 2**n for n, pause in enumerate(recorded[0][:7]))
    assert max(recorded[0]) <= 30.0
    assert recorded[0] != recorded[1]
