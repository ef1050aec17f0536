"""Honest experiments of toy learners, for tests of audits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from colearn_ledger.audit import AuditReport, audit_experiment
from colearn_ledger.protocol import Merge, Selection
from tests.support.lying_ledger import LyingLedger
from tests.support.toyworld import TowardsTarget, World

ROUND = 1
"""The round in which frauds are planted."""

SHAPES: dict[str, dict[str, Any]] = {
    "open": {},
    "secret": {"reveal_window": 50},
    "random": {"selection": Selection.RANDOM},
    "secret and random": {"selection": Selection.RANDOM, "reveal_window": 50},
    "plural mean": {"proposers": 3},
    "plural best": {"proposers": 3, "merge": Merge.BEST},
    "plural, secret and random": {
        "proposers": 2,
        "selection": Selection.RANDOM,
        "reveal_window": 50,
    },
    "settled early": {"proposers": 2, "settle_early": True, "approval_bps": 2_500},
    "out of patience": {"approval_bps": 10_000, "patience": 2},
    "without initial weights": {"initial": None},
}


def play(folder: Path, kind: str, shape: str, **terms: Any) -> World:
    """Let agents play an experiment to its end."""
    targets = (1.0, 1.25, 0.75, 1.5)
    learners = [TowardsTarget(target) for target in targets]
    world = World(folder, learners, {"rounds": 4, **SHAPES[shape], **terms}, kind=kind)
    world.drive(world.agents())
    return world


def audit(world: World, ledger: LyingLedger | None = None, store: Any = None) -> AuditReport:
    """Audit an experiment through a ledger and a store, which are honest by default."""
    return audit_experiment(ledger or world.ledger, store or world.store(0), world.experiment)


def is_in_audited_round(row: Any) -> bool:
    """Return whether a row is of the round in which frauds are planted."""
    return bool(row.index == ROUND)


def change_slot(**changes: Any) -> Callable[[Any], Any]:
    """Return a change of the first slot of a round."""

    def change(slots: Any) -> Any:
        values = {
            name: new(getattr(slots[0], name)) if callable(new) else new
            for name, new in changes.items()
        }
        return (replace(slots[0], **values), *slots[1:])

    return change
