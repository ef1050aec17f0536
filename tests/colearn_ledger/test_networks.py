"""Profiles of networks, the address book, and references to experiments."""

from __future__ import annotations

import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.keys.wallet import cosmos_address
from colearn_ledger.networks.address_book import AmbiguousNetwork, Networks, UnknownNetwork
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.networks.profiles import BUILT_IN_NETWORKS, CosmosNetwork, EvmNetwork
from colearn_ledger.networks.references import (
    ExperimentReference,
    InvalidReference,
    account_address,
    address,
)
from colearn_ledger.networks.validation import InvalidNetwork
from colearn_ledger.text.address import encode_bech32

ONE = address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
TWO = address("0xe7f1725e7734ce288f8367e1bb143e90bb3f0512")
WASM = cosmos_address("wasm", b"\2" + bytes(32))
ACCESS = CosmosAccess("https://grpc.example", "wasm", "ustake", 0.025)


@pytest.fixture
def networks(tmp_path: Path) -> Networks:
    return Networks(tmp_path / "config" / "networks.toml")


def test_built_in_networks_need_no_file(networks: Networks):
    assert {n.name: n.chain_id for n in networks.all().values()} == {
        "local-evm": 31337,
        "sepolia": 11155111,
        "base-sepolia": 84532,
        "local-cosmos": "colearn-local",
        "fetch-mainnet": "fetchhub-4",
        "dorado": "dorado-1",
    }
    assert not any(n.contracts for n in networks.all().values())
    assert not networks.path.exists()


def test_saved_network_is_read_back(networks: Networks):
    mine = EvmNetwork(
        "mine", 'https://node.example/k"e\\y\u00e9\n', 5, "folder:/a b", (ONE, TWO), 1.5, 3
    )
    networks.save(mine)
    assert Networks(networks.path).get("mine") == mine
    assert stat.S_IMODE(networks.path.stat().st_mode) == 0o600


@given(st.text(min_size=1), st.text())
def test_any_text_survives_the_file(tmp_path_factory: pytest.TempPathFactory, store: str, key: str):
    networks = Networks(tmp_path_factory.mktemp("n") / "networks.toml")
    mine = EvmNetwork("mine", "http://node.example/" + key, 1, store)
    networks.save(mine)
    assert networks.get("mine") == mine


def test_saved_cosmos_network_is_read_back(networks: Networks):
    mine = CosmosNetwork("mine", "https://rpc.example", "testing-1", None, (WASM,), access=ACCESS)
    networks.save(mine)
    assert Networks(networks.path).get("mine") == mine
    assert networks.find_chain("cosmos:testing-1", WASM) == mine
    with pytest.raises(UnknownNetwork, match="--kind cosmos"):
        networks.find_chain("cosmos:other-1", WASM)


def test_several_nodes_are_read_back(networks: Networks):
    mine = EvmNetwork("mine", ("http://x:1", "http://y:1"), 5, agree=2)
    access = replace(ACCESS, grpc=("http://g:1", "http://h:1"))
    fet = CosmosNetwork("fet", ("http://x:1", "http://y:1"), "t-1", access=access, agree=2)
    for network in (mine, fet):
        networks.save(network)
        assert Networks(networks.path).get(network.name) == network
    assert 'rpc = ["http://x:1", "http://y:1"]' in networks.path.read_text()
    networks.save(replace(mine, rpc="http://x:1", agree=1))
    assert networks.path.read_text().count("agree") == 1
    assert networks.get("mine").nodes == ("http://x:1",)


def test_list_of_one_node_is_one_node(networks: Networks):
    networks.path.parent.mkdir(parents=True, exist_ok=True)
    networks.path.write_text('[networks.a]\nrpc = ["http://x:1"]\nchain_id = 5\n')
    assert networks.get("a") == EvmNetwork("a", "http://x:1", 5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("rpc = []", "rpc is empty"),
        ('rpc = ["http://x:1", "nonsense"]', "rpc is not the URL of a node"),
        ('rpc = ["http://x:1", 5]', "rpc is not the URL of a node"),
        ('rpc = ["http://x:1", "http://x:1"]', "rpc lists a node twice"),
        ('rpc = "http://x:1"\nagree = 2', "agree is 2, but the number of nodes is 1; add nodes"),
        ('rpc = "http://x:1"\nagree = 0', "agree 0 is not valid"),
        ('rpc = "http://x:1"\nagree = true', "agree True is not valid"),
        ('rpc = "http://x:1"\nagree = "2"', "agree '2' is not valid"),
    ],
)
def test_impossible_nodes_are_refused(networks: Networks, fields: str, message: str):
    networks.path.parent.mkdir(parents=True, exist_ok=True)
    networks.path.write_text(f"[networks.a]\nchain_id = 5\n{fields}\n")
    with pytest.raises(InvalidNetwork, match=message):
        networks.all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chain_id": 5}, "chain_id 5 is not valid"),
        ({"chain_id": "a b"}, "chain_id 'a b' is not valid"),
        ({"access": replace(ACCESS, grpc="x:1")}, "network mine: grpc is not the URL"),
        ({"access": replace(ACCESS, prefix="W1")}, "prefix 'W1' is not valid"),
        ({"access": replace(ACCESS, denomination="x")}, "denomination 'x' is not valid"),
        ({"access": replace(ACCESS, gas_price=-1)}, "gas_price -1 is not valid"),
        ({"access": replace(ACCESS, gas_price=True)}, "gas_price True is not valid"),
        ({"contracts": (ONE,)}, "an address on another kind of chain"),
        ({"contracts": (cosmos_address("fetch", b"x"),)}, "an address on another kind of chain"),
    ],
)
def test_invalid_field_of_a_cosmos_network_is_refused(change: dict[str, object], message: str):
    good = CosmosNetwork("mine", "https://rpc.example", "testing-1", access=ACCESS)
    with pytest.raises(InvalidNetwork, match=message):
        replace(good, **change)


def test_saved_profile_overrides_a_built_in_one_until_removed(networks: Networks):
    networks.save(EvmNetwork("sepolia", "http://my.node:8545", 11155111))
    assert networks.get("sepolia").rpc == "http://my.node:8545"
    networks.remove("sepolia")
    assert networks.get("sepolia") == BUILT_IN_NETWORKS["sepolia"]
    with pytest.raises(UnknownNetwork):
        networks.remove("sepolia")


def test_last_deployed_contract_is_the_default(networks: Networks):
    assert networks.add_contract("local-evm", ONE).contract == ONE
    networks.add_contract("local-evm", TWO)
    networks.add_contract("local-evm", ONE)
    assert networks.get("local-evm").contracts == (TWO, ONE)
    with pytest.raises(UnknownNetwork, match="colearn network add"):
        networks.add_contract("nowhere", ONE)


def test_concurrent_writers_lose_no_network(networks: Networks):
    def save(number: int) -> None:
        Networks(networks.path).save(EvmNetwork(f"n{number}", "http://x:1", number + 1))

    threads = [threading.Thread(target=save, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"n{i}" for i in range(16)} < set(networks.all())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[networks.a", "is not TOML"),
        ("x = 1", "unknown entry 'x'"),
        ("networks = 3", "not a table"),
        ("[networks]\na = 1", r"write \[networks.a\]"),
        ("[networks.a]\nrpc = 'http://x'", "chain_id is missing"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = '5'", "chain_id '5' is not valid"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = true", "chain_id True is not valid"),
        ("[networks.a]\nrpc = 'ftp://x'\nchain_id = 5", "not the URL of a node"),
        ("[networks.a]\nrpc = 'http://x:99999'\nchain_id = 5", "not the URL of a node"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\nrcp = 1", "unknown field 'rcp'"),
        (
            "[networks.a]\nrpc = 'http://x'\nchain_id = 5\ncontracts = ['0x1']",
            "'0x1' is not an address",
        ),
        (
            "[networks.a]\nrpc = 'http://x'\nchain_id = 5\ncontracts = [7]",
            "contracts is not a list of addresses",
        ),
        (
            "[networks.a]\nrpc = 'http://x'\nchain_id = 5\nmax_fee_gwei = 0",
            "max_fee_gwei 0 is not valid",
        ),
        (
            "[networks.a]\nrpc = 'http://x'\nchain_id = 5\nmax_fee_gwei = true",
            "max_fee_gwei True is not valid",
        ),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\ndaily_budget = -1", "an amount of 0"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\ndaily_budget = true", "an amount of 0"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\nconfirmations = 0", "from 1 to 1000"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\nconfirmations = 1.0", "from 1 to 1000"),
        ("[networks.A]\nrpc = 'http://x'\nchain_id = 5", "'A' is not a valid name"),
        ("\udcff", "is not TOML"),
        ("[networks.a]\nkind = 'x'\nrpc = 'http://x'\nchain_id = 5", "expected evm or cosmos"),
        (
            "[networks.a]\nprefix = 'x'\nrpc = 'http://x'\nchain_id = 5",
            "prefix is not a field of the kind evm",
        ),
        (
            "[networks.a]\nkind = 'cosmos'\nrpc = 'http://x'\nchain_id = 'a'",
            "denomination is missing",
        ),
        (
            "[networks.a]\nkind = 'cosmos'\nrpc = 'http://x'\nchain_id = 'a'\nconfirmations = 2",
            "confirmations is not a field of the kind cosmos",
        ),
        (f"[networks.a]\nrpc = 'http://x'\nchain_id = 5\ncontracts = ['{WASM}']", "another kind"),
    ],
)
def test_broken_file_is_reported_and_left_alone(networks: Networks, text: str, message: str):
    networks.path.parent.mkdir()
    data = text.encode(errors="surrogateescape")
    networks.path.write_bytes(data)
    with pytest.raises(InvalidNetwork, match=message) as caught:
        networks.all()
    assert str(networks.path) in str(caught.value)
    with pytest.raises(InvalidNetwork):
        networks.save(EvmNetwork("b", "http://x", 1))
    assert networks.path.read_bytes() == data


def test_network_is_found_by_its_chain(networks: Networks):
    assert networks.find_chain("eip155:84532", ONE).name == "base-sepolia"
    with pytest.raises(UnknownNetwork, match="--chain-id 7"):
        networks.find_chain("eip155:7", ONE)
    networks.save(EvmNetwork("other", "http://x", 31337))
    with pytest.raises(AmbiguousNetwork, match="local-evm, other"):
        networks.find_chain("eip155:31337", ONE)
    networks.add_contract("other", ONE)
    assert networks.find_chain("eip155:31337", ONE).name == "other"


COMMENTED = """\
# my networks

[networks.mine]           # at home
chain_id = 5
rpc = "http://x"          # behind the router
contracts = [
    "0x5FbDB2315678afecb367f032d93F642f64180aa3",  # the first try
]

# for tests
[networks.other]
rpc = "http://y"
chain_id = 6
"""


def test_comments_and_order_survive_saving(networks: Networks):
    networks.path.parent.mkdir()
    networks.path.write_text(COMMENTED)
    networks.add_contract("mine", TWO)
    networks.save(replace(networks.get("mine"), rpc="http://z", store="folder:/w"))
    networks.save(EvmNetwork("third", "http://x", 7))
    text = networks.path.read_text()
    for comment in ("my networks", "at home", "behind the router", "the first try", "for tests"):
        assert f"# {comment}" in text
    assert (
        text.index("chain_id = 5") < text.index('rpc = "http://z"') < text.index("networks.other")
    )
    assert networks.get("mine") == EvmNetwork("mine", "http://z", 5, "folder:/w", (ONE, TWO))
    assert networks.get("third").chain_id == 7
    networks.remove("other")
    networks.remove("third")
    assert "# behind the router" in networks.path.read_text()
    assert set(networks.all()) - set(BUILT_IN_NETWORKS) == {"mine"}


# ------------------------------------------------------------------ references


@given(st.integers(0, 2**64 - 1), st.binary(min_size=20, max_size=20), st.integers(0, 2**64 - 1))
def test_reference_is_read_back_as_written(chain_id: int, contract: bytes, number: int):
    written = str(ExperimentReference(f"eip155:{chain_id}", address("0x" + contract.hex()), number))
    assert str(ExperimentReference.parse(written)) == written
    assert ExperimentReference.parse(written).experiment == number


def test_reference_is_an_account_of_caip_10_and_an_id():
    reference = ExperimentReference.parse(f"eip155:31337:{ONE.lower()}/7")
    assert reference == ExperimentReference("eip155:31337", ONE, 7)
    assert str(reference) == f"eip155:31337:{ONE}/7"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        f"eip155:31337:{ONE}",
        f"eip155:31337:{ONE}/",
        f"eip155:31337:{ONE}/-1",
        f"eip155:31337:{ONE}/7 ",
        f"eip155:31337:{ONE}/٧",
        f"cosmos:31337:{ONE}/7",
        f"eip155:31337:{WASM}/7",
        f"cosmos:testing-1:{WASM[:-1]}{'q' if WASM[-1] != 'q' else 'p'}/7",
        f"cosmos:testing-1:{WASM.upper()}/7",
        f"cosmos:{'x' * 33}:{WASM}/7",
        f"eip155:x:{ONE}/7",
        f"eip155:31337:{ONE[:-1]}/7",
        f"eip155:31337:{ONE[:-1]}4/7",
        f"eip155:31337:{ONE}/{2**64}",
    ],
)
def test_invalid_reference_is_refused(text: str):
    with pytest.raises(InvalidReference):
        ExperimentReference.parse(text)


def test_reference_to_a_cosmos_chain_is_read_back():
    written = f"cosmos:testing-1:{WASM}/7"
    assert ExperimentReference.parse(written) == ExperimentReference("cosmos:testing-1", WASM, 7)
    assert str(ExperimentReference.parse(written)) == written


def test_address_of_either_kind_is_normalised():
    assert account_address(ONE.lower()) == ONE
    assert account_address(WASM) == WASM
    for wrong in (WASM[:-1], WASM.upper(), "wasm1", "", encode_bech32("wasm", bytes(19))):
        with pytest.raises(InvalidReference, match="not an address"):
            account_address(wrong)


def test_mistyped_address_fails_its_checksum():
    with pytest.raises(InvalidReference, match="mistyped"):
        address(ONE.replace("5F", "5f"))
