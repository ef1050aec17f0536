"""The data of the picture of an experiment, apart from how it is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colearn_ledger.history.marks import Mark
from colearn_ledger.history.summary import RoundSummary, summarise_rounds

if TYPE_CHECKING:
    from colearn_ledger.history.records import History


@dataclass(frozen=True, slots=True)
class Point:
    """A proposal: its round, its mean score by the voters, and whether it was accepted."""

    round: int
    score: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class SidePanel:
    """Scores to compare beside the picture.

    Args:
        title: the title.
        score: the label of the scores.
        values: labels and scores, the first of which stands out.
    """

    title: str
    score: str
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """What the picture shows; an unknown score is NaN.

    Args:
        title: the title.
        score: the label of the scores.
        higher_is_better: the direction of the score; None if it is unknown.
        learners: the learners' names.
        first: the number of the first round.
        group: the group's vote score before each round, and after the last one.
        test: the same on the learners' test records.
        low: the lowest vote score of a learner, as ``group``.
        high: the highest, as ``group``.
        points: the proposals.
        marks: the learners' marks in each round.
        plural: whether there are rounds of several proposals.
        accepted: the round and the learner of each accepted proposal, as positions.
    """

    title: str
    score: str
    higher_is_better: bool | None
    learners: tuple[str, ...]
    first: int = 0
    group: tuple[float, ...] = ()
    test: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    points: tuple[Point, ...] = ()
    marks: tuple[tuple[Mark, ...], ...] = ()
    plural: bool = False
    accepted: frozenset[tuple[int, int]] = field(default_factory=frozenset)

    @property
    def n_rounds(self) -> int:
        """Return the number of rounds."""
        return len(self.marks)


def chart_of(history: History) -> Chart:
    """Return the picture's data of a history."""
    summaries = summarise_rounds(history)
    groups = [summary.before for summary in summaries]
    groups += [summary.after for summary in summaries[-1:]]
    score = history.score
    index_of = {learner.account: n for n, learner in enumerate(history.learners)}
    return Chart(
        title=history.experiment.params.name,
        score=str(score) if score is not None else "vote score",
        higher_is_better=None if score is None else score.higher_is_better,
        learners=tuple(history.name_of(learner.account) for learner in history.learners),
        first=summaries[0].record.round.index if summaries else 0,
        group=_numbers([group.mean.vote_score for group in groups]),
        test=_numbers([group.mean.test_score for group in groups]),
        low=_numbers([group.low for group in groups]),
        high=_numbers([group.high for group in groups]),
        points=tuple(_points(summaries)),
        marks=tuple(summary.marks for summary in summaries),
        plural=history.experiment.params.proposers > 1,
        accepted=frozenset(
            (n, index_of[proposal.proposer])
            for n, summary in enumerate(summaries)
            for proposal in summary.proposals
            if proposal.accepted
        ),
    )


def _points(summaries: Sequence[RoundSummary]) -> Iterator[Point]:
    for summary in summaries:
        for proposal in summary.proposals:
            if (score := proposal.voters.vote_score) is not None:
                yield Point(summary.record.round.index, score, proposal.accepted)


def _numbers(scores: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if score is None else score for score in scores)
