"""The compiled contract that ships with this package."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from colearn_ledger.chains.errors import WrongContract


@dataclass(frozen=True)
class Artifact:
    """The compiled contract and its checksum, which chains record with the code they store.

    Args:
        wasm: the module.
        checksum: the module's sha256.
    """

    wasm: bytes
    checksum: bytes


@lru_cache(maxsize=1)
def load_artifact() -> Artifact:
    """Return the compiled contract of this package.

    Raises:
        WrongContract: the package was installed without the contract.
    """
    place = files("colearn_ledger.chains.cosmos") / "contract" / "collective_learning.wasm"
    if not place.is_file():
        raise WrongContract(
            "this installation lacks the contract for Cosmos chains; install colearn-ledger again, "
            "or build it: python scripts/build_cosmwasm.py"
        )
    wasm = place.read_bytes()
    return Artifact(wasm, hashlib.sha256(wasm).digest())
