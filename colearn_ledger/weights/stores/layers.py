"""The stores that a layered store combines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from colearn_ledger.protocol import LedgerError
from colearn_ledger.weights.store import RangedStore


class Role(Enum):
    """The use of a layer."""

    FOLDER = "folder"
    """A store for this machine only."""
    NODE = "node"
    """A store that serves its files to others."""
    GATEWAY = "gateway"
    """A read-only store."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One of the stores.

    Args:
        name: its name in messages, without secrets.
        store: the store.
        role: its use.
    """

    name: str
    store: RangedStore
    role: Role


def describe_failures(what: str, failures: Sequence[tuple[Layer, LedgerError]]) -> str:
    """Return one line that lists every layer's failure."""
    return f"{what}: " + " ".join(
        f"[{number}] {layer.name}: {error}." for number, (layer, error) in enumerate(failures, 1)
    )
