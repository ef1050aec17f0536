"""The options `--node`, `--prove` and `--trusted-block` of `colearn audit`, on real nodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from eth_utils.abi import event_abi_to_log_topic

from colearn_learner.cli import main
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import CosmosNetwork, EvmNetwork
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.support.anvil_world import AnvilWorld, play_on_anvil
from tests.support.cosmos_place import Place
from tests.support.faults.grpc_gate import GrpcGate
from tests.support.faulty_proxy import FaultyProxy
from tests.support.joining import join
from tests.support.samples import params, wallet_of
from tests.support.second_audit import EVENTS


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnvilWorld]:
    with Anvil() as anvil:
        yield play_on_anvil(anvil, tmp_path_factory.mktemp("world"), "open", rounds=2)


@pytest.fixture
def proxies(world: AnvilWorld) -> Iterator[list[FaultyProxy]]:
    with ExitStack() as opened:
        yield [opened.enter_context(FaultyProxy(world.anvil.url)) for _ in range(3)]


@pytest.fixture
def run(
    world: AnvilWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Return a function that audits the experiment, on a network whose own node is down."""
    for name in ("COLEARN_NETWORK", "COLEARN_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path))
    store = f"folder:{world.folder / 'store'}"
    contract = world.ledger.contract
    network = EvmNetwork(
        "test-net", "http://127.0.0.1:9", 31337, store=store, contracts=(contract,)
    )
    Networks().save(network)

    def run(*arguments: str, nodes: tuple[FaultyProxy, ...] | list[FaultyProxy] = ()) -> Result:
        chosen = [word for proxy in nodes for word in ("--node", proxy.url)]
        reference = f"eip155:31337:{contract}/{world.experiment}"
        command = ["audit", reference, "--network", "test-net", *chosen, *arguments]
        return CliRunner().invoke(main, command)

    return run


Run = Callable[..., Result]


def trust(world: AnvilWorld) -> tuple[str, ...]:
    return "--prove", "--trusted-block", "0x" + world.head().hex()


def hide_ballot(proxy: FaultyProxy) -> None:
    """Let a node leave out the first ballot from its logs."""
    topic = "0x" + event_abi_to_log_topic(EVENTS["VoteCast"]).hex()

    def lie(true: Callable[[], Any], _: list[Any]) -> Any:
        logs = true()
        first = next((at for at, log in enumerate(logs) if log["topics"][0] == topic), len(logs))
        return [*logs[:first], *logs[first + 1 :]]

    proxy.lie("eth_getLogs", lie)


# ---------------------------------------------------------------------- several nodes


def test_nodes_that_agree_make_no_finding(run: Run, proxies: list[FaultyProxy]):
    result = run(nodes=proxies)
    assert result.exit_code == 0, result.output
    assert all(proxy.url in " ".join(result.stdout.split()) for proxy in proxies)
    assert all(proxy.asked for proxy in proxies)


@pytest.mark.parametrize("liar", [1, 2])
def test_odd_one_out_is_named_with_the_round(liar: int, run: Run, proxies: list[FaultyProxy]):
    hide_ballot(proxies[liar])
    result = run("--json", nodes=proxies)
    assert result.exit_code == 1, result.output
    report = json.loads(result.stdout)
    assert report["nodes"] == [proxy.url for proxy in proxies]
    [finding] = report["findings"]
    assert (finding["kind"], finding["round"]) == ("node", 0)
    assert finding["found"].startswith(f"{proxies[liar].url}: ")
    assert finding["meaning"].startswith(f"{proxies[liar].url} contradicts 2 other nodes")


def test_first_node_that_lies_is_named_too(run: Run, proxies: list[FaultyProxy]):
    hide_ballot(proxies[0])
    report = json.loads(run("--json", nodes=proxies).stdout)
    kinds = [finding["kind"] for finding in report["findings"]]
    assert kinds[0] == "event"
    assert report["findings"][kinds.index("node")]["meaning"].startswith(proxies[0].url)


def test_two_nodes_that_disagree_are_reported(run: Run, proxies: list[FaultyProxy]):
    hide_ballot(proxies[1])
    result = run(nodes=proxies[:2])
    text = " ".join(result.stdout.split())
    assert result.exit_code == 1, result.output
    assert "These nodes contradict each other; ask another one" in text


def test_unreachable_node_is_named(run: Run, proxies: list[FaultyProxy]):
    proxies[1].down()
    result = run(nodes=proxies)
    assert result.exit_code == 2
    assert proxies[1].url in result.stderr
    assert "cannot be compared" in result.stderr


def test_node_of_another_chain_is_named(run: Run, proxies: list[FaultyProxy]):
    proxies[1].lie("eth_chainId", lambda *_: "0x1")
    result = run(nodes=proxies)
    assert result.exit_code == 2
    assert proxies[1].url in result.stderr
    assert "is on chain 1" in result.stderr


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (("http://a", "http://a"), "names a node twice"),
        (("nonsense",), "rpc is not the URL of a node"),
    ],
)
def test_wrong_nodes_are_refused(nodes: tuple[str, ...], message: str, run: Run):
    result = run(*(word for node in nodes for word in ("--node", node)))
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_keys_in_urls_are_not_shown(run: Run, proxies: list[FaultyProxy]):
    nodes = [word for key in ("one", "two") for word in ("--node", f"{proxies[0].url}/{key}")]
    result = run("--json", *nodes)
    assert json.loads(result.stdout)["nodes"] == [
        f"{proxies[0].url}/… (1)",
        f"{proxies[0].url}/… (2)",
    ]


# ---------------------------------------------------------------------- proofs


def test_honest_node_is_proved(run: Run, world: AnvilWorld, proxies: list[FaultyProxy]):
    result = run(*trust(world), nodes=proxies[:1])
    assert result.exit_code == 0, result.output
    number = int(json_rpc(world.anvil.url, "eth_blockNumber"), 16)
    assert f"up to block {number}" in result.stdout
    report = json.loads(run(*trust(world), "--json", nodes=proxies[:1]).stdout)
    assert report["proved"] == {
        "block": number,
        "hash": "0x" + world.head().hex(),
        "up_to": number,
    }


def test_report_without_proof_has_no_block(run: Run, proxies: list[FaultyProxy]):
    report = json.loads(run("--json", nodes=proxies[:1]).stdout)
    assert report["proved"] is None


def test_only_node_that_lies_is_rejected(run: Run, world: AnvilWorld, proxies: list[FaultyProxy]):
    proxies[0].lie("eth_getBlockReceipts", lambda *_: [])
    result = run(*trust(world), nodes=proxies[:1])
    assert result.exit_code == 2
    assert "receipts root in its header" in " ".join(result.stderr.split())


def test_proved_node_convicts_the_others(run: Run, world: AnvilWorld, proxies: list[FaultyProxy]):
    for liar in proxies[1:]:
        hide_ballot(liar)
    report = json.loads(run(*trust(world), "--json", nodes=proxies).stdout)
    assert [finding["meaning"] for finding in report["findings"]] == [
        f"{liar.url} contradicts what is proved from the trusted block." for liar in proxies[1:]
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prove",), "--prove needs --trusted-block HASH: the hash of a recent block"),
        (("--trusted-block", "11" * 32), "add --prove"),
        (("--prove", "--trusted-block", "12"), "is not a hash of 64 hexadecimal digits"),
    ],
)
def test_usage_of_proofs(options: tuple[str, ...], message: str, run: Run):
    result = run(*options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", "").split())


# ---------------------------------------------------------------------- Cosmos


@pytest.fixture
def cosmos(cosmos_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Save the network of a wasmd whose own node is down; return an experiment's reference."""
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path))
    ledger = cosmos_place.ledger(cosmos_place.bank)
    experiment = ledger.create(params()).wait().experiment
    join(ledger, experiment).wait()
    terms = cosmos_place.terms
    network = CosmosNetwork(
        name="test-cosmos",
        rpc=cosmos_place.chain.rpc,
        chain_id=cosmos_place.chain.chain_id,
        contracts=(ledger.contract,),
        access=type(terms)("http://127.0.0.1:9", terms.prefix, terms.denomination, terms.gas_price),
    )
    Networks().save(network)
    return str(experiment)


def test_nodes_of_a_cosmos_chain_are_compared(cosmos: str, cosmos_place: Place):
    grpc = cosmos_place.chain.grpc
    nodes = ["--node", grpc, "--node", grpc.replace("127.0.0.1", "localhost")]
    command = ["audit", cosmos, "--network", "test-cosmos", "--no-files", "--json", *nodes]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["nodes"]) == 2


def prove_on_cosmos(experiment: str, node: str, trusted: str) -> Result:
    command = ["audit", experiment, "--network", "test-cosmos", "--no-files", "--json"]
    options = ["--node", node, "--prove", "--trusted-block", trusted]
    return CliRunner().invoke(main, [*command, *options])


def test_node_of_a_cosmos_chain_is_proved(cosmos: str, cosmos_place: Place):
    trusted = cosmos_place.node.head()
    cosmos_place.fund([wallet_of("somebody new")])  # makes a later block
    result = prove_on_cosmos(cosmos, cosmos_place.chain.grpc, trusted.hash)
    assert result.exit_code == 0, result.output
    proved = json.loads(result.stdout)["proved"]
    assert (proved["block"], proved["hash"]) == (trusted.number, trusted.hash)
    assert proved["up_to"] >= trusted.number - 1


def test_lying_node_of_a_cosmos_chain_is_rejected(cosmos: str, cosmos_place: Place):
    trusted = cosmos_place.node.head().hash
    with GrpcGate(cosmos_place.chain.grpc) as gate:
        gate.lie("ABCIQuery", lambda answer: answer.replace(b"colearn", b"colearm"))
        result = prove_on_cosmos(cosmos, gate.url, trusted)
    assert result.exit_code == 2, result.output
    text = " ".join(result.stderr.split())
    assert "could not be checked: the node's proof of the key" in text


# ---------------------------------------------------------------------- certificates


def read_trust(folder: Path) -> str:
    statement = json.loads((folder / "statement.json").read_text())
    return str(statement["predicate"]["audit"]["trust"])


def test_certificate_names_the_nodes_that_were_compared(
    run: Run, proxies: list[FaultyProxy], tmp_path: Path
):
    names = [proxy.url for proxy in proxies]
    result = run("--certificate", str(tmp_path / "out"), nodes=proxies)
    assert result.exit_code == 0, result.output
    expected = f"These nodes were compared with each other: {', '.join(names)}."
    assert read_trust(tmp_path / "out") == expected
    assert "were compared with each other" in (tmp_path / "out" / "model-card.md").read_text()


def test_certificate_says_from_which_block_all_was_proved(
    run: Run, world: AnvilWorld, proxies: list[FaultyProxy], tmp_path: Path
):
    result = run(*trust(world), "--certificate", str(tmp_path / "out"), nodes=proxies[:1])
    assert result.exit_code == 0, result.output
    assert read_trust(tmp_path / "out").endswith(f", 0x{world.head().hex()}.")


def test_node_that_disagrees_prevents_a_certificate(
    run: Run, proxies: list[FaultyProxy], tmp_path: Path
):
    hide_ballot(proxies[1])
    result = run("--certificate", str(tmp_path / "out"), nodes=proxies)
    assert result.exit_code == 1
    assert not (tmp_path / "out").exists()
