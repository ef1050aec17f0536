"""Events that all ledgers emit. They contain everything needed to rebuild the state."""

from __future__ import annotations

from dataclasses import dataclass

from colearn_ledger.protocol.enums import Outcome, SkipReason
from colearn_ledger.protocol.values import (
    Account,
    ContentRef,
    ExperimentId,
    ExperimentParams,
    Scores,
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
    proposers: tuple[Account, ...]
    eligible: int
    needed: int
    deadline: int


@dataclass(frozen=True, slots=True)
class WeightsProposed(Event):
    """A proposer proposed weights."""

    round: int
    proposer: Account
    slot: int
    content: ContentRef
    scores: Scores


@dataclass(frozen=True, slots=True)
class ProposalDeclined(Event):
    """A proposer declined to propose."""

    round: int
    proposer: Account
    slot: int


@dataclass(frozen=True, slots=True)
class VotingStarted(Event):
    """The proposals are complete. Ballots, or commitments, name them by their digest."""

    round: int
    proposals: bytes
    deadline: int


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
    """A round closed.

    ``accepted`` is the bitmap of the slots whose proposals are accepted; ``approvals`` has a count
    for each slot.
    """

    round: int
    outcome: Outcome
    accepted: int
    approvals: tuple[int, ...]
    eligible: int


@dataclass(frozen=True, slots=True)
class Announced(Event):
    """A learner announced a file that helps others but decides nothing."""

    learner: Account
    topic: str
    content: ContentRef


@dataclass(frozen=True, slots=True)
class CancelRequested(Event):
    """The creator cancelled while a vote was open; the round still closes by its own rules."""


@dataclass(frozen=True, slots=True)
class ExperimentCompleted(Event):
    """The last round closed, or the experiment ran out of patience."""


@dataclass(frozen=True, slots=True)
class ExperimentCancelled(Event):
    """The creator cancelled the experiment, or fewer than two learners remained."""
