"""A small world for agents, with toy learners, a ledger with its own clock, and a folder store."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from colearn_learner.agent.context import AgentConfig
from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action, Observation
from colearn_learner.interface import ProposedWeights, Weights
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import ContentRef, ExperimentParams, Outcome, Round
from colearn_ledger.reference import LocalLedger
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.directory import DirectoryStore


def content_of_round(round_: Round) -> ContentRef | None:
    """Return the proposal of a round with one proposer, if it made one."""
    return next(iter(round_.contents.values()), None)


class TowardsTarget:
    """A learner that moves the weights towards a number, and approves weights closer to it."""

    def __init__(self, target: float) -> None:
        self.target = target
        self.weights = [np.zeros(3)]
        self.trainings = 0

    def mli_propose_weights(self) -> Weights:
        self.trainings += 1
        return Weights(weights=[self.weights[0] + 0.25 * (self.target - self.weights[0])])

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        score, current = self._score(weights.weights), self._score(self.weights)
        return ProposedWeights(
            weights=weights, vote_score=score, test_score=score, vote=score > current
        )

    def mli_accept_weights(self, weights: Weights) -> None:
        self.weights = weights.weights

    def mli_get_current_weights(self) -> Weights:
        return Weights(weights=self.weights)

    def mli_get_current_model(self) -> Any:
        raise NotImplementedError

    def _score(self, weights: list[np.ndarray]) -> float:
        return -float(np.abs(weights[0] - self.target).sum())


@dataclass
class World:
    """An experiment on a ledger; agents are stepped by hand, in a fixed order.

    ``kind`` is ``local``, or ``evm`` for the contract on an embedded chain. ``spec`` has further
    fields of the specification.
    """

    folder: Path
    learners: list[Any]
    params: dict[str, Any] = field(default_factory=dict)
    kind: str = "local"
    seconds: float = 1_000.0
    seen: list[Observation] = field(default_factory=list)
    start: Any = field(default_factory=lambda: [np.zeros(3)])
    spec: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wallets = [Wallet.from_key(bytes([i + 1]) * 32) for i in range(len(self.learners))]
        self.ledger: Any = self._deploy()
        self.views = [self.ledger.acting_for(wallet) for wallet in self.wallets]
        store = self.store(0)
        schema = WeightsSchema.of(self.start)
        fields = {"higher_is_better": True, **self.spec}
        spec = ExperimentSpec("toy", schema, "score", **fields)
        terms = {
            "name": "toy",
            "initial": write_weights(store, self.start),
            "rounds": 6,
            "propose_window": 100,
            "vote_window": 100,
            **self.params,
        }
        n = len(self.learners)
        self.experiment = (
            self.ledger.create(
                ExperimentParams(
                    spec=spec.put(store),
                    min_learners=n,
                    max_learners=n,
                    **terms,
                )
            )
            .wait()
            .experiment
        )

    def _deploy(self) -> Any:
        if self.kind == "local":
            return LocalLedger.new(self.wallets[0], clock=lambda: self.seconds)
        from colearn_ledger.chains.evm.embedded import EmbeddedChain

        self.chain = EmbeddedChain(clock=lambda: self.seconds)
        ledger = self.chain.deploy(self.wallets[0])
        for wallet in self.wallets[1:]:
            self.chain.fund(wallet)
        return ledger

    def store(self, index: int, **config: Any) -> DirectoryStore:
        return DirectoryStore(self.folder / "store", owner=f"learner-{index}", **config)

    def pins(self, index: int) -> set[str]:
        """Return the CIDs that a learner pins."""
        return {pin.name for pin in (self.folder / "store" / "pins" / f"learner-{index}").iterdir()}

    def journal(self, index: int) -> list[dict[str, Any]]:
        lines = (self.folder / f"agent-{index}" / "journal.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def agent(
        self,
        index: int,
        *,
        ledger: Any = None,
        store: Any = None,
        learner: Any = None,
        folder: Path | None = None,
        **config: Any,
    ) -> Agent:
        agent = Agent(
            ledger or self.views[index],
            store or self.store(index),
            learner=learner or self.learners[index],
            experiment=self.experiment,
            folder=folder or self.folder / f"agent-{index}",
            config=AgentConfig(**{"poll": 0.0, "stagger": 0.0, **config}),
        )
        agent.on_observation(self.seen.append)
        return agent

    def agents(self, **config: Any) -> list[Agent]:
        return [self.agent(i, **config) for i in range(len(self.learners))]

    def drive(self, agents: list[Agent]) -> None:
        """Step all agents in turn until all are done; when all of them wait, let time pass."""
        for _ in range(2_000):
            actions = [agent.step() for agent in agents]
            if all(action == Action.DONE for action in actions):
                return
            if all(action in (Action.WAITED, Action.DONE) for action in actions):
                self.pass_time()
        raise TimeoutError("the experiment did not end")

    def pass_time(self) -> None:
        self.seconds += 10

    @property
    def final(self) -> str:
        """SHA-256 of the current weights, which are a single file."""
        [content] = self.ledger.experiment(self.experiment).current
        return content.sha256

    def rounds(self) -> list[Any]:
        return self.ledger.rounds(self.experiment)

    def accepted(self) -> list[ContentRef]:
        """Return the accepted proposals of rounds with one proposer."""
        accepted = [r for r in self.rounds() if r.outcome == Outcome.ACCEPTED]
        return [content for r in accepted if (content := content_of_round(r))]
