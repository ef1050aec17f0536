"""A home with keys on anvil, and agents in their own processes, for tests of commands."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from colearn_learner.cli._support.experiment_file import TEMPLATE
from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import EvmNetwork
from colearn_localnet.anvil import Anvil
from tests.support import ROOT
from tests.support.blocking_learner import BLOCKING
from tests.support.commands import COLEARN, run_json

READER = ROOT / "tests" / "support" / "read_contract.py"
ABI = ROOT / "colearn_ledger" / "chains" / "evm" / "CollectiveLearning.json"
PASSWORD = "a password"
NAMES = ("owner", "alice", "bob", "carol")
PATIENCE = 240
"""Limit in seconds that even a busy machine does not reach."""


@pytest.fixture(scope="module")
def chain() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


@pytest.fixture(autouse=True)
def home(chain: Anvil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a home with four funded keys and a network."""
    for name in ("COLEARN_NETWORK", "COLEARN_STORE", "COLEARN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLEARN_PASSWORD", PASSWORD)
    keys = Keystore(work=2)
    for name, key in zip(NAMES, chain.keys, strict=False):
        keys.save(name, Wallet.from_key(key), PASSWORD)
    Networks().save(EvmNetwork("local-evm", chain.url, 31337, store=f"folder:{tmp_path / 'store'}"))
    return tmp_path


@pytest.fixture
def contract(home: Path) -> str:
    return str(run_json("deploy", "--network", "local-evm", "--key", "owner")["contract"])


def create_experiment(home: Path, text: str = TEMPLATE, **terms: object) -> str:
    """Create an experiment from the template with these terms changed, and return its reference."""
    for name, value in {"rounds": 3, "min_learners": 3, "max_learners": 3, **terms}.items():
        lines = [f"{name} = {value}" if x.startswith(f"{name} = ") else x for x in text.split("\n")]
        text = "\n".join(lines)
    (home / "experiment.toml").write_text(text.replace("of = 5", "of = 3"))
    spec = ("--spec", str(home / "experiment.toml"))
    return str(run_json("experiment", "create", *spec, "--key", "owner")["reference"])


def create_blocking_experiment(home: Path, **terms: object) -> str:
    """Create an experiment of one round for two learners, with weights of the blocking learner."""
    learner = TEMPLATE.replace("colearn_learner.catalogue:share", BLOCKING)
    learner = learner.replace('{ dataset = "breast-cancer", learner = 0, of = 5 }', "{}")
    return create_experiment(home, learner, rounds=1, min_learners=2, max_learners=2, **terms)


class AgentProcess:
    """An agent in its own process, whose log is read line by line."""

    def __init__(self, reference: str, key: str, *more: str) -> None:
        command = ("agent", "run", "--experiment", reference, "--key", key, "--json")
        self.process = subprocess.Popen(
            [*COLEARN, *command, "--poll", "0.05", *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[dict[str, Any]] = []
        self._watchdog = threading.Timer(PATIENCE, self.process.kill)
        self._watchdog.start()

    def read_until(self, event: str) -> dict[str, Any]:
        """Read the log up to an event, and return the event."""
        for line in self.process.stdout or ():
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == event:
                return self.log[-1]
        raise AssertionError(f"{event} did not arrive: {self.log}, {self.wait()}")

    def wait(self) -> tuple[int, str]:
        """Wait until the process ends; return its exit code and standard error."""
        out, err = self.process.communicate(timeout=PATIENCE)
        self.log += [json.loads(line) for line in out.splitlines()]
        return self.process.returncode, err

    def __enter__(self) -> AgentProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self.process.kill()
        self.process.communicate()


def share_arguments(index: int) -> list[str]:
    """Return the options of an agent for the catalogue's learner with this share."""
    arguments = ("dataset=breast-cancer", f"learner={index}", "of=3")
    given = [part for argument in arguments for part in ("--learner-arg", argument)]
    return ["--learner", "colearn_learner.catalogue:share", *given]
