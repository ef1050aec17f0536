"""An experiment on a real wasmd, and audits of it with proofs through a proxy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import (
    GetBlockByHeightResponse,
    GetLatestBlockRequest,
)

from colearn_ledger.audit import AuditReport, audit_experiment
from colearn_ledger.chains.contract_ledger import ProvenView
from colearn_ledger.chains.cosmos.encoder import Message
from colearn_ledger.chains.cosmos.proving import connect_with_proofs
from colearn_ledger.ledger import RecordedEvent
from colearn_ledger.protocol import Selection, VoteCast
from tests.colearn_ledger.cosmos.test_cosmos_audit import PEOPLE, WasmdWorld
from tests.support.cosmos_place import Place
from tests.support.faults.grpc_gate import GrpcGate

_BITS = 24
"""Low bits of a cursor, below the height."""


class ProvenWorld:
    """A completed experiment, a proxy before its node, and the blocks that a proof uses.

    The proxy's newest block stays the same, so that all proofs end with the one before it.
    """

    def __init__(self, place: Place, world: WasmdWorld) -> None:
        self.place = place
        self.world = world
        self.events = world.ledger.events(world.id)
        request = GetLatestBlockRequest()
        self.newest = place.node._blocks.GetLatestBlock(request).SerializeToString()
        self.end = int(self.newest_block().header.height) - 1

    def newest_block(self) -> Any:
        return GetBlockByHeightResponse.FromString(self.newest).block

    def height_of(self, kind: type) -> int:
        return self.first(kind).cursor >> _BITS

    def first(self, kind: type) -> RecordedEvent:
        return next(each for each in self.events if isinstance(each.event, kind))

    def hash(self, height: int) -> bytes:
        block = self.place.node.block(height)
        assert block is not None
        return bytes.fromhex(block.hash)


def play_proven(place: Place) -> ProvenWorld:
    world = WasmdWorld(place)
    world.run(*PEOPLE, selection=Selection.RANDOM, reveal_window=1_000, rounds=1)
    world.announce("ana", "note")
    world.propose_and_commit()
    for name in world.voters():
        world.reveal(name)
    seen = place.node.head()
    while place.node.head().height < seen.height + 3:
        world.ledger.wait_for_change(1)
    return ProvenWorld(place, world)


def open_view(
    played: ProvenWorld, gate: GrpcGate, trusted: int | bytes | None = None
) -> ProvenView[Message]:
    """Connect with proofs, by default from a block in the middle of the experiment."""
    height = played.height_of(VoteCast) if trusted is None else trusted
    return connect_with_proofs(
        replace(played.place.terms, grpc=gate.url),
        played.world.ledger.contract,
        trusted=height if isinstance(height, bytes) else played.hash(height),
        config=played.place.config,
    )


def audit(played: ProvenWorld, gate: GrpcGate, trusted: int | bytes | None = None) -> AuditReport:
    """Audit with proofs."""
    return audit_experiment(open_view(played, gate, trusted), None, played.world.id)


def flip(data: bytes) -> bytes:
    """Change the last bit."""
    return data[:-1] + bytes([data[-1] ^ 1])
