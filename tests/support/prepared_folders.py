"""A check of the learners that are made from prepared folders."""

from __future__ import annotations

from pathlib import Path

from colearn_learner.catalogue.factories import prepared
from colearn_learner.datasets import Division, dataset, prepare
from colearn_ledger.weights.codec import encode_weights


def check_learners_of_prepared_folders(folder: Path, model: str) -> None:
    """Check that learners of a model start with the same weights, and that training helps."""
    about = dataset("breast-cancer")
    records = about.load()
    skewed = prepare(about, records, folder / "skewed", Division(3, "label-skew", 0.5))
    learners = [prepared(str(each), model=model) for each in skewed.folders]
    # Learners with skewed shares train for evenly distributed labels, not for their own records.
    even = prepare(about, records, folder / "even", Division(3))
    learners_of_even = [prepared(str(each), model=model) for each in even.folders]
    starts = {
        encode_weights(one.mli_get_current_weights().weights)
        for one in (*learners, *learners_of_even)
    }
    assert len(starts) == 1
    for learner in learners_of_even:
        assert learner.mli_test_weights(learner.mli_propose_weights()).vote is True
