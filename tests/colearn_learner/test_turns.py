"""Agents of several learners run in one process, on fewer threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from colearn_learner import Weights
from colearn_learner.agent.turns import run_in_turns
from colearn_ledger.protocol import Status
from tests.support.toyworld import TowardsTarget, World

LONG = 60.0  # seconds; reached only if the test fails


class Meets(TowardsTarget):
    """A learner whose training waits until others train, too."""

    def __init__(self, target: float, training: threading.Barrier) -> None:
        super().__init__(target)
        self._training = training

    def mli_propose_weights(self) -> Weights:
        self._training.wait(LONG)
        return super().mli_propose_weights()


class CountsTraining(TowardsTarget):
    """A learner that records how many others train at the same time."""

    at_work: set[int]
    most = 0

    def mli_propose_weights(self) -> Weights:
        CountsTraining.at_work.add(id(self))
        CountsTraining.most = max(CountsTraining.most, len(CountsTraining.at_work))
        proposal = super().mli_propose_weights()
        CountsTraining.at_work.remove(id(self))
        return proposal


def test_as_many_learners_train_at_the_same_time_as_there_are_threads(tmp_path: Path):
    together = threading.Barrier(2)
    run_world(tmp_path, [Meets(1.0, together) for _ in range(4)], 2, rounds=2, proposers=4)


def run_world(folder: Path, learners: Sequence[TowardsTarget], threads: int, **terms: int) -> World:
    """Run an experiment whose learners joined in their order."""
    world = World(folder, list(learners), terms)
    agents = world.agents()
    for agent in agents:
        agent.step()
    run_in_turns(agents, threads=threads)
    assert world.ledger.experiment(world.experiment).status == Status.COMPLETED
    return world


@pytest.mark.parametrize("threads", [3, 50])
def test_number_of_threads_does_not_change_the_weights(tmp_path: Path, threads: int):
    found = set()
    for number in (1, threads):
        learners = [TowardsTarget(target) for target in (1, 2, 9)]
        run_world(tmp_path / str(number), learners, number, rounds=4, proposers=2)
        found |= {learner.weights[0].tobytes() for learner in learners}
    assert len(found) == 1


def test_one_thread_lets_learners_train_one_after_another(tmp_path: Path):
    CountsTraining.at_work, CountsTraining.most = set(), 0
    learners = [CountsTraining(n) for n in (1.0, 2.0, 3.0)]
    run_world(tmp_path, learners, 1, rounds=2, proposers=3)
    assert CountsTraining.most == 1


def test_failing_agent_stops_the_others(tmp_path: Path):
    world = World(tmp_path, [TowardsTarget(n) for n in (1, 2, 3)], {"rounds": 1_000_000})
    agents, seen = world.agents(), []

    def fail(observation: object) -> None:
        seen.append(observation)
        if len(seen) > 20:
            raise ZeroDivisionError("the listener broke")

    agents[1].on_observation(fail)
    with pytest.raises(ZeroDivisionError, match="the listener broke"):
        run_in_turns(agents, threads=2)
    assert not world.ledger.experiment(world.experiment).status.is_over


def test_stop_signal_ends_the_run_before_the_experiment(tmp_path: Path):
    world = World(tmp_path, [TowardsTarget(n) for n in (1, 2)], {"rounds": 1_000_000})
    agents, stop = world.agents(), threading.Event()
    agents[0].on_observation(lambda observation: stop.set() if observation.round == 3 else None)
    run_in_turns(agents, stop, threads=2)
    assert 3 <= world.ledger.experiment(world.experiment).round < 1_000_000
