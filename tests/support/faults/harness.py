"""A world of real processes: a chain, IPFS nodes, agents, and the faults that a test injects.

Nothing here sleeps for a fixed time: every wait polls the chain or a log, with a deadline.
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
from tests.support.faults.reader import ARTIFACT, Reader
from tests.support.joining import join as join_experiment

BLOCK_TIME = 0.2  # seconds
ETHER = 10**18


@dataclass
class World(FaultWorld[RunningAgent]):
    """A chain, an IPFS node for each learner, and an experiment.

    Args:
        folder: folder of everything.
        names: learners in the order of joining, which is the order of proposing.
        swarm: running IPFS nodes, at least one for each learner; ``None`` to start new ones.
        rounds: number of rounds of the experiment; default 3.
        gated: names of the learners whose agents reach the chain through a `Gate`.
        joins: whether the agents join by themselves; default no.
        terms: other parameters of the experiment.
        hosts: hosts of ``chain`` and of each learner with its node; ``None`` for this machine.
        numbers: length of the weights.
        block_time: seconds between two blocks.
    """

    folder: Path
    names: Sequence[str]
    swarm: Sequence[Kubo] | None
    rounds: int = 3
    gated: Sequence[str] = ()
    joins: bool = False
    terms: dict[str, Any] = field(default_factory=dict)
    hosts: Hosts | None = None
    numbers: int = 3
    block_time: float = BLOCK_TIME
    agents: dict[str, RunningAgent] = field(default_factory=dict, init=False)
    _closing: ExitStack = field(default_factory=ExitStack, init=False)

    def _begin(self, closing: ExitStack) -> None:
        self.chain = Anvil(
            state=self.folder / "chain" / "state.json",
            block_time=self.block_time,
            host=self._address("chain"),
            log=self.folder / "chain" / "anvil.log",
        )
        closing.callback(self.chain.kill)
        with self._host("chain"):
            self.chain.start()
        if self.swarm is None:
            self.nodes = self._start_nodes(closing)
        else:
            self.nodes = {name: self.swarm[number] for number, name in enumerate(self.names)}
        self._create()
        for name in self.names:
            self._make_agent(name, closing)
        if not self.joins:
            for name in self.names:
                join_experiment(self.view(name), self.experiment).wait(DEADLINE)
        self.dump()

    def _start_nodes(self, closing: ExitStack) -> dict[str, Kubo]:
        key = new_swarm_key()
        nodes = {
            name: Kubo(self.folder / "ipfs" / name, swarm=key, host=self._address(name))
            for name in self.names
        }
        for name, node in nodes.items():
            closing.callback(node.kill)
            with self._host(name):
                node.start()
        join(list(nodes.values()))
        return nodes

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
        self.reader = Reader(self.chain.url, self.contract, self.experiment)

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
            numbers=self.numbers,
            gate=gate,
            host=lambda: self._host(name),
        )
        closing.callback(agent.kill)
        self.agents[name] = agent

    def _place_of_current(self) -> Sequence[str]:
        gateway = self.nodes[self.names[-1]].gateway
        return ("evm", str(ARTIFACT), self.chain.url, self.contract, str(self.experiment), gateway)

    # ------------------------------------------------------------------ actions

    def agent(self, name: str) -> RunningAgent:
        return self.agents[name]

    def view(self, name: str) -> EvmLedger:
        """Return a learner's view of the ledger, for a test that acts as that learner."""
        return self.ledger.acting_for(self.wallets[name])

    def set_gas_price(self, gwei: int) -> None:
        """Set the price of gas in a new block; the chain then makes no block until `mine`."""
        self.stop_mining()
        json_rpc(self.chain.url, "anvil_setNextBlockBaseFeePerGas", hex(gwei * 10**9))
        json_rpc(self.chain.url, "evm_mine")

    def fund(self, account: str, wei: int) -> None:
        """Set an account's balance."""
        json_rpc(self.chain.url, "anvil_setBalance", account, hex(wei))

    def move_clock_to_last_call(self, index: int) -> None:
        """Move the chain's clock to the time at which voters give up on a proposal, and stop it.

        Each voter first finishes its current attempt to fetch the proposal, however long it takes.
        """
        self.stop_mining()
        round_ = self.reader.round(index)
        half = (round_.votingStartedAt + round_.deadline) // 2 + 1
        json_rpc(self.chain.url, "evm_setNextBlockTimestamp", half)
        json_rpc(self.chain.url, "evm_mine")
        json_rpc(self.chain.url, "anvil_setBlockTimestampInterval", 0)
        self.mine()

    def restart_clock(self) -> None:
        """Start the chain's clock again."""
        json_rpc(self.chain.url, "anvil_removeBlockTimestampInterval")

    def pass_time(self, seconds: int) -> None:
        """Move the chain's clock forward."""
        json_rpc(self.chain.url, "evm_increaseTime", seconds)
        before = self.reader.block_number()
        wait_for("the next block", lambda: self.reader.block_number() > before)

    def remove_call(self, call: str, how: str) -> None:
        """Remove a call's block, and all blocks after it, from a chain that has stopped mining.

        Args:
            call: name of a function that was called.
            how: ``reorg`` replaces the blocks by empty ones, ``rollback`` only removes them.
        """
        block = next(t.block for t in self.reader.transactions() if t.call == call)
        depth = self.reader.block_number() - block + 1
        json_rpc(self.chain.url, f"anvil_{how}", depth, *([[]] if how == "reorg" else []))
        assert call not in {t.call for t in self.reader.transactions()}

    def kill_chain_and_restore_dump(self) -> None:
        """Kill the chain's node and restore its state of the last `dump`."""
        self.chain.kill()
        (self.folder / "chain" / "state.json").write_bytes(self._dumped)

    def dump(self) -> None:
        """Make the chain's node write its state to disk."""
        self.chain.dump()
        self._dumped = (self.folder / "chain" / "state.json").read_bytes()

    def start_copy(self, *, block_time: float) -> Anvil:
        """Start another node with the chain of the last `dump`, which then makes its own blocks."""
        folder = self.folder / "copy"
        folder.mkdir()
        (folder / "state.json").write_bytes(self._dumped)
        copy = Anvil(state=folder / "state.json", block_time=block_time, log=folder / "anvil.log")
        self._closing.callback(copy.kill)
        return copy.start()

    def stop_mining(self) -> None:
        """Stop making blocks until `mine`."""
        json_rpc(self.chain.url, "evm_setIntervalMining", 0)

    def mine_three(self, sending: Hold) -> None:
        """Mine the transaction that a gate has stopped and two more blocks, then stop mining."""
        sending.wait()
        self.stop_mining()
        sending.release()
        self.wait_for("a transaction waits for its block", self._has_pending)
        for _ in range(3):
            json_rpc(self.chain.url, "evm_mine")

    def _has_pending(self) -> bool:
        return int(json_rpc(self.chain.url, "txpool_status")["pending"], 16) > 0

    def mine(self) -> None:
        """Make blocks again, the first one now."""
        json_rpc(self.chain.url, "evm_mine")
        json_rpc(self.chain.url, "evm_setIntervalMining", 1)

    # ------------------------------------------------------------------ waiting

    def wait_calls(self, number: int, *, or_stopped_at: tuple[RunningAgent, str]) -> None:
        """Wait until a number of calls took effect on the contract, or an agent is at a step."""
        agent, step = or_stopped_at
        self.wait_for(
            f"{number} calls", lambda: agent.is_stopped_at(step) or self.reader.calls() >= number
        )

    def wait_ballots(self, index: int, *names: str, state: int = 1) -> None:
        """Wait until these learners' ballots of a round reach a state of `Reader.ballots`."""
        self.wait_for(
            f"the ballots of {', '.join(names)} in round {index}",
            lambda: all(
                self.reader.ballots(index).get(self.agents[name].account, 0) >= state
                for name in names
            ),
        )

    # ------------------------------------------------------------------ checks

    def final_check(self, *names: str, seconds: float = DEADLINE, resent: bool = False) -> None:
        """Check that the experiment completed correctly despite the faults.

        Args:
            names: learners whose agents run to the end; default all.
            seconds: maximum wait.
            resent: whether a duty may be on the chain several times, once with effect; default no.
        """
        self.wait_completed(names, seconds)
        self.check_sent_once(resent=resent)

    def check_sent_once(self, *, resent: bool = False) -> None:
        """Check that no account performed one duty of one round twice."""
        twice = {k: n for k, n in self.reader.duties(with_effect=resent).items() if n > 1}
        assert not twice

    def is_pinned(self, name: str, cid: str) -> bool:
        """Return whether a learner's IPFS node pins a file."""
        answer = post(f"{self.nodes[name].api_url}/api/v0/pin/ls?type=recursive")
        return cid in json.loads(answer)["Keys"]

    def store(self, name: str) -> KuboStore:
        return KuboStore(self.nodes[name].api_url)

    def missing_content(self) -> ContentRef:
        """Return a reference to content that no node has."""
        digest = os.urandom(32)
        return ContentRef.from_digest(0x55, digest, digest.hex(), 200)
