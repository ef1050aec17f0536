"""Count what agents ask of a chain and of IPFS: in a round, and in an hour of waiting.

Usage: .venv/bin/python bench/calls.py [--chains evm cosmos] [--learners 5] [--rounds 6]
       [--block-times 1 12 60]

The script starts anvil or wasmd and Kubo, and runs agents in this process. Each agent reaches the
nodes through relays of its own, which forward the bytes and count them; of gRPC, they count the
bytes of messages. Learners and weights are tiny, so that the bytes are those of the protocol.

*Rounds*: blocks come every second, and all agents run at once. The script counts from the start of
the second round to that of the last one, and divides by agents and rounds. In a round in which all
propose, each agent sends two transactions, its proposal and its ballot, and one of them announces
the mean. A round takes two blocks, and more on a slow machine; each further block costs calls, too.

*Waiting*: an agent waits for the proposal of a learner that never makes one, with plenty of time
left. The script counts during a few blocks and scales the count to an hour. A pushed block is not a
call: the node sends it without being asked.

The column *before* has the figures of agents that asked by the clock instead of by the block. They
were counted on anvil with the same arrangement, before agents followed the head of the chain.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from bench.call_places import PATIENCE, PLACES, Counted, open_place, wait_for
from colearn_localnet.kubo import Kubo

_HOUR = 3_600

MODES = ("WebSocket", "polling")
"""How agents learn of new blocks."""

BEFORE_ROUND = {"WebSocket": "25–27", "polling": "27–28"}
"""RPC calls of an agent in a round with one transaction on anvil, before."""

BEFORE_HOUR = {"WebSocket": "10,800", "polling": "18,000"}
"""RPC calls of a waiting agent in an hour on anvil, before, whatever the time between blocks."""


# ------------------------------------------------------------------------- rounds


def measure_rounds(
    chain: str, kubo: Kubo, mode: str, *, learners: int, proposers: int, rounds: int
) -> tuple[Counted, float]:
    """Return what all agents asked in some rounds, and the number of blocks of a round."""
    with open_place(chain, kubo, 1.0) as place:
        experiment = place.create(learners, rounds + 2, proposers)
        for index in range(learners):
            place.start_agent(index, experiment, pushed=mode == "WebSocket")

        def wait_for_round(number: int) -> tuple[Counted, int]:
            wait_for(
                f"round {number}",
                lambda: (place.ledger.experiment(experiment).round or 0) >= number,
            )
            return place.count(), place.count_blocks()

        (before, first), (after, last) = wait_for_round(1), wait_for_round(1 + rounds)
    return after - before, (last - first) / rounds


def print_rounds(chain: str, kubo: Kubo, learners: int, rounds: int) -> None:
    """Measure rounds and print the table."""
    table = Table(
        *("round", "blocks by", "blocks", "transactions", "RPC calls", "before"),
        *("kB up", "kB down", "IPFS calls", "IPFS kB up", "IPFS kB down"),
        box=MARKDOWN,
    )
    details = []
    for proposers in (1, learners):
        what = "one proposes" if proposers == 1 else "all propose"
        for mode in MODES:
            counted, blocks = measure_rounds(
                *(chain, kubo, mode), learners=learners, proposers=proposers, rounds=rounds
            )
            share = learners * rounds
            asked, ipfs = counted.chain, counted.ipfs
            before = BEFORE_ROUND[mode] if chain == "evm" and proposers == 1 else ""
            sent = asked.names[PLACES[chain].SEND] / share
            table.add_row(
                *(what, mode, f"{blocks:.1f}", f"{sent:.1f}"),
                *(f"{asked.calls / share:.1f}", before),
                *(f"{asked.up / share / 1e3:.1f}", f"{asked.down / share / 1e3:.1f}"),
                *(f"{ipfs.calls / share:.1f}",),
                *(f"{ipfs.up / share / 1e3:.1f}", f"{ipfs.down / share / 1e3:.1f}"),
            )
            details.append(f"{what}, {mode}: {describe(asked.names + ipfs.names, share)}")
    print(f"\n{chain}, an agent in a round: {learners} learners, {rounds} rounds, blocks of 1 s\n")
    Console(width=140).print(table)
    print("\n".join(details))


def describe(names: Counter[str], share: float) -> str:
    """Return the number of each kind of request."""
    return ", ".join(f"{name} {number / share:.2f}" for name, number in names.most_common())


# ------------------------------------------------------------------------- waiting


def measure_waiting(
    chain: str, kubo: Kubo, mode: str, block_time: float, *, blocks: int
) -> Counted:
    """Return what an agent asked while it waited for some blocks."""
    with open_place(chain, kubo, block_time) as place:
        experiment = place.create(2, 1, 1)
        place.ledger.join(experiment, place.ledger.experiment(experiment).hash).wait(PATIENCE)
        learner = place.start_agent(1, experiment, pushed=mode == "WebSocket")
        pause = block_time / 50
        wait_for("the first weights", lambda: bool(learner.accepted), pause)

        def wait_for_blocks(number: int) -> Counted:
            last = place.count_blocks() + number
            wait_for(f"{number} blocks", lambda: place.count_blocks() >= last, pause)
            time.sleep(block_time / 2)  # the agent has reacted, and the next block is not there yet
            return place.count()

        before, after = wait_for_blocks(3), wait_for_blocks(blocks)
    return after - before


def print_waiting(chain: str, kubo: Kubo, block_times: Sequence[float], blocks: int) -> None:
    """Measure waiting, all cases at once, and print the table."""
    cases = [(mode, block_time) for mode in MODES for block_time in block_times]
    results: dict[tuple[str, float], Counted] = {}

    def measure(case: tuple[str, float]) -> None:
        results[case] = measure_waiting(chain, kubo, *case, blocks=blocks)

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
        asked, before = counted.chain, BEFORE_HOUR[mode] if chain == "evm" else ""
        table.add_row(
            *(mode, f"{block_time:g}", f"{asked.calls * factor:,.0f}", before),
            *(f"{asked.pushed * factor:,.0f}",),
            *(f"{asked.up * factor / 1e6:.2f}", f"{asked.down * factor / 1e6:.2f}"),
            *(f"{counted.ipfs.calls * factor:,.0f}",),
        )
        details.append(f"{mode}, {block_time:g} s, counted: {describe(asked.names, 1)}")
    print(f"\n{chain}, an agent in an hour of waiting, scaled from {blocks} blocks\n")
    Console(width=140).print(table)
    print("\n".join(details))


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chains", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--learners", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=6, help="rounds that are counted; 0: none")
    parser.add_argument("--block-times", nargs="+", type=float, default=[1.0, 12.0, 60.0])
    parser.add_argument("--blocks", type=int, default=5, help="blocks of waiting; 0: none")
    options = parser.parse_args()
    logging.getLogger("colearn_learner").setLevel(logging.ERROR)  # agents are stopped at work
    with tempfile.TemporaryDirectory(prefix="colearn-calls-") as folder, Kubo(Path(folder)) as kubo:
        for chain in options.chains:
            if options.rounds:
                print_rounds(chain, kubo, options.learners, options.rounds)
            if options.blocks:
                print_waiting(chain, kubo, options.block_times, options.blocks)


if __name__ == "__main__":
    main()
