"""The vote rules that `bench/vote_rules.py` compares.

A rule sees what one learner knows: scores on its own vote records, of the current weights, of each
proposal and of means of proposals. The names V1 … V14 are those of the study that preceded it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

from colearn_learner.agent.judge import Evidence, Judge, TestMean
from colearn_ledger.protocol import Merge
from colearn_ledger.spec import ExperimentSpec, VoteRule


@dataclass(frozen=True, slots=True)
class Probes:
    """How a learner tests weights on its own vote records.

    Args:
        test_mean: tests the mean of proposals.
        score_part: returns the score after a part of the step to a proposal, from 0 to 1.
        memory: what the learner remembers of each proposer; the same object in all rounds.
    """

    test_mean: TestMean
    score_part: Callable[[int, float], float]
    memory: dict[int, float]


class CandidateJudge(Judge):
    """The product's judge with another vote rule, but the same test of the mean."""

    def __init__(self, spec: ExperimentSpec, probes: Probes, rule: Rule) -> None:
        super().__init__(spec, Merge.MEAN, probes.test_mean)
        self.score_part, self.memory = probes.score_part, probes.memory
        self._rule = rule

    def select(self, evidence: Evidence) -> list[int]:
        """Return the slots that the rule approves, before their mean is tested."""
        return self._rule(self, evidence)


Rule = Callable[[CandidateJudge, Evidence], list[int]]
"""Returns the slots that the rule approves, before their mean is tested."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A vote rule to compare: one of the product's, or a new one.

    Args:
        rule: a new rule, or ``None``.
        product: the product's rule otherwise.
        tolerance: its tolerance.
    """

    rule: Rule | None = None
    product: VoteRule = VoteRule.BETTER_ALONE
    tolerance: float = 0.0

    def make_judge(self, spec: ExperimentSpec, probes: Probes) -> Judge:
        """Return a judge of a round."""
        if self.rule is not None:
            return CandidateJudge(spec, probes, self.rule)
        spec = replace(spec, vote_rule=self.product, tolerance=self.tolerance)
        return Judge(spec, Merge.MEAN, probes.test_mean)


def _better_alone(judge: CandidateJudge, evidence: Evidence) -> list[int]:
    return [slot for slot, trial in evidence.alone.items() if trial.approves]


def _drop_harmful(judge: CandidateJudge, evidence: Evidence) -> list[int]:
    """V8: drop the proposal without which the mean is best, while that improves it."""
    kept = _everyone(evidence)
    score = judge.score_mean(kept, evidence)
    while len(kept) > 1 and score is not None:
        without = {
            slot: judge.score_mean([other for other in kept if other != slot], evidence)
            for slot in kept
            if slot in evidence.alone
        }
        scores = {slot: value for slot, value in without.items() if value is not None}
        if not scores or min(scores.values()) >= score:
            break
        worst = min(scores, key=lambda slot: scores[slot])
        kept, score = [slot for slot in kept if slot != worst], scores[worst]
    return [slot for slot in kept if slot in evidence.alone]


def _best_share(share: float) -> Rule:
    """V12: approve the proposals with the best effects, this share of them."""

    def select(judge: CandidateJudge, evidence: Evidence) -> list[int]:
        effects = judge.measure_effects(evidence)
        best = sorted(effects, key=lambda slot: -effects[slot])
        return sorted(best[: round(share * len(best))])

    return select


def _near_median(multiple: float) -> Rule:
    """V14: approve all whose effect is not far below the median effect."""

    def select(judge: CandidateJudge, evidence: Evidence) -> list[int]:
        return _find_near(judge.measure_effects(evidence), multiple)

    return select


def _near_median_alone(multiple: float) -> Rule:
    """V14 with the scores of proposals on their own instead of their effects on the mean."""

    def select(judge: CandidateJudge, evidence: Evidence) -> list[int]:
        scores = {s: t.scores.vote_score for s, t in evidence.alone.items()}
        return _find_near({s: -v for s, v in scores.items() if v is not None}, multiple)

    return select


def _find_near(values: dict[int, float], multiple: float) -> list[int]:
    if not values:
        return []
    median = statistics.median(values.values())
    deviation = statistics.median(abs(value - median) for value in values.values())
    return [slot for slot, value in values.items() if value >= median - multiple * deviation]


def _either(*rules: Rule) -> Rule:
    def select(judge: CandidateJudge, evidence: Evidence) -> list[int]:
        chosen = {slot for rule in rules for slot in rule(judge, evidence)}
        return sorted(chosen)

    return select


def _both(*rules: Rule) -> Rule:
    def select(judge: CandidateJudge, evidence: Evidence) -> list[int]:
        chosen = [set(rule(judge, evidence)) for rule in rules]
        return sorted(set.intersection(*chosen))

    return select


def _by_agreement(agreeing: Rule, otherwise: Rule) -> Rule:
    """Use one rule if most proposals are better than the current weights, else another."""

    def select(judge: CandidateJudge, evidence: Evidence) -> list[int]:
        good = len(_better_alone(judge, evidence))
        rule = agreeing if 2 * good >= len(evidence.alone) else otherwise
        return rule(judge, evidence)

    return select


def _better_in_part(part: float) -> Rule:
    """Approve what is better than the current weights after a part of its step."""

    def select(judge: CandidateJudge, evidence: Evidence) -> list[int]:
        current = evidence.current.vote_score
        return [s for s in evidence.alone if current and judge.score_part(s, part) <= current]

    return select


def _better_on_average(part: float, decay: float, *, most: float = 1.0) -> Rule:
    """V17: approve proposers whose steps were better, on average over the rounds so far.

    A gain counts in units of the round's median gain: at most as one, a loss at most as ``most``.
    The product's `track-record`, V19, also tests more of steps that are longer than most.
    """

    def select(judge: CandidateJudge, evidence: Evidence) -> list[int]:
        current, chosen = evidence.current.vote_score or 0.0, []
        gains = {slot: current - judge.score_part(slot, part) for slot in evidence.alone}
        unit = statistics.median(map(abs, gains.values())) if gains else 0.0
        for slot, gain in gains.items():
            new = max(-most, min(gain / unit, 1.0)) if unit > 0 else 0.0
            judge.memory[slot] = decay * judge.memory.get(slot, 0.0) + new
            if judge.memory[slot] > 0:
                chosen.append(slot)
        single = len(chosen) == 1 and not evidence.alone[chosen[0]].approves
        return [] if single else chosen

    return select


def _not_much_worse(part: float, most: float) -> Rule:
    """Approve what loses at most so many median gains of the round."""

    def select(judge: CandidateJudge, evidence: Evidence) -> list[int]:
        current = evidence.current.vote_score or 0.0
        gains = {slot: current - judge.score_part(slot, part) for slot in evidence.alone}
        unit = statistics.median(map(abs, gains.values())) if gains else 0.0
        return [slot for slot, gain in gains.items() if gain >= -most * unit]

    return select


def _improve_good(share: float = 0.0) -> Rule:
    """Approve what improves the mean of the own proposal and the good ones, or nearly so.

    Good proposals are better than the current weights on their own. Others may belong to the mean
    too, but cannot spoil the mean by which they are judged.
    """

    def select(judge: CandidateJudge, evidence: Evidence) -> list[int]:
        good = set(_better_alone(judge, evidence)) | ({evidence.own[0]} if evidence.own else set())
        chosen = []
        for slot in evidence.alone:
            score = judge.score_mean(sorted(good | {slot}), evidence)
            without = judge.score_mean(sorted(good - {slot}), evidence)
            if score is not None and without is not None and score <= (1 + share) * without:
                chosen.append(slot)
        return chosen

    return select


def _everyone(evidence: Evidence) -> list[int]:
    own = [evidence.own[0]] if evidence.own else []
    return sorted([*evidence.alone, *own])


REFERENCES = ("none", "oracle")
"""No vote: `none` accepts every proposal, `oracle` every honest one, as FedAvg would."""

CANDIDATES: dict[str, Candidate] = {
    "V1": Candidate(),
    "V7": Candidate(product=VoteRule.LEAVE_ONE_OUT),
    "V7-0.5%": Candidate(product=VoteRule.LEAVE_ONE_OUT, tolerance=0.005),
    "V7-1%": Candidate(product=VoteRule.LEAVE_ONE_OUT, tolerance=0.01),
    "V7-2%": Candidate(product=VoteRule.LEAVE_ONE_OUT, tolerance=0.02),
    "V8": Candidate(_drop_harmful),
    "V12": Candidate(_best_share(0.7)),
    "V14": Candidate(_near_median(2.0)),
    "V14-alone": Candidate(_near_median_alone(2.0)),
    "V1/2": Candidate(_better_in_part(0.5)),
    "V1/4": Candidate(_better_in_part(0.25)),
    "V1/10": Candidate(_better_in_part(0.1)),
    "V17": Candidate(_better_on_average(1.0, 0.8)),
    "V17/4": Candidate(_better_on_average(0.25, 0.8)),
    "V19": Candidate(product=VoteRule.TRACK_RECORD),
    "V17/2": Candidate(_better_on_average(0.5, 0.8)),
    "V17/4-3": Candidate(_better_on_average(0.25, 0.8, most=3.0)),
    "V17/4-.9": Candidate(_better_on_average(0.25, 0.9)),
    "V17/4-.6": Candidate(_better_on_average(0.25, 0.6)),
    "V18": Candidate(_both(_better_on_average(0.25, 0.8), _not_much_worse(0.25, 1.0))),
    "V18-0": Candidate(_both(_better_on_average(0.25, 0.8), _not_much_worse(0.25, 0.3))),
    "V16": Candidate(_improve_good()),
    "V16-1%": Candidate(_improve_good(0.01)),
    "V1-or-V12": Candidate(_by_agreement(_better_alone, _best_share(0.7))),
    "V12-or-V1": Candidate(_by_agreement(_best_share(0.7), _better_alone)),
    "V1+V12": Candidate(_either(_better_alone, _best_share(0.7))),
    "V1&V12": Candidate(_both(_better_alone, _best_share(0.7))),
    "V1+V14": Candidate(_either(_better_alone, _near_median(2.0))),
    "V1/4&V12": Candidate(_both(_better_in_part(0.25), _best_share(0.7))),
    "V1/4&V14": Candidate(_both(_better_in_part(0.25), _near_median(2.0))),
}
"""The rules by name."""
