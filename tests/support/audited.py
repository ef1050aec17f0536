"""Honest experiments of toy learners, for tests of audits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from colearn_ledger.audit import AuditReport, audit_experiment
from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.ledger import LedgerView
from colearn_ledger.protocol import Basis, Merge, Scores, Selection, Vote
from colearn_ledger.weights.codec import write_weights
from tests.support.joining import join
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


def play_signed(folder: Path, kind: str) -> World:
    """Play a round in which one account submits all ballots, of which one is signed wrongly."""
    world = World(folder, [TowardsTarget(1.0) for _ in range(4)], {"rounds": 1}, kind=kind)
    for view in world.views:
        join(view, world.experiment).wait()
    content = write_weights(world.store(0), [np.ones(3)])
    [proposer] = world.ledger.round(world.experiment, 0).slots
    number = [view.account for view in world.views].index(proposer.proposer)
    world.views[number].propose(world.experiment, 0, content, Scores()).wait()
    digest = world.ledger.round(world.experiment, 0).proposals
    assert digest is not None
    basis, vote = (
        Basis(world.experiment, 0, digest),
        Vote(1, (Scores(0.5, None), Scores(0.25, 1.0))),
    )
    voters = [wallet for i, wallet in enumerate(world.wallets) if i != number]
    ballots = [sign_ballot(wallet, world.ledger.domain, basis, vote) for wallet in voters]
    wrong = replace(ballots[0], vote=replace(vote, approvals=0))
    batch = [wrong, *ballots, ballots[1]]
    world.ledger.vote_signed(world.experiment, 0, digest, batch).wait()
    return world


def audit(world: World, ledger: LyingLedger | None = None, store: Any = None) -> AuditReport:
    """Audit an experiment through a ledger and a store, which are honest by default."""
    return audit_experiment(ledger or world.ledger, store or world.store(0), world.experiment)


def audit_all(ledger: LedgerView) -> None:
    """Audit all honest experiments of a ledger without their files, and compare every event."""
    for experiment in ledger.experiments():
        report = audit_experiment(ledger, None, experiment.id)
        assert report.findings == ()
        assert report.unchecked == ("All files: no store was given.",)
        assert report.counts.events == len(ledger.events(experiment.id))


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
