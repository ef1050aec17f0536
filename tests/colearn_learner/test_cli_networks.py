"""`colearn network`, and how commands find out which network, contract and experiment is meant."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from colearn_learner.cli import main
from colearn_learner.cli._support import connect
from colearn_learner.cli._support.connect import cosmos_config, evm_config
from colearn_ledger.chains.evm import EvmConfig
from colearn_ledger.networks.profiles import READY_NETWORKS, CosmosTerms, Network, Networks
from colearn_ledger.networks.references import ExperimentReference
from colearn_ledger.weights.stores.directory import DirectoryStore

ONE = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
TWO = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    for name in ("COLEARN_NETWORK", "COLEARN_STORE", "COLEARN_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def colearn(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_networks_are_added_shown_listed_and_removed():
    add = ("network", "add", "mine", "--rpc", "https://x.example/KEY", "--chain-id", "5")
    terms = ("--max-fee", "2.5", "--confirmations", "3", "--daily-budget", "0.05")
    assert colearn(*add, "--contract", ONE.lower(), *terms).exit_code == 0
    assert colearn(*add, "--store", "http://u:KEY@y:5001").exit_code == 0  # the others stay
    mine = json.loads(colearn("network", "show", "mine", "--json").output)
    assert mine == {
        "name": "mine",
        "kind": "evm",
        "chain_id": 5,
        "rpc": "https://x.example/…",
        "store": "http://y:5001/…",
        "contract": ONE,
        "contracts": [ONE],
        "max_fee_gwei": 2.5,
        "confirmations": 3,
        "daily_budget": 0.05,
        "cosmos": None,
    }
    assert Networks().get("mine").rpc == "https://x.example/KEY"
    listed = json.loads(colearn("network", "list", "--json").output)
    assert [n["name"] for n in listed] == [*READY_NETWORKS, "mine"]
    for shown in (colearn("network", "list"), colearn("network", "show", "mine")):
        assert ONE in shown.output
        assert "KEY" not in shown.output
    assert colearn("network", "remove", "mine").exit_code == 0
    assert "mine" not in Networks().all()


def test_a_cosmos_chain_is_added_with_its_terms_and_changed_without_repeating_them():
    add = ("network", "add", "fet", "--kind", "cosmos", "--chain-id", "fetchhub-4", "--rpc")
    terms = ("--prefix", "fetch", "--denomination", "afet", "--gas-price", "0.5")
    incomplete = colearn(*add, "https://rpc.example", *terms)
    assert incomplete.exit_code == 2
    assert "needs --grpc" in incomplete.output
    assert colearn(*add, "https://rpc.example", *terms, "--grpc", "https://g/KEY").exit_code == 0
    assert colearn(*add, "https://other.example").exit_code == 0
    fet = Networks().get("fet")
    assert fet.rpc == "https://other.example"
    assert fet.cosmos == CosmosTerms("https://g/KEY", "fetch", "afet", 0.5)
    shown = colearn("network", "show", "fet", "--json").output
    assert json.loads(shown)["kind"] == "cosmos"
    assert "KEY" not in shown + colearn("network", "show", "fet").output
    stray = colearn("network", "add", "x", "--rpc", "http://x", "--chain-id", "5", "--grpc", "x")
    assert "--grpc wants --kind cosmos" in stray.output
    text = colearn("network", "add", "x", "--rpc", "http://x", "--chain-id", "fetchhub-4")
    assert "Add --kind cosmos" in " ".join(text.output.split())


def test_what_a_network_says_of_fees_and_depth_is_what_transactions_go_by():
    config = evm_config(Network("mine", "http://x", 5, max_fee_gwei=2.5, confirmations=3))
    sending = config.sending
    assert (sending.max_fee, sending.confirmations) == (2_500_000_000, 3)
    assert evm_config(Network("mine", "http://x", 5)) == EvmConfig(chain_id=5)


def test_daily_budget_of_a_network_limits_its_senders():
    coins = Network("mine", "http://x", 5, daily_budget=0.05)
    assert evm_config(coins).sending.daily_budget == 50_000_000_000_000_000
    terms = CosmosTerms("http://g", "fetch", "afet", 0.5)
    stake = Network("fet", "http://x", "fetchhub-4", cosmos=terms, daily_budget=7_000)
    assert cosmos_config(stake).sending.daily_budget == 7_000


def test_contracts_of_another_chain_are_not_taken_over():
    Networks().save(Network("mine", "http://x", 5, contracts=(ONE,)))
    colearn("network", "add", "mine", "--rpc", "http://x", "--chain-id", "6")
    assert Networks().get("mine").contracts == ()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("show", "sepolja"), 2, "did you mean sepolia"),
        (("remove", "sepolia"), 2, "was not changed"),
        (("add", "x", "--rpc", "nonsense", "--chain-id", "1"), 2, "not the URL of a node"),
        (("add", "X Y", "--rpc", "http://x", "--chain-id", "1"), 2, "can not be called"),
        (("add", "x", "--rpc", "http://x", "--chain-id", "0"), 2, "not a chain's number"),
        (("add", "x", "--rpc", "http://x", "--chain-id", "1", "--contract", "0x1"), 2, "address"),
    ],
)
def test_wrong_use_gets_one_clear_line(arguments, code, message):
    result = colearn("network", *arguments)
    assert result.exit_code == code
    assert message in result.output


def test_a_broken_file_ends_every_command_with_one_line(home: Path):
    (home / "home").mkdir()
    (home / "home" / "networks.toml").write_text("[networks.")
    for arguments in (("network", "list"), ("history", "1"), ("deploy", "--key", "x")):
        result = colearn(*arguments)
        assert result.exit_code == 1
        assert "networks.toml is not TOML" in result.output


# ------------------------------------------------------------------ which is meant


def test_a_bare_id_is_of_the_default_contract():
    with pytest.raises(click.UsageError, match="deploy first"):
        connect.find_experiment("7", None)
    with pytest.raises(click.UsageError, match="no contract is known on the network sepolia"):
        connect.find_experiment("7", "sepolia")
    Networks().add_contract("local-evm", ONE)
    Networks().add_contract("local-evm", TWO)
    place = connect.find_experiment("7", None)
    assert place.reference == ExperimentReference("eip155:31337", TWO, 7)
    Networks().add_contract("sepolia", ONE)
    with pytest.raises(click.UsageError, match="local-evm, sepolia; choose by --network"):
        connect.find_experiment("7", None)
    assert connect.find_experiment("7", "sepolia").reference.chain == "eip155:11155111"


def test_a_reference_finds_its_network_and_must_fit_the_one_given():
    text = f"eip155:84532:{ONE}/7"
    assert connect.find_experiment(text, None).network.name == "base-sepolia"
    with pytest.raises(click.UsageError, match="chain eip155:84532 and the network sepolia is"):
        connect.find_experiment(text, "sepolia")
    with pytest.raises(click.UsageError, match="one looks like eip155:31337"):
        connect.find_experiment("seven", None)
    Networks().save(Network("other", "http://x", 84532))
    with pytest.raises(click.UsageError, match="base-sepolia, other"):
        connect.find_experiment(text, None)


def test_the_store_is_the_one_given_or_the_networks_own(home: Path):
    network = Network("mine", "http://x", 5, store=f"folder:{home}/own")
    assert connect.choose_store(None, network) == f"folder:{home}/own"
    assert connect.choose_store("./x", network) == "./x"
    with pytest.raises(click.UsageError, match="--store"):
        connect.choose_store(None, Network("mine", "http://x", 5))
    assert isinstance(connect.open_content_store(f"folder:{home}/own", "me"), DirectoryStore)
    assert (home / "own" / "pins" / "me").is_dir()
    with pytest.raises(click.UsageError, match="there is no store"):
        connect.open_content_store(f"{home}/typo", "me", to_read=True)
    assert not (home / "typo").exists()
    with pytest.raises(click.UsageError, match="store"):
        connect.open_content_store("nonsense", "me")
