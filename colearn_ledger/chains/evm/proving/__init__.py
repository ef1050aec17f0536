"""Read an EVM chain through a node that is not trusted, up to a block whose hash is."""

from __future__ import annotations

from colearn_ledger.chains.evm.proving.connecting import ProvenView, connect_with_proofs
from colearn_ledger.chains.evm.proving.tries import ProofFailed

__all__ = ["ProofFailed", "ProvenView", "connect_with_proofs"]
