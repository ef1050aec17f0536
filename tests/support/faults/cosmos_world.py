"""A world of real processes on a Cosmos chain; see `faults/harness.py` for an EVM chain.

Nothing here sleeps for a fixed time: every wait polls the chain or a log, with a deadline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colearn_ledger.chains.cosmos import CosmosLedger
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.networks.profiles import CosmosNetwork
from colearn_ledger.networks.references import ExperimentReference
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_localnet.kubo import Kubo
from tests.support.faults.agents import DEADLINE, RunningAgent
from tests.support.faults.cosmos_reader import CosmosReader
from tests.support.faults.fault_world import FaultWorld, toy_params
from tests.support.faults.grpc_gate import GrpcGate
from tests.support.joining import join

if TYPE_CHECKING:
    from tests.support.cosmos_place import Place


@dataclass
class CosmosAgent(RunningAgent):
    """An agent on a Cosmos chain; ``rpc`` is the URL of a node's gRPC."""

    terms: CosmosAccess | None = None
    chain_id: str = ""

    @property
    def account(self) -> str:
        assert self.terms is not None
        return str(self.wallet.cosmos_address(self.terms.prefix))

    def use_rpc(self, url: str, *others: str, agree: int = 1) -> None:
        assert self.home is not None
        assert self.terms is not None
        self.rpc, urls = url, (url, *others) if others else url
        network = CosmosNetwork(
            "net",
            urls,
            self.chain_id,
            contracts=(self.contract,),
            access=replace(self.terms, grpc=urls),
            agree=agree,
        )
        Networks(self.home / "networks.toml").save(network)


@dataclass
class CosmosWorld(FaultWorld[CosmosAgent]):
    """An experiment on a Cosmos chain, and the agents of its learners.

    Args:
        place: the chain.
        swarm: the IPFS nodes; some learners share one if there are more learners.
        folder: folder of everything else.
        rounds: number of rounds of the experiment.
        gated: names of the learners whose agents reach the chain through a `GrpcGate`.
        balances: initial balances of some learners; the others have more than enough.
        terms: other parameters of the experiment.
        names: learners in the order of joining, which is the order of proposing.
    """

    place: Place
    swarm: Sequence[Kubo]
    folder: Path
    rounds: int = 2
    gated: Sequence[str] = ()
    balances: Mapping[str, int] = field(default_factory=dict)
    terms: dict[str, Any] = field(default_factory=dict)
    names: Sequence[str] = ("alice", "bob", "carol")
    agents: dict[str, CosmosAgent] = field(default_factory=dict, init=False)
    gates: dict[str, GrpcGate] = field(default_factory=dict, init=False)
    _closing: ExitStack = field(default_factory=ExitStack, init=False)

    def _begin(self, closing: ExitStack) -> None:
        self.wallets = {name: Wallet.create() for name in self.names}
        self.place.fund(w for name, w in self.wallets.items() if name not in self.balances)
        for name, amount in self.balances.items():
            self.place.pay([self.place.sender.address(self.wallets[name])], amount)
        self._owner = owner = self.place.ledger(self.place.bank)
        params = toy_params(
            KuboStore(self.swarm[0].api_url),
            rounds=self.rounds,
            learners=len(self.names),
            **self.terms,
        )
        self.experiment = experiment = owner.create(params).wait(DEADLINE).experiment
        chain = self.place.chain
        reference = ExperimentReference(f"cosmos:{chain.chain_id}", owner.contract, experiment)
        self.reader = CosmosReader(chain.grpc, owner.contract, experiment)
        for number, name in enumerate(self.names):
            join(owner.acting_for(self.wallets[name]), experiment).wait(DEADLINE)
            grpc = chain.nodes[number % len(chain.nodes)].grpc
            if name in self.gated:
                self.gates[name] = closing.enter_context(GrpcGate(grpc))
                grpc = self.gates[name].url
            agent = CosmosAgent(
                name,
                self.folder / "agents" / name,
                self.wallets[name],
                str(reference),
                grpc,
                self.swarm[number % len(self.swarm)].api_url,
                owner.contract,
                target=1.0 + 0.01 * number,
                terms=self.place.terms,
                chain_id=chain.chain_id,
            )
            closing.callback(agent.kill)
            self.agents[name] = agent

    def view(self, name: str) -> CosmosLedger:
        """Return a learner's view of the ledger, for a test that acts as that learner."""
        return self._owner.acting_for(self.wallets[name])

    def _place_of_current(self) -> Sequence[str]:
        chain, gateway = self.place.chain, self.swarm[-1].gateway
        return ("cosmos", chain.rest, self._owner.contract, str(self.experiment), gateway)

    # ------------------------------------------------------------------ waiting

    def wait_sent(self, number: int, *, or_stopped_at: tuple[CosmosAgent, str]) -> None:
        """Wait until the chain has a number of calls of this contract, or an agent is at a step."""
        agent, step = or_stopped_at
        self.wait_for(
            f"{number} calls",
            lambda: agent.is_stopped_at(step) or self.reader.duties().total() >= number,
        )

    def wait_ballots(self, index: int, *names: str, state: str) -> None:
        """Wait until the ballots of these learners in a round are recorded."""
        accounts = [self.agents[name].account for name in names]
        self.wait_for(
            f"the ballots of {', '.join(names)} in round {index}",
            lambda: (
                self.reader.round_index >= index
                and all(self.reader.ballots(index)[account] == state for account in accounts)
            ),
        )

    # ------------------------------------------------------------------ checks

    def final_check(
        self,
        *names: str,
        outcomes: Sequence[str] = (),
        resent: bool = False,
        seconds: float = DEADLINE,
    ) -> None:
        """Check that the experiment completed correctly despite the faults.

        Args:
            names: learners whose agents run to the end; default all.
            outcomes: outcomes of the rounds; default all accepted.
            resent: whether transactions without effect may be on the chain; default no.
            seconds: maximum wait.
        """
        running = self.wait_completed(names, seconds)
        assert self.reader.outcomes() == list(outcomes or ["accepted"] * self.rounds)
        self.check_sent_once(running, resent=resent)

    def check_sent_once(self, running: Sequence[CosmosAgent], *, resent: bool) -> None:
        """Check that each duty took effect once, and that each transaction had an effect."""
        duties = self.reader.duties()
        without_round = ("advance", "announce")
        once = {duty: n for duty, n in duties.items() if duty[1] not in without_round}
        assert set(once.values()) <= {1}, once
        for agent in () if resent else running:
            effective = sum(n for duty, n in duties.items() if duty[0] == agent.account)
            assert self.reader.sequence(agent.account) == effective, agent.name
