"""Read an EVM chain through a node that is not trusted, up to a block whose hash is."""

from __future__ import annotations

from colearn_ledger.chains.errors import ProofFailed
from colearn_ledger.chains.evm.proving.connecting import connect_with_proofs

__all__ = ["ProofFailed", "connect_with_proofs"]
