from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import flower_environment
from bench.flower_environment import FlowerJob, prepare_flower, run_flower
from bench.round_cost import measure_ledger, open_embedded, open_local
from bench.trivial import TrivialClients
from colearn_localnet.errors import InstallFailed

JOB = FlowerJob("FedAvg", "bench.trivial:TrivialClients", n_clients=2, rounds=1)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(flower_environment, "cache_folder", lambda: tmp_path)
    return tmp_path


def test_requirements_are_pinned_and_contain_no_address():
    lines = flower_environment.REQUIREMENTS.read_text().splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert {"flwr==1.42.0", "ray==2.55.1"} <= set(packages)
    assert all(line.count("==") == 1 and "/" not in line for line in packages)


def test_failed_installation_is_tried_again(cache: Path, monkeypatch: pytest.MonkeyPatch):
    tried: list[str] = []

    def run(command: list[str], *_: object, **__: object) -> str:
        tried.append(command[2])
        if command[2] == "pip":
            raise InstallFailed("no network")
        return ""

    monkeypatch.setattr(flower_environment, "run_with_progress", run)
    for _ in range(2):
        with pytest.raises(InstallFailed, match="could not be installed from PyPI: no network"):
            prepare_flower(lambda line: None)
    assert tried == ["venv", "pip"] * 2


def test_jobs_and_results_travel_in_files(cache: Path, monkeypatch: pytest.MonkeyPatch):
    """A stand-in for Flower's Python answers with what it was given."""
    monkeypatch.setattr(flower_environment, "prepare_flower", lambda report: Path("python"))

    def run(command: list[str], folder: Path, *_: object, **__: object) -> str:
        assert command[:2] == ["python", "-c"]
        described = json.loads((Path(command[3]) / "jobs.json").read_text())
        for index, job in enumerate(described["jobs"]):
            moments = {"accuracy": np.array([0.5, job["rounds"]]), "seconds": np.array([0.0, 2.0])}
            np.savez(Path(command[3]) / f"{index}.npz", **moments, **{"weights/a.b": np.ones(3)})
        return ""

    monkeypatch.setattr(flower_environment, "run_with_progress", run)
    results = run_flower([JOB, replace(JOB, rounds=2)], lambda line: None)
    assert [result.accuracy for result in results] == [(0.5, 1.0), (0.5, 2.0)]
    assert [result.seconds for result in results] == [(0.0, 2.0), (0.0, 2.0)]
    assert list(results[0].weights) == ["a.b"]


def test_packages_of_the_bench_come_last_on_flowers_path():
    environment = flower_environment._environment()
    program = f"{flower_environment._PATH_LINE}; print(sys.path[-1])"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == environment[flower_environment._PACKAGES]


def test_trivial_clients_differ_from_each_other():
    clients = TrivialClients()
    trained = [clients.train(i, clients.start(), None, 0.0)[0]["weights"] for i in (0, 1)]
    assert not np.array_equal(*trained)


@pytest.mark.parametrize("open_views", [open_local, open_embedded])
def test_trivial_learners_accept_every_round(open_views):
    assert measure_ledger(open_views, learners=3, proposers=2, rounds=1) > 0
