"""Proofs of an experiment on a real wasmd, whose answers a proxy changes."""

from __future__ import annotations

from collections.abc import Callable
from inspect import getmembers, isfunction
from typing import Any

import pytest
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import (
    GetBlockByHeightResponse,
    GetValidatorSetByHeightResponse,
)
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxResponse, GetTxsEventResponse

from colearn_ledger.audit import audit_experiment
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.proving import ProofFailed
from colearn_ledger.chains.cosmos.proving.node import ProvenNode
from colearn_ledger.chains.errors import NodeRefused
from colearn_ledger.protocol import Announced, Status, VoteCast
from tests.support.cosmos_place import start_place
from tests.support.faults.grpc_gate import GrpcGate
from tests.support.proven_world import ProvenWorld, audit, flip, play_proven

# ---------------------------------------------------------------------- honest nodes


@pytest.mark.parametrize("behind", [-1, 0, 3])
def test_honest_node_is_accepted(behind: int, played: ProvenWorld, gate: GrpcGate):
    report = audit(played, gate, played.end - behind)
    assert (report.findings, report.unchecked) == ((), ("All files: no store was given.",))
    assert report == audit_experiment(played.world.ledger, None, played.world.id)
    assert report.experiment.status == Status.COMPLETED


def test_answers_that_are_not_proved_are_not_used(played: ProvenWorld, gate: GrpcGate):
    for method in ("SmartContractState", "Code"):
        gate.lie(method, lambda _: b"")
    assert audit(played, gate).findings == ()


def test_every_read_is_proved_or_refused():
    others = {name for name, _ in getmembers(Node, isfunction)} - set(vars(ProvenNode))
    assert {name for name in others if not name.startswith("_")} == {
        *("chain_id", "head"),  # made of `latest`
        *("account", "balance", "simulate", "broadcast"),  # to send
        *("check_with", "recheck", "close"),
    }


@pytest.mark.long
def test_node_of_sdk_053_is_accepted(tmp_path: Any):
    with start_place(tmp_path, wasmd="0.61") as place:
        old = play_proven(place)
        with GrpcGate(place.chain.grpc) as gate:
            gate.lie("GetLatestBlock", lambda _: old.newest)
            assert audit(old, gate).findings == ()


@pytest.mark.long
def test_node_of_sdk_045_cannot_prove(tmp_path: Any):
    with start_place(tmp_path, wasmd="0.27") as place:
        old = play_proven(place)
        with (
            GrpcGate(place.chain.grpc) as gate,
            pytest.raises(NodeRefused, match=r"needs Cosmos SDK 0\.46 or newer"),
        ):
            audit(old, gate)


# ---------------------------------------------------------------------- headers


def lie_about_block(gate: GrpcGate, height: int, change: Callable[[Any], object]) -> None:
    def lie(answer: bytes) -> bytes:
        found = GetBlockByHeightResponse.FromString(answer)
        if found.block.header.height == height:
            change(found.block)
        return bytes(found.SerializeToString())

    gate.lie("GetBlockByHeight", lie)


def flip_field(name: str) -> Callable[[Any], object]:
    return lambda block: setattr(block.header, name, flip(getattr(block.header, name)))


HEADERS: dict[str, Callable[[Any], object]] = {
    "chain": lambda block: setattr(block.header, "chain_id", "colearn-other"),
    "time": lambda block: setattr(block.header.time, "nanos", block.header.time.nanos ^ 1),
    "version": lambda block: setattr(block.header.version, "app", 77),
    "parent": lambda block: setattr(block.header.last_block_id, "hash", bytes(32)),
    **{
        name: flip_field(name)
        for name in (
            *("last_commit_hash", "data_hash", "validators_hash", "next_validators_hash"),
            *("consensus_hash", "app_hash", "last_results_hash", "evidence_hash"),
            "proposer_address",
        )
    },
}


@pytest.mark.parametrize("lie", HEADERS)
def test_false_header_is_rejected(lie: str, played: ProvenWorld, gate: GrpcGate):
    height = played.height_of(VoteCast)
    lie_about_block(gate, height, HEADERS[lie])
    with pytest.raises(ProofFailed, match=f"header of block {height} .* not the parent of block"):
        audit(played, gate)


@pytest.mark.parametrize("lie", [lie for lie in HEADERS if lie not in ("parent", "data_hash")])
def test_false_newest_header_is_rejected(lie: str, played: ProvenWorld, gate: GrpcGate):
    lie_about_block(gate, played.end, HEADERS[lie])
    with pytest.raises(ProofFailed, match=f"block {played.end}"):
        audit(played, gate)


def in_commit(change: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda block: change(block.last_commit)


def add_signature(commit: Any) -> None:
    commit.signatures.append(commit.signatures[0])


SIGNATURES: dict[str, tuple[Callable[[Any], object], str]] = {
    "changed": (
        lambda commit: setattr(commit.signatures[0], "signature", flip(bytes(64))),
        "signature of block .* is wrong",
    ),
    "time": (
        lambda commit: setattr(commit.signatures[0].timestamp, "seconds", 1),
        "signature of block .* is wrong",
    ),
    "none": (
        lambda commit: setattr(commit.signatures[0], "block_id_flag", 1),
        "have 0 of .* votes, which is not more than two thirds",
    ),
    "missing": (lambda commit: commit.ClearField("signatures"), "returned 0 signatures"),
    "added": (add_signature, "returned 2 signatures"),
    "of another block": (
        lambda commit: setattr(commit.block_id, "hash", bytes(32)),
        "are not of block",
    ),
    "of another height": (lambda commit: setattr(commit, "height", 1), "are not of block"),
}


@pytest.mark.parametrize("lie", SIGNATURES)
def test_false_signatures_are_rejected(lie: str, played: ProvenWorld, gate: GrpcGate):
    change, words = SIGNATURES[lie]
    lie_about_block(gate, played.end + 1, in_commit(change))
    with pytest.raises(ProofFailed, match=words):
        audit(played, gate)


def test_another_set_of_validators_is_rejected(played: ProvenWorld, gate: GrpcGate):
    def lie(answer: bytes) -> bytes:
        found = GetValidatorSetByHeightResponse.FromString(answer)
        found.validators[0].voting_power += 1
        return bytes(found.SerializeToString())

    gate.lie("GetValidatorSetByHeight", lie)
    with pytest.raises(ProofFailed, match=f"validators of block {played.end} .* have the hash"):
        audit(played, gate)


def test_unknown_trusted_block_cannot_be_checked(played: ProvenWorld, gate: GrpcGate):
    with pytest.raises(ProofFailed, match="does not have the trusted block"):
        audit(played, gate, b"\x01" * 32)


# ---------------------------------------------------------------------- transactions


def change_first(block: Any) -> None:
    block.data.txs[0] = flip(block.data.txs[0])


TRANSACTIONS: dict[str, Callable[[Any], object]] = {
    "changed": change_first,
    "missing": lambda block: block.data.ClearField("txs"),
    "doubled": lambda block: block.data.txs.append(block.data.txs[0]),
}


@pytest.mark.parametrize("lie", TRANSACTIONS)
def test_false_transactions_are_rejected(lie: str, played: ProvenWorld, gate: GrpcGate):
    height = played.height_of(VoteCast)
    lie_about_block(gate, height, TRANSACTIONS[lie])
    with pytest.raises(ProofFailed, match=f"transactions of block {height} .* root in its header"):
        audit(played, gate)


def lie_about_results(
    gate: GrpcGate, change: Callable[[Any], object], where: Callable[[Any], bool]
) -> None:
    """Change the responses of transactions in each list for which ``where`` holds."""

    def lie(answer: bytes) -> bytes:
        found = GetTxsEventResponse.FromString(answer)
        if where(found.tx_responses):
            change(found)
        return bytes(found.SerializeToString())

    gate.lie("GetTxsEvent", lie)


RESULTS: dict[str, Callable[[Any], object]] = {
    "code": lambda response: setattr(response, "code", 5),
    "data": lambda response: setattr(response, "data", response.data + "00"),
    "gas": lambda response: setattr(response, "gas_used", 1),
    "name": lambda response: setattr(response, "txhash", "AB" * 32),
}


@pytest.mark.parametrize("lie", RESULTS)
def test_false_results_are_rejected(lie: str, played: ProvenWorld, gate: GrpcGate):
    lie_about_results(
        gate,
        lambda found: RESULTS[lie](found.tx_responses[0]),
        lambda responses: len(responses) == 1,
    )
    with pytest.raises(ProofFailed, match=r"results of the 1 transactions of block \d+ .* root"):
        audit(played, gate)


def find_in(found: Any, name: str) -> int:
    return [each.txhash for each in found.tx_responses].index(name)


def test_transaction_that_is_left_out_is_missed(played: ProvenWorld, gate: GrpcGate):
    name = played.first(VoteCast).transaction

    def leave_out(found: Any) -> None:
        del found.tx_responses[find_in(found, name)]
        found.total -= 1

    lie_about_results(gate, leave_out, lambda responses: len(responses) > 1)
    with pytest.raises(ProofFailed, match=f"left out the transaction {name}, which calls"):
        audit(played, gate)


def test_announcement_that_is_left_out_is_missed(played: ProvenWorld, gate: GrpcGate):
    name = played.first(Announced).transaction

    def leave_out(found: Any) -> None:
        response = found.tx_responses[find_in(found, name)]
        kept = [each for each in response.events if each.type != "wasm-announced"]
        assert len(kept) < len(response.events)
        del response.events[:]
        response.events.extend(kept)

    lie_about_results(gate, leave_out, lambda responses: len(responses) > 1)
    with pytest.raises(ProofFailed, match=f"left out an announcement of the transaction {name}"):
        audit(played, gate)


def test_transactions_that_are_left_out_of_a_block_are_missed(played: ProvenWorld, gate: GrpcGate):
    node = ProvenNode(
        gate.url,
        played.world.ledger.contract,
        trusted=played.hash(played.end),
        grpc=played.place.config.grpc,
    )
    height = played.height_of(VoteCast)
    assert len(node.executed_in(height)) == 1
    lie_about_results(gate, lambda found: found.ClearField("tx_responses"), bool)
    with pytest.raises(ProofFailed, match=f"left out a transaction of block {height}"):
        node.executed_in(height)


def test_failure_that_took_effect_is_rejected(played: ProvenWorld, gate: GrpcGate):
    def lie(answer: bytes) -> bytes:
        found = GetTxResponse.FromString(answer)
        found.tx_response.code = 5
        return bytes(found.SerializeToString())

    gate.lie("GetTx", lie)
    with pytest.raises(ProofFailed, match=r"with the result 5, but the result in block \d+ is 0"):
        audit(played, gate)


def test_false_event_contradicts_the_proven_call(played: ProvenWorld, gate: GrpcGate):
    def change(found: Any) -> None:
        for response in found.tx_responses:
            for event in response.events:
                for each in event.attributes:
                    if event.type == "wasm-vote_cast" and each.key == "scores":
                        each.value = "3ff0000000000000" * 4

    lie_about_results(gate, change, lambda responses: len(responses) > 1)
    findings = audit(played, gate).findings
    assert {each.round for each in findings} == {0}
