"""A node that lies is rejected even if it is the only one asked, given the hash of one block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from inspect import getmembers, isfunction
from pathlib import Path
from typing import Any

import pytest

from colearn_ledger.audit import AuditReport, audit_experiment
from colearn_ledger.chains.errors import BadAnswer, NodeRefused, WrongContract
from colearn_ledger.chains.evm import EvmConfig, EvmLedger, HttpConfig
from colearn_ledger.chains.evm.node import Node
from colearn_ledger.chains.evm.proving import ProofFailed, connect_with_proofs
from colearn_ledger.chains.evm.proving.node import ProvenNode
from colearn_ledger.protocol import Status, VoteCast
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.support.anvil_world import AnvilWorld, play_on_anvil
from tests.support.faulty_proxy import FaultyProxy, RpcError
from tests.support.waiting import LIMIT

CONFIG = EvmConfig(chain_id=31337, http=HttpConfig(timeout=LIMIT, first_pause=0.01))
STRANGER = "0x" + "11" * 20
PROVABLE = {
    *("eth_chainId", "eth_getBlockByHash", "eth_getBlockByNumber", "eth_getBlockReceipts"),
    *("eth_getProof", "eth_getCode"),
}
"""The requests of an audit with proofs; what the node answers to others is never used."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnvilWorld]:
    with Anvil() as anvil:
        yield play_on_anvil(anvil, tmp_path_factory.mktemp("plural"), "plural mean", rounds=2)


@pytest.fixture
def proxy(world: AnvilWorld) -> Iterator[FaultyProxy]:
    with FaultyProxy(world.anvil.url) as proxy:
        yield proxy


def audit(world: AnvilWorld, url: str, trusted: bytes | None = None) -> AuditReport:
    """Audit an experiment with proofs, by default up to the last block."""
    contract, trusted = world.ledger.contract, trusted or world.head()
    view = connect_with_proofs(url, contract, trusted=trusted, config=CONFIG)
    return audit_experiment(view, world.store(0), world.experiment)


def find_block(world: AnvilWorld, name: str) -> int:
    """Return the number of the block with the first event of a name."""
    events = world.ledger.events(world.experiment)
    [found, *_] = [each for each in events if type(each.event).__name__ == name]
    return int(found.cursor >> 24)


# ---------------------------------------------------------------------- honest nodes


@pytest.mark.parametrize("shape", ["secret and random", "plural mean"])
def test_honest_node_is_accepted(shape: str, tmp_path: Path):
    with Anvil() as anvil, FaultyProxy(anvil.url) as proxy:
        world = play_on_anvil(anvil, tmp_path, shape)
        report = audit(world, proxy.url)
        trusting = EvmLedger.connect(anvil.url, world.ledger.contract, config=CONFIG)
        expected = audit_experiment(trusting, world.store(0), world.experiment)
    assert (report.findings, report.unchecked) == ((), ())
    assert report == expected
    assert set(proxy.asked) == PROVABLE


def test_audit_holds_up_to_the_trusted_block(world: AnvilWorld, proxy: FaultyProxy):
    last = find_block(world, "RoundClosed")
    block = json_rpc(world.anvil.url, "eth_getBlockByNumber", hex(last), False)
    report = audit(world, proxy.url, bytes.fromhex(block["hash"][2:]))
    assert report.findings == ()
    assert report.experiment.status == Status.RUNNING
    assert report.counts.rounds == 2  # the first one closed, the second one began
    assert report.counts.events < len(world.ledger.events(world.experiment))


def test_receipts_are_read_singly_from_nodes_that_do_not_return_those_of_a_block(
    world: AnvilWorld, proxy: FaultyProxy
):
    def refuse(*_: Any) -> Any:
        raise RpcError("the method eth_getBlockReceipts does not exist", -32_601)

    proxy.lie("eth_getBlockReceipts", refuse)
    assert audit(world, proxy.url).findings == ()
    lie_in_round(proxy, world, "eth_getTransactionReceipt", lambda receipt: change_data(receipt))
    with pytest.raises(ProofFailed, match="receipts of block"):
        audit(world, proxy.url)


def test_answers_that_are_not_proved_are_not_used(world: AnvilWorld, proxy: FaultyProxy):
    for method in ("eth_getLogs", "eth_call", "eth_getTransactionByHash", "eth_blockNumber"):
        proxy.lie(method, lambda *_: "0x")
    honest = audit(world, proxy.url)

    def rename(block: Any) -> Any:  # fields that no hash covers
        moved = [
            {**each, "from": STRANGER, "hash": "0x" + "22" * 32} for each in block["transactions"]
        ]
        return {**block, "hash": "0x" + "33" * 32, "transactions": moved}

    lie_about_blocks(proxy, rename, lambda full: full)
    proxy.lie(
        "eth_getProof", lambda true, _: {**change_values(true()), "codeHash": "0x" + "44" * 32}
    )
    assert audit(world, proxy.url) == honest


def change_values(proof: Any) -> Any:
    """Change the values beside the proofs."""
    slots = [{**each, "value": "0x7"} for each in proof["storageProof"]]
    return {**proof, "storageProof": slots, "storageHash": "0x" + "55" * 32, "balance": "0x1"}


def test_every_read_is_proved_or_refused(world: AnvilWorld, proxy: FaultyProxy):
    others = {name for name, _ in getmembers(Node, isfunction)} - set(vars(ProvenNode))
    assert {name for name in others if not name.startswith("_")} == {
        *("call", "latest", "upcoming"),  # made of others
        "chain_id",  # compared with the network's
        *("balance", "nonce", "estimate_gas", "tip", "send", "receipt", "whereabouts"),  # to send
        *("check_with", "recheck"),
    }
    contract, events = world.ledger.contract, world.ledger.events(world.experiment)
    view = connect_with_proofs(proxy.url, contract, trusted=world.head(), config=CONFIG)
    with pytest.raises(ProofFailed, match="not part of the proof"):
        view.costs([events[0].transaction])


# ---------------------------------------------------------------------- lies

Change = Callable[[Any], Any]


def lie_about_blocks(proxy: FaultyProxy, change: Change, where: Callable[[bool], bool]) -> None:
    """Let a node change blocks with transactions (``full``), or headers."""

    def lie(true: Callable[[], Any], parameters: list[Any]) -> Any:
        return change(true()) if where(parameters[1]) else true()

    proxy.lie("eth_getBlockByNumber", lie)


def lie_in_round(proxy: FaultyProxy, world: AnvilWorld, method: str, change: Change) -> None:
    """Let a node change its answers to a method about the block of the first ballot."""
    number = find_block(world, "VoteCast")

    def lie(true: Callable[[], Any], parameters: list[Any]) -> Any:
        honest = true()
        fields = honest[0] if isinstance(honest, list) else honest
        at = fields.get("blockNumber", fields.get("number"))
        return change(deepcopy(honest)) if int(at, 16) == number else honest

    proxy.lie(method, lie)


def change_data(receipt: Any) -> Any:
    data = receipt["logs"][0]["data"]
    receipt["logs"][0]["data"] = data[:-2] + ("00" if data[-2:] != "00" else "01")
    return receipt


def in_receipt(change: Change) -> Change:
    return lambda receipts: [change(receipts[0]), *receipts[1:]]


def drop_log(receipt: Any) -> Any:
    return {**receipt, "logs": receipt["logs"][1:]}


def invent_log(receipt: Any) -> Any:
    return {**receipt, "logs": [*receipt["logs"], receipt["logs"][0]]}


def in_transaction(**changes: Any) -> Change:
    def change(block: Any) -> Any:
        first, *others = block["transactions"]
        return {**block, "transactions": [{**first, **changes}, *others]}

    return change


def change_input(block: Any) -> Any:
    data = block["transactions"][0]["input"]
    return in_transaction(input=data[:-1] + ("0" if data[-1] != "0" else "1"))(block)


RECEIPTS: dict[str, Change] = {
    "event dropped": in_receipt(drop_log),
    "event changed": in_receipt(change_data),
    "event invented": in_receipt(invent_log),
    "event of another contract": in_receipt(
        lambda receipt: {**receipt, "logs": [{**receipt["logs"][0], "address": STRANGER}]}
    ),
    "failed transaction": in_receipt(lambda receipt: {**receipt, "status": "0x0"}),
    "gas of a receipt": in_receipt(lambda receipt: {**receipt, "cumulativeGasUsed": "0x1"}),
    "type of a receipt": in_receipt(lambda receipt: {**receipt, "type": "0x1"}),
    "receipt missing": lambda receipts: receipts[1:],
    "receipt doubled": lambda receipts: [*receipts, receipts[0]],
}

TRANSACTIONS: dict[str, Change] = {
    "data of a transaction": change_input,
    "target of a transaction": in_transaction(to=STRANGER),
    "nonce of a transaction": in_transaction(nonce="0x77"),
    "signature of a transaction": in_transaction(s="0x77"),
    "type of a transaction": in_transaction(type="0x0", v="0x1b"),
    "transaction missing": lambda block: {**block, "transactions": []},
    "transaction doubled": lambda block: {
        **block,
        "transactions": [*block["transactions"], *block["transactions"]],
    },
}

HEADERS: dict[str, Change] = {
    "entropy": lambda block: {**block, "mixHash": "0x" + "01" * 32},
    "time": lambda block: {**block, "timestamp": hex(int(block["timestamp"], 16) + 1)},
    "bloom without the events": lambda block: {**block, "logsBloom": "0x" + "00" * 256},
    "root of receipts": lambda block: {**block, "receiptsRoot": "0x" + "01" * 32},
    "root of transactions": lambda block: {**block, "transactionsRoot": "0x" + "01" * 32},
    "root of state": lambda block: {**block, "stateRoot": "0x" + "01" * 32},
    "parent": lambda block: {**block, "parentHash": "0x" + "01" * 32},
    "number": lambda block: {**block, "number": hex(int(block["number"], 16) + 1)},
    "field of a later fork": lambda block: {**block, "requestsHash": None},
    "missing header": lambda _: None,
}


@pytest.mark.parametrize("lie", RECEIPTS)
def test_false_receipts_are_rejected(lie: str, world: AnvilWorld, proxy: FaultyProxy):
    lie_in_round(proxy, world, "eth_getBlockReceipts", RECEIPTS[lie])
    number = find_block(world, "VoteCast")
    with pytest.raises(ProofFailed, match=rf"receipts of block {number} .* receipts root"):
        audit(world, proxy.url)


@pytest.mark.parametrize("lie", TRANSACTIONS)
def test_false_transactions_are_rejected(lie: str, world: AnvilWorld, proxy: FaultyProxy):
    number, change = find_block(world, "VoteCast"), TRANSACTIONS[lie]
    lie_about_blocks(
        proxy,
        lambda block: change(block) if int(block["number"], 16) == number else block,
        lambda full: full,
    )
    with pytest.raises(ProofFailed, match=rf"transactions of block {number} .* transactions root"):
        audit(world, proxy.url)


@pytest.mark.parametrize("lie", HEADERS)
def test_false_header_is_rejected(lie: str, world: AnvilWorld, proxy: FaultyProxy):
    number, change = find_block(world, "VoteCast"), HEADERS[lie]
    lie_about_blocks(
        proxy,
        lambda block: change(block) if int(block["number"], 16) == number else block,
        lambda full: not full,
    )
    with pytest.raises(ProofFailed, match=f"header of block {number} .* not the parent"):
        audit(world, proxy.url)


@pytest.mark.parametrize("lie", [lie for lie in HEADERS if lie != "missing header"])
def test_false_trusted_block_is_rejected(lie: str, world: AnvilWorld, proxy: FaultyProxy):
    proxy.lie("eth_getBlockByHash", lambda true, _: HEADERS[lie](true()))
    with pytest.raises(ProofFailed, match="returned for the trusted block"):
        audit(world, proxy.url)


def test_block_of_another_chain_is_rejected(world: AnvilWorld, proxy: FaultyProxy):
    trusted = world.head()
    with Anvil() as other:
        json_rpc(other.url, "evm_mine")
        invented = json_rpc(other.url, "eth_getBlockByNumber", "0x1", False)
    proxy.lie("eth_getBlockByHash", lambda *_: invented)
    with pytest.raises(ProofFailed, match="returned for the trusted block"):
        audit(world, proxy.url, trusted)


def test_unknown_trusted_block_cannot_be_checked(world: AnvilWorld, proxy: FaultyProxy):
    with pytest.raises(ProofFailed, match="does not have the trusted block"):
        audit(world, proxy.url, b"\x01" * 32)


def test_other_code_is_rejected(world: AnvilWorld, proxy: FaultyProxy):
    proxy.lie("eth_getCode", lambda true, _: true()[:-2] + "01")
    with pytest.raises(ProofFailed, match=r"the code at .* hash in the state"):
        audit(world, proxy.url)


def test_account_without_code_is_no_contract(world: AnvilWorld, proxy: FaultyProxy):
    view = {"trusted": world.head(), "config": CONFIG}
    with pytest.raises(WrongContract, match="there is no contract"):
        connect_with_proofs(proxy.url, world.wallets[0].address, **view)
    with pytest.raises(WrongContract, match="there is no contract"):
        connect_with_proofs(proxy.url, "0x" + "12" * 20, **view)  # type: ignore[arg-type]


def change_node(nodes: list[str], at: int) -> list[str]:
    changed = nodes[at][:-1] + ("0" if nodes[at][-1] != "0" else "1")
    return [*nodes[:at], changed, *nodes[at:][1:]]


@pytest.mark.parametrize("at", [0, -1])
def test_false_account_is_rejected(at: int, world: AnvilWorld, proxy: FaultyProxy):
    def lie(true: Callable[[], Any], _: list[Any]) -> Any:
        proof = true()
        at_node = at % len(proof["accountProof"])
        return {**proof, "accountProof": change_node(proof["accountProof"], at_node)}

    proxy.lie("eth_getProof", lie)
    with pytest.raises(ProofFailed, match="proof of the account"):
        audit(world, proxy.url)


def drop_first(nodes: list[str]) -> list[str]:
    return nodes[1:]


def change_last(nodes: list[str]) -> list[str]:
    return change_node(nodes, len(nodes) - 1)


@pytest.mark.parametrize("change", [drop_first, change_last, lambda _: []])
def test_false_storage_is_rejected(
    change: Callable[[list[str]], list[str]], world: AnvilWorld, proxy: FaultyProxy
):
    def lie(true: Callable[[], Any], _: list[Any]) -> Any:
        proof = true()
        slots = [{**each, "proof": change(each["proof"])} for each in proof["storageProof"]]
        return {**proof, "storageProof": slots}

    proxy.lie("eth_getProof", lie)
    with pytest.raises(ProofFailed, match="proof of the storage"):
        audit(world, proxy.url)


def test_state_of_an_earlier_block_is_rejected(world: AnvilWorld, proxy: FaultyProxy):
    earlier = hex(find_block(world, "RoundClosed"))

    def lie(_: Callable[[], Any], parameters: list[Any]) -> Any:
        account, slots, _ = parameters
        return json_rpc(world.anvil.url, "eth_getProof", account, slots, earlier)

    proxy.lie("eth_getProof", lie)
    with pytest.raises(ProofFailed, match="proof of the account"):
        audit(world, proxy.url)


def test_dropped_state_suggests_a_newer_block(world: AnvilWorld, proxy: FaultyProxy):
    def refuse(*_: Any) -> Any:
        raise RpcError("distance to target block exceeds maximum proof window", -32_000)

    proxy.lie("eth_getProof", refuse)
    with pytest.raises(NodeRefused, match="trust a newer block than"):
        audit(world, proxy.url)


@pytest.mark.parametrize(
    "method",
    ["eth_getBlockByHash", "eth_getBlockByNumber", "eth_getBlockReceipts", "eth_getProof"],
)
@pytest.mark.parametrize("answer", [17, "0x", [], {}, [{}], {"transactions": [{}]}, [[[]]]])
def test_malformed_answers_are_rejected(
    answer: Any, method: str, world: AnvilWorld, proxy: FaultyProxy
):
    proxy.lie(method, lambda *_: answer)
    with pytest.raises(BadAnswer):
        audit(world, proxy.url)


def test_proved_events_are_those_of_the_ledger(world: AnvilWorld, proxy: FaultyProxy):
    contract = world.ledger.contract
    view = connect_with_proofs(proxy.url, contract, trusted=world.head(), config=CONFIG)
    events = view.events(world.experiment)
    assert events == world.ledger.events(world.experiment)
    assert any(isinstance(each.event, VoteCast) for each in events)
