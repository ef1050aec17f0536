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
from colearn_ledger.networks.profiles import (
    READY_NETWORKS,
    AmbiguousNetwork,
    CosmosTerms,
    InvalidNetwork,
    Network,
    Networks,
    UnknownNetwork,
)
from colearn_ledger.networks.references import (
    ExperimentReference,
    InvalidReference,
    account_address,
    address,
)
from colearn_ledger.text.address import encode_bech32

ONE = address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
TWO = address("0xe7f1725e7734ce288f8367e1bb143e90bb3f0512")
WASM = cosmos_address("wasm", b"\2" + bytes(32))
TERMS = CosmosTerms("https://grpc.example", "wasm", "ustake", 0.025)


@pytest.fixture
def networks(tmp_path: Path) -> Networks:
    return Networks(tmp_path / "config" / "networks.toml")


def test_some_are_ready_before_anything_is_written(networks: Networks):
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


def test_what_is_saved_is_read_again(networks: Networks):
    mine = Network(
        "mine", 'https://node.example/k"e\\y\u00e9\n', 5, "folder:/a b", (ONE, TWO), 1.5, 3
    )
    networks.save(mine)
    assert Networks(networks.path).get("mine") == mine
    assert stat.S_IMODE(networks.path.stat().st_mode) == 0o600


@given(st.text(min_size=1), st.text())
def test_any_text_survives_the_file(tmp_path_factory: pytest.TempPathFactory, store: str, key: str):
    networks = Networks(tmp_path_factory.mktemp("n") / "networks.toml")
    mine = Network("mine", "http://node.example/" + key, 1, store)
    networks.save(mine)
    assert networks.get("mine") == mine


def test_a_cosmos_chain_is_saved_with_its_terms(networks: Networks):
    mine = Network("mine", "https://rpc.example", "testing-1", None, (WASM,), cosmos=TERMS)
    networks.save(mine)
    assert Networks(networks.path).get("mine") == mine
    assert networks.of_chain("cosmos:testing-1", WASM) == mine
    with pytest.raises(UnknownNetwork, match="--kind cosmos"):
        networks.of_chain("cosmos:other-1", WASM)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chain_id": 5}, "not a Cosmos chain's"),
        ({"chain_id": "a b"}, "not a Cosmos chain's"),
        ({"cosmos": replace(TERMS, grpc="x:1")}, "the grpc of the network mine"),
        ({"cosmos": replace(TERMS, prefix="W1")}, "the prefix of"),
        ({"cosmos": replace(TERMS, denomination="x")}, "the denomination of"),
        ({"cosmos": replace(TERMS, gas_price=-1)}, "gas_price .* not a price"),
        ({"cosmos": replace(TERMS, gas_price=True)}, "gas_price .* not a price"),
        ({"contracts": (ONE,)}, "no address on the network mine"),
        ({"contracts": (cosmos_address("fetch", b"x"),)}, "no address on the network mine"),
        ({"max_fee_gwei": 5.0}, "are of EVM chains"),
        ({"confirmations": 2}, "are of EVM chains"),
        ({"chain_id": 5, "cosmos": None, "contracts": (WASM,)}, "no address on the network mine"),
    ],
)
def test_what_no_cosmos_chain_can_have_is_told(change: dict[str, object], message: str):
    good = Network("mine", "https://rpc.example", "testing-1", cosmos=TERMS)
    with pytest.raises(InvalidNetwork, match=message):
        replace(good, **change)


def test_an_own_profile_takes_a_ready_ones_place_until_it_is_removed(networks: Networks):
    networks.save(Network("sepolia", "http://my.node:8545", 11155111))
    assert networks.get("sepolia").rpc == "http://my.node:8545"
    networks.remove("sepolia")
    assert networks.get("sepolia") == READY_NETWORKS["sepolia"]
    with pytest.raises(UnknownNetwork):
        networks.remove("sepolia")


def test_the_contract_deployed_last_is_the_default(networks: Networks):
    assert networks.add_contract("local-evm", ONE).contract == ONE
    networks.add_contract("local-evm", TWO)
    networks.add_contract("local-evm", ONE)
    assert networks.get("local-evm").contracts == (TWO, ONE)
    with pytest.raises(UnknownNetwork, match="colearn network add"):
        networks.add_contract("nowhere", ONE)


def test_processes_that_write_at_once_lose_nothing(networks: Networks):
    def save(number: int) -> None:
        Networks(networks.path).save(Network(f"n{number}", "http://x:1", number + 1))

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
        ("x = 1", "'x' means nothing here"),
        ("networks = 3", "not a table"),
        ("[networks]\na = 1", r"write \[networks.a\]"),
        ("[networks.a]\nrpc = 'http://x'", "lacks its chain_id"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = '5'", "not a chain's number"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = true", "not a chain's number"),
        ("[networks.a]\nrpc = 'ftp://x'\nchain_id = 5", "not the URL of a node"),
        ("[networks.a]\nrpc = 'http://x:99999'\nchain_id = 5", "not the URL of a node"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\nrcp = 1", "unknown field 'rcp'"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\ncontracts = ['0x1']", "not all addresses"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\ncontracts = [7]", "not all addresses"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\nmax_fee_gwei = 0", "not a price"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\nmax_fee_gwei = true", "not a price"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\nconfirmations = 0", "from 1 to 1000"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\nconfirmations = 1.0", "from 1 to 1000"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\ndaily_budget = -1", "not an amount"),
        ("[networks.a]\nrpc = 'http://x'\nchain_id = 5\ndaily_budget = true", "not an amount"),
        ("[networks.A]\nrpc = 'http://x'\nchain_id = 5", "can not be called 'A'"),
        ("\udcff", "is not TOML"),
        ("[networks.a]\nkind = 'x'\nrpc = 'http://x'\nchain_id = 5", "neither evm nor cosmos"),
        ("[networks.a]\nprefix = 'x'\nrpc = 'http://x'\nchain_id = 5", "not of kind cosmos"),
        ("[networks.a]\nkind = 'cosmos'\nrpc = 'http://x'\nchain_id = 'a'", "lacks its denomina"),
    ],
)
def test_a_broken_file_is_told_and_left_alone(networks: Networks, text: str, message: str):
    networks.path.parent.mkdir()
    data = text.encode(errors="surrogateescape")
    networks.path.write_bytes(data)
    with pytest.raises(InvalidNetwork, match=message) as caught:
        networks.all()
    assert str(networks.path) in str(caught.value)
    with pytest.raises(InvalidNetwork):
        networks.save(Network("b", "http://x", 1))
    assert networks.path.read_bytes() == data


def test_the_network_of_a_chain_is_found(networks: Networks):
    assert networks.of_chain("eip155:84532", ONE).name == "base-sepolia"
    with pytest.raises(UnknownNetwork, match="--chain-id 7"):
        networks.of_chain("eip155:7", ONE)
    networks.save(Network("other", "http://x", 31337))
    with pytest.raises(AmbiguousNetwork, match="local-evm, other"):
        networks.of_chain("eip155:31337", ONE)
    networks.add_contract("other", ONE)
    assert networks.of_chain("eip155:31337", ONE).name == "other"


# ------------------------------------------------------------------ references


@given(st.integers(0, 2**64 - 1), st.binary(min_size=20, max_size=20), st.integers(0, 2**64 - 1))
def test_references_are_read_as_they_are_written(chain_id: int, contract: bytes, number: int):
    written = str(ExperimentReference(f"eip155:{chain_id}", address("0x" + contract.hex()), number))
    assert str(ExperimentReference.parse(written)) == written
    assert ExperimentReference.parse(written).experiment == number


def test_a_reference_looks_like_an_account_of_caip_10():
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
def test_what_is_no_reference_is_refused(text: str):
    with pytest.raises(InvalidReference):
        ExperimentReference.parse(text)


def test_a_reference_to_a_cosmos_chain_reads_the_same():
    written = f"cosmos:testing-1:{WASM}/7"
    assert ExperimentReference.parse(written) == ExperimentReference("cosmos:testing-1", WASM, 7)
    assert str(ExperimentReference.parse(written)) == written


def test_an_address_of_either_kind_is_taken_in_its_one_form():
    assert account_address(ONE.lower()) == ONE
    assert account_address(WASM) == WASM
    for wrong in (WASM[:-1], WASM.upper(), "wasm1", "", encode_bech32("wasm", bytes(19))):
        with pytest.raises(InvalidReference, match="not an address"):
            account_address(wrong)


def test_a_mistyped_address_is_told_by_its_checksum():
    with pytest.raises(InvalidReference, match="mistyped"):
        address(ONE.replace("5F", "5f"))
