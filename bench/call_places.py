"""Chains with agents behind relays, which count what the agents ask of the chain and of IPFS."""

from __future__ import annotations

import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.relays import Count, GrpcRelay, Relay
from bench.trivial import TrivialLearner
from colearn_learner.agent.context import AgentConfig
from colearn_learner.agent.loop import Agent
from colearn_ledger.chains.cosmos import CosmosConfig, CosmosLedger, CosmosSenderConfig
from colearn_ledger.chains.cosmos.heads import find_websocket
from colearn_ledger.chains.evm import EvmConfig, EvmLedger, EvmSenderConfig
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.protocol import ExperimentId, ExperimentParams
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_localnet.anvil import Anvil
from colearn_localnet.cosmos import CosmosChain
from colearn_localnet.kubo import Kubo
from colearn_localnet.rpc import json_rpc

PATIENCE = 600.0
"""Seconds after which a run is considered to hang."""

_WINDOW = 36_000
"""Seconds for each duty, far more than it takes."""

_POLL = 1.0
"""Fewest seconds between two polls, as in the profiles of networks."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What agents asked of both nodes."""

    chain: Count
    ipfs: Count

    def __sub__(self, earlier: Counted) -> Counted:
        return Counted(self.chain - earlier.chain, self.ipfs - earlier.ipfs)


class Place(ABC):
    """A chain with the contract, an IPFS node, and agents behind relays.

    Args:
        folder: folder of the agents and nodes.
        kubo: the IPFS node.
        block_time: seconds between blocks.
    """

    SEND: str
    """Name of the request that sends a transaction."""

    ledger: Ledger
    wallets: list[Wallet]

    def __init__(self, folder: Path, kubo: Kubo, block_time: float) -> None:
        self._folder = folder
        self._kubo = kubo
        self._block_time = block_time
        self._stack = ExitStack()
        self._chain_relays: list[Relay | GrpcRelay] = []
        self._ipfs_relays: list[Relay] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        self._stack.close()

    def create(self, learners: int, rounds: int, proposers: int) -> ExperimentId:
        """Create an experiment."""
        store = KuboStore(self._kubo.api_url)
        start = TrivialLearner(0).mli_get_current_weights().weights
        spec = ExperimentSpec("trivial", WeightsSchema.of(start), "score", higher_is_better=True)
        params = ExperimentParams(
            name="calls",
            spec=spec.put(store),
            initial=write_weights(store, start),
            rounds=rounds,
            min_learners=learners,
            max_learners=learners,
            propose_window=_WINDOW,
            vote_window=_WINDOW,
            proposers=proposers,
        )
        return self.ledger.create(params).wait(PATIENCE).experiment

    def start_agent(self, index: int, experiment: ExperimentId, *, pushed: bool) -> TrivialLearner:
        """Start the agent of a wallet, and return its learner.

        Args:
            index: index of the wallet.
            experiment: the experiment.
            pushed: whether the agent subscribes to new blocks.
        """
        ipfs = self._stack.enter_context(Relay(self._kubo.api_url))
        self._ipfs_relays.append(ipfs)
        learner = TrivialLearner(index)
        agent = Agent(
            self._connect(self.wallets[index], pushed=pushed),
            KuboStore(ipfs.url),
            learner=learner,
            experiment=experiment,
            folder=self._folder / f"agent-{index}",
            config=AgentConfig(),
        )
        self._stack.enter_context(agent)
        thread = threading.Thread(target=agent.run, args=(self._stop,), daemon=True)
        self._threads.append(thread)
        thread.start()
        return learner

    def count(self) -> Counted:
        """Return what the agents have asked so far."""
        nothing = Count(Counter(), 0, 0, 0)
        chains = (relay.count() for relay in list(self._chain_relays))
        ipfs = (relay.count() for relay in list(self._ipfs_relays))
        return Counted(sum(chains, nothing), sum(ipfs, nothing))

    @abstractmethod
    def count_blocks(self) -> int:
        """Return the height of the chain."""

    @abstractmethod
    def _start(self) -> None:
        """Start the chain, fund the wallets and deploy the contract."""

    @abstractmethod
    def _connect(self, wallet: Wallet, *, pushed: bool) -> Ledger:
        """Connect through new relays."""


class EvmPlace(Place):
    """anvil with agents behind relays."""

    SEND = "eth_sendRawTransaction"

    def count_blocks(self) -> int:
        """Return the height of the chain."""
        return int(json_rpc(self._anvil.url, "eth_blockNumber"), 16)

    def _start(self) -> None:
        anvil = Anvil(block_time=self._block_time, log=self._folder / "anvil.log")
        self._anvil = self._stack.enter_context(anvil)
        self.wallets = [Wallet.from_key(key) for key in anvil.keys]
        config = self._config(pushed=False)
        self.ledger = EvmLedger.deploy(anvil.url, self.wallets[0], config=config)
        self._contract = self.ledger.contract

    def _connect(self, wallet: Wallet, *, pushed: bool) -> Ledger:
        relay = self._stack.enter_context(Relay(self._anvil.url))
        self._chain_relays.append(relay)
        config = self._config(pushed=pushed)
        return EvmLedger.connect(relay.url, self._contract, wallet, config=config)

    def _config(self, *, pushed: bool) -> EvmConfig:
        return EvmConfig(
            chain_id=31337,
            sending=EvmSenderConfig(journal=self._folder / "sent"),
            poll_seconds=_POLL,
            websocket="auto" if pushed else "off",
        )


class CosmosPlace(Place):
    """wasmd with agents behind relays."""

    SEND = "BroadcastTx"

    def count_blocks(self) -> int:
        """Return the height of the chain."""
        return self._chain.node.height()

    def _start(self) -> None:
        chain = CosmosChain(self._folder / "chain", block_time=self._block_time)
        self._chain = self._stack.enter_context(chain)
        self.wallets = [Wallet.from_key(key) for key in chain.keys]
        config = self._config(None)
        self.ledger = CosmosLedger.deploy(self._access(chain.grpc), self.wallets[0], config=config)
        self._contract = self.ledger.contract

    def _connect(self, wallet: Wallet, *, pushed: bool) -> Ledger:
        requests = self._stack.enter_context(GrpcRelay(self._chain.grpc))
        blocks = self._stack.enter_context(Relay(self._chain.rpc))
        self._chain_relays += [requests, blocks]
        config = self._config(find_websocket(blocks.url) if pushed else None)
        access = self._access(requests.url)
        return CosmosLedger.connect(access, self._contract, wallet, config=config)

    def _access(self, grpc: str) -> CosmosAccess:
        chain = self._chain
        price = float(chain.gas_price.removesuffix(chain.denomination))
        return CosmosAccess(grpc, chain.prefix, chain.denomination, price)

    def _config(self, websocket: str | None) -> CosmosConfig:
        sending = CosmosSenderConfig(journal=self._folder / "sent")
        return CosmosConfig(
            chain_id=CosmosChain.chain_id,
            sending=sending,
            poll_seconds=_POLL,
            websocket=websocket,
        )


PLACES: dict[str, type[Place]] = {"evm": EvmPlace, "cosmos": CosmosPlace}


def wait_for(what: str, is_reached: Callable[[], bool], pause: float = 0.02) -> None:
    """Wait until a condition holds."""
    ends = time.monotonic() + PATIENCE
    while not is_reached():
        if time.monotonic() > ends:
            raise SystemExit(f"calls: waited {PATIENCE:g} s without success for {what}")
        time.sleep(pause)


@contextmanager
def open_place(chain: str, kubo: Kubo, block_time: float) -> Iterator[Place]:
    """Yield a new chain with the contract, ``evm`` or ``cosmos``."""
    with (
        tempfile.TemporaryDirectory(prefix="colearn-calls-", ignore_cleanup_errors=True) as folder,
        PLACES[chain](Path(folder), kubo, block_time) as place,
    ):
        yield place
