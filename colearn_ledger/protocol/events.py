"""Events that all ledgers emit. They contain everything needed to rebuild the state."""

from __future__ import annotations

from dataclasses import dataclass

from colearn_ledger.protocol.values import (
    Account,
    ContentRef,
    ExperimentId,
    ExperimentParams,
    Outcome,
    Scores,
    SkipReason,
    Vote,
)


@dataclass(frozen=True, slots=True)
class Event:
    """Base class of the events; each event has the id of its experiment."""

    experiment: ExperimentId


@dataclass(frozen=True, slots=True)
class ExperimentCreated(Event):
    """An experiment was created."""

    creator: Account
    params: ExperimentParams


@dataclass(frozen=True, slots=True)
class LearnerAdmitted(Event):
    """The creator put an account on the allowlist."""

    learner: Account


@dataclass(frozen=True, slots=True)
class LearnerJoined(Event):
    """An account became a learner."""

    learner: Account
    index: int
    encryption_key: bytes


@dataclass(frozen=True, slots=True)
class LearnerLeft(Event):
    """A learner left."""

    learner: Account


@dataclass(frozen=True, slots=True)
class LearnerRemoved(Event):
    """A learner was removed for its strikes."""

    learner: Account


@dataclass(frozen=True, slots=True)
class ExperimentStarted(Event):
    """The experiment started."""


@dataclass(frozen=True, slots=True)
class RoundStarted(Event):
    """A round began."""

    round: int
    proposer: Account
    eligible: int
    needed: int
    deadline: int


@dataclass(frozen=True, slots=True)
class WeightsProposed(Event):
    """The proposer proposed weights; ``deadline`` ends the voting phase, or the commitments."""

    round: int
    proposer: Account
    content: ContentRef
    scores: Scores
    deadline: int


@dataclass(frozen=True, slots=True)
class ProposalDeclined(Event):
    """The proposer declined to propose."""

    round: int
    proposer: Account


@dataclass(frozen=True, slots=True)
class VoteCommitted(Event):
    """A voter committed to a secret ballot."""

    round: int
    learner: Account
    commitment: bytes


@dataclass(frozen=True, slots=True)
class RevealStarted(Event):
    """The commitments are closed, and voters may reveal their ballots."""

    round: int
    deadline: int


@dataclass(frozen=True, slots=True)
class VoteCast(Event):
    """A ballot was counted."""

    round: int
    learner: Account
    vote: Vote


@dataclass(frozen=True, slots=True)
class BallotSkipped(Event):
    """A signed ballot of a batch was not counted."""

    round: int
    learner: Account
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class RoundClosed(Event):
    """A round closed."""

    round: int
    outcome: Outcome
    approvals: int
    rejections: int
    eligible: int


@dataclass(frozen=True, slots=True)
class ExperimentCompleted(Event):
    """The last round closed."""


@dataclass(frozen=True, slots=True)
class ExperimentCancelled(Event):
    """The creator cancelled the experiment, or fewer than two learners remained."""
