"""The state of the reference: plain mutable records that only the rules change."""

from __future__ import annotations

from dataclasses import dataclass, field

from colearn_ledger.protocol import (
    Account,
    BallotState,
    ContentRef,
    ExperimentId,
    ExperimentParams,
    Outcome,
    Phase,
    Selection,
    Status,
    UnknownExperiment,
)


@dataclass(slots=True)
class Member:
    """An account that joined an experiment; see `colearn_ledger.protocol.Learner`."""

    account: Account
    index: int
    encryption_key: bytes
    from_round: int
    until_round: int | None = None
    strikes: int = 0

    @property
    def active(self) -> bool:
        """Return whether the learner has neither left nor been removed."""
        return self.until_round is None

    def in_electorate(self, round_index: int) -> bool:
        """Return whether the learner belongs to the electorate of a round."""
        until = self.until_round
        return self.from_round <= round_index and (until is None or round_index < until)


@dataclass(slots=True)
class RoundState:
    """A round; its electorate, ``needed`` and deadlines are fixed when a phase opens.

    ``deadline`` is that of the open phase, or of the last one once the round is closed.
    """

    index: int
    proposer: Account
    eligible: int
    needed: int
    started_at: int
    deadline: int
    phase: Phase = Phase.PROPOSING
    outcome: Outcome = Outcome.NONE
    content: ContentRef | None = None
    proposed_at: int | None = None
    reveal_started_at: int | None = None
    closed_at: int | None = None
    by_deadline: bool = False
    commitments: dict[Account, bytes] = field(default_factory=dict)
    ballots: dict[Account, bool] = field(default_factory=dict)
    salts: bytes = bytes(32)
    """The XOR of the revealed salts."""

    @property
    def approvals(self) -> int:
        """Return the number of counted ballots that approve."""
        return sum(self.ballots.values())

    @property
    def rejections(self) -> int:
        """Return the number of counted ballots that reject."""
        return len(self.ballots) - self.approvals

    @property
    def outstanding(self) -> int:
        """Return the number of ballots that can still be counted."""
        revealing = self.phase == Phase.REVEALING
        return (len(self.commitments) if revealing else self.eligible) - len(self.ballots)

    def ballot_of(self, account: Account) -> BallotState:
        """Return the recorded ballot of an account."""
        if account in self.ballots:
            return BallotState.APPROVED if self.ballots[account] else BallotState.REJECTED
        return BallotState.COMMITTED if account in self.commitments else BallotState.NONE


@dataclass(slots=True)
class ExperimentState:
    """An experiment with all its learners and rounds."""

    id: ExperimentId
    creator: Account
    params: ExperimentParams
    created_at: int
    status: Status = Status.ENROLLING
    started_at: int | None = None
    ended_at: int | None = None
    admitted: set[Account] = field(default_factory=set)
    members: dict[Account, Member] = field(default_factory=dict)
    """All accounts that ever joined, in order of index."""
    active: list[Account] = field(default_factory=list)
    """The active list, from which proposers are selected."""
    rounds: list[RoundState] = field(default_factory=list)
    position: int = -1
    """The position of the last selected proposer in the active list."""
    seed: bytes = bytes(32)
    accepted: RoundState | None = None
    """The last round whose proposal was accepted."""

    @property
    def current(self) -> ContentRef | None:
        """Return the current weights."""
        return self.accepted.content if self.accepted else self.params.initial

    @property
    def open_round(self) -> RoundState:
        """Return the current round of a running experiment."""
        return self.rounds[-1]

    @property
    def secret(self) -> bool:
        """Return whether ballots are secret."""
        return self.params.reveal_window > 0

    @property
    def at_random(self) -> bool:
        """Return whether proposers are selected at random."""
        return self.params.selection == Selection.RANDOM

    def is_eligible(self, account: Account, round_: RoundState) -> bool:
        """Return whether an account may vote in a round."""
        member = self.members.get(account)
        return (
            member is not None and member.in_electorate(round_.index) and account != round_.proposer
        )

    def next_round_index(self) -> int:
        """Return the index of the first round to which a change of the active list applies."""
        return len(self.rounds)


@dataclass(slots=True)
class LedgerState:
    """All experiments of a ledger, by id."""

    experiments: dict[ExperimentId, ExperimentState] = field(default_factory=dict)

    def find(self, experiment: ExperimentId) -> ExperimentState:
        """Return an experiment.

        Raises:
            UnknownExperiment: no experiment has this id.
        """
        found = self.experiments.get(experiment)
        if found is None:
            raise UnknownExperiment(experiment)
        return found
