"""The protocol's calls in plain Python: the readable reference of ``docs/protocol.md``.

Every method checks everything before it changes anything, so that a refused call leaves no
trace, and returns the events it made happen. Nothing here does I/O: caller, time and entropy
come in a `Transaction`.
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

__all__ = ["Rules"]

_UNFINISHED = (Status.ENROLLING, Status.RUNNING)


class Rules:
    """The calls of the protocol on a `LedgerState`.

    Args:
        state: what they change.
        domain: what signed ballots, commitments and seeds are bound to.
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
        e = self._in_status(experiment, *_UNFINISHED)
        _only_creator(e, tx)
        if e.params.admission == Admission.OPEN:
            raise InvalidParameter("admission")
        events: list[Event] = []
        for account in accounts:
            if account not in e.admitted:
                e.admitted.add(account)
                events.append(LearnerAdmitted(e.id, account))
        return events

    def start(self, tx: Transaction, experiment: ExperimentId) -> list[Event]:
        """Start with the learners that joined."""
        e = self._in_status(experiment, Status.ENROLLING)
        _only_creator(e, tx)
        if len(e.active) < e.params.min_learners:
            raise InvalidParameter("min_learners")
        return start_experiment(e, tx, self._domain)

    def cancel(self, tx: Transaction, experiment: ExperimentId) -> list[Event]:
        """Cancel; the running round is abandoned."""
        e = self._in_status(experiment, *_UNFINISHED)
        _only_creator(e, tx)
        closed = abandon_round(e, tx) if e.status == Status.RUNNING else []
        return [*closed, end_experiment(e, tx, Status.CANCELLED)]

    # ------------------------------------------------------------------ learners

    def join(self, tx: Transaction, experiment: ExperimentId, encryption_key: bytes) -> list[Event]:
        """Become a learner; the one that fills the experiment starts it."""
        e = self._in_status(experiment, *_UNFINISHED)
        enrolling = e.status == Status.ENROLLING
        if not enrolling and not e.params.late_join:
            raise WrongStatus(e.status)
        if tx.caller in e.members:
            raise AlreadyJoined(tx.caller)
        if e.params.admission == Admission.ALLOWLIST and tx.caller not in e.admitted:
            raise NotAdmitted(tx.caller)
        if len(e.active) == e.params.max_learners:
            raise ExperimentFull(e.params.max_learners)

        member = Member(tx.caller, len(e.members), encryption_key, e.next_round_index())
        e.members[tx.caller] = member
        e.active.append(tx.caller)
        joined = LearnerJoined(e.id, tx.caller, member.index, encryption_key)
        if enrolling and len(e.active) == e.params.max_learners:
            return [joined, *start_experiment(e, tx, self._domain)]
        return [joined]

    def leave(self, tx: Transaction, experiment: ExperimentId) -> list[Event]:
        """Leave the active list."""
        e = self._in_status(experiment, *_UNFINISHED)
        member = _active_member(e, tx.caller)
        return [LearnerLeft(e.id, tx.caller), *_take_out(e, tx, member)]

    def remove(self, tx: Transaction, experiment: ExperimentId, learner: Account) -> list[Event]:
        """Take a learner with too many strikes out of the active list."""
        e = self._in_status(experiment, Status.RUNNING)
        member = _active_member(e, learner)
        if e.params.max_strikes == 0 or member.strikes < e.params.max_strikes:
            raise NotRemovable(member.strikes)
        return [LearnerRemoved(e.id, learner), *_take_out(e, tx, member)]

    # ------------------------------------------------------------------ proposing

    def propose(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        round_index: int,
        content: ContentRef,
        scores: Scores,
    ) -> list[Event]:
        """Put weights to the vote."""
        e, held = self._in_phase(tx, experiment, round_index, Phase.PROPOSING)
        _only_proposer(held, tx)
        if e.current is not None and e.current.sha256 == content.sha256:
            raise Unchanged

        e.members[tx.caller].strikes = 0
        held.content = content
        held.proposed_at = tx.time
        held.phase = Phase.VOTING
        held.deadline = tx.time + e.params.vote_window
        return [WeightsProposed(e.id, held.index, tx.caller, content, scores, held.deadline)]

    def decline(self, tx: Transaction, experiment: ExperimentId, round_index: int) -> list[Event]:
        """Close the round for want of a proposal."""
        e, held = self._in_phase(tx, experiment, round_index, Phase.PROPOSING)
        _only_proposer(held, tx)
        declined = ProposalDeclined(e.id, held.index, tx.caller)
        return [declined, *close_unproposed(e, tx, by_deadline=False)]

    # ------------------------------------------------------------------ voting

    def vote(
        self, tx: Transaction, experiment: ExperimentId, round_index: int, vote: Vote
    ) -> list[Event]:
        """Cast an open ballot."""
        e, held = self._in_phase(tx, experiment, round_index, Phase.VOTING, secret=False)
        _check_voter(e, held, tx.caller)
        return [_count(e, held, tx.caller, vote), *_settle(e, tx)]

    def vote_signed(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        round_index: int,
        ballots: Sequence[SignedBallot],
    ) -> list[Event]:
        """Count ballots signed off-chain, all of them before the round may close."""
        e, held = self._in_phase(tx, experiment, round_index, Phase.VOTING, secret=False)
        if not ballots:
            raise InvalidParameter("ballots")
        counted = [self._count_signed(e, held, ballot) for ballot in ballots]
        return [*counted, *_settle(e, tx)]

    def commit(
        self, tx: Transaction, experiment: ExperimentId, round_index: int, commitment: bytes
    ) -> list[Event]:
        """Commit to a secret ballot; the last voter's commitment begins the revealing."""
        e, held = self._in_phase(tx, experiment, round_index, Phase.VOTING, secret=True)
        _check_voter(e, held, tx.caller)
        if tx.caller in held.commitments:
            raise AlreadyVoted(tx.caller)
        if not any(commitment):
            raise InvalidParameter("commitment")

        held.commitments[tx.caller] = commitment
        committed = VoteCommitted(e.id, held.index, tx.caller, commitment)
        all_in = len(held.commitments) == held.eligible
        return [committed, *(start_revealing(e, tx) if all_in else [])]

    def reveal(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        round_index: int,
        vote: Vote,
        salt: bytes,
    ) -> list[Event]:
        """Reveal a committed ballot."""
        e, held = self._in_phase(tx, experiment, round_index, Phase.REVEALING)
        _check_voter(e, held, tx.caller)
        opened = commitment_hash(self._domain, e.id, held.index, tx.caller, vote, salt)
        if held.commitments.get(tx.caller) != opened:
            raise BadReveal(tx.caller)

        held.salts = bytes(a ^ b for a, b in zip(held.salts, salt, strict=True))
        return [_count(e, held, tx.caller, vote), *_settle(e, tx)]

    def advance(self, tx: Transaction, experiment: ExperimentId) -> list[Event]:
        """Close, or move on, the phase whose deadline has passed."""
        e = self._in_status(experiment, Status.RUNNING)
        held = e.open_round
        if tx.time < held.deadline:
            raise DeadlineNotPassed(held.deadline)
        if held.phase == Phase.PROPOSING:
            return close_unproposed(e, tx, by_deadline=True)
        if held.phase == Phase.VOTING and e.secret and not _is_decided_unrevealed(e, held):
            return start_revealing(e, tx)
        return close_vote(e, tx, by_deadline=True)

    # ------------------------------------------------------------------ parts

    def _in_status(self, experiment: ExperimentId, *allowed: Status) -> ExperimentState:
        e = self._state.find(experiment)
        if e.status not in allowed:
            raise WrongStatus(e.status)
        return e

    def _in_phase(
        self,
        tx: Transaction,
        experiment: ExperimentId,
        round_index: int,
        phase: Phase,
        *,
        secret: bool | None = None,
    ) -> tuple[ExperimentState, RoundState]:
        e = self._in_status(experiment, Status.RUNNING)
        held = e.open_round
        if round_index != held.index:
            raise WrongRound(held.index)
        if held.phase != phase or secret not in (None, e.secret):
            raise WrongPhase(held.phase)
        if tx.time >= held.deadline:
            raise DeadlinePassed(held.deadline)
        return e, held

    def _count_signed(self, e: ExperimentState, held: RoundState, ballot: SignedBallot) -> Event:
        if ballot_signer(self._domain, e.id, held.index, ballot) != ballot.learner:
            return BallotSkipped(e.id, held.index, ballot.learner, SkipReason.BAD_SIGNATURE)
        try:
            _check_voter(e, held, ballot.learner)
        except ProtocolError as error:
            return BallotSkipped(e.id, held.index, ballot.learner, _SKIP_REASONS[type(error)])
        return _count(e, held, ballot.learner, ballot.vote)


_SKIP_REASONS: dict[type[ProtocolError], SkipReason] = {
    NotALearner: SkipReason.NOT_A_LEARNER,
    NotEligible: SkipReason.NOT_ELIGIBLE,
    AlreadyVoted: SkipReason.ALREADY_VOTED,
}


def _only_creator(e: ExperimentState, tx: Transaction) -> None:
    if tx.caller != e.creator:
        raise NotCreator(tx.caller)


def _only_proposer(held: RoundState, tx: Transaction) -> None:
    if tx.caller != held.proposer:
        raise NotProposer(tx.caller)


def _active_member(e: ExperimentState, account: Account) -> Member:
    member = e.members.get(account)
    if member is None or not member.active:
        raise NotALearner(account)
    return member


def _take_out(e: ExperimentState, tx: Transaction, member: Member) -> list[Event]:
    """Take a learner out of the active list; the list's last member gets its place."""
    place = e.active.index(member.account)
    last = e.active.pop()
    if last != member.account:
        e.active[place] = last
    member.until_round = e.next_round_index()
    if e.status != Status.RUNNING:
        return []
    held = e.open_round
    owes_proposal = held.phase == Phase.PROPOSING and held.proposer == member.account
    return close_unproposed(e, tx, by_deadline=False) if owes_proposal else []


def _check_voter(e: ExperimentState, held: RoundState, account: Account) -> None:
    if account not in e.members:
        raise NotALearner(account)
    if not e.is_eligible(account, held):
        raise NotEligible(account)
    if held.ballot_of(account) in (BallotState.APPROVED, BallotState.REJECTED):
        raise AlreadyVoted(account)


def _count(e: ExperimentState, held: RoundState, account: Account, vote: Vote) -> Event:
    held.ballots[account] = vote.approve
    e.members[account].strikes = 0
    return VoteCast(e.id, held.index, account, vote)


def _settle(e: ExperimentState, tx: Transaction) -> list[Event]:
    settled = is_settled(e, e.open_round.outstanding)
    return close_vote(e, tx, by_deadline=False) if settled else []


def _is_decided_unrevealed(e: ExperimentState, held: RoundState) -> bool:
    """Tell whether too few committed for the outcome to be open (``settle_early``)."""
    return e.params.settle_early and is_settled(e, len(held.commitments))
