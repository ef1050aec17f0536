"""Every fraud that is planted into an experiment on the reference is found in its round."""

from colearn_ledger.weights.store import ContentStore
from tests.frauds.conftest import Report
from tests.support.frauds.cases import play
from tests.support.frauds.plays import SHAPES
from tests.support.frauds.suite import KINDS, list_missed, plant_frauds
from tests.support.frauds.worlds import LocalWorld


def test_every_fraud_on_the_reference_is_found(
    store: ContentStore, is_long: bool, report_counts: Report
):
    plays = [
        play(LocalWorld(seed), store, seed, shape)
        for shape in SHAPES.items()
        for seed in range(4 if is_long else 2)
    ]
    number = 50 if is_long else 4
    counts = plant_frauds(plays, number, "in memory")
    report_counts("the reference", counts)
    assert list_missed(counts) == []
    assert {kind.name: number for kind in KINDS} == {n: c.planted for n, c in counts.items()}
