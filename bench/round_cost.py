"""Measure a round of learners whose own work takes no time, on three ledgers and with Flower.

Usage: .venv/bin/python bench/round_cost.py [--learners 5 20 100] [--proposers 1 8 16] [--rounds 5]

All learners run as agents in this process, in turn as in a simulation, with weights of 1,000
numbers. What a round takes is therefore the price of the protocol: transactions and queries,
and for each proposal writing, fetching, checking, hashing and pinning. The ledgers are
`LocalLedger` (no chain), the compiled contract on an embedded EVM, and the contract on anvil, which
mines a block for each transaction. The difference from `LocalLedger` is the chain's share.

The peer, in the same run, is a simulation of Flower's FedAvg with as many clients whose work takes
no time either. It has no ledger, no votes and no files. Ray runs as many of them at a time as there
are cores. The first round is not counted anywhere, because Ray's processes start in it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from bench.flower_environment import FlowerJob, run_flower, show
from bench.trivial import TrivialLearner
from colearn_learner.agent.context import AgentConfig
from colearn_learner.agent.loop import Agent
from colearn_learner.agent.turns import run_in_turns
from colearn_ledger.chains.evm import EvmConfig, EvmLedger, EvmSenderConfig
from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import ExperimentParams
from colearn_ledger.reference import LocalLedger
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_localnet.anvil import Anvil
from colearn_localnet.errors import InstallFailed
from colearn_localnet.funding import fund

_WINDOW = 36_000
"""Seconds for each duty, far more than it takes."""

_SPARE = 60.0
"""Seconds that files without pins stay in the store."""

Views = Callable[[Sequence[Wallet], Path], Any]


@contextmanager
def open_local(wallets: Sequence[Wallet], folder: Path) -> Iterator[list[Any]]:
    """Yield a view of a `LocalLedger` for each wallet."""
    ledger = LocalLedger.new(wallets[0])
    yield [ledger.acting_for(wallet) for wallet in wallets]


@contextmanager
def open_embedded(wallets: Sequence[Wallet], folder: Path) -> Iterator[list[Any]]:
    """Yield a view of the contract on an embedded EVM for each wallet."""
    chain = EmbeddedChain()
    ledger = chain.deploy(wallets[0])
    for wallet in wallets[1:]:
        chain.fund(wallet)
    yield [ledger.acting_for(wallet) for wallet in wallets]


@contextmanager
def open_anvil(wallets: Sequence[Wallet], folder: Path) -> Iterator[list[Any]]:
    """Yield a connection to the contract on a new anvil for each wallet."""

    def configure(index: int) -> EvmConfig:
        sending = EvmSenderConfig(journal=folder / f"sent-{index}")
        return EvmConfig(chain_id=31337, sending=sending)

    with Anvil(log=folder / "anvil.log") as anvil:
        fund(anvil.url, [wallet.address for wallet in wallets], Decimal(100))
        first = EvmLedger.deploy(anvil.url, wallets[0], config=configure(0))
        others = (
            EvmLedger.connect(anvil.url, first.contract, wallet, config=configure(i))
            for i, wallet in enumerate(wallets[1:], 1)
        )
        yield [first, *others]


LEDGERS: dict[str, Views] = {
    "local": open_local,
    "embedded EVM": open_embedded,
    "anvil": open_anvil,
}


class RoundsMissing(Exception):
    """A round was not accepted, so that nothing can be measured."""


def measure_ledger(open_views: Views, learners: int, proposers: int, rounds: int) -> float:
    """Return the seconds of a round."""
    wallets = [Wallet.create() for _ in range(learners)]
    trivial = [TrivialLearner(index) for index in range(learners)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="colearn-cost-")))
        views = stack.enter_context(open_views(wallets, folder))
        run_agents(views, trivial, folder, proposers, rounds + 1)
    moments = trivial[0].accepted
    if len(moments) != rounds + 2:  # the first weights, and those of each round
        raise RoundsMissing(f"weights were accepted {len(moments)} times in {rounds + 1} rounds")
    return (moments[-1] - moments[1]) / rounds


def run_agents(
    views: Sequence[Any],
    learners: Sequence[TrivialLearner],
    folder: Path,
    proposers: int,
    rounds: int,
) -> None:
    """Run an experiment to its end."""
    stores = [
        DirectoryStore(folder / "store", owner=f"learner-{i}", spare=_SPARE)
        for i in range(len(learners))
    ]
    start = learners[0].mli_get_current_weights().weights
    spec = ExperimentSpec("trivial", WeightsSchema.of(start), "score", higher_is_better=True)
    params = ExperimentParams(
        name="round cost",
        spec=spec.put(stores[0]),
        initial=write_weights(stores[0], start),
        rounds=rounds,
        min_learners=len(learners),
        max_learners=len(learners),
        propose_window=_WINDOW,
        vote_window=_WINDOW,
        proposers=proposers,
    )
    stores[0].pin(params.spec)
    stores[0].pin(params.initial)
    experiment = views[0].create(params).wait(60).experiment
    with ExitStack() as stack:
        agents = [
            stack.enter_context(
                Agent(
                    view,
                    store,
                    learner=learner,
                    experiment=experiment,
                    folder=folder / "agents" / str(i),
                    config=AgentConfig(poll=0.5),
                )
            )
            for i, (view, store, learner) in enumerate(zip(views, stores, learners, strict=True))
        ]
        run_in_turns(agents)


def measure_flower(learners: int, rounds: int) -> float:
    """Return the seconds of a round of Flower's FedAvg."""
    job = FlowerJob(
        strategy="FedAvg",
        clients="bench.trivial:TrivialClients",
        n_clients=learners,
        rounds=rounds + 1,
    )
    seconds = run_flower([job], show, cpus=os.cpu_count() or 1)[0].seconds
    return (seconds[-1] - seconds[1]) / rounds


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--learners", nargs="+", type=int, default=[5, 20, 100])
    parser.add_argument("--proposers", nargs="+", type=int, default=[1, 8, 16])
    parser.add_argument("--ledgers", nargs="+", choices=list(LEDGERS), default=list(LEDGERS))
    parser.add_argument("--rounds", type=int, default=5, help="rounds that are counted")
    parser.add_argument("--no-flower", action="store_true", help="leave Flower out")
    options = parser.parse_args()
    names = ["learners", "proposers", *options.ledgers]
    table = Table(*names, box=MARKDOWN)
    if not options.no_flower:
        table.add_column("Flower")
    for column in table.columns:
        column.justify = "right"
    for learners in options.learners:
        flower = "" if options.no_flower else f"{measure_with_flower(learners, options.rounds):.3f}"
        for proposers in sorted({min(k, learners) for k in options.proposers}):
            cells = []
            for name in options.ledgers:
                seconds = measure_ledger(LEDGERS[name], learners, proposers, options.rounds)
                show(f"{learners} learners, {proposers} proposers, {name}: {seconds:.3f} s")
                cells.append(f"{seconds:.3f}")
            row = [str(learners), str(proposers), *cells]
            table.add_row(*row, *([] if options.no_flower else [flower]))
    print("seconds of a round")
    Console(width=120).print(table)


def measure_with_flower(learners: int, rounds: int) -> float:
    """Return the seconds of Flower's rounds, or end the program if Flower is missing."""
    try:
        seconds = measure_flower(learners, rounds)
    except InstallFailed as error:
        sys.exit(f"round_cost: {error}\nWith --no-flower the bench runs without it.")
    show(f"{learners} clients, Flower: {seconds:.3f} s")
    return seconds


if __name__ == "__main__":
    main()
