"""The protocol's calls in plain Python: the readable reference of ``docs/protocol.md``.

Every method checks everything before it changes anything, so a refused call leaves the state
unchanged. It returns the events that the call emitted. Nothing in this module does I/O: caller,
time and entropy come from a `Transaction`.
"""

from __future__ import annotations

from collections.abc import Sequence

from colearn_ledger.keys.signing import ballot_signer
from colearn_ledger.protocol import (
    Account,
    Admission,
    AlreadyJoined,
    AlreadyVoted,
    BadReveal,
    BallotSkipped,
    BallotState,
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
    NotEligible,
    NotProposer,
    NotRemovable,
    Phase,
    ProposalDeclined,
    ProtocolError,
    Scores,
    SignedBallot,
    SigningDomain,
    SkipReason,
    Status,
    Unchanged,
    Vote,
    VoteCast,
    VoteCommitted,
    WeightsProposed,
    WrongPhase,
    WrongRound,
    WrongStatus,
    commitment_hash,
)
from colearn_ledger.reference.params import check_params
from colearn_ledger.reference.rounds import (
    Transaction,
    abandon_round,
    close_unproposed,
    close_vote,
    end_experiment,
    is_settled,
    start_experiment,
    start_revealing,
)
from colearn_ledger.reference.state import ExperimentState, LedgerState, Member, RoundState

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
        """Cancel the experiment and abandon the current round."""
        state = self._in_status(experiment, *_UNFINISHED)
        _only_creator(state, tx)
        closed = abandon_round(state, tx) if state.status == Status.RUNNING else []
        return [*closed, end_experiment(state, tx, Status.CANCELLED)]

    # ------------------------------------------------------------------ learners

    def join(self, tx: Transaction, experiment: ExperimentId, encryption_key: bytes) -> list[Event]:
        """Join the experiment as a learner; taking the last place starts the experiment."""
        state = self._in_status(experiment, *_UNFINISHED)
        enrolling = state.status == Status.ENROLLING
        if not enrolling and not state.params.late_join:
            raise WrongStatus(state.status)
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
        """Propose weights and open the vote on them."""
        state, round_ = self._in_phase(tx, experiment, round_index, Phase.PROPOSING)
        _only_proposer(round_, tx)
        if state.current is not None and state.current.sha256 == content.sha256:
            raise Unchanged

        state.members[tx.caller].strikes = 0
        round_.content = content
        round_.proposed_at = tx.time
        round_.phase = Phase.VOTING
        round_.deadline = tx.time + state.params.vote_window
        return [
            WeightsProposed(state.id, round_.index, tx.caller, content, scores, round_.deadline)
        ]

    def decline(self, tx: Transaction, experiment: ExperimentId, round_index: int) -> list[Event]:
        """Decline to propose, and close the round without a proposal."""
        state, round_ = self._in_phase(tx, experiment, round_index, Phase.PROPOSING)
        _only_proposer(round_, tx)
        declined = ProposalDeclined(state.id, round_.index, tx.caller)
        return [declined, *close_unproposed(state, tx, by_deadline=False)]

    # ------------------------------------------------------------------ voting

    def vote(
        self, tx: Transaction, experiment: ExperimentId, round_index: int, vote: Vote
    ) -> list[Event]:
        """Cast an open ballot."""
        state, round_ = self._in_phase(tx, experiment, round_index, Phase.VOTING, secret=False)
        _check_voter(state, round_, tx.caller)
        return [_count(state, round_, tx.caller, vote), *_settle(state, tx)]

    def vote_signed(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        round_index: int,
        ballots: Sequence[SignedBallot],
    ) -> list[Event]:
        """Count ballots signed off-chain; the round closes only after all of them are counted."""
        state, round_ = self._in_phase(tx, experiment, round_index, Phase.VOTING, secret=False)
        if not ballots:
            raise InvalidParameter("ballots")
        counted = [self._count_signed(state, round_, ballot) for ballot in ballots]
        return [*counted, *_settle(state, tx)]

    def commit(
        self, tx: Transaction, experiment: ExperimentId, round_index: int, commitment: bytes
    ) -> list[Event]:
        """Commit to a secret ballot; the last voter's commitment starts the revealing phase."""
        state, round_ = self._in_phase(tx, experiment, round_index, Phase.VOTING, secret=True)
        _check_voter(state, round_, tx.caller)
        if tx.caller in round_.commitments:
            raise AlreadyVoted(tx.caller)
        if not any(commitment):
            raise InvalidParameter("commitment")

        round_.commitments[tx.caller] = commitment
        committed = VoteCommitted(state.id, round_.index, tx.caller, commitment)
        all_in = len(round_.commitments) == round_.eligible
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
        _check_voter(state, round_, tx.caller)
        opened = commitment_hash(self._domain, state.id, round_.index, tx.caller, vote, salt)
        if round_.commitments.get(tx.caller) != opened:
            raise BadReveal(tx.caller)

        round_.salts = bytes(a ^ b for a, b in zip(round_.salts, salt, strict=True))
        return [_count(state, round_, tx.caller, vote), *_settle(state, tx)]

    def advance(self, tx: Transaction, experiment: ExperimentId) -> list[Event]:
        """Close a phase whose deadline has passed, or begin the next phase."""
        state = self._in_status(experiment, Status.RUNNING)
        round_ = state.open_round
        if tx.time < round_.deadline:
            raise DeadlineNotPassed(round_.deadline)
        if round_.phase == Phase.PROPOSING:
            return close_unproposed(state, tx, by_deadline=True)
        if (
            round_.phase == Phase.VOTING
            and state.secret
            and not _is_decided_unrevealed(state, round_)
        ):
            return start_revealing(state, tx)
        return close_vote(state, tx, by_deadline=True)

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

    def _count_signed(
        self, state: ExperimentState, round_: RoundState, ballot: SignedBallot
    ) -> Event:
        if ballot_signer(self._domain, state.id, round_.index, ballot) != ballot.learner:
            return BallotSkipped(state.id, round_.index, ballot.learner, SkipReason.BAD_SIGNATURE)
        try:
            _check_voter(state, round_, ballot.learner)
        except ProtocolError as error:
            return BallotSkipped(state.id, round_.index, ballot.learner, _SKIP_REASONS[type(error)])
        return _count(state, round_, ballot.learner, ballot.vote)


_SKIP_REASONS: dict[type[ProtocolError], SkipReason] = {
    NotALearner: SkipReason.NOT_A_LEARNER,
    NotEligible: SkipReason.NOT_ELIGIBLE,
    AlreadyVoted: SkipReason.ALREADY_VOTED,
}


def _only_creator(state: ExperimentState, tx: Transaction) -> None:
    if tx.caller != state.creator:
        raise NotCreator(tx.caller)


def _only_proposer(round_: RoundState, tx: Transaction) -> None:
    if tx.caller != round_.proposer:
        raise NotProposer(tx.caller)


def _active_member(state: ExperimentState, account: Account) -> Member:
    member = state.members.get(account)
    if member is None or not member.active:
        raise NotALearner(account)
    return member


def _deactivate(state: ExperimentState, tx: Transaction, member: Member) -> list[Event]:
    """Remove a learner from the active list; the list's last member moves into its place."""
    place = state.active.index(member.account)
    last = state.active.pop()
    if last != member.account:
        state.active[place] = last
    member.until_round = state.next_round_index()
    if state.status != Status.RUNNING:
        return []
    round_ = state.open_round
    owes_proposal = round_.phase == Phase.PROPOSING and round_.proposer == member.account
    return close_unproposed(state, tx, by_deadline=False) if owes_proposal else []


def _check_voter(state: ExperimentState, round_: RoundState, account: Account) -> None:
    if account not in state.members:
        raise NotALearner(account)
    if not state.is_eligible(account, round_):
        raise NotEligible(account)
    if round_.ballot_of(account) in (BallotState.APPROVED, BallotState.REJECTED):
        raise AlreadyVoted(account)


def _count(state: ExperimentState, round_: RoundState, account: Account, vote: Vote) -> Event:
    round_.ballots[account] = vote.approve
    state.members[account].strikes = 0
    return VoteCast(state.id, round_.index, account, vote)


def _settle(state: ExperimentState, tx: Transaction) -> list[Event]:
    settled = is_settled(state, state.open_round.outstanding)
    return close_vote(state, tx, by_deadline=False) if settled else []


def _is_decided_unrevealed(state: ExperimentState, round_: RoundState) -> bool:
    """Return whether the commitments alone decide the outcome (``settle_early``)."""
    return state.params.settle_early and is_settled(state, len(round_.commitments))
