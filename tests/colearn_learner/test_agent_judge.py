"""Vote rules on made-up scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from colearn_learner.agent.judge import Evidence, Judge, Judgement, Trial
from colearn_ledger.protocol import Merge, Scores
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.schema import WeightsSchema

SCHEMA = WeightsSchema.of([np.zeros(1)])
CURRENT = 0.5


def make_spec(**fields: Any) -> ExperimentSpec:
    return ExperimentSpec("m", SCHEMA, "score", **{"higher_is_better": True, **fields})


class Means:
    """Tests of means, with the scores of a table; unknown means cannot be tested."""

    def __init__(self, scores: Mapping[tuple[int, ...], float], *, higher: bool = True) -> None:
        self._scores, self._higher = scores, higher
        self.asked: list[tuple[int, ...]] = []

    def __call__(self, slots: tuple[int, ...]) -> Trial | None:
        self.asked.append(slots)
        score = self._scores.get(slots)
        return None if score is None else make_test(score, higher=self._higher)


def make_test(score: float | None, *, higher: bool = True) -> Trial:
    is_better = score is not None and (score > CURRENT if higher else score < CURRENT)
    return Trial(Scores(score), is_better)


def judge(
    alone: Mapping[int, float | None],
    means: Means,
    *,
    merge: Merge = Merge.MEAN,
    own: tuple[int, float] | None = None,
    **fields: Any,
) -> Judgement:
    spec = make_spec(**fields)
    tests = {slot: make_test(score, higher=spec.higher_is_better) for slot, score in alone.items()}
    own_scores = None if own is None else (own[0], Scores(own[1]))
    return Judge(spec, merge, means).judge(Evidence(Scores(CURRENT), tests, own_scores))


class TestBetterAlone:
    def test_single_proposal_is_decided_by_the_learners_vote(self):
        means = Means({})
        assert judge({0: 0.6}, means).approved == (0,)
        assert judge({1: 0.5}, means).approved == ()
        assert judge({1: None}, means).approved == ()
        assert judge({}, means).approved == ()
        assert means.asked == []

    def test_several_are_approved_if_their_mean_is_better(self):
        means = Means({(0, 2): 0.7})
        judgement = judge({0: 0.6, 1: 0.4, 2: 0.6}, means)
        assert (judgement.approved, judgement.bitmap, judgement.reason) == ((0, 2), 0b101, "")
        assert means.asked == [(0, 2)]

    @pytest.mark.parametrize(
        ("higher", "scores", "bad", "good", "best"),
        [
            (True, {0: 0.6, 1: 0.8, 2: 0.7}, 0.1, 0.9, 1),
            (False, {0: 0.4, 1: 0.3, 2: 0.1}, 0.9, 0.1, 2),
        ],
        ids=["accuracy", "loss"],
    )
    def test_without_a_better_mean_only_the_best_is_approved(self, higher, scores, bad, good, best):
        pairs = {(0, 1): bad, (1, 2): bad, (0, 2): bad, (0, 1, 2): bad}
        judgement = judge(scores, Means(pairs, higher=higher), higher_is_better=higher)
        assert judgement.approved == (best,)
        assert "the mean of proposals 0, 1, 2 is not better" in judgement.reason

    def test_proposal_that_spoils_the_mean_is_left_out(self):
        means = Means({(0, 1, 2): 0.2, (0, 1): 0.8, (1, 2): 0.1})
        assert judge({0: 0.7, 1: 0.8, 2: 0.6}, means).approved == (0, 1)

    def test_equal_scores_prefer_the_lowest_slot(self):
        assert judge({3: 0.7, 5: 0.7}, Means({(3, 5): 0.5})).approved == (3,)

    def test_mean_that_cannot_be_tested_is_not_approved(self):
        assert judge({0: 0.7, 1: 0.8}, Means({})).approved == (1,)

    def test_no_mean_is_tested_if_only_the_best_one_is_accepted(self):
        means = Means({})
        assert judge({0: 0.7, 1: 0.8, 2: 0.1}, means, merge=Merge.BEST).approved == (0, 1)
        assert means.asked == []


class TestLeaveOneOut:
    def judge(self, alone, means, **more) -> tuple[int, ...]:
        return judge(alone, means, vote_rule="leave-one-out", **more).approved

    def test_proposal_is_rejected_if_the_mean_is_better_without_it(self):
        means = Means({(0, 1, 2): 0.7, (0, 1): 0.9, (0, 2): 0.6, (1, 2): 0.7})
        assert self.judge({0: 0.4, 1: 0.6, 2: 0.9}, means) == (0, 1)

    @pytest.mark.parametrize(("score", "approved"), [(0.6, (0,)), (0.5, ()), (0.45, ())])
    def test_single_proposal_is_decided_by_the_learners_vote(self, score, approved):
        means = Means({})
        assert self.judge({0: score}, means, tolerance=0.1) == approved
        assert means.asked == []

    def test_small_improvements_are_tolerated(self):
        means = Means({(0, 1, 2): 0.7, (0, 1): 0.75, (0, 2): 0.7, (1, 2): 0.85})
        assert self.judge({0: 0.6, 1: 0.6, 2: 0.6}, means, tolerance=0.1) == (1, 2)

    def test_direction_of_the_score_decides(self):
        means = Means({(0, 1): 0.3}, higher=False)
        assert self.judge({0: 0.4, 1: 0.2}, means, higher_is_better=False) == (1,)
        assert means.asked == [(0, 1)]

    def test_own_proposal_belongs_to_the_mean_but_is_not_approved(self):
        means = Means({(0, 1, 2): 0.7, (1, 2): 0.6, (0, 1): 0.6, (0, 2): 0.6})
        assert self.judge({0: 0.6, 2: 0.6}, means, own=(1, 0.6)) == (0, 2)

    def test_approved_proposals_need_a_better_mean_than_the_current_weights(self):
        means = Means({(0, 1): 0.4})
        assert self.judge({0: 0.3, 1: 0.2}, means) == ()

    def test_nothing_is_approved_if_the_mean_of_all_cannot_be_tested(self):
        assert self.judge({0: 0.7, 1: 0.8}, Means({})) == ()

    def test_scores_alone_decide_if_there_is_no_mean(self):
        assert self.judge({0: 0.7, 1: 0.4}, Means({}), merge=Merge.BEST) == (0,)
