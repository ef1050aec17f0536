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
    SlotState,
    Status,
    UnknownExperiment,
    experiment_hash,
)


@dataclass(slots=True)
class Member:
    """An account that joined an experiment; see `colearn_ledger.protocol.Learner`."""

    account: Account
    index: int
    encryption_key: bytes
    from_round: int
    until_round: int | None = None
    missed_proposals: int = 0
    missed_ballots: int = 0

    @property
    def active(self) -> bool:
        """Return whether the learner has neither left nor been removed."""
        return self.until_round is None

    @property
    def strikes(self) -> int:
        """Return the larger count of missed duties."""
        return max(self.missed_proposals, self.missed_ballots)

    def in_electorate(self, round_index: int) -> bool:
        """Return whether the learner belongs to the electorate of a round."""
        until = self.until_round
        return self.from_round <= round_index and (until is None or round_index < until)


@dataclass(slots=True)
class ProposerSlot:
    """A proposer's slot; see `colearn_ledger.protocol.Slot`."""

    proposer: Account
    state: SlotState = SlotState.OPEN
    content: ContentRef | None = None
    proposed_at: int | None = None


@dataclass(slots=True)
class RoundState:
    """A round; its electorate, ``needed`` and deadlines are fixed when a phase opens.

    ``deadline`` is that of the open phase, or of the last one once the round is closed.
    """

    index: int
    slots: list[ProposerSlot]
    eligible: int
    needed: int
    started_at: int
    deadline: int
    phase: Phase = Phase.PROPOSING
    outcome: Outcome = Outcome.NONE
    proposals: bytes | None = None
    voting_started_at: int | None = None
    reveal_started_at: int | None = None
    closed_at: int | None = None
    by_deadline: bool = False
    accepted: tuple[int, ...] = ()
    """The slots whose proposals are accepted."""
    commitments: dict[Account, bytes] = field(default_factory=dict)
    ballots: dict[Account, int] = field(default_factory=dict)
    """The bitmap of approved slots of each counted ballot."""
    salts: bytes = bytes(32)
    """The XOR of the revealed salts."""

    @property
    def contents(self) -> dict[int, ContentRef]:
        """Return the proposed files by slot, in slot order."""
        return {i: slot.content for i, slot in enumerate(self.slots) if slot.content is not None}

    @property
    def voters(self) -> int:
        """Return the number of voters, once the proposals are complete."""
        return self.eligible + (len(self.contents) > 1)

    @property
    def outstanding(self) -> int:
        """Return the number of ballots that can still be counted."""
        revealing = self.phase == Phase.REVEALING
        return (len(self.commitments) if revealing else self.voters) - len(self.ballots)

    def slot_of(self, account: Account) -> int | None:
        """Return the slot of an account, ``None`` if it is not a proposer of this round."""
        return next((i for i, slot in enumerate(self.slots) if slot.proposer == account), None)

    def open_slot_of(self, account: Account) -> ProposerSlot | None:
        """Return the account's slot if it still owes a proposal."""
        slot = self.slot_of(account)
        found = None if slot is None else self.slots[slot]
        return found if found and found.state == SlotState.OPEN else None

    def approvals(self, slot: int) -> int:
        """Return the number of counted ballots that approve a slot's proposal."""
        return sum(ballot >> slot & 1 for ballot in self.ballots.values())

    def ballot_state(self, account: Account) -> BallotState:
        """Return the recorded ballot of an account."""
        if account in self.ballots:
            return BallotState.CAST
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
    cancel_requested: bool = False
    position: int = -1
    """Round robin: the position of the last selected proposer in the active list."""
    drawn: int = 0
    """Random: the number of members drawn in this cycle, which are the first of the active list."""
    seed: bytes = bytes(32)
    accepted: RoundState | None = None
    """The last round with an accepted proposal."""
    hash: bytes = field(init=False)
    """The hash over the creator and all parameters."""

    def __post_init__(self) -> None:
        self.hash = experiment_hash(self.creator, self.params)

    @property
    def current(self) -> tuple[ContentRef, ...]:
        """Return the files of which the current weights are made."""
        if self.accepted is None:
            return () if self.params.initial is None else (self.params.initial,)
        contents = self.accepted.contents
        return tuple(contents[slot] for slot in self.accepted.accepted)

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
        if member is None or not member.in_electorate(round_.index):
            return False
        proposers = [round_.slots[slot].proposer for slot in round_.contents]
        return proposers != [account]

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
