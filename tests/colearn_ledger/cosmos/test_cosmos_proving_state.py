"""Proofs of the state of an experiment on a real wasmd, whose answers a proxy changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import (
    ABCIQueryRequest,
    ABCIQueryResponse,
)
from cosmpy.protos.cosmos.ics23.v1.proofs_pb2 import CommitmentProof

from colearn_ledger.chains.cosmos.proving import ProofFailed, connect_with_proofs
from colearn_ledger.chains.errors import BadAnswer, NodeRefused, WrongContract
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account, ExperimentId, RoundClosed, UnknownExperiment
from tests.support.faults.grpc_gate import GrpcGate
from tests.support.proven_world import ProvenWorld, audit, flip, open_view


def lie_about_state(gate: GrpcGate, change: Callable[[ABCIQueryResponse], object]) -> None:
    def lie(answer: bytes) -> bytes:
        found = ABCIQueryResponse.FromString(answer)
        change(found)
        return bytes(found.SerializeToString())

    gate.lie("ABCIQuery", lie)


def in_proof(place: int, change: Callable[[Any], object]) -> Callable[[Any], object]:
    """Return a change of one of the two proofs of a value: that of the key, or of the store."""

    def apply(found: Any) -> None:
        operation = found.proof_ops.ops[place]
        proof = CommitmentProof.FromString(operation.data)
        if proof.WhichOneof("proof") == "exist":
            change(proof)
        operation.data = proof.SerializeToString()

    return apply


def move_byte(proof: Any) -> None:
    """Move a byte from the key to the value, which leaves their joint length the same."""
    exist = proof.exist
    exist.key, exist.value = exist.key[:-1], exist.key[-1:] + exist.value


STATE: dict[str, Callable[[Any], object]] = {
    "value": in_proof(0, lambda proof: setattr(proof.exist, "value", flip(proof.exist.value))),
    "step": in_proof(0, lambda proof: proof.exist.path.pop()),
    "leaf": in_proof(0, lambda proof: setattr(proof.exist.leaf, "prehash_value", 0)),
    "key": in_proof(0, move_byte),
    "absence": in_proof(0, lambda proof: proof.nonexist.SetInParent()),
    "store": in_proof(1, lambda proof: setattr(proof.exist, "key", b"bank")),
    "root of the store": in_proof(1, lambda proof: setattr(proof.exist, "value", bytes(32))),
    "no proof": lambda found: found.proof_ops.ClearField("ops"),
    "one proof": lambda found: found.proof_ops.ops.pop(),
    "malformed": lambda found: setattr(found.proof_ops.ops[0], "data", b"\xff\xff"),
}


@pytest.mark.parametrize("lie", STATE)
def test_false_state_is_rejected(lie: str, played: ProvenWorld, gate: GrpcGate):
    lie_about_state(gate, STATE[lie])
    with pytest.raises(ProofFailed, match=r"proof of the key .* is wrong or incomplete"):
        audit(played, gate)


def test_absence_is_proved(played: ProvenWorld, gate: GrpcGate):
    proofs: list[str | None] = []

    def note(found: ABCIQueryResponse) -> None:
        proof = CommitmentProof.FromString(found.proof_ops.ops[0].data)
        proofs.append(proof.WhichOneof("proof"))

    lie_about_state(gate, note)
    view = open_view(played, gate)
    for unknown in (0, 2, 2**64 - 1):
        with pytest.raises(UnknownExperiment):
            view.experiment(ExperimentId(unknown))
    assert proofs.count("nonexist") == 3


def test_value_beside_the_proof_is_not_used(played: ProvenWorld, gate: GrpcGate):
    lie_about_state(gate, lambda found: setattr(found, "value", b"7"))
    assert audit(played, gate).findings == ()


def ask_state(
    played: ProvenWorld, key: bytes, height: int, store: str = "wasm"
) -> ABCIQueryResponse:
    request = ABCIQueryRequest(data=key, path=f"/store/{store}/key", height=height, prove=True)
    return played.place.node._blocks.ABCIQuery(request)


def read_key(found: ABCIQueryResponse) -> bytes:
    proof = CommitmentProof.FromString(found.proof_ops.ops[0].data)
    return bytes(proof.exist.key or proof.nonexist.key)


def test_state_of_an_earlier_block_is_rejected(played: ProvenWorld, gate: GrpcGate):
    earlier = played.height_of(RoundClosed) - 1
    lie_about_state(gate, lambda found: found.CopyFrom(ask_state(played, read_key(found), earlier)))
    with pytest.raises(ProofFailed, match="proof of the key"):
        audit(played, gate)


def test_absence_from_another_store_is_rejected(played: ProvenWorld, gate: GrpcGate):
    height = played.end - 1
    lie_about_state(
        gate, lambda found: found.CopyFrom(ask_state(played, read_key(found), height, "acc"))
    )
    with pytest.raises(ProofFailed, match="proof of the key"):
        audit(played, gate)


def test_value_of_another_key_is_rejected(played: ProvenWorld, gate: GrpcGate):
    answers: list[ABCIQueryResponse] = []

    def repeat(found: ABCIQueryResponse) -> None:
        answers.append(ABCIQueryResponse.FromString(found.SerializeToString()))
        found.CopyFrom(answers[0])

    lie_about_state(gate, repeat)
    with pytest.raises(ProofFailed, match="proof of the key"):
        audit(played, gate)


@pytest.mark.parametrize("kept", [("left", "right"), ("left",), ("right",)])
def test_value_that_exists_cannot_be_denied(
    kept: tuple[str, ...], played: ProvenWorld, gate: GrpcGate
):
    """Both keys beside it are in the store, but not next to each other, nor at its ends."""
    height = played.end - 1

    def deny(found: ABCIQueryResponse) -> None:
        key = read_key(found)
        proof = CommitmentProof.FromString(found.proof_ops.ops[0].data)
        if proof.WhichOneof("proof") == "exist":
            before = read_absence(ask_state(played, key[:-1] + bytes([key[-1] - 1, 255]), height))
            after = read_absence(ask_state(played, key + b"\x00", height))
            assert before.right.key == key == after.left.key
            proof.nonexist.key = key
            neighbours = {"left": before.left, "right": after.right}
            for side in kept:
                getattr(proof.nonexist, side).CopyFrom(neighbours[side])
            found.proof_ops.ops[0].data = proof.SerializeToString()

    lie_about_state(gate, deny)
    with pytest.raises(ProofFailed, match="proof of the key"):
        audit(played, gate)


def read_absence(found: ABCIQueryResponse) -> Any:
    return CommitmentProof.FromString(found.proof_ops.ops[0].data).nonexist


def test_address_without_a_contract_is_refused(played: ProvenWorld, gate: GrpcGate):
    stranger = played.place.sender.address(played.place.bank)
    with pytest.raises(WrongContract, match="there is no contract"):
        connect_with_proofs(
            replace(played.place.terms, grpc=gate.url),
            Account(stranger),
            trusted=played.hash(played.end),
            config=played.place.config,
        )


@pytest.mark.parametrize(
    "method",
    ["GetBlockByHeight", "GetValidatorSetByHeight", "ABCIQuery", "GetTxsEvent", "GetTx"],
)
@pytest.mark.parametrize("answer", [b"", b"\x0a\xff\xff"])
def test_malformed_answers_are_rejected(
    answer: bytes, method: str, played: ProvenWorld, gate: GrpcGate
):
    gate.lie(method, lambda _: answer)
    with pytest.raises((BadAnswer, NodeRefused, LedgerUnavailable)):
        audit(played, gate)
