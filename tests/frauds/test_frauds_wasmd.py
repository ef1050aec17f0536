"""Every fraud that is planted into an experiment on wasmd is found in its round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.frauds.cases import play
from tests.support.frauds.plays import SHAPES
from tests.support.frauds.suite import list_missed, list_usable_kinds, plant_frauds
from tests.support.frauds.worlds import WasmdWorld

if TYPE_CHECKING:
    from colearn_ledger.weights.store import ContentStore
    from tests.frauds.conftest import Report
    from tests.support.cosmos_place import Place

FEW = ("plural and signed", "secret and random")


def test_every_fraud_on_wasmd_is_found(
    cosmos_place: Place, store: ContentStore, is_long: bool, report_counts: Report
):
    """Play without absences: a deadline that has to pass takes seconds here."""
    shapes = [(name, shape) for name, shape in SHAPES.items() if not shape.waits]
    plays = [
        play(WasmdWorld(cosmos_place), store, seed, (name, shape))
        for name, shape in shapes
        for seed in range(2)
        if is_long or name in FEW
    ]
    number = 50 if is_long else 2
    counts = plant_frauds(plays, number, "wasmd")
    report_counts("wasmd", counts)
    assert list_missed(counts) == []
    kinds = list_usable_kinds(plays[0])
    assert {kind.name: number for kind in kinds} == {n: c.planted for n, c in counts.items()}
