"""Agents train on folders of colearn data prepare, with a contract on anvil."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from colearn_learner.cli._support.experiment_file import TEMPLATE
from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import EvmNetwork
from colearn_localnet.anvil import Anvil
from tests.support.commands import COLEARN, run_json

PASSWORD = "a password"
LEARNERS = ("alice", "bob", "carol")
PATIENCE = 240
"""Seconds after which even a busy machine must have finished."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("COLEARN_NETWORK", "COLEARN_STORE", "COLEARN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLEARN_PASSWORD", PASSWORD)
    with Anvil() as chain:
        keys = Keystore(work=2)
        for name, key in zip(("owner", *LEARNERS), chain.keys, strict=False):
            keys.save(name, Wallet.from_key(key), PASSWORD)
        store = f"folder:{tmp_path / 'store'}"
        Networks().save(EvmNetwork("local-evm", chain.url, 31337, store=store))
        yield tmp_path


def create_experiment(home: Path, folder: str) -> str:
    """Create an experiment that starts with the first weights of a folder's learner."""
    given = '{ dataset = "breast-cancer", learner = 0, of = 5 }'
    text = TEMPLATE.replace(given, f"{{ data = {json.dumps(folder)} }}")
    for old, new in (("catalogue:share", "catalogue:prepared"), ("rounds = 15", "rounds = 3")):
        text = text.replace(old, new)
    (home / "experiment.toml").write_text(text.replace("learners = 5", "learners = 3"))
    spec = ("--spec", home / "experiment.toml")
    return str(run_json("experiment", "create", *spec, "--key", "owner")["reference"])


def test_agents_train_on_prepared_folders(home: Path):
    how = ("--n-learners", len(LEARNERS), "--how", "label-skew")
    prepared = run_json("data", "prepare", "breast-cancer", "--into", home / "data", *how)
    folders = [one["folder"] for one in prepared["learners"]]
    run_json("deploy", "--network", "local-evm", "--key", "owner")
    reference = create_experiment(home, folders[0])
    agents = [
        subprocess.Popen(
            [
                *(*COLEARN, "agent", "run", "--experiment", reference, "--key", key),
                *("--poll", "0.05", "--json"),
                *("--learner", "colearn_learner.catalogue:prepared"),
                *("--learner-arg", f"data={folder}"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for key, folder in zip(LEARNERS, folders, strict=True)
    ]
    try:
        ended = [(*agent.communicate(timeout=PATIENCE), agent.returncode) for agent in agents]
    finally:
        for agent in agents:
            agent.kill()
            agent.wait()
    assert [code for *_, code in ended] == [0, 0, 0], ended
    rounds = run_json("history", reference)["rounds"]
    assert len(rounds) == 3
    assert any(one["outcome"] == "accepted" for one in rounds)
    weights = home / "model.safetensors"
    run_json("weights", "get", reference, "--out", weights)
    assert weights.stat().st_size > 200
