"""The protocol's calls in plain Python: the readable reference of ``docs/protocol.md``.

Every method checks everything before it changes anything, so a refused call leaves the state
unchanged. It returns the events that the call emitted. Nothing in this module does I/O: caller,
time and entropy come from a `Transaction`.
"""

from __future__ import annotations

from collections.abc import Sequence

from colearn_ledger.protocol import (
    Account,
    Admission,
    AlreadyJoined,
    AlreadyVoted,
    Announced,
    BadReveal,
    CancelRequested,
    ContentRef,
    DeadlineNotPassed,
    DeadlinePassed,
    Event,
    ExperimentCreated,
    ExperimentFull,
    ExperimentId,
    ExperimentParams,
    InvalidParameter,
    LearnerAdmitted,
    LearnerJoined,
    LearnerLeft,
    LearnerRemoved,
    NotAdmitted,
    NotALearner,
    NotCreator,
    NotProposer,
    NotRemovable,
    Phase,
    ProposalDeclined,
    Scores,
    SignedBallot,
    SigningDomain,
    SlotState,
    Status,
    Unchanged,
    Vote,
    VoteCommitted,
    WeightsProposed,
    WrongExperiment,
    WrongPhase,
    WrongRound,
    WrongStatus,
    commitment_hash,
)
from colearn_ledger.reference.ballots import (
    basis_of,
    check_proposals,
    check_vote,
    check_voter,
    count_ballot,
    count_signed,
    has_all_scores,
    is_settled,
)
from colearn_ledger.reference.params import check_params, check_text
from colearn_ledger.reference.rounds import (
    Transaction,
    abandon_round,
    close_vote,
    end_experiment,
    end_proposing,
    end_proposing_if_complete,
    mark_missed_proposals,
    start_experiment,
    start_revealing,
)
from colearn_ledger.reference.selection import take_from_list
from colearn_ledger.reference.state import (
    ExperimentState,
    LedgerState,
    Member,
    ProposerSlot,
    RoundState,
)

_UNFINISHED = (Status.ENROLLING, Status.RUNNING)


class Rules:
    """The calls of the protocol on a `LedgerState`.

    Args:
        state: the state that the calls change.
        domain: the domain that signed ballots, commitments and seeds are bound to.
    """

    def __init__(self, state: LedgerState, domain: SigningDomain) -> None:
        self._state = state
        self._domain = domain

    # ------------------------------------------------------------------ experiments

    def create(self, tx: Transaction, params: ExperimentParams) -> list[Event]:
        """Create an experiment."""
        check_params(params)
        new = ExperimentId(len(self._state.experiments) + 1)
        self._state.experiments[new] = ExperimentState(new, tx.caller, params, tx.time)
        return [ExperimentCreated(new, tx.caller, params)]

    def admit(
        self, tx: Transaction, experiment: ExperimentId, accounts: Sequence[Account]
    ) -> list[Event]:
        """Put accounts on the allowlist."""
        state = self._in_status(experiment, *_UNFINISHED)
        _only_creator(state, tx)
        if state.params.admission == Admission.OPEN:
            raise InvalidParameter("admission")
        events: list[Event] = []
        for account in accounts:
            if account not in state.admitted:
                state.admitted.add(account)
                events.append(LearnerAdmitted(state.id, account))
        return events

    def start(self, tx: Transaction, experiment: ExperimentId) -> list[Event]:
        """Start the experiment with the learners that have joined."""
        state = self._in_status(experiment, Status.ENROLLING)
        _only_creator(state, tx)
        if len(state.active) < state.params.min_learners:
            raise InvalidParameter("min_learners")
        return start_experiment(state, tx, self._domain)

    def cancel(self, tx: Transaction, experiment: ExperimentId) -> list[Event]:
        """Cancel the experiment; if a vote is open, it ends once the round has closed."""
        state = self._in_status(experiment, *_UNFINISHED)
        if state.cancel_requested:
            raise WrongStatus(state.status)
        _only_creator(state, tx)
        if state.status == Status.ENROLLING:
            return [end_experiment(state, tx, Status.CANCELLED)]
        if state.open_round.phase == Phase.PROPOSING:
            return abandon_round(state, tx)
        state.cancel_requested = True
        return [CancelRequested(state.id)]

    # ------------------------------------------------------------------ learners

    def join(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        experiment_hash: bytes,
        encryption_key: bytes,
    ) -> list[Event]:
        """Join the experiment as a learner; taking the last place starts the experiment."""
        state = self._in_status(experiment, *_UNFINISHED)
        enrolling = state.status == Status.ENROLLING
        if not enrolling and not state.params.late_join:
            raise WrongStatus(state.status)
        if experiment_hash != state.hash:
            raise WrongExperiment(state.hash)
        if tx.caller in state.members:
            raise AlreadyJoined(tx.caller)
        if state.params.admission == Admission.ALLOWLIST and tx.caller not in state.admitted:
            raise NotAdmitted(tx.caller)
        if len(state.active) == state.params.max_learners:
            raise ExperimentFull(state.params.max_learners)

        member = Member(tx.caller, len(state.members), encryption_key, state.next_round_index())
        state.members[tx.caller] = member
        state.active.append(tx.caller)
        joined = LearnerJoined(state.id, tx.caller, member.index, encryption_key)
        if enrolling and len(state.active) == state.params.max_learners:
            return [joined, *start_experiment(state, tx, self._domain)]
        return [joined]

    def set_encryption_key(
        self, tx: Transaction, experiment: ExperimentId, encryption_key: bytes
    ) -> list[Event]:
        """Replace the caller's encryption key."""
        state = self._in_status(experiment, *_UNFINISHED)
        _active_member(state, tx.caller).encryption_key = encryption_key
        return []

    def leave(self, tx: Transaction, experiment: ExperimentId) -> list[Event]:
        """Leave the experiment's active list."""
        state = self._in_status(experiment, *_UNFINISHED)
        member = _active_member(state, tx.caller)
        return [LearnerLeft(state.id, tx.caller), *_deactivate(state, tx, member)]

    def remove(self, tx: Transaction, experiment: ExperimentId, learner: Account) -> list[Event]:
        """Remove a learner with too many strikes from the active list."""
        state = self._in_status(experiment, Status.RUNNING)
        member = _active_member(state, learner)
        if state.params.max_strikes == 0 or member.strikes < state.params.max_strikes:
            raise NotRemovable(member.strikes)
        return [LearnerRemoved(state.id, learner), *_deactivate(state, tx, member)]

    # ------------------------------------------------------------------ proposing

    def propose(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        round_index: int,
        content: ContentRef,
        scores: Scores,
    ) -> list[Event]:
        """Propose weights; the last proposal opens the vote."""
        state, round_ = self._in_phase(tx, experiment, round_index, Phase.PROPOSING)
        slot = _open_slot(round_, tx)
        if [current.sha256 for current in state.current] == [content.sha256]:
            raise Unchanged

        state.members[tx.caller].missed_proposals = 0
        slot.state = SlotState.PROPOSED
        slot.content = content
        slot.proposed_at = tx.time
        index = round_.slots.index(slot)
        proposed = WeightsProposed(state.id, round_.index, tx.caller, index, content, scores)
        return [proposed, *end_proposing_if_complete(state, tx)]

    def decline(self, tx: Transaction, experiment: ExperimentId, round_index: int) -> list[Event]:
        """Decline to propose."""
        state, round_ = self._in_phase(tx, experiment, round_index, Phase.PROPOSING)
        slot = _open_slot(round_, tx)
        slot.state = SlotState.DECLINED
        index = round_.slots.index(slot)
        declined = ProposalDeclined(state.id, round_.index, tx.caller, index)
        return [declined, *end_proposing_if_complete(state, tx)]

    # ------------------------------------------------------------------ voting

    def vote(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        round_index: int,
        proposals: bytes,
        vote: Vote,
    ) -> list[Event]:
        """Cast an open ballot on all proposals of the round."""
        state, round_ = self._in_phase(tx, experiment, round_index, Phase.VOTING, secret=False)
        check_voter(state, round_, tx.caller)
        check_proposals(round_, proposals)
        check_vote(round_, tx.caller, vote)
        return [count_ballot(state, round_, tx.caller, vote), *_settle(state, tx)]

    def vote_signed(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        round_index: int,
        proposals: bytes,
        ballots: Sequence[SignedBallot],
    ) -> list[Event]:
        """Count ballots signed off-chain; the round closes only after all of them are counted."""
        state, round_ = self._in_phase(tx, experiment, round_index, Phase.VOTING, secret=False)
        check_proposals(round_, proposals)
        if not ballots or not all(has_all_scores(round_, ballot.vote) for ballot in ballots):
            raise InvalidParameter("ballots")
        counted = [count_signed(state, round_, self._domain, ballot) for ballot in ballots]
        return [*counted, *_settle(state, tx)]

    def commit(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        round_index: int,
        proposals: bytes,
        commitment: bytes,
    ) -> list[Event]:
        """Commit to a secret ballot; the last voter's commitment starts the revealing phase."""
        state, round_ = self._in_phase(tx, experiment, round_index, Phase.VOTING, secret=True)
        check_voter(state, round_, tx.caller)
        if tx.caller in round_.commitments:
            raise AlreadyVoted(tx.caller)
        check_proposals(round_, proposals)
        if not any(commitment):
            raise InvalidParameter("commitment")

        round_.commitments[tx.caller] = commitment
        committed = VoteCommitted(state.id, round_.index, tx.caller, commitment)
        all_in = len(round_.commitments) == round_.voters
        return [committed, *(start_revealing(state, tx) if all_in else [])]

    def reveal(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        round_index: int,
        vote: Vote,
        salt: bytes,
    ) -> list[Event]:
        """Reveal a committed ballot, which is then counted."""
        state, round_ = self._in_phase(tx, experiment, round_index, Phase.REVEALING)
        check_voter(state, round_, tx.caller)
        opened = commitment_hash(self._domain, basis_of(state, round_), tx.caller, vote, salt)
        if round_.commitments.get(tx.caller) != opened:
            raise BadReveal(tx.caller)
        check_vote(round_, tx.caller, vote)

        round_.salts = bytes(a ^ b for a, b in zip(round_.salts, salt, strict=True))
        return [count_ballot(state, round_, tx.caller, vote), *_settle(state, tx)]

    def advance(self, tx: Transaction, experiment: ExperimentId) -> list[Event]:
        """Close a phase whose deadline has passed, or begin the next phase."""
        state = self._in_status(experiment, Status.RUNNING)
        round_ = state.open_round
        if tx.time < round_.deadline:
            raise DeadlineNotPassed(round_.deadline)
        if round_.phase == Phase.PROPOSING:
            mark_missed_proposals(state)
            return end_proposing(state, tx, by_deadline=True)
        committing = round_.phase == Phase.VOTING and state.secret
        if committing and not is_settled(state, round_, len(round_.commitments)):
            return start_revealing(state, tx)
        return close_vote(state, tx, by_deadline=True)

    def announce(
        self, tx: Transaction, experiment: ExperimentId, topic: str, content: ContentRef
    ) -> list[Event]:
        """Announce a file; this changes nothing."""
        state = self._state.find(experiment)
        _active_member(state, tx.caller)
        check_text("topic", topic, longest=32)
        return [Announced(state.id, tx.caller, topic, content)]

    # ------------------------------------------------------------------ parts

    def _in_status(self, experiment: ExperimentId, *allowed: Status) -> ExperimentState:
        state = self._state.find(experiment)
        if state.status not in allowed:
            raise WrongStatus(state.status)
        return state

    def _in_phase(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        round_index: int,
        phase: Phase,
        *,
        secret: bool | None = None,
    ) -> tuple[ExperimentState, RoundState]:
        state = self._in_status(experiment, Status.RUNNING)
        round_ = state.open_round
        if round_index != round_.index:
            raise WrongRound(round_.index)
        if round_.phase != phase or secret not in (None, state.secret):
            raise WrongPhase(round_.phase)
        if tx.time >= round_.deadline:
            raise DeadlinePassed(round_.deadline)
        return state, round_


def _only_creator(state: ExperimentState, tx: Transaction) -> None:
    if tx.caller != state.creator:
        raise NotCreator(tx.caller)


def _open_slot(round_: RoundState, tx: Transaction) -> ProposerSlot:
    slot = round_.open_slot_of(tx.caller)
    if slot is None:
        raise NotProposer(tx.caller)
    return slot


def _active_member(state: ExperimentState, account: Account) -> Member:
    member = state.members.get(account)
    if member is None or not member.active:
        raise NotALearner(account)
    return member


def _deactivate(state: ExperimentState, tx: Transaction, member: Member) -> list[Event]:
    """Remove a learner from the active list; if it still owes a proposal, it declines."""
    take_from_list(state, member.account)
    member.until_round = state.next_round_index()
    if state.status != Status.RUNNING or state.open_round.phase != Phase.PROPOSING:
        return []
    slot = state.open_round.open_slot_of(member.account)
    if slot is None:
        return []
    slot.state = SlotState.DECLINED
    return end_proposing_if_complete(state, tx)


def _settle(state: ExperimentState, tx: Transaction) -> list[Event]:
    round_ = state.open_round
    settled = is_settled(state, round_, round_.outstanding)
    return close_vote(state, tx, by_deadline=False) if settled else []
