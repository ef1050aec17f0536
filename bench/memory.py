"""Measure the memory of agents with large weights.

Usage: .venv/bin/python bench/memory.py [--sizes 10 100 500]

Three agents run one round on anvil and Kubo, each in a process of its own: one learner proposes,
two test and vote, and all adopt what was accepted. The learner holds one copy of its weights, and
makes a new one for its proposal.

The memory is the largest anonymous memory of the process (RssAnon in /proc): what the system cannot
drop, unlike the pages of mapped files. It is sampled a hundred times per second. The script also
prints the memory of a process that has only loaded the packages, and the limits to keep: twice the
weights and 100 MB for a voter, two and a half times the weights and 100 MB for the proposer.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from colearn_learner.agent.context import AgentConfig
from colearn_learner.agent.loop import Agent
from colearn_learner.interface import ProposedWeights, Weights
from colearn_ledger.chains.evm import EvmConfig, EvmLedger, EvmSenderConfig
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import ExperimentParams
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_localnet.anvil import Anvil
from colearn_localnet.kubo import Kubo

MB = 1_000_000
LEARNERS = 3
_WINDOW = 3_600
_PATIENCE = 600.0
_INTERVAL = 0.01
_ANONYMOUS = re.compile(r"RssAnon:\s+(\d+) kB")

LIMITS = {"proposer": 2.5, "voter": 2.0}
"""Most anonymous memory as a multiple of the weights, beside `ALLOWANCE`."""

ALLOWANCE = 100 * MB


class LargeLearner:
    """A learner of one large tensor that approves every proposal.

    Args:
        count: number of weights, float32.
    """

    def __init__(self, count: int) -> None:
        self._weights = np.ones(count, np.float32)

    def mli_propose_weights(self) -> Weights:
        """Return different weights."""
        return Weights([self._weights + np.float32(1)])

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        """Read all weights and approve them."""
        score = float(weights.weights[0].mean(dtype=np.float64))
        return ProposedWeights(weights=weights, vote_score=score, test_score=score, vote=True)

    def mli_accept_weights(self, weights: Weights) -> None:
        """Copy the weights, as a framework does."""
        np.copyto(self._weights, weights.weights[0])

    def mli_get_current_weights(self) -> Weights:
        """Return the current weights."""
        return Weights([self._weights])


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent works; travels to its process.

    Args:
        keys: the agents' private keys.
        rpc: address of the chain's node.
        ipfs: address of the IPFS node's API.
        contract: the contract.
        experiment: the experiment.
        count: number of weights.
        folder: folder for the agents.
    """

    keys: tuple[str, ...]
    rpc: str
    ipfs: str
    contract: Any
    experiment: int
    count: int
    folder: Path


def read_anonymous() -> int:
    """Return the anonymous memory of this process in bytes."""
    found = _ANONYMOUS.search(Path("/proc/self/status").read_text())
    if found is None:
        raise SystemExit("memory: this system does not report RssAnon; Linux 4.5 or newer does")
    return int(found.group(1)) * 1024


def measure_peak(act: Callable[[], None]) -> int:
    """Return the largest anonymous memory while a function runs, in bytes."""
    is_over, peak = threading.Event(), read_anonymous()

    def watch() -> None:
        nonlocal peak
        while not is_over.wait(_INTERVAL):
            peak = max(peak, read_anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        act()
    finally:
        is_over.set()
        watcher.join()
    return peak


def run_agent(place: Place, index: int, results: Any) -> None:
    """Run an agent to the end of the experiment, and report memory before and at most."""
    sending = EvmSenderConfig(journal=place.folder / f"sent-{index}")
    config = EvmConfig(chain_id=31337, sending=sending)
    wallet = Wallet.from_key(place.keys[index])
    ledger = EvmLedger.connect(place.rpc, place.contract, wallet, config=config)
    before = read_anonymous()
    with Agent(
        ledger,
        KuboStore(place.ipfs),
        learner=LargeLearner(place.count),
        experiment=place.experiment,
        folder=place.folder / f"agent-{index}",
        config=AgentConfig(),
    ) as agent:
        peak = measure_peak(agent.run)
    first = ledger.rounds(place.experiment)[0]
    is_proposer = first.slots[0].proposer == wallet.address
    results.put(("proposer" if is_proposer else "voter", before, peak))


def measure(size: int, anvil: Anvil, kubo: Kubo, folder: Path) -> list[tuple[str, int, int]]:
    """Return role, memory before and largest memory of each agent.

    Args:
        size: size of the weights in bytes.
        anvil: the chain.
        kubo: the IPFS node.
        folder: folder for the agents.
    """
    config = EvmConfig(chain_id=31337, sending=EvmSenderConfig(journal=folder / "sent"))
    wallet = Wallet.from_key(anvil.keys[0])
    ledger = EvmLedger.deploy(anvil.url, wallet, config=config)
    place = create_experiment(ledger, anvil, kubo, size // 4, folder)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=run_agent, args=(place, index, results)) for index in range(LEARNERS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_PATIENCE)
    if any(process.exitcode != 0 for process in processes):
        raise SystemExit("memory: an agent failed")
    return sorted(results.get() for _ in processes)


def create_experiment(
    ledger: EvmLedger, anvil: Anvil, kubo: Kubo, count: int, folder: Path
) -> Place:
    """Create an experiment of one round."""
    store, start = KuboStore(kubo.api_url), [np.zeros(count, np.float32)]
    spec = ExperimentSpec("large", WeightsSchema.of(start), "score", higher_is_better=True)
    params = ExperimentParams(
        name="memory",
        spec=spec.put(store),
        initial=write_weights(store, start),
        rounds=1,
        min_learners=LEARNERS,
        max_learners=LEARNERS,
        propose_window=_WINDOW,
        vote_window=_WINDOW,
    )
    experiment = ledger.create(params).wait(_PATIENCE).experiment
    keys = tuple(anvil.keys[:LEARNERS])
    return Place(keys, anvil.url, kubo.api_url, ledger.contract, experiment, count, folder)


def main() -> int:
    """Measure all sizes, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[10, 100, 500], help="in MB")
    options = parser.parse_args()
    table = Table("weights", "agent", "before", "at most", "of the weights", "limit", box=MARKDOWN)
    is_good = True
    with tempfile.TemporaryDirectory(prefix="colearn-memory-") as name:
        folder = Path(name)
        with Anvil(log=folder / "anvil.log") as anvil, Kubo(folder / "kubo") as kubo:
            for megabytes in options.sizes:
                size = megabytes * MB
                for role, before, peak in measure(size, anvil, kubo, folder / str(megabytes)):
                    limit = LIMITS[role] * size + ALLOWANCE
                    is_good = is_good and peak <= limit
                    share = (peak - before) / size
                    table.add_row(
                        *(f"{megabytes} MB", role, f"{before / MB:.0f} MB", f"{peak / MB:.0f} MB"),
                        *(f"{share:.2f}", f"{limit / MB:.0f} MB"),
                    )
    Console(width=100).print(table)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
