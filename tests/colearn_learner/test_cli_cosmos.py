"""The commands on a real Cosmos chain: only the network differs from an EVM chain."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colearn_learner.cli._support.experiment_file import TEMPLATE
from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import CosmosNetwork
from tests.support.commands import COLEARN, colearn, run_json

if TYPE_CHECKING:
    from tests.support.cosmos_place import Place

PASSWORD = "a password"
NAMES = ("owner", "alice", "bob", "carol")
PATIENCE = 240
"""Seconds after which even a busy machine must have finished."""


@pytest.fixture(autouse=True)
def home(cosmos_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a home with four funded keys, one from a mnemonic, and a network."""
    for name in ("COLEARN_STORE", "COLEARN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLEARN_PASSWORD", PASSWORD)
    monkeypatch.setenv("COLEARN_NETWORK", "mine")
    wallets = [Wallet.from_mnemonic("zoo " * 11 + "wrong")]
    wallets += [Wallet.from_key(bytes([n]) * 32) for n in (51, 52, 53)]
    cosmos_place.fund(wallets)
    for name, wallet in zip(NAMES, wallets, strict=True):
        Keystore(work=2).save(name, wallet, PASSWORD)
    chain, store = cosmos_place.chain, f"folder:{tmp_path / 'store'}"
    Networks().save(
        CosmosNetwork("mine", chain.rpc, chain.chain_id, store=store, access=cosmos_place.terms)
    )
    return tmp_path


def create_experiment(home: Path, **terms: object) -> str:
    text = TEMPLATE.replace("of = 5", "of = 3")
    for name, value in terms.items():
        lines = text.split("\n")
        text = "\n".join(f"{name} = {value}" if x.startswith(f"{name} = ") else x for x in lines)
    (home / "experiment.toml").write_text(text)
    spec = ("--spec", str(home / "experiment.toml"))
    return str(run_json("experiment", "create", *spec, "--key", "owner")["reference"])


def test_three_agents_complete_an_experiment(home: Path):
    deployed = run_json("deploy", "--key", "owner")
    assert deployed["owner"] == Keystore().key("owner").cosmos_address("wasm")
    assert Networks().get("mine").contract == deployed["contract"]
    reference = create_experiment(home, rounds=2, min_learners=3, max_learners=3)
    assert reference == f"cosmos:colearn-local:{deployed['contract']}/1"
    agents = []
    for index, key in enumerate(NAMES[1:]):
        given = ("dataset=breast-cancer", f"learner={index}", "of=3")
        arguments = [part for one in given for part in ("--learner-arg", one)]
        command = ("agent", "run", "--experiment", reference, "--key", key, "--json")
        learner = ("--poll", "0.1", "--learner", "colearn_learner.catalogue:share", *arguments)
        agents.append(
            subprocess.Popen([*COLEARN, *command, *learner], stdout=-1, stderr=-1, text=True)
        )
    ends = [agent.communicate(timeout=PATIENCE) for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0, 0], ends
    history = run_json("history", reference)
    assert [r["outcome"] != "no_proposal" for r in history["rounds"]] == [True, True]
    learners = {learner["account"] for learner in history["learners"]}
    assert learners == {Keystore().key(name).cosmos_address("wasm") for name in NAMES[1:]}
    assert run_json("experiment", "show", reference)["status"] == "completed"
    assert not list((home / "home").rglob("*.partial"))


def test_admit_accepts_key_names_and_addresses(home: Path):
    run_json("deploy", "--key", "owner")
    reference = create_experiment(home, admission='"allowlist"', min_learners=2, max_learners=3)
    bob = Keystore().key("bob").cosmos_address("wasm")
    run_json("experiment", "admit", reference, "alice", str(bob), "--key", "owner")
    strange = colearn("experiment", "admit", reference, f"{bob}x", "--key", "owner")
    assert strange.exit_code == 2
    assert "is not an address" in " ".join(strange.output.split())


def test_refusals_and_empty_accounts_are_reported_without_a_traceback(home: Path):
    run_json("deploy", "--key", "owner")
    reference = create_experiment(home, min_learners=2, max_learners=3)
    refused = colearn("experiment", "start", reference, "--key", "alice")
    assert refused.exit_code == 1
    assert "only the experiment's creator may do this" in refused.output
    Keystore(work=2).save("poor", Wallet.create(), PASSWORD)
    empty = colearn("deploy", "--key", "poor")
    assert empty.exit_code == 1
    assert "holds 0 stake" in empty.output
    assert "Traceback" not in refused.output + empty.output


def test_deploying_to_another_chain_is_refused(cosmos_place: Place):
    wrong = CosmosNetwork("wrong", cosmos_place.chain.rpc, "fetchhub-4", access=cosmos_place.terms)
    Networks().save(wrong)
    result = colearn("deploy", "--network", "wrong", "--key", "owner")
    assert result.exit_code == 1
    assert "not on chain fetchhub-4" in " ".join(result.output.split())
