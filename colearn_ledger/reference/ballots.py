"""Check and count ballots, and determine what the counts decide."""

from __future__ import annotations

from colearn_ledger.keys.signing import ballot_signer
from colearn_ledger.protocol import (
    Account,
    AlreadyVoted,
    BallotSkipped,
    BallotState,
    Basis,
    Event,
    InvalidParameter,
    Merge,
    NotALearner,
    NotEligible,
    ProtocolError,
    SignedBallot,
    SigningDomain,
    SkipReason,
    Vote,
    VoteCast,
    WrongProposals,
)
from colearn_ledger.reference.state import ExperimentState, RoundState


def check_voter(state: ExperimentState, round_: RoundState, account: Account) -> None:
    """Check that an account may vote and has not voted yet."""
    if account not in state.members:
        raise NotALearner(account)
    if not state.is_eligible(account, round_):
        raise NotEligible(account)
    if round_.ballot_state(account) == BallotState.CAST:
        raise AlreadyVoted(account)


def check_proposals(round_: RoundState, proposals: bytes) -> None:
    """Check that a ballot judges the proposals of the round."""
    if round_.proposals != proposals:
        raise WrongProposals(round_.proposals)


def check_approvals(round_: RoundState, account: Account, approvals: int) -> None:
    """Check that all approved slots have a proposal, and that none is the voter's own."""
    own = round_.slot_of(account)
    allowed = sum(1 << slot for slot in round_.contents if slot != own)
    if approvals & ~allowed:
        raise InvalidParameter("approvals")


def has_all_scores(round_: RoundState, vote: Vote) -> bool:
    """Return whether a vote has scores of the current weights and of every proposal."""
    return len(vote.scores) == 1 + len(round_.contents)


def check_vote(round_: RoundState, account: Account, vote: Vote) -> None:
    """Check the contents of a ballot."""
    check_approvals(round_, account, vote.approvals)
    if not has_all_scores(round_, vote):
        raise InvalidParameter("scores")


def count_ballot(
    state: ExperimentState, round_: RoundState, account: Account, vote: Vote
) -> VoteCast:
    """Count a checked ballot."""
    round_.ballots[account] = vote.approvals
    state.members[account].missed_ballots = 0
    return VoteCast(state.id, round_.index, account, vote)


def count_signed(
    state: ExperimentState, round_: RoundState, domain: SigningDomain, ballot: SignedBallot
) -> Event:
    """Count a ballot that its learner signed, or report why it is skipped."""
    learner, vote = ballot.learner, ballot.vote
    if ballot_signer(domain, basis_of(state, round_), ballot) != learner:
        return BallotSkipped(state.id, round_.index, learner, SkipReason.BAD_SIGNATURE)
    try:
        check_voter(state, round_, learner)
        check_approvals(round_, learner, vote.approvals)
    except ProtocolError as error:
        return BallotSkipped(state.id, round_.index, learner, _SKIP_REASONS[type(error)])
    return count_ballot(state, round_, learner, vote)


_SKIP_REASONS: dict[type[ProtocolError], SkipReason] = {
    NotALearner: SkipReason.NOT_A_LEARNER,
    NotEligible: SkipReason.NOT_ELIGIBLE,
    AlreadyVoted: SkipReason.ALREADY_VOTED,
    InvalidParameter: SkipReason.INVALID_BALLOT,
}


def basis_of(state: ExperimentState, round_: RoundState) -> Basis:
    """Return what ballots of a round judge."""
    return Basis(state.id, round_.index, round_.proposals or b"")


def find_passed(round_: RoundState) -> list[int]:
    """Return the slots whose proposals have enough approvals."""
    return [slot for slot in round_.contents if round_.approvals(slot) >= round_.needed]


def choose_accepted(state: ExperimentState, round_: RoundState) -> tuple[int, ...]:
    """Return the slots whose proposals become the current weights."""
    passed = find_passed(round_)
    if state.params.merge == Merge.BEST and passed:
        return (max(passed, key=lambda slot: (round_.approvals(slot), -slot)),)
    return tuple(passed)


def is_settled(state: ExperimentState, round_: RoundState, outstanding: int) -> bool:
    """Return whether the open vote closes now, before its deadline.

    Args:
        state: the experiment.
        round_: its round, in the voting or revealing phase.
        outstanding: the number of ballots that can still be counted.
    """
    if len(round_.ballots) == round_.voters:
        return True
    if not state.params.settle_early:
        return False
    passed = find_passed(round_)
    if state.params.merge == Merge.BEST and len(passed) > 1:
        return False
    pending = [slot for slot in round_.contents if slot not in passed]
    return all(round_.approvals(slot) + outstanding < round_.needed for slot in pending)
