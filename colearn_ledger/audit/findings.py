"""What an audit found: findings, what was checked, and what could not be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from colearn_ledger.protocol import ContentRef, Experiment, Status

if TYPE_CHECKING:
    from colearn_ledger.history import History

_VERSION = 1


class FindingKind(StrEnum):
    """What a finding contradicts."""

    EVENT = "event"
    """An event contradicts the rules, or the events before it."""
    STATE = "state"
    """The contract's state differs from the one that the events lead to."""
    TRANSACTION = "transaction"
    """An event differs from the transaction that emitted it."""
    FILE = "file"
    """The store delivered other bytes, or the file cannot be what the experiment requires."""
    MERGE = "merge"
    """An announced merge is not the mean of the accepted files."""
    NODE = "node"
    """Several nodes were asked, and one of them contradicts the others."""
    UNAVAILABLE = "unavailable"
    """Nobody serves a file. This does not show that anybody was dishonest."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction.

    Args:
        kind: what it contradicts.
        round: the round that it concerns; ``None`` for the experiment as a whole.
        subject: what was checked, such as ``approvals of slot 0``.
        expected: what the rules, the events or the reference require.
        found: what the ledger or the store returned.
        meaning: what follows from it, in one sentence.
    """

    kind: FindingKind
    round: int | None
    subject: str
    expected: str
    found: str
    meaning: str


@dataclass(slots=True)
class AuditCounts:
    """How much was checked."""

    events: int = 0
    rounds: int = 0
    ballots: int = 0
    transactions: int = 0
    """Events that were compared with the call that emitted them."""
    signatures: int = 0
    """Signed ballots whose signature was verified."""
    reveals: int = 0
    """Revealed ballots that were verified against their commitment."""
    selections: int = 0
    """Random selections that were computed again from the chain's entropy."""
    files: int = 0
    reused: int = 0
    """Files that were not fetched, because an audit that was interrupted had fetched them."""
    bytes: int = 0
    merges: int = 0
    """Merged weights that were computed again."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The result of an audit.

    Args:
        experiment: the experiment as the ledger returned it.
        findings: the contradictions, in order of discovery.
        unchecked: what could not be checked, and why, in one sentence each.
        counts: how much was checked.
        history: the experiment's history, made of the answers that were checked.
        weights: the weights that each accepting round made current, computed from its files; those
            that could not be computed are missing.
    """

    experiment: Experiment
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...]
    counts: AuditCounts
    history: History
    weights: Mapping[int, ContentRef] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Return whether there is no finding."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values; ``docs/audit.md`` describes them."""
        found = self.experiment
        return {
            "version": _VERSION,
            "experiment": found.id,
            "name": found.params.name,
            "status": Status(found.status).name.lower(),
            "checked": asdict(self.counts),
            "unchecked": list(self.unchecked),
            "findings": [{**asdict(each), "kind": each.kind.value} for each in self.findings],
        }


def describe(value: object) -> str:
    """Return a value of the protocol as a short text."""
    if value is None:
        return "nothing"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, ContentRef):
        return f"{value.cid} ({value.size} bytes)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int) and not hasattr(value, "name"):
        return str(value)
    if isinstance(value, Sequence):
        return ", ".join(map(describe, value)) or "nothing"
    name = getattr(value, "name", None)
    return name.lower().replace("_", " ") if isinstance(name, str) else str(value)
