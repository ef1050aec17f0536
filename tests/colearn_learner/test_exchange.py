"""Scores of a learner's answer that are sent to the ledger."""

from __future__ import annotations

import math

from colearn_learner.conversion import scores_of
from colearn_learner.interface import ProposedWeights, Weights
from colearn_ledger.protocol import Scores


def answer(test_score: float, *, tested: bool) -> ProposedWeights:
    return ProposedWeights(
        weights=Weights(weights=[]), vote_score=0.5, test_score=test_score, has_test_score=tested
    )


def test_a_test_score_without_test_records_is_absent_and_not_zero():
    assert scores_of(answer(0.0, tested=False)) == Scores(0.5, None)


def test_a_measured_zero_is_zero_and_nan_is_absent():
    assert scores_of(answer(0.0, tested=True)) == Scores(0.5, 0.0)
    assert scores_of(answer(math.nan, tested=True)) == Scores(0.5, None)


def test_an_answer_that_lacks_scores_has_none():
    assert scores_of(object()) == Scores(None, None)
