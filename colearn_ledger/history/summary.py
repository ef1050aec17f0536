"""Summarise the rounds of an experiment: outcomes, and how good the group's model was.

The *group's model* is the current weights. A learner reports a score of them in each ballot, and
has already scored them as a proposal if they are a single accepted file. So the group's score is a
mean over the learners: of the last score that each reported of those weights. Scores that proposers
report of their own proposals are kept apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colearn_ledger.history.marks import Mark, mark_ballot
from colearn_ledger.protocol import Account, Outcome, Scores, SlotState

if TYPE_CHECKING:
    from colearn_ledger.history.records import History, RoundRecord
    from colearn_ledger.protocol import Round


@dataclass(frozen=True, slots=True)
class GroupScore:
    """The scores of the group's model; a value is None if no learner reported any.

    Args:
        mean: the means of the vote and the test scores over the learners.
        low: the lowest vote score of a learner.
        high: the highest vote score of a learner.
    """

    mean: Scores = field(default_factory=Scores)
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class ProposalSummary:
    """A slot of a round.

    Args:
        slot: the number of the slot.
        proposer: the learner that was selected.
        own: the scores that the proposer reported.
        voters: the voters' mean scores, without the proposer's.
        accepted: whether the proposal was accepted.
    """

    slot: int
    proposer: Account
    own: Scores
    voters: Scores
    accepted: bool


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """A round.

    Args:
        record: the round.
        before: the scores of the group's model when the round began.
        after: the scores of the group's model since the round closed.
        proposals: the slots that proposed.
        marks: the mark of each learner, in order of index.
    """

    record: RoundRecord
    before: GroupScore
    after: GroupScore
    proposals: tuple[ProposalSummary, ...]
    marks: tuple[Mark, ...]

    @property
    def outcome(self) -> str:
        """Return the outcome in a few words."""
        return describe_outcome(self.record.round)


def summarise_rounds(history: History) -> list[RoundSummary]:
    """Return a summary of each round."""
    models = _score_models(history.rounds)
    return [
        RoundSummary(
            record,
            models[number],
            models[number + 1],
            tuple(_summarise_proposal(record, slot) for slot in record.round.contents),
            tuple(mark_ballot(record, row.ballot) for row in record.ballots),
        )
        for number, record in enumerate(history.rounds)
    ]


def describe_outcome(round_: Round) -> str:
    """Return a round's outcome, or its phase while it is open.

    With one proposer, ``accepted 3 of 4`` counts approvals and voters. With several proposers,
    ``3 of 4 accepted`` counts proposals.
    """
    if round_.outcome == Outcome.NONE:
        return round_.phase.name.lower()
    if round_.outcome == Outcome.NO_PROPOSAL:
        states = {slot.state for slot in round_.slots}
        if states == {SlotState.DECLINED}:
            return "declined"
        return "timed out" if states == {SlotState.MISSED} else "no proposal"
    if round_.outcome == Outcome.ABANDONED:
        return "abandoned"
    if len(round_.slots) == 1:
        outcome = round_.outcome.name.lower()
        return f"{outcome} {round_.slots[0].approvals} of {round_.eligible}"
    accepted = sum(slot.accepted for slot in round_.slots)
    return f"{accepted} of {len(round_.contents)} accepted"


def mean_scores(scores: Iterable[Scores]) -> Scores:
    """Return the means of the vote and of the test scores; those that are not finite are left out.

    A mean is None if there is no score.
    """
    known = list(scores)
    return Scores(mean_of(s.vote_score for s in known), mean_of(s.test_score for s in known))


def mean_of(scores: Iterable[float | None]) -> float | None:
    """Return the mean of the scores that are finite; None if there are none."""
    known = [score for score in scores if score is not None and math.isfinite(score)]
    return math.fsum(score / len(known) for score in known) if known else None


def _summarise_proposal(record: RoundRecord, number: int) -> ProposalSummary:
    slot = record.round.slots[number]
    return ProposalSummary(
        number,
        slot.proposer,
        record.scores[number],
        mean_scores(_voters_scores(record, number).values()),
        slot.accepted,
    )


def _voters_scores(record: RoundRecord, slot: int) -> dict[Account, Scores]:
    """Return what each learner except for the proposer reported of a proposal."""
    proposer = record.round.slots[slot].proposer
    return {
        row.ballot.learner: row.proposals[slot]
        for row in record.ballots
        if slot in row.proposals and row.ballot.learner != proposer
    }


def _scores_of(record: RoundRecord, slot: int) -> dict[Account, Scores]:
    """Return what each learner reported of a proposal, including its proposer."""
    scores = {record.round.slots[slot].proposer: record.scores[slot]}
    return {
        learner: reported
        for learner, reported in (scores | _voters_scores(record, slot)).items()
        if reported != Scores()
    }


def _score_models(rounds: Iterable[RoundRecord]) -> list[GroupScore]:
    """Return the scores of the group's model before each round, and after the last."""
    models: list[dict[Account, Scores]] = [{}]
    model_of: list[int] = []  # the model that each round began with
    for record in rounds:
        model_of.append(len(models) - 1)
        for row in record.ballots:
            if row.current != Scores():
                models[-1][row.ballot.learner] = row.current
        if accepted := record.accepted:
            models.append(_scores_of(record, accepted[0]) if len(accepted) == 1 else {})
    model_of.append(len(models) - 1)
    scores = [_group_score(model) for model in models]
    return [scores[number] for number in model_of]


def _group_score(model: Mapping[Account, Scores]) -> GroupScore:
    votes = [s.vote_score for s in model.values() if s.vote_score is not None]
    finite = [score for score in votes if math.isfinite(score)]
    return GroupScore(
        mean_scores(model.values()), min(finite, default=None), max(finite, default=None)
    )
