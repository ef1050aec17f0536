"""`colearn network`, and how commands choose the network, contract and experiment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from colearn_learner.cli._support import connect
from colearn_ledger.chains.cosmos import CosmosLedger
from colearn_ledger.chains.evm import EvmConfig, EvmLedger
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.networks.profiles import BUILT_IN_NETWORKS, CosmosNetwork, EvmNetwork, Network
from colearn_ledger.networks.references import ExperimentReference
from colearn_ledger.protocol import Account
from colearn_ledger.weights.stores.directory import DirectoryStore
from tests.support.commands import colearn

ONE = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
TWO = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    for name in ("COLEARN_NETWORK", "COLEARN_STORE", "COLEARN_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_networks_are_added_shown_listed_and_removed():
    add = ("network", "add", "mine", "--rpc", "https://x.example/KEY", "--chain-id", "5")
    terms = ("--max-fee", "2.5", "--confirmations", "3", "--daily-budget", "0.05")
    assert colearn(*add, "--contract", ONE.lower(), *terms).exit_code == 0
    assert colearn(*add, "--store", "http://u:KEY@y:5001").exit_code == 0  # the others are kept
    mine = json.loads(colearn("network", "show", "mine", "--json").output)
    assert mine == {
        "name": "mine",
        "kind": "evm",
        "chain_id": 5,
        "rpc": ["https://x.example/…"],
        "agree": 1,
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
    assert [n["name"] for n in listed] == [*BUILT_IN_NETWORKS, "mine"]
    for shown in (colearn("network", "list"), colearn("network", "show", "mine")):
        assert ONE in shown.output
        assert "KEY" not in shown.output
    assert colearn("network", "remove", "mine").exit_code == 0
    assert "mine" not in Networks().all()


def test_changing_a_cosmos_network_keeps_the_other_fields():
    add = ("network", "add", "fet", "--kind", "cosmos", "--chain-id", "fetchhub-4", "--rpc")
    terms = ("--prefix", "fetch", "--denomination", "afet", "--gas-price", "0.5")
    incomplete = colearn(*add, "https://rpc.example", *terms)
    assert incomplete.exit_code == 2
    assert "network fet: grpc is missing" in incomplete.output
    assert colearn(*add, "https://rpc.example", *terms, "--grpc", "https://g/KEY").exit_code == 0
    assert colearn(*add, "https://other.example").exit_code == 0
    fet = Networks().get("fet")
    assert isinstance(fet, CosmosNetwork)
    assert fet.rpc == "https://other.example"
    assert fet.access == CosmosAccess("https://g/KEY", "fetch", "afet", 0.5)
    shown = colearn("network", "show", "fet", "--json").output
    assert json.loads(shown)["kind"] == "cosmos"
    assert "KEY" not in shown + colearn("network", "show", "fet").output
    stray = colearn("network", "add", "x", "--rpc", "http://x", "--chain-id", "5", "--grpc", "x")
    assert "grpc is not a field of the kind evm" in stray.output
    text = colearn("network", "add", "x", "--rpc", "http://x", "--chain-id", "fetchhub-4")
    assert "add --kind cosmos" in " ".join(text.output.split())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("local-evm", "up to 500 gwei"),
        ("mine", "up to 0.0000005 gwei"),
        ("local-cosmos", "0.025 stake per unit of gas"),
        ("dorado", "0.000000005 TESTFET per unit of gas"),
        ("fet", "0.000000005 FET per unit of gas"),
    ],
)
def test_prices_are_shown_in_plain_units(name: str, shown: str):
    Networks().save(EvmNetwork("mine", "http://x", 5, max_fee_gwei=5e-7))
    access = CosmosAccess("http://g", "fetch", "afet", 5_000_000_000)
    Networks().save(CosmosNetwork(name="fet", rpc="http://x", chain_id="f-4", access=access))
    assert shown in colearn("network", "show", name).output


def connect_through(
    network: Network, ledger: type, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, ...]:
    """Connect through a network, and return the first argument and the configuration used."""
    used: list[Any] = []
    monkeypatch.setattr(ledger, "connect", lambda at, *_, config: used.extend((at, config)))
    network.connect(Account(ONE), Wallet.create(), poll=0.5)
    return tuple(used)


def test_evm_network_connects_with_its_chain_id_fees_and_confirmations(
    monkeypatch: pytest.MonkeyPatch,
):
    mine = EvmNetwork("mine", "http://x", 5, max_fee_gwei=2.5, confirmations=3)
    url, config = connect_through(mine, EvmLedger, monkeypatch)
    assert (url, config.chain_id, config.poll_seconds) == ("http://x", 5, 0.5)
    assert (config.sending.max_fee, config.sending.confirmations) == (2_500_000_000, 3)
    _, config = connect_through(EvmNetwork("mine", "http://x", 5), EvmLedger, monkeypatch)
    assert config == EvmConfig(chain_id=5, poll_seconds=0.5)


def test_cosmos_network_connects_with_its_chain_id(monkeypatch: pytest.MonkeyPatch):
    dorado = BUILT_IN_NETWORKS["dorado"]
    assert isinstance(dorado, CosmosNetwork)
    access, config = connect_through(dorado, CosmosLedger, monkeypatch)
    assert (access, config.chain_id, config.poll_seconds) == (dorado.access, "dorado-1", 0.5)


def test_daily_budget_of_a_network_limits_its_senders(monkeypatch: pytest.MonkeyPatch):
    coins = EvmNetwork("mine", "http://x", 5, daily_budget=0.05)
    _, config = connect_through(coins, EvmLedger, monkeypatch)
    assert config.sending.daily_budget == 50_000_000_000_000_000
    access = CosmosAccess("http://g", "fetch", "afet", 0.5)
    stake = CosmosNetwork("fet", "http://x", "fetchhub-4", access=access, daily_budget=7_000)
    _, config = connect_through(stake, CosmosLedger, monkeypatch)
    assert config.sending.daily_budget == 7_000


def test_new_chain_id_drops_the_contracts():
    Networks().save(EvmNetwork("mine", "http://x", 5, contracts=(ONE,)))
    colearn("network", "add", "mine", "--rpc", "http://x", "--chain-id", "6")
    assert Networks().get("mine").contracts == ()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("show", "sepolja"), 2, "did you mean sepolia"),
        (("remove", "sepolia"), 2, "nothing to remove"),
        (("add", "x", "--rpc", "nonsense", "--chain-id", "1"), 2, "not the URL of a node"),
        (("add", "X Y", "--rpc", "http://x", "--chain-id", "1"), 2, "is not a valid name"),
        (("add", "x", "--rpc", "http://x", "--chain-id", "0"), 2, "chain_id 0 is not valid"),
        (("add", "x", "--rpc", "http://x", "--chain-id", "1", "--contract", "0x1"), 2, "address"),
    ],
)
def test_wrong_usage_is_reported_in_one_line(arguments, code, message):
    result = colearn("network", *arguments)
    assert result.exit_code == code
    assert message in result.output


def test_broken_file_is_reported_by_every_command(home: Path):
    (home / "home").mkdir()
    (home / "home" / "networks.toml").write_text("[networks.")
    for arguments in (("network", "list"), ("history", "1"), ("deploy", "--key", "x")):
        result = colearn(*arguments)
        assert result.exit_code == 1
        assert "networks.toml is not TOML" in result.output


def test_another_known_contract_can_be_used_again():
    Networks().add_contract("local-evm", ONE)
    Networks().add_contract("local-evm", TWO)
    used = json.loads(colearn("network", "use-contract", "local-evm", ONE.lower(), "--json").output)
    assert (used["contract"], used["contracts"]) == (ONE, [TWO, ONE])
    assert connect.find_experiment("7", None).reference.contract == ONE
    wrong = colearn("network", "use-contract", "local-cosmos", ONE)
    assert wrong.exit_code == 2
    assert "an address on another kind of chain" in " ".join(wrong.output.split())
    assert Networks().get("local-cosmos").contracts == ()


def test_removal_names_the_forgotten_contracts():
    Networks().add_contract("local-evm", ONE)
    removed = colearn("network", "remove", "local-evm")
    assert "reset local-evm to its built-in settings" in removed.output
    assert f"Its contracts are forgotten: {ONE}" in removed.output
    assert "colearn localnet up" in removed.output


@pytest.mark.parametrize(
    ("reference", "remedy"),
    [
        (f"eip155:31337:{ONE}/1", "is it running? To start it: colearn localnet up"),
        (
            "cosmos:colearn-local:wasm1yyca08xqdgvjz0psg56z67ejh9xms6l436u8y58m82npdqqhmmtqas0cl7/1",
            "(Connection refused); is it running? To start it: colearn localnet up --chain cosmos",
        ),
    ],
)
def test_local_node_that_is_down_is_reported_with_the_command_that_starts_it(reference, remedy):
    Networks().save(EvmNetwork("local-evm", "http://127.0.0.1:9", 31337))
    cosmos = BUILT_IN_NETWORKS["local-cosmos"]
    assert isinstance(cosmos, CosmosNetwork)
    access = replace(cosmos.access, grpc="http://127.0.0.1:9")
    Networks().save(replace(cosmos, access=access))
    down = colearn("experiment", "show", reference)
    assert down.exit_code == 1
    assert remedy in " ".join(down.output.split())


# ------------------------------------------------------------------ lookup


def test_bare_id_belongs_to_the_default_contract():
    with pytest.raises(click.UsageError, match="no network has a contract yet"):
        connect.find_experiment("7", None)
    remedy = "no contract .* on the network sepolia; .* use-contract sepolia ADDRESS"
    with pytest.raises(click.UsageError, match=remedy):
        connect.find_experiment("7", "sepolia")
    Networks().add_contract("local-evm", ONE)
    Networks().add_contract("local-evm", TWO)
    place = connect.find_experiment("7", None)
    assert place.reference == ExperimentReference("eip155:31337", TWO, 7)
    Networks().add_contract("sepolia", ONE)
    with pytest.raises(click.UsageError, match="local-evm, sepolia; choose one with --network"):
        connect.find_experiment("7", None)
    assert connect.find_experiment("7", "sepolia").reference.chain == "eip155:11155111"


def test_reference_selects_its_network_and_must_match_the_given_one():
    text = f"eip155:84532:{ONE}/7"
    assert connect.find_experiment(text, None).network.name == "base-sepolia"
    with pytest.raises(
        click.UsageError, match="on the chain eip155:84532, but the network sepolia is on"
    ):
        connect.find_experiment(text, "sepolia")
    with pytest.raises(click.UsageError, match="one looks like eip155:31337"):
        connect.find_experiment("seven", None)
    Networks().save(EvmNetwork("other", "http://x", 84532))
    with pytest.raises(click.UsageError, match="base-sepolia, other"):
        connect.find_experiment(text, None)


def test_given_store_overrides_the_one_of_the_network(home: Path):
    network = EvmNetwork("mine", "http://x", 5, store=f"folder:{home}/own")
    assert connect.choose_store(None, network) == f"folder:{home}/own"
    assert connect.choose_store("./x", network) == "./x"
    with pytest.raises(click.UsageError, match="--store"):
        connect.choose_store(None, EvmNetwork("mine", "http://x", 5))
    assert isinstance(connect.open_content_store(f"folder:{home}/own", "me"), DirectoryStore)
    assert (home / "own" / "pins" / "me").is_dir()
    with pytest.raises(click.UsageError, match="does not exist; check --store"):
        connect.open_content_store(f"{home}/typo", "me", to_read=True)
    assert not (home / "typo").exists()
    with pytest.raises(click.UsageError, match="store"):
        connect.open_content_store("nonsense", "me")


def test_several_nodes_are_saved_shown_and_kept():
    add = ("network", "add", "mine", "--chain-id", "5")
    nodes = ("--rpc", "https://x.example/KEY1", "--rpc", "http://y:8545", "--rpc", "http://z:8545")
    assert colearn(*add, *nodes, "--agree", "2").exit_code == 0
    mine = Networks().get("mine")
    assert mine.nodes == ("https://x.example/KEY1", "http://y:8545", "http://z:8545")
    shown = colearn("network", "show", "mine").output
    for part in ("https://x.example/…", "http://y:8545", "http://z:8545", "2 of 3 nodes"):
        assert part in shown
    assert "KEY1" not in shown + colearn("network", "list").output
    assert "https://x.example/… (+2)" in colearn("network", "list").output
    [as_json] = [
        n for n in json.loads(colearn("network", "list", "--json").output) if n["name"] == "mine"
    ]
    assert as_json["rpc"] == ["https://x.example/…", "http://y:8545", "http://z:8545"]
    assert as_json["agree"] == 2
    fewer = colearn(*add, "--rpc", "http://y:8545")
    assert fewer.exit_code == 2
    assert "agree is 2, but the number of nodes is 1" in " ".join(fewer.output.split())
    assert colearn(*add, "--rpc", "http://y:8545", "--agree", "1").exit_code == 0
    assert Networks().get("mine").rpc == "http://y:8545"


def test_several_nodes_of_a_network_are_used(monkeypatch: pytest.MonkeyPatch):
    mine = EvmNetwork("mine", ("http://x", "http://y"), 5, agree=2)
    urls, config = connect_through(mine, EvmLedger, monkeypatch)
    assert (urls, config.agree) == (("http://x", "http://y"), 2)
    access = CosmosAccess(("http://g", "http://h"), "fetch", "afet", 0.5)
    fet = CosmosNetwork(name="fet", rpc="http://x", chain_id="f-4", access=access, agree=2)
    used, config = connect_through(fet, CosmosLedger, monkeypatch)
    assert (used.grpc, config.agree) == (("http://g", "http://h"), 2)
