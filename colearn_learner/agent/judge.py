"""Decide which proposals of a round to approve, by a vote rule.

The decision follows from tests on the learner's own data. If the accepted proposals become a mean,
several are only approved if their mean was tested and found better than the current weights.
Proposals that are good on their own can have a bad mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from colearn_learner.agent.records import add_gain, limit_gains
from colearn_ledger.protocol import Merge, Scores
from colearn_ledger.spec import ExperimentSpec, VoteRule


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a test: the scores, and whether the learner votes for the weights."""

    scores: Scores
    approves: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a learner found out about the usable proposals of a round.

    Args:
        current: the scores of the current weights.
        alone: by slot, the tests of the proposals that may be approved, in slot order.
        own: slot and scores of the learner's own proposal, which may belong to the mean but is
            never approved; ``None`` without a usable one.
        gains: by slot, how much better the score is after a part of the step to a proposal than
            that of the current weights; only for the rule `TRACK_RECORD`, which without any
            approves what is better alone.
        records: by slot, the proposer's record in earlier rounds; 0 if absent.
    """

    current: Scores
    alone: Mapping[int, Trial]
    own: tuple[int, Scores] | None = None
    gains: Mapping[int, float] = field(default_factory=dict)
    records: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The approved slots, and the reason why good ones are not among them; may be empty."""

    approved: tuple[int, ...]
    reason: str = ""

    @property
    def bitmap(self) -> int:
        """Return the approvals as the ledgers take them."""
        return sum(1 << slot for slot in self.approved)


TestMean = Callable[[tuple[int, ...]], Trial | None]
"""Tests the mean of the proposals in several slots; returns ``None`` if it cannot be tested."""


class Judge:
    """Judge one round's proposals.

    Args:
        spec: the experiment's specification, with the vote rule and the tolerance to use.
        merge: what the accepted proposals become.
        test_mean: tests the mean of proposals.
    """

    def __init__(self, spec: ExperimentSpec, merge: Merge, test_mean: TestMean) -> None:
        self._spec = spec
        self._merge = merge
        self._test_mean = test_mean
        self._means: dict[tuple[int, ...], Trial | None] = {}

    def judge(self, evidence: Evidence) -> Judgement:
        """Decide which proposals to approve."""
        slots = self.select(evidence)
        if self._merge == Merge.BEST or len(slots) < 2 or self._has_better_mean(slots):
            return Judgement(tuple(slots))
        chosen = self._choose_with_better_mean(slots, evidence)
        return Judgement(
            tuple(sorted(chosen)),
            f"the mean of proposals {_list(slots)} is not better than the current weights; "
            f"approved of them: {_list(sorted(chosen)) or 'none'}",
        )

    def select(self, evidence: Evidence) -> list[int]:
        """Return the slots that the vote rule approves, before their mean is tested.

        A single proposal has no mean, so the learner's own vote decides about it.
        """
        proposals = len(evidence.alone) + (evidence.own is not None)
        has_mean = self._merge == Merge.MEAN and proposals > 1
        if has_mean and self._spec.vote_rule == VoteRule.LEAVE_ONE_OUT:
            effects = self.measure_effects(evidence)
            return [slot for slot in effects if effects[slot] >= -self._spec.tolerance]
        if self._spec.vote_rule == VoteRule.TRACK_RECORD and evidence.gains:
            return self._select_by_record(evidence)
        return [slot for slot, tested in evidence.alone.items() if tested.approves]

    def _select_by_record(self, evidence: Evidence) -> list[int]:
        """Return the slots whose proposers' records are positive, this round included.

        A single one must also be better on its own, because no mean of it is tested.
        """
        slots = [
            slot
            for slot, gain in limit_gains(evidence.gains).items()
            if slot in evidence.alone and add_gain(evidence.records.get(slot, 0.0), gain) > 0
        ]
        return slots if len(slots) > 1 else [s for s in slots if evidence.alone[s].approves]

    def measure_effects(self, evidence: Evidence) -> dict[int, float]:
        """Return by how much each proposal improves the mean of all, as a share of its score.

        If that score is 0, it is in units of the score. It is infinite if the mean of the others
        cannot be tested. Returns no effects if the mean of all cannot be tested.
        """
        own = [evidence.own[0]] if evidence.own else []
        everyone = sorted([*evidence.alone, *own])
        whole = self.score_mean(everyone, evidence)
        if whole is None:
            return {}
        effects = {}
        for slot in evidence.alone:
            rest = self.score_mean([other for other in everyone if other != slot], evidence)
            gain = math.inf if rest is None else self._gain(whole, rest)
            effects[slot] = gain / abs(whole) if whole else gain
        return effects

    def _choose_with_better_mean(self, slots: Sequence[int], evidence: Evidence) -> list[int]:
        """Start with the best proposal, and add each next one if the mean stays better.

        The mean of the result is better than the current weights: a single proposal is only chosen
        if the learner votes for it.
        """
        chosen: list[int] = []
        good = [slot for slot in slots if evidence.alone[slot].approves]
        for slot in sorted(good, key=lambda each: self._rank(evidence.alone[each])):
            if not chosen or self._has_better_mean(sorted([*chosen, slot])):
                chosen.append(slot)
        return chosen

    def _has_better_mean(self, slots: Sequence[int]) -> bool:
        mean = self._mean(slots)
        return mean is not None and mean.approves

    def score_mean(self, slots: Sequence[int], evidence: Evidence) -> float | None:
        """Return the vote score of a mean; without proposals the current weights stay."""
        if not slots:
            return evidence.current.vote_score
        if len(slots) > 1:
            mean = self._mean(slots)
            return None if mean is None else mean.scores.vote_score
        if evidence.own and slots[0] == evidence.own[0]:
            return evidence.own[1].vote_score
        return evidence.alone[slots[0]].scores.vote_score

    def _mean(self, slots: Sequence[int]) -> Trial | None:
        key = tuple(slots)
        if key not in self._means:
            self._means[key] = self._test_mean(key)
        return self._means[key]

    def _gain(self, score: float, other: float) -> float:
        """Return by how much the first score is better."""
        return score - other if self._spec.higher_is_better else other - score

    def _rank(self, tested: Trial) -> tuple[bool, float]:
        """Return a key that sorts better scores first and absent ones last."""
        score = tested.scores.vote_score
        return score is None, 0.0 if score is None else self._gain(0.0, score)


def _list(slots: Sequence[int]) -> str:
    return ", ".join(map(str, slots))
