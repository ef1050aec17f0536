"""Merged files that learners announced replace accepted files that are no longer served."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import ContentRef, Experiment
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.current import CurrentWeights, FilesNotServed, obtain_current
from colearn_ledger.weights.merge import AcceptedFile, merge_files
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.directory import DirectoryStore
from tests.support.plural import PluralExperiment

SCHEMA = WeightsSchema.of([np.zeros(3)])


class Announcing:
    """Five learners whose first round accepted three files, of which one is gone.

    Two approvals are needed. ``merged`` is the mean, in the store under its own CID.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = DirectoryStore(folder / "store")
        self.made = PluralExperiment(5, self._put, proposers=3, late_join=True, max_learners=6)
        self.made.ledger.start(self.made.id)
        self.made.play(lambda *_: True)
        self.merged = self.store.put([self.obtain("own").path.read_bytes()])
        self.gone = self.experiment.current[1]
        [path] = (folder / "store" / "files").rglob(self.gone.cid)
        path.unlink()

    def _put(self, round_index: int, slot: int) -> ContentRef:
        return write_weights(self.store, [np.full(3, float(slot))])

    @property
    def experiment(self) -> Experiment:
        return self.made.ledger.experiment(self.made.id)

    def announce(self, learner: int, content: ContentRef, topic: str = "merge") -> None:
        self.made.views[learner].announce(self.made.id, topic, content).wait()

    def obtain(self, name: str = "copies", ledger: Any = None) -> CurrentWeights:
        """Obtain the current weights in a folder of this name."""
        copies = self.folder / name
        copies.mkdir(exist_ok=True)
        ledger = ledger or self.made.ledger
        return obtain_current(self.store, self.experiment, copies, schema=SCHEMA, ledger=ledger)

    def expect_missing(self, **how: Any) -> None:
        with pytest.raises(FilesNotServed, match=self.gone.cid) as caught:
            self.obtain(**how)
        assert list(caught.value.missing) == [self.gone]


@pytest.fixture
def five(tmp_path: Path) -> Announcing:
    return Announcing(tmp_path)


def test_file_that_as_many_announced_as_must_approve_is_the_mean(five: Announcing):
    assert five.made.ledger.round(five.made.id, 0).needed == 2
    five.announce(0, five.merged)
    five.announce(4, five.merged)
    current = five.obtain()
    assert (current.content, current.is_merged) == (five.merged, True)
    assert current.announced_by == (five.made.accounts[0], five.made.accounts[4])
    assert current.read(SCHEMA).weights[0].tolist() == [1.0] * 3


def test_accepted_files_are_merged_as_long_as_all_are_served(five: Announcing):
    five.announce(0, five.merged)
    five.announce(1, five.merged)
    five._put(0, 1)
    assert five.obtain().announced_by == ()


def test_one_announcement_is_not_enough_even_if_it_is_repeated(five: Announcing):
    five.announce(0, five.merged)
    five.announce(0, five.merged)
    five.expect_missing()


def test_announcement_of_a_learner_outside_the_electorate_does_not_count(five: Announcing):
    five.announce(0, five.merged)
    late = five.made.ledger.acting_for(Wallet.from_key(b"\x99" * 32))
    late.join(five.made.id, five.experiment.hash).wait()
    late.announce(five.made.id, "merge", five.merged).wait()
    five.expect_missing()


def test_announcement_of_another_topic_does_not_count(five: Announcing):
    five.announce(0, five.merged)
    five.announce(1, five.merged, "keys")
    five.expect_missing()


@pytest.mark.parametrize("defect", ["not served", "not a merge", "not finite"])
def test_announced_file_that_is_not_usable_is_passed_over(
    five: Announcing, defect: str, caplog: pytest.LogCaptureFixture
):
    bad = five.experiment.params.spec  # is in no store
    if defect == "not a merge":
        bad = write_weights(five.store, [np.zeros(3)])
    elif defect == "not finite":
        bad = put_defective_merge(five)
    for learner in (0, 1, 2):
        five.announce(learner, bad)
    with caplog.at_level(logging.WARNING):
        five.expect_missing()
    assert f"the announced merge {bad.cid} cannot be used" in caplog.text
    five.announce(3, five.merged)
    five.announce(4, five.merged)
    assert five.obtain().content == five.merged


def put_defective_merge(five: Announcing) -> ContentRef:
    """Store a file with the header of the mean, whose weights are not finite."""
    path = five.folder / "merging"
    parts = []
    for number, content in enumerate(five.experiment.current):
        local = five.folder / "own" / f"{content.sha256}.safetensors"
        parts.append(AcceptedFile(content, local))
        assert local.exists(), number
    merge_files(parts, path, schema=SCHEMA, round_index=0)
    data = bytearray(path.read_bytes())
    data[-8:] = np.float64(np.nan).tobytes()
    return five.store.put([bytes(data)])


def test_files_are_named_if_the_node_has_dropped_old_events(five: Announcing):
    class Forgetful:
        def __getattr__(self, name: str) -> Any:
            return getattr(five.made.ledger, name)

        def events(self, *_: Any, **__: Any) -> Any:
            raise LedgerUnavailable("the node has dropped its old events")

    five.announce(0, five.merged)
    five.announce(1, five.merged)
    five.expect_missing(ledger=Forgetful())
