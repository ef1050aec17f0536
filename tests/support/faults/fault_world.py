"""Common base of the worlds of real processes on all chains."""

from __future__ import annotations

import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from typing import Any, Generic, Self, TypeVar

import numpy as np

from colearn_ledger.protocol import ExperimentParams
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import ContentStore
from tests.support import ROOT
from tests.support.faults.agents import DEADLINE, RunningAgent, wait_for

_SCRIPT = ROOT / "tests" / "support" / "compute_current_weights.py"

AgentOnChain = TypeVar("AgentOnChain", bound=RunningAgent)


class FaultWorld(ABC, Generic[AgentOnChain]):
    """An experiment on a real chain, and the agents of its learners as processes.

    Subclasses set the attributes, start the nodes in `_begin`, and add operations of their chain.

    Attributes:
        names: the learners, in the order in which they join.
        agents: agents by learner name.
        reader: reader of the chain that uses none of the project's code.
    """

    names: Sequence[str]
    agents: dict[str, AgentOnChain]
    reader: Any
    _closing: ExitStack

    @abstractmethod
    def _begin(self, closing: ExitStack) -> None:
        """Start nodes and create the experiment; register their ends with ``closing``."""

    def __enter__(self) -> Self:
        with self._closing as closing:
            self._begin(closing)
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def start(self, *names: str) -> None:
        """Start these agents; all of them if none is given."""
        for name in names or self.names:
            self.agents[name].start()

    def make_twin(self, name: str, *, shares: str = "nothing") -> AgentOnChain:
        """Return another agent with a learner's key.

        Args:
            name: name of the learner.
            shares: ``nothing``, as on another machine; the first agent's ``home``; or its home and
                ``data``.
        """
        first = self.agents[name]
        twin = replace(
            first,
            name=f"{name}'s twin",
            folder=first.folder.with_name(f"{name}-twin"),
            process=None,
            home=None if shares == "nothing" else first.home,
            data_dir=first.data if shares == "data" else None,
            target=first.target + 0.001,  # equal transactions of both would be one transaction
        )
        self._closing.callback(twin.kill)
        return twin

    def wait_for(
        self, what: str, condition: Callable[[], Any], *, seconds: float = DEADLINE
    ) -> None:
        """Wait for a condition; fail as soon as an agent has failed."""

        def check_condition() -> bool:
            for agent in self.agents.values():
                agent.check()
            return bool(condition())

        wait_for(what, check_condition, seconds=seconds)

    def wait_round(self, index: int, *, seconds: float = DEADLINE) -> None:
        """Wait until this round has begun."""
        self.wait_for(f"round {index}", lambda: self.reader.round_index >= index, seconds=seconds)

    def wait_phase(self, index: int, phase: str) -> None:
        """Wait until a round is in this phase."""
        self.wait_for(
            f"round {index} is {phase}",
            lambda: self.reader.round_index >= index and self.reader.phase(index) == phase,
        )

    def wait_completed(self, names: Sequence[str], seconds: float) -> list[AgentOnChain]:
        """Wait until the experiment and these agents (default all) end well; return the agents."""
        running = [self.agents[name] for name in names or self.names]
        self.wait_for(
            "the experiment completes", lambda: self.reader.status == "completed", seconds=seconds
        )
        for agent in running:
            assert agent.wait_end() == 0, f"{agent.name}: {agent.lines()[-3:]}"
        self.check_weights(running)
        return running

    def check_twin(self, name: str, twin: AgentOnChain) -> list[AgentOnChain]:
        """Check that one of two agents with one key says so and ends; return all other agents.

        Args:
            name: name of the learner with the two agents.
            twin: its second agent.
        """
        wait_for("the experiment completes", lambda: self.reader.status == "completed")
        ends = {agent.wait_end(): agent for agent in (self.agents[name], twin)}
        assert sorted(ends) == [0, 3]
        message = ends[3].lines()[-1]["event"]
        assert "another agent uses the key" in message
        others = [agent for other, agent in self.agents.items() if other != name]
        assert [agent.wait_end() for agent in others] == [0] * len(others)
        self.check_weights([*others, ends[0]])
        return [*others, ends[0]]

    def check_weights(self, running: Sequence[RunningAgent]) -> None:
        """Check that agents and learners have the current weights."""
        current = self.find_current()
        learned = []
        for agent in running:
            assert agent.journal("adopted")[-1]["content"][1] == current, agent.name
            kept = agent.data / "weights" / f"{current}.safetensors"
            assert sha256(kept.read_bytes()).hexdigest() == current, agent.name
            learned.append(agent.calls("accept")[-1]["weights"])
        assert learned == learned[:1] * len(learned)

    def find_current(self) -> str:
        """Return the SHA-256 of the current weights, in hex.

        If they are a mean, a script computes it from the contract and an IPFS node's gateway.
        """
        files = self.reader.current
        if len(files) == 1:
            return str(files[0])
        command = [sys.executable, "-I", str(_SCRIPT), *self._place_of_current()]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return run.stdout.split()[0]

    @abstractmethod
    def _place_of_current(self) -> Sequence[str]:
        """Return the arguments of the script that computes the current weights."""


def toy_params(
    store: ContentStore, *, rounds: int, learners: int, numbers: int = 3, **terms: Any
) -> ExperimentParams:
    """Store an experiment's files and return its parameters, with windows longer than any test."""
    weights = [np.zeros(numbers)]
    spec = ExperimentSpec("toy", WeightsSchema.of(weights), "score", higher_is_better=True)
    return ExperimentParams(
        name="faults",
        spec=spec.put(store),
        initial=write_weights(store, weights),
        rounds=rounds,
        min_learners=learners,
        max_learners=learners,
        **{"propose_window": 600, "vote_window": 600, **terms},
    )
