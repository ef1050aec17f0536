"""An experiment whose proofs are tested, and a proxy that changes its node's answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cosmos_place import Place
from tests.support.faults.grpc_gate import GrpcGate
from tests.support.proven_world import ProvenWorld, play_proven


@pytest.fixture(scope="session")
def played(cosmos_place: Place) -> ProvenWorld:
    return play_proven(cosmos_place)


@pytest.fixture
def gate(played: ProvenWorld) -> Iterator[GrpcGate]:
    with GrpcGate(played.place.chain.grpc) as gate:
        gate.lie("GetLatestBlock", lambda _: played.newest)
        yield gate
