"""Read a Cosmos chain through a node that is not trusted, from a block on whose hash is."""

from __future__ import annotations

from colearn_ledger.chains.cosmos.proving.connecting import connect_with_proofs
from colearn_ledger.chains.errors import ProofFailed

__all__ = ["ProofFailed", "connect_with_proofs"]
