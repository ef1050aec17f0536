"""A world of real processes: a chain, IPFS nodes, agents, and what a test does to them.

Nothing here sleeps for a time: everything waits for what the chain or a log tells, with a deadline.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colearn_ledger.chains.evm import EvmConfig, EvmLedger
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.references import ExperimentReference
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_localnet.anvil import Anvil
from colearn_localnet.kubo import Kubo, join, new_swarm_key
from colearn_localnet.rpc import json_rpc, post
from tests.support.faults.agents import CHAIN_ID, DEADLINE, RunningAgent, wait_for
from tests.support.faults.fault_world import FaultWorld, toy_params
from tests.support.faults.gate import Gate, Hold
from tests.support.faults.hosts import Hosts
from tests.support.faults.reader import Reader

BLOCK_TIME = 0.2  # seconds
ETHER = 10**18


@dataclass
class World(FaultWorld[RunningAgent]):
    """A chain, an IPFS node for each learner, and an experiment that has begun.

    Args:
        folder: of everything.
        names: of the learners, in the order of joining: the order of proposing.
        rounds: of the experiment.
        gated: whose agents reach the chain through a `Gate`.
        joins: whether the agents are to join by themselves.
        terms: other parameters of the experiment.
        hosts: where ``chain`` and each learner with his node are; all on this machine if ``None``.
        numbers: of the weights.
    """

    folder: Path
    names: Sequence[str]
    rounds: int = 3
    gated: Sequence[str] = ()
    joins: bool = False
    terms: dict[str, Any] = field(default_factory=dict)
    hosts: Hosts | None = None
    numbers: int = 3
    agents: dict[str, RunningAgent] = field(default_factory=dict, init=False)
    _closing: ExitStack = field(default_factory=ExitStack, init=False)

    def _begin(self, closing: ExitStack) -> None:
        self.chain = Anvil(
            state=self.folder / "chain" / "state.json",
            block_time=BLOCK_TIME,
            host=self._address("chain"),
            log=self.folder / "chain" / "anvil.log",
        )
        closing.callback(self.chain.kill)
        with self._host("chain"):
            self.chain.start()
        key = new_swarm_key()
        self.nodes = {
            name: Kubo(self.folder / "ipfs" / name, swarm=key, host=self._address(name))
            for name in self.names
        }
        for name, node in self.nodes.items():
            closing.callback(node.kill)
            with self._host(name):
                node.start()
        join(list(self.nodes.values()))
        self._create()
        for name in self.names:
            self._make_agent(name, closing)
        if not self.joins:
            for name in self.names:
                self.view(name).join(self.experiment).wait(DEADLINE)
        self.dump()

    def _host(self, name: str) -> AbstractContextManager[Any]:
        return nullcontext() if self.hosts is None else self.hosts.inside(name)

    def _address(self, name: str) -> str:
        return "127.0.0.1" if self.hosts is None else self.hosts.address(name)

    def _create(self) -> None:
        owner = Wallet.from_key(self.chain.keys[0])
        self.wallets = {name: Wallet.create() for name in self.names}
        for wallet in self.wallets.values():
            self.fund(wallet.address, ETHER)
        config = EvmConfig(CHAIN_ID, poll_seconds=0.05)
        self.ledger = EvmLedger.deploy(self.chain.url, owner, config=config)
        self.contract = self.ledger.contract
        params = toy_params(
            KuboStore(self.nodes[self.names[0]].api_url),
            rounds=self.rounds,
            learners=len(self.names),
            numbers=self.numbers,
            **self.terms,
        )
        self.experiment = self.ledger.create(params).wait(DEADLINE).experiment
        self.reference = ExperimentReference(f"eip155:{CHAIN_ID}", self.contract, self.experiment)
        self.read = Reader(self.chain.url, self.contract, self.experiment)

    def _make_agent(self, name: str, closing: ExitStack) -> None:
        gate = closing.enter_context(Gate(self.chain.url)) if name in self.gated else None
        agent = RunningAgent(
            name,
            self.folder / "agents" / name,
            self.wallets[name],
            str(self.reference),
            gate.url if gate else self.chain.url,
            self.nodes[name].api_url,
            self.contract,
            target=1.0 + 0.01 * len(self.agents),
            gate=gate,
            host=lambda: self._host(name),
        )
        closing.callback(agent.kill)
        self.agents[name] = agent

    # ------------------------------------------------------------------ doing

    def agent(self, name: str) -> RunningAgent:
        return self.agents[name]

    def view(self, name: str) -> EvmLedger:
        """Return the ledger as a learner sees it, for a test that plays its part."""
        return self.ledger.acting_for(self.wallets[name])

    def set_gas_price(self, gwei: int) -> None:
        """Have gas cost so much; the chain makes no block after that one until `mine`."""
        self.stop_mining()
        json_rpc(self.chain.url, "anvil_setNextBlockBaseFeePerGas", hex(gwei * 10**9))
        json_rpc(self.chain.url, "evm_mine")

    def fund(self, account: str, wei: int) -> None:
        """Give an account so much, no more and no less."""
        json_rpc(self.chain.url, "anvil_setBalance", account, hex(wei))

    def pass_to_last_call(self, index: int) -> None:
        """Let the chain's clock jump to where voters give up on a proposal, and stand still.

        Each of them first ends the attempt to get it that is under way, however long that takes.
        """
        self.stop_mining()
        json_rpc(self.chain.url, "evm_setNextBlockTimestamp", self.read.round(index).deadline - 10)
        json_rpc(self.chain.url, "evm_mine")
        json_rpc(self.chain.url, "anvil_setBlockTimestampInterval", 0)
        self.mine()

    def let_time_pass(self) -> None:
        """Have the chain's clock go on."""
        json_rpc(self.chain.url, "anvil_removeBlockTimestampInterval")

    def pass_time(self, seconds: int) -> None:
        """Let the chain's clock jump."""
        json_rpc(self.chain.url, "evm_increaseTime", seconds)
        before = self.read.block_number()
        wait_for("the next block", lambda: self.read.block_number() > before)

    def take_back(self, call: str, how: str) -> None:
        """Have the chain, which stopped mining, take back a call: its block and those on it.

        Args:
            call: a function that was called.
            how: ``reorg`` puts empty blocks in their place, ``rollback`` none.
        """
        block = next(t.block for t in self.read.transactions() if t.call == call)
        depth = self.read.block_number() - block + 1
        json_rpc(self.chain.url, f"anvil_{how}", depth, *([[]] if how == "reorg" else []))
        assert call not in {t.call for t in self.read.transactions()}

    def kill_chain_back_to_dump(self) -> None:
        """Kill the chain's node; it will know what it knew at the last `dump`."""
        self.chain.kill()
        (self.folder / "chain" / "state.json").write_bytes(self._dumped)

    def dump(self) -> None:
        """Have the chain's node write its state down."""
        self.chain.dump()
        self._dumped = (self.folder / "chain" / "state.json").read_bytes()

    def stop_mining(self) -> None:
        """Have the chain make no blocks, until `mine`."""
        json_rpc(self.chain.url, "evm_setIntervalMining", 0)

    def mine_three(self, sending: Hold) -> None:
        """Have a transaction that a gate holds mined, and two blocks on it, and then no more."""
        sending.wait()
        self.stop_mining()
        sending.let_go()
        self.wait_for("a transaction waits for its block", self._has_pending)
        for _ in range(3):
            json_rpc(self.chain.url, "evm_mine")

    def _has_pending(self) -> bool:
        return int(json_rpc(self.chain.url, "txpool_status")["pending"], 16) > 0

    def mine(self) -> None:
        """Have the chain make blocks again, the first one now."""
        json_rpc(self.chain.url, "evm_mine")
        json_rpc(self.chain.url, "evm_setIntervalMining", 1)

    # ------------------------------------------------------------------ waiting

    def wait_calls(self, number: int, *, or_held: tuple[RunningAgent, str]) -> None:
        """Return once the contract has had so many calls, or an agent is at a step."""
        agent, step = or_held
        self.wait_for(f"{number} calls", lambda: agent.is_held(step) or self.read.calls() >= number)

    def wait_ballots(self, index: int, *names: str, state: int = 1) -> None:
        """Return once learners' ballots of a round are recorded, as `Reader.ballots` tells it."""
        self.wait_for(
            f"the ballots of {', '.join(names)} in round {index}",
            lambda: all(
                self.read.ballots(index).get(self.agents[name].account, 0) >= state
                for name in names
            ),
        )

    # ------------------------------------------------------------------ judging

    def final_check(self, *names: str, seconds: float = DEADLINE, resent: bool = False) -> None:
        """Check that all went well in spite of what was done.

        Args:
            names: whose agents run to the end; all by default.
            seconds: how long it may take.
            resent: whether a duty may be on the chain more than once, but once with effect.
        """
        self.wait_completed(names, seconds)
        self.check_sent_once(resent=resent)

    def check_sent_once(self, *, resent: bool = False) -> None:
        """No account has one duty of one round on the chain twice."""
        twice = {k: n for k, n in self.read.duties(with_effect=resent).items() if n > 1}
        assert not twice

    def is_pinned(self, name: str, cid: str) -> bool:
        """Tell whether a learner's IPFS node pins a file."""
        said = post(f"{self.nodes[name].api_url}/api/v0/pin/ls?type=recursive")
        return cid in json.loads(said)["Keys"]

    def store(self, name: str) -> KuboStore:
        return KuboStore(self.nodes[name].api_url)

    def content_nobody_has(self) -> ContentRef:
        digest = os.urandom(32)
        return ContentRef.from_digest(0x55, digest, digest.hex(), 200)
