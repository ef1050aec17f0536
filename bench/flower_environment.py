"""Run jobs of Flower in an environment of its own, because it needs other versions of packages.

The environment is created once in the user's cache folder, with the versions in
`flower-requirements.txt`. What Flower does not need, such as PyTorch, it finds in the environment
that runs the bench, whose packages come last on its path.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from colearn_ledger.home import write_atomically
from colearn_localnet.errors import InstallFailed
from colearn_localnet.toolchains import (
    Report,
    cache_folder,
    lock_installation,
    run_with_progress,
)

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "bench" / "flower-requirements.txt"

_PROGRAM = "import sys; from bench import flower_peer; flower_peer.main(*sys.argv[1:])"
"""Run jobs; as ``__main__``, the module could not be imported by Ray's processes."""

_PACKAGES = "COLEARN_BENCH_PACKAGES"
_PATH_LINE = (
    f"import os, sys; sys.path += filter(None, os.environ.get('{_PACKAGES}', '').split(':'));"
    " sys.modules.update(tensorflow=None, keras=None)"
)
"""Line of a .pth file, which Python runs at every start.

TensorFlow, which Flower imports if it finds it, cannot run in the same process as PyTorch's Triton.
"""


@dataclass(frozen=True, slots=True)
class FlowerJob:
    """One run of Flower.

    Args:
        strategy: name of a class in `flwr.serverapp.strategy`.
        options: its arguments, apart from those about sampling: all clients take part.
        clients: ``module:function``; the function returns the `flower_peer.Clients`.
        arguments: the function's arguments; must be JSON.
        n_clients: number of clients.
        rounds: number of rounds.
    """

    strategy: str
    clients: str
    n_clients: int
    rounds: int
    options: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlowerResult:
    """The result of a run.

    Args:
        accuracy: accuracy before the first round and after each round.
        seconds: time from the start of the first round, at the same moments.
        weights: the final weights.
    """

    accuracy: tuple[float, ...]
    seconds: tuple[float, ...]
    weights: Mapping[str, Any]


def show(line: str) -> None:
    """Show a line of progress."""
    print(line, file=sys.stderr, flush=True)


def run_flower(jobs: Sequence[FlowerJob], report: Report, cpus: int = 1) -> list[FlowerResult]:
    """Run jobs one after another in Flower's environment.

    They share one simulation, because Ray takes half a minute to start.

    Args:
        jobs: the jobs; all have the same number of clients.
        report: shows progress.
        cpus: number of clients that run at the same time.

    Raises:
        InstallFailed: Flower cannot be installed, or a job failed; the message contains the end
            of its output.
    """
    python = prepare_flower(report)
    with tempfile.TemporaryDirectory(prefix="colearn-flower-") as name:
        folder = Path(name)
        described = {"jobs": [asdict(job) for job in jobs], "cpus": cpus}
        (folder / "jobs.json").write_text(json.dumps(described))
        command = [str(python), "-c", _PROGRAM, str(folder)]
        run_with_progress(command, folder, report, environment=_environment())
        return [_read_result(folder / f"{index}.npz") for index in range(len(jobs))]


def _read_result(path: Path) -> FlowerResult:
    with np.load(path, allow_pickle=False) as found:
        arrays = dict(found)
    accuracy, seconds = arrays.pop("accuracy"), arrays.pop("seconds")
    weights = {name.removeprefix("weights/"): array for name, array in arrays.items()}
    return FlowerResult(tuple(accuracy.tolist()), tuple(seconds.tolist()), weights)


def prepare_flower(report: Report) -> Path:
    """Return the Python of Flower's environment, which is installed if it is missing.

    Raises:
        InstallFailed: it cannot be installed.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:8]
    name = f"flower-{digest}-python{sys.version_info.major}.{sys.version_info.minor}"
    home = cache_folder() / "bench" / name
    if not (home / "complete").exists():
        with lock_installation(home.parent, name, report):
            if not (home / "complete").exists():
                _install(home, report)
    packages = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    write_atomically(packages / "site-packages" / "colearn.pth", f"{_PATH_LINE}\n".encode())
    return home / "bin" / "python"


def _install(home: Path, report: Report) -> None:
    report(f"installing Flower from PyPI into {home} (600 MB, once) ...")
    python = home / "bin" / "python"
    try:
        run_with_progress([sys.executable, "-m", "venv", "--clear", str(home)], ROOT, report)
        command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        command += ["--progress-bar=off", "--no-compile", "--no-deps", "--only-binary=:all:"]
        command += ["--requirement", str(REQUIREMENTS)]
        run_with_progress(command, ROOT, report)
    except InstallFailed as error:
        raise InstallFailed(
            f"Flower could not be installed from PyPI: {error}\nIf there is no network, leave out"
            " the ways of learning that need Flower."
        ) from error
    (home / "complete").touch()


def _environment() -> dict[str, str]:
    """Return the environment of a job: our packages first, then Flower's, then all others."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "localnet")]),
        _PACKAGES: sysconfig.get_path("purelib"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # by default, clients give way to all other processes
        "OMP_NUM_THREADS": "1",
    }
