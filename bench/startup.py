"""Measure start times of the package's import and the command's help.

Usage: .venv/bin/python bench/startup.py [--rounds 11]

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

STARTS = {
    "python -c pass": (["-c", "pass"], None),
    "import numpy": (["-c", "import numpy"], None),
    "import colearn_learner": (["-c", "import colearn_learner"], 0.3),
    "colearn --help": (["-m", "colearn_learner.cli", "--help"], 0.5),
}
"""The interpreter's arguments and the longest allowed time in seconds."""


def measure(arguments: list[str]) -> float:
    """Run a process and return its duration in seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> int:
    """Measure and print the start times, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in STARTS}
    for _ in range(rounds + 1):
        for name in random.sample(list(STARTS), len(STARTS)):
            seconds[name].append(measure(STARTS[name][0]))
    print(f"{rounds} rounds, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    good = True
    for name, (_, most) in STARTS.items():
        median = statistics.median(seconds[name][1:])  # skip the first round, a warm-up
        good = good and (most is None or median < most)
        print(f"{name:24} {median:6.3f} s" + ("" if most is None else f"   limit: {most}"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
