"""Count what agents ask of a chain and of IPFS: in a round, and in an hour of waiting.

Usage: .venv/bin/python bench/calls.py [--learners 5] [--rounds 6] [--block-times 1 12 60]

The script starts anvil and Kubo, and runs agents in this process. Each agent reaches both nodes
through relays of its own, which forward the bytes and count them. Learners and weights are tiny, so
that the bytes are those of the protocol.

*Rounds*: blocks come every second, and all agents run at once. The script counts from the start of
the second round to that of the last one, and divides by agents and rounds. In a round in which all
propose, each agent sends two transactions: its proposal and its ballot.

*Waiting*: an agent waits for the proposal of a learner that never makes one, with plenty of time
left. The script counts during a few blocks and scales the count to an hour. A pushed block is not a
call: the node sends it without being asked.

The column *before* has the figures of agents that asked by the clock instead of by the block. They
were counted with the same arrangement, before agents followed the head of the chain.
"""

from __future__ import annotations

import argparse
import logging
import re
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from bench.trivial import TrivialLearner
from colearn_learner.agent.context import AgentConfig
from colearn_learner.agent.loop import Agent
from colearn_ledger.chains.evm import EvmConfig, EvmLedger, EvmSenderConfig
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import ExperimentId, ExperimentParams
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_localnet.anvil import Anvil
from colearn_localnet.kubo import Kubo
from colearn_localnet.rpc import json_rpc

_WINDOW = 36_000
"""Seconds for each duty, far more than it takes."""

_PATIENCE = 600.0
"""Seconds after which a run is considered to hang."""

_HOUR = 3_600

MODES = {"WebSocket": "auto", "polling": "off"}
"""How agents learn of new blocks, and the setting of the connection."""

BEFORE_ROUND = {"WebSocket": "25–27", "polling": "27–28"}
"""RPC calls of an agent in a round with one transaction, before."""

BEFORE_HOUR = {"WebSocket": "10,800", "polling": "18,000"}
"""RPC calls of a waiting agent in an hour, before, whatever the time between blocks."""


@dataclass(frozen=True, slots=True)
class Count:
    """What passed through a relay: requests by name, pushed blocks, bytes in both directions."""

    names: Counter[str]
    pushed: int
    up: int
    down: int

    @property
    def calls(self) -> int:
        """Return the number of requests."""
        return self.names.total()

    def __add__(self, other: Count) -> Count:
        pushed = self.pushed + other.pushed
        return Count(self.names + other.names, pushed, self.up + other.up, self.down + other.down)

    def __sub__(self, earlier: Count) -> Count:
        return Count(
            self.names - earlier.names,
            self.pushed - earlier.pushed,
            self.up - earlier.up,
            self.down - earlier.down,
        )


class Relay:
    """A relay of connections to a node, which counts what passes.

    Args:
        url: address of the node.
    """

    _NAMES = re.compile(rb'"method": ?"(\w+)"|POST /api/v0/([\w/-]+)')
    _PUSHED = b"eth_subscription"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sent: list[bytearray] = []
        self._received: list[bytearray] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def count(self) -> Count:
        """Return what has passed so far."""
        sent, received = ([bytes(b) for b in list(some)] for some in (self._sent, self._received))
        found = (
            match.group(1) or match.group(2) for b in sent for match in self._NAMES.finditer(b)
        )
        return Count(
            Counter(name.decode() for name in found),
            sum(b.count(self._PUSHED) for b in received),
            sum(map(len, sent)),
            sum(map(len, received)),
        )

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                node = socket.create_connection(self._target)
                for some in (client, node):
                    some.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pump(client, node, self._sent)
                self._pump(node, client, self._received)

    def _pump(self, source: socket.socket, sink: socket.socket, record: list[bytearray]) -> None:
        passed = bytearray()
        record.append(passed)

        def run() -> None:
            with suppress(OSError):
                while piece := source.recv(65_536):
                    passed.extend(piece)
                    sink.sendall(piece)
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=run, daemon=True).start()


@dataclass(frozen=True, slots=True)
class Counted:
    """What agents asked of both nodes."""

    chain: Count
    ipfs: Count


class Place:
    """A chain with the contract, an IPFS node, and agents behind relays."""

    def __init__(self, folder: Path, kubo: Kubo, block_time: float) -> None:
        self._folder = folder
        self._kubo = kubo
        self._stack = ExitStack()
        self._relays: list[tuple[Relay, Relay]] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.anvil = Anvil(block_time=block_time, log=folder / "anvil.log")

    def __enter__(self) -> Self:
        self._stack.enter_context(self.anvil)
        self.wallets = [Wallet.from_key(key) for key in self.anvil.keys]
        self.ledger = EvmLedger.deploy(self.anvil.url, self.wallets[0], config=self._config("off"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(_PATIENCE)
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
        return self.ledger.create(params).wait(_PATIENCE).experiment

    def start_agent(self, index: int, experiment: ExperimentId, websocket: str) -> TrivialLearner:
        """Start the agent of a wallet, and return its learner."""
        chain, ipfs = (
            self._stack.enter_context(Relay(url)) for url in (self.anvil.url, self._kubo.api_url)
        )
        self._relays.append((chain, ipfs))
        config, learner = self._config(websocket), TrivialLearner(index)
        contract, wallet = self.ledger.contract, self.wallets[index]
        agent = Agent(
            EvmLedger.connect(chain.url, contract, wallet, config=config),
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
        chains, ipfs = (
            [relay.count() for relay in some] for some in zip(*self._relays, strict=True)
        )
        nothing = Count(Counter(), 0, 0, 0)
        return Counted(sum(chains, nothing), sum(ipfs, nothing))

    def _config(self, websocket: str) -> EvmConfig:
        sending = EvmSenderConfig(journal=self._folder / "sent")
        return EvmConfig(chain_id=31337, sending=sending, websocket=websocket)


def wait_for(what: str, is_reached: Callable[[], bool], pause: float = 0.02) -> None:
    """Wait until a condition holds."""
    ends = time.monotonic() + _PATIENCE
    while not is_reached():
        if time.monotonic() > ends:
            raise SystemExit(f"calls: waited {_PATIENCE:g} s without success for {what}")
        time.sleep(pause)


@contextmanager
def open_place(kubo: Kubo, block_time: float) -> Iterator[Place]:
    """Yield a new chain with the contract."""
    with (
        tempfile.TemporaryDirectory(prefix="colearn-calls-", ignore_cleanup_errors=True) as folder,
        Place(Path(folder), kubo, block_time) as place,
    ):
        yield place


# ------------------------------------------------------------------------- rounds


def measure_rounds(kubo: Kubo, mode: str, learners: int, proposers: int, rounds: int) -> Counted:
    """Return what all agents asked in some rounds."""
    with open_place(kubo, 1.0) as place:
        experiment = place.create(learners, rounds + 2, proposers)
        for index in range(learners):
            place.start_agent(index, experiment, MODES[mode])

        def wait_for_round(number: int) -> Counted:
            wait_for(
                f"round {number}",
                lambda: (place.ledger.experiment(experiment).round or 0) >= number,
            )
            return place.count()

        before, after = wait_for_round(1), wait_for_round(1 + rounds)
    return Counted(after.chain - before.chain, after.ipfs - before.ipfs)


def print_rounds(kubo: Kubo, learners: int, rounds: int) -> None:
    """Measure rounds and print the table."""
    table = Table(
        *("round", "blocks by", "transactions", "RPC calls", "before"),
        *("kB up", "kB down", "IPFS calls", "IPFS kB up", "IPFS kB down"),
        box=MARKDOWN,
    )
    details = []
    for proposers in (1, learners):
        what = "one proposes" if proposers == 1 else "all propose"
        for mode in MODES:
            counted = measure_rounds(kubo, mode, learners, proposers, rounds)
            share = learners * rounds
            chain, ipfs = counted.chain, counted.ipfs
            table.add_row(
                *(what, mode, f"{chain.names['eth_sendRawTransaction'] / share:.1f}"),
                *(f"{chain.calls / share:.1f}", BEFORE_ROUND[mode] if proposers == 1 else ""),
                *(f"{chain.up / share / 1e3:.1f}", f"{chain.down / share / 1e3:.1f}"),
                *(f"{ipfs.calls / share:.1f}",),
                *(f"{ipfs.up / share / 1e3:.1f}", f"{ipfs.down / share / 1e3:.1f}"),
            )
            details.append(f"{what}, {mode}: {describe(chain.names + ipfs.names, share)}")
    print(f"\nan agent in a round: {learners} learners, {rounds} rounds, blocks of 1 s\n")
    Console(width=140).print(table)
    print("\n".join(details))


def describe(names: Counter[str], share: float) -> str:
    """Return the number of each kind of request."""
    return ", ".join(f"{name} {number / share:.2f}" for name, number in names.most_common())


# ------------------------------------------------------------------------- waiting


def measure_waiting(kubo: Kubo, mode: str, block_time: float, blocks: int) -> Counted:
    """Return what an agent asked while it waited for some blocks."""
    with open_place(kubo, block_time) as place:
        experiment = place.create(2, 1, 1)
        place.ledger.join(experiment, place.ledger.experiment(experiment).hash).wait(_PATIENCE)
        learner = place.start_agent(1, experiment, MODES[mode])
        pause = block_time / 50
        wait_for("the first weights", lambda: bool(learner.accepted), pause)

        def count_blocks() -> int:
            return int(json_rpc(place.anvil.url, "eth_blockNumber"), 16)

        def wait_for_blocks(number: int) -> Counted:
            last = count_blocks() + number
            wait_for(f"{number} blocks", lambda: count_blocks() >= last, pause)
            time.sleep(block_time / 2)  # the agent has reacted, and the next block is not there yet
            return place.count()

        before, after = wait_for_blocks(3), wait_for_blocks(blocks)
    return Counted(after.chain - before.chain, after.ipfs - before.ipfs)


def print_waiting(kubo: Kubo, block_times: Sequence[float], blocks: int) -> None:
    """Measure waiting, all cases at once, and print the table."""
    cases = [(mode, block_time) for mode in MODES for block_time in block_times]
    results: dict[tuple[str, float], Counted] = {}

    def measure(case: tuple[str, float]) -> None:
        results[case] = measure_waiting(kubo, *case, blocks)

    threads = [threading.Thread(target=measure, args=(case,), daemon=True) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    table = Table(
        *("blocks by", "seconds a block", "RPC calls", "before"),
        *("pushed blocks", "MB up", "MB down", "IPFS calls"),
        box=MARKDOWN,
    )
    details = []
    for mode, block_time in cases:
        counted = results[mode, block_time]
        factor = _HOUR / (blocks * block_time)
        chain = counted.chain
        table.add_row(
            *(mode, f"{block_time:g}", f"{chain.calls * factor:,.0f}", BEFORE_HOUR[mode]),
            *(f"{chain.pushed * factor:,.0f}",),
            *(f"{chain.up * factor / 1e6:.2f}", f"{chain.down * factor / 1e6:.2f}"),
            *(f"{counted.ipfs.calls * factor:,.0f}",),
        )
        details.append(f"{mode}, {block_time:g} s, counted: {describe(chain.names, 1)}")
    print(f"\nan agent in an hour of waiting, scaled from {blocks} blocks\n")
    Console(width=140).print(table)
    print("\n".join(details))


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--learners", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=6, help="rounds that are counted; 0: none")
    parser.add_argument("--block-times", nargs="+", type=float, default=[1.0, 12.0, 60.0])
    parser.add_argument("--blocks", type=int, default=5, help="blocks of waiting; 0: none")
    options = parser.parse_args()
    logging.getLogger("colearn_learner").setLevel(logging.ERROR)  # agents are stopped at work
    with tempfile.TemporaryDirectory(prefix="colearn-calls-") as folder, Kubo(Path(folder)) as kubo:
        if options.rounds:
            print_rounds(kubo, options.learners, options.rounds)
        if options.blocks:
            print_waiting(kubo, options.block_times, options.blocks)


if __name__ == "__main__":
    main()
