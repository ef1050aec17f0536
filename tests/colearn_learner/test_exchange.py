"""Conversion of a learner's scores to those that are sent to the ledger."""

from __future__ import annotations

import math

from colearn_learner.conversion import scores_of
from colearn_learner.interface import ProposedWeights, Weights
from colearn_ledger.protocol import Scores


def make_answer(test_score: float, *, tested: bool) -> ProposedWeights:
    return ProposedWeights(
        weights=Weights(weights=[]), vote_score=0.5, test_score=test_score, has_test_score=tested
    )


def test_score_without_test_records_is_absent_and_not_zero():
    assert scores_of(make_answer(0.0, tested=False)) == Scores(0.5, None)


def test_measured_zero_is_recorded_and_nan_is_absent():
    assert scores_of(make_answer(0.0, tested=True)) == Scores(0.5, 0.0)
    assert scores_of(make_answer(math.nan, tested=True)) == Scores(0.5, None)


def test_answer_without_scores_has_none():
    assert scores_of(object()) == Scores(None, None)
