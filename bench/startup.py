"""Measure start times of the package's import and of the help of each command.

Usage: .venv/bin/python bench/startup.py [--rounds 5]

Each round starts a new process of each kind, in changing order. The script prints medians in
seconds. The bare interpreter and `import numpy`, a cost that many programs have, are the baselines.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import click

from colearn_learner.cli import main as colearn

STARTS = {
    "python -c pass": (["-c", "pass"], None),
    "import numpy": (["-c", "import numpy"], None),
    "import colearn_learner": (["-c", "import colearn_learner"], 0.3),
}
"""The interpreter's arguments and the longest allowed time in seconds."""

HELP_LIMIT = 0.3
"""Longest allowed time of a command's help in seconds."""


def list_commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the names that lead to each command."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if subcommand := command.get_command(context, name):
                yield from list_commands(subcommand, (*path, name))


def measure(arguments: list[str]) -> float:
    """Run a process and return its duration in seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> int:
    """Measure and print the start times, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    starts = {
        **STARTS,
        **{
            f"{' '.join(('colearn', *names))} --help": (
                ["-m", "colearn_learner.cli", *names, "--help"],
                HELP_LIMIT,
            )
            for names in list_commands(colearn)
        },
    }
    seconds: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(rounds + 1):
        for name in random.sample(list(starts), len(starts)):
            seconds[name].append(measure(starts[name][0]))
    print(f"{rounds} rounds, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    good = True
    for name, (_, most) in starts.items():
        median = statistics.median(seconds[name][1:])  # skip the first round, a warm-up
        good = good and (most is None or median < most)
        print(f"{name:32} {median:6.3f} s" + ("" if most is None else f"   limit: {most}"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
