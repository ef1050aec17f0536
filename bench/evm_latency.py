"""Measure an idle agent's latency: from the block with a duty to its transaction's broadcast.

Usage: .venv/bin/python bench/evm_latency.py [--duties 50] [--poll 1.0]

The script starts anvil and one `Agent`, and proposes weights from a folder for another learner. The
clock starts when anvil has answered the proposal's transaction, for which it makes a block at once.
The clock stops when the agent's ballot arrives at the script's proxy in front of anvil. In between,
the agent detects the block, reads the state, fetches and verifies the weights, tests them with its
learner, writes its journals, estimates gas, signs and sends. The learner and the weights are tiny.

For comparison, the same run measures a bare web3.py loop on the same duties, without fetching or
journals: ``block_number`` every 10 ms, ``duty``, and ``send_transaction`` with web3's defaults.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import numpy as np
from eth_account import Account as EthAccount
from web3 import HTTPProvider, Web3
from web3.middleware import SignAndSendRawMiddlewareBuilder

from colearn_learner.agent.context import AgentConfig
from colearn_learner.agent.loop import Agent
from colearn_learner.interface import ProposedWeights, Weights
from colearn_ledger.calls import JOIN, PROPOSE, VOTE, Call
from colearn_ledger.chains.evm import EvmConfig, EvmLedger, EvmSenderConfig
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.chains.evm.encoder import EvmEncoder
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Duty, ExperimentParams, Scores, Vote
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_localnet.anvil import Anvil

ROOT = Path(__file__).resolve().parent.parent

ABI = json.loads((ROOT / "colearn_ledger/chains/evm/CollectiveLearning.json").read_text())["abi"]


class Learner:
    """A learner that approves every proposal at once."""

    weights = Weights(weights=[np.zeros(3)])

    def mli_propose_weights(self) -> Weights:
        """Return different weights."""
        return Weights(weights=[self.weights.weights[0] - 0.1])

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        """Approve any proposal."""
        return ProposedWeights(weights=weights, vote_score=1.0, test_score=1.0, vote=True)

    def mli_accept_weights(self, weights: Weights) -> None:
        """Accept the weights."""
        self.weights = weights

    def mli_get_current_weights(self) -> Weights:
        """Return the current weights."""
        return self.weights


class Watch:
    """A proxy that forwards everything and records the arrival of a signed transaction."""

    def __init__(self, target: str) -> None:
        self.sent = threading.Event()
        self.at = 0.0
        watch = self
        host = target.removeprefix("http://")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # headers and body are written separately

            def do_POST(self) -> None:
                """Forward a request."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if b"eth_sendRawTransaction" in body and not watch.sent.is_set():
                    watch.at = time.perf_counter()
                    watch.sent.set()
                node = http.client.HTTPConnection(host)
                node.request("POST", "/", body, {"Content-Type": "application/json"})
                content = node.getresponse().read()
                node.close()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Write no log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"


class Bench:
    """A contract with an experiment in which the script and the measured learner take turns."""

    def __init__(self, anvil: Anvil, folder: Path, rounds: int) -> None:
        sending = EvmSenderConfig(journal=folder / "by-hand")
        config = EvmConfig(chain_id=31337, sending=sending, websocket="off")
        self.folder = folder
        self.own, self.other = (Wallet.from_key(key) for key in anvil.keys[:2])
        self.ledger = EvmLedger.deploy(anvil.url, self.own, config=config)
        self.store = DirectoryStore(folder / "store", owner="bench")
        start = [np.zeros(3)]
        spec = ExperimentSpec("toy", WeightsSchema.of(start), "score", higher_is_better=True)
        self.contents = (write_weights(self.store, [np.full(3, float(n))]) for n in count())
        initial = next(self.contents)
        params = ExperimentParams(
            name="latency",
            spec=spec.put(self.store),
            initial=initial,
            rounds=2 * rounds + 4,
            min_learners=2,
            max_learners=2,
            propose_window=100_000,
            vote_window=100_000,
        )
        self.experiment = self.ledger.create(params).wait(10).experiment
        self.hash = self.ledger.experiment(self.experiment).hash
        self.ledger.join(self.experiment, self.hash).wait(10)

    def approval(self, index: int) -> tuple[bytes, Vote]:
        """Return the digest of a round's proposal, and a vote for it."""
        proposals = self.ledger.round(self.experiment, index).proposals
        return proposals or bytes(32), Vote(1, (Scores(), Scores()))

    def measure(self, watch: Watch, rounds: int) -> list[float]:
        """Return the seconds from each proposal's block to the other learner's ballot."""
        seconds: list[float] = []
        while len(seconds) < rounds:
            experiment = self.ledger.experiment(self.experiment)
            duty = self.ledger.duty(self.experiment, self.own.address)
            if experiment.round is None or duty not in (Duty.PROPOSE, Duty.VOTE):
                time.sleep(0.02)
            elif duty == Duty.VOTE:
                index = experiment.round
                self.ledger.vote(self.experiment, index, *self.approval(index)).wait(10)
            else:
                time.sleep(0.3 + random.random())  # noqa: S311 - at a random time in the agent's pause
                content = next(self.contents)
                watch.sent.clear()
                self.ledger.propose(self.experiment, experiment.round, content, Scores())
                began = time.perf_counter()
                if not watch.sent.wait(30):
                    raise SystemExit("no ballot was sent within 30 s")
                seconds.append(watch.at - began)
        return seconds


def measure_agent(bench: Bench, watch: Watch, rounds: int, config: EvmConfig) -> list[float]:
    """Measure an agent."""
    ledger = EvmLedger.connect(watch.url, bench.ledger.contract, bench.other, config=config)
    agent = Agent(
        ledger,
        DirectoryStore(bench.folder / "store", owner="agent"),
        learner=Learner(),
        experiment=bench.experiment,
        folder=bench.folder / "agent",
        config=AgentConfig(poll=config.poll_seconds),
    )
    stop = threading.Event()
    thread = threading.Thread(target=agent.run, args=(stop,), daemon=True)
    thread.start()
    try:
        return bench.measure(watch, rounds)
    finally:
        stop.set()
        thread.join(10)
        agent.close()


def measure_loop(bench: Bench, watch: Watch, rounds: int) -> list[float]:
    """Measure a simple loop with web3.py."""
    account = EthAccount.from_key(bench.other.reveal_key())
    web3 = Web3(HTTPProvider(watch.url))
    web3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
    contract = web3.eth.contract(address=bench.ledger.contract, abi=ABI)
    encoder, number = EvmEncoder(load_artifact().abi), bench.experiment
    stop = threading.Event()

    def transact(call: Call, *arguments: object) -> None:
        data = encoder.encode(call, arguments)
        transaction = {"from": account.address, "to": contract.address, "data": data}
        sent = web3.eth.send_transaction(transaction)
        web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.01)

    def loop() -> None:
        transact(JOIN, number, bench.hash, bytes(32))
        seen = -1
        while not stop.is_set():
            if (head := web3.eth.block_number) == seen:
                time.sleep(0.01)
                continue
            seen = head
            duty = contract.functions.duty(number, account.address).call()
            if duty in (Duty.PROPOSE, Duty.VOTE):
                index = bench.ledger.experiment(number).round or 0
                if duty == Duty.PROPOSE:
                    transact(PROPOSE, number, index, next(bench.contents), Scores())
                else:
                    transact(VOTE, number, index, *bench.approval(index))

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        return bench.measure(watch, rounds)
    finally:
        stop.set()
        thread.join(10)


def print_row(name: str, seconds: list[float]) -> None:
    """Print the measurements."""
    tenths = statistics.quantiles(seconds, n=10)
    print(
        f"{name:<34}{len(seconds):>5}{1e3 * statistics.median(seconds):>10.1f}"
        f"{1e3 * tenths[0]:>10.1f}{1e3 * tenths[-1]:>10.1f}{1e3 * max(seconds):>10.1f}"
    )


def main() -> None:
    """Measure and print the latency."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--duties", type=int, default=50)
    parser.add_argument("--poll", type=float, default=1.0, help="the agent's interval, in seconds")
    options = parser.parse_args()
    print(f"{'milliseconds':<34}{'n':>5}{'median':>10}{'10 %':>10}{'90 %':>10}{'max':>10}")
    with Anvil() as anvil:
        watch = Watch(anvil.url)
        measurements: dict[str, Callable[[Bench], list[float]]] = {
            "web3.py, polling every 10 ms": lambda p: measure_loop(p, watch, options.duties)
        }
        ws = anvil.url.replace("http", "ws")
        for name, socket in (
            ("WebSocket", ws),
            (f"polling every {options.poll:g} s", "off"),
        ):
            measurements[f"agent, {name}"] = lambda p, socket=socket: measure_agent(  # type: ignore[misc]
                p,
                watch,
                options.duties,
                EvmConfig(
                    chain_id=31337,
                    sending=EvmSenderConfig(journal=p.folder / "sent"),
                    poll_seconds=options.poll,
                    websocket=socket,
                ),
            )
        for name, measure in measurements.items():
            with tempfile.TemporaryDirectory() as folder:
                print_row(name, measure(Bench(anvil, Path(folder), options.duties)))


if __name__ == "__main__":
    main()
