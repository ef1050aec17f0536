"""The answers of a ledger's queries."""

from __future__ import annotations

from dataclasses import dataclass

from colearn_ledger.protocol.enums import BallotState, Duty, Outcome, Phase, SlotState, Status
from colearn_ledger.protocol.values import Account, ContentRef, ExperimentId, ExperimentParams


@dataclass(frozen=True, slots=True)
class Experiment:
    """The current state of an experiment.

    ``hash`` is the `experiment_hash` of the creator and the parameters; `Ledger.join` takes it.
    ``round`` is the index of the current or last round, ``None`` before the start.
    ``current`` refers to the files of which the current weights are made, in slot order: the
    initial weights, one accepted proposal, or several whose mean they are. It is empty while there
    are no weights. ``current_round`` is the round that accepted them; it is ``None`` for the
    initial weights, and while there are no weights. ``seed`` is 32 zero bytes unless proposers are
    selected at random and the experiment has started. Times are in seconds since the epoch.
    """

    id: ExperimentId
    creator: Account
    params: ExperimentParams
    hash: bytes
    status: Status
    cancel_requested: bool
    created_at: int
    started_at: int | None
    ended_at: int | None
    round: int | None
    active_learners: int
    joined_learners: int
    current: tuple[ContentRef, ...]
    current_round: int | None
    seed: bytes


@dataclass(frozen=True, slots=True)
class Learner:
    """A learner of an experiment.

    It belongs to the electorate of round r exactly if
    ``from_round <= r`` and (``until_round is None`` or ``r < until_round``).
    ``until_round`` is set when it leaves or is removed; what it missed is kept.
    """

    experiment: ExperimentId
    account: Account
    index: int
    active: bool
    from_round: int
    until_round: int | None
    missed_proposals: int
    missed_ballots: int
    encryption_key: bytes

    @property
    def strikes(self) -> int:
        """Return the larger count of missed duties, to which ``max_strikes`` applies."""
        return max(self.missed_proposals, self.missed_ballots)


@dataclass(frozen=True, slots=True)
class Slot:
    """A proposer's place in a round, and its proposal if it made one.

    ``approvals`` counts the ballots that approve it so far. ``accepted`` is true once the round has
    closed and its proposal belongs to the current weights.
    """

    proposer: Account
    state: SlotState
    content: ContentRef | None
    proposed_at: int | None
    approvals: int
    accepted: bool


@dataclass(frozen=True, slots=True)
class Round:
    """The current state of a round; times are in seconds since the epoch.

    ``ballots`` is the number of counted ballots, ``commitments`` that of committed secret ones.
    ``proposals`` is the `proposals_digest` that ballots name, ``None`` before the voting phase.
    ``deadline`` belongs to the open phase; it is ``None`` once the round is closed.
    ``by_deadline`` is true if a deadline closed the round.
    """

    experiment: ExperimentId
    index: int
    phase: Phase
    outcome: Outcome
    slots: tuple[Slot, ...]
    eligible: int
    needed: int
    ballots: int
    commitments: int
    proposals: bytes | None
    started_at: int
    voting_started_at: int | None
    reveal_started_at: int | None
    closed_at: int | None
    deadline: int | None
    by_deadline: bool

    @property
    def contents(self) -> dict[int, ContentRef]:
        """Return the proposed files by slot, in slot order."""
        return {i: slot.content for i, slot in enumerate(self.slots) if slot.content is not None}

    @property
    def voters(self) -> int:
        """Return the number of learners that may vote; 0 if there is no proposal."""
        proposals = len(self.contents)
        return self.eligible + (proposals > 1) if proposals else 0


@dataclass(frozen=True, slots=True)
class Ballot:
    """The recorded ballot of one learner in one round, and whether the learner may vote.

    ``approvals`` is the bitmap of the slots that it approves; 0 until the ballot is cast.
    """

    experiment: ExperimentId
    round: int
    learner: Account
    eligible: bool
    state: BallotState
    approvals: int


@dataclass(frozen=True, slots=True)
class Agenda:
    """All that an account needs to know for its next step.

    ``round`` is the current or last round, ``None`` before the start. ``learner`` is ``None`` if
    the account never joined.
    """

    experiment: Experiment
    round: Round | None
    learner: Learner | None
    duty: Duty
