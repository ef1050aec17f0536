"""Measure audits of long experiments, and show where their time goes.

Usage: .venv/bin/python bench/audit.py [--rounds 10000 20] [--learners 5 1000] [--proposers 1 4]

By default there are two experiments on anvil: 10,000 rounds of 5 learners that send their ballots,
and 20 rounds of 1,000 learners, of which one submits the signed ballots of all in batches. Making
them takes minutes; they are kept in the user's cache folder (`--folder`), so that a rerun is quick.

Each one is audited from anvil over HTTP, files included. The time of a stage runs from the end of
the stage before to its last report. Other work on the machine makes wall time longer, but hardly
the CPU time, which is that of this process and that of anvil. The peer in the same run is the
second implementation, `scripts/audit_independently.py`, in a process of its own: it checks no
files.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.long_experiments import LongExperiment, Shape, open_experiment
from colearn_ledger.audit import Progress, audit_experiment
from colearn_ledger.chains.evm import EvmLedger
from colearn_localnet.toolchains import cache_folder

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / "scripts" / "audit_independently.py"


class AuditFailed(Exception):
    """An audit of an honest experiment had findings, or could not be made."""


@dataclass(slots=True)
class Times:
    """Seconds: wall time, CPU time of the audit, and CPU time of anvil."""

    wall: float = 0.0
    audit: float = 0.0
    anvil: float = 0.0

    def __sub__(self, other: Times) -> Times:
        return Times(self.wall - other.wall, self.audit - other.audit, self.anvil - other.anvil)

    def __add__(self, other: Times) -> Times:
        return Times(self.wall + other.wall, self.audit + other.audit, self.anvil + other.anvil)


@dataclass(frozen=True, slots=True)
class Measured:
    """What audits of one experiment took: by stage, in all, and the peer's.

    Args:
        stages: the times of each stage, in order.
        total: the times of the whole audit.
        peer: the times of the second implementation.
        events: number of events that both replayed.
    """

    stages: dict[str, Times]
    total: Times
    peer: Times
    events: int


def measure(found: LongExperiment) -> Measured:
    """Audit an experiment with both implementations.

    Raises:
        AuditFailed: one of them has findings, or checked less than it should.
    """
    anvil = psutil.Process(found.pid)

    def read_clocks(audit: Callable[[], float] = time.process_time) -> Times:
        return Times(time.perf_counter(), audit(), sum(anvil.cpu_times()[:2]))

    stages: dict[str, Times] = {}
    began = last = read_clocks()

    def note(progress: Progress) -> None:
        nonlocal last
        now, name = read_clocks(), progress.stage.value
        stages[name] = stages.get(name, Times()) + (now - last)
        last = now

    ledger = EvmLedger.connect(found.url, found.contract)
    report = audit_experiment(ledger, found.store, found.id, report_progress=note)
    ended = read_clocks()
    stages["the rest"] = ended - last
    if report.findings or report.unchecked:
        raise AuditFailed(f"an honest experiment: {report.findings or report.unchecked}")
    before = read_clocks(_read_children)
    command = [sys.executable, str(PEER), found.url, found.contract, str(found.id)]
    peer = subprocess.run(command, capture_output=True, text=True, check=False)
    after = read_clocks(_read_children)
    if peer.returncode or f"{report.counts.events} events" not in peer.stdout:
        raise AuditFailed(f"the second implementation: {peer.stdout}{peer.stderr}")
    return Measured(stages, ended - began, after - before, report.counts.events)


def _read_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def format_table(shape: Shape, measured: Measured) -> str:
    """Return a Markdown table of one experiment, in seconds."""
    title = f"{shape.rounds:,} rounds, {shape.learners:,} learners, {measured.events:,} events"
    lines = [f"| {title} | wall | CPU of the audit | CPU of anvil |", "|---|---:|---:|---:|"]
    rows = {
        **measured.stages,
        "**in all**": measured.total,
        "second implementation, without files": measured.peer,
    }
    for name, each in rows.items():
        lines.append(f"| {name} | {each.wall:.1f} | {each.audit:.1f} | {each.anvil:.1f} |")
    return "\n".join(lines)


def list_shapes(options: argparse.Namespace) -> list[Shape]:
    """Return the experiments that were asked for.

    Raises:
        SystemExit: the options have different numbers of values.
    """
    sizes = options.rounds, options.learners, options.proposers
    if len({len(each) for each in sizes}) > 1:
        raise SystemExit("give as many numbers of --learners and --proposers as of --rounds")
    return [
        Shape(rounds, learners, proposers, signed=learners > _SIGNED_ABOVE)
        for rounds, learners, proposers in zip(*sizes, strict=True)
    ]


_SIGNED_ABOVE = 100
"""Number of learners above which one of them submits the signed ballots of all."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", nargs="+", type=int, default=[10_000, 20])
    parser.add_argument("--learners", nargs="+", type=int, default=[5, 1_000])
    parser.add_argument("--proposers", nargs="+", type=int, default=[1, 4])
    parser.add_argument(
        "--folder", type=Path, default=cache_folder() / "bench" / "audit", metavar="FOLDER"
    )
    options = parser.parse_args(arguments)
    for shape in list_shapes(options):
        with open_experiment(shape, options.folder) as found:
            print(format_table(shape, measure(found)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
