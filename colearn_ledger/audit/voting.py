"""Apply ballots that events report, by the checks of the reference.

The calls of the reference close a round as soon as a ballot settles it. A batch of signed ballots
closes it only after its last ballot, and events do not show which ballots a batch has. So ballots
are counted here, and the replay closes the round where the run of ballots in a transaction ends.
"""

from __future__ import annotations

from colearn_ledger.ledger import Origin
from colearn_ledger.protocol import (
    AlreadyVoted,
    BadReveal,
    BallotSkipped,
    DeadlinePassed,
    LedgerError,
    NotALearner,
    NotEligible,
    Phase,
    ProtocolError,
    SigningDomain,
    SkipReason,
    Status,
    VoteCast,
    WrongPhase,
    WrongRound,
    WrongStatus,
    commitment_hash,
)
from colearn_ledger.reference.ballots import basis_of, check_vote, check_voter, count_ballot
from colearn_ledger.reference.rounds import Transaction
from colearn_ledger.reference.state import ExperimentState, RoundState


class ImpossibleSkip(LedgerError):
    """A ballot was skipped for a reason that does not apply."""


def apply_ballot(
    state: ExperimentState,
    tx: Transaction,
    event: VoteCast,
    origin: Origin | None,
    domain: SigningDomain,
) -> None:
    """Count a ballot.

    Raises:
        ProtocolError: the rules do not allow it.
    """
    round_ = _open_vote(state, tx, event.round)
    check_voter(state, round_, event.learner)
    if state.secret and event.learner not in round_.commitments:
        raise BadReveal(event.learner)
    check_vote(round_, event.learner, event.vote)
    if state.secret and (salt := find_salt(origin)) is not None:
        basis = basis_of(state, round_)
        opened = commitment_hash(domain, basis, event.learner, event.vote, salt)
        if round_.commitments[event.learner] != opened:
            raise BadReveal(event.learner)
        round_.salts = bytes(a ^ b for a, b in zip(round_.salts, salt, strict=True))
    count_ballot(state, round_, event.learner, event.vote)


def find_salt(origin: Origin | None) -> bytes | None:
    """Return the salt of a transaction that reveals a ballot, ``None`` if it is not known."""
    if origin is None or origin.call is None or origin.call.name != "reveal":
        return None
    salt = origin.arguments[3]
    return salt if isinstance(salt, bytes) else None


def apply_skipped(state: ExperimentState, tx: Transaction, event: BallotSkipped) -> None:
    """Check the reason for which a signed ballot was skipped; only a signature's is not visible.

    Raises:
        ProtocolError: no batch can be counted now.
        ImpossibleSkip: the reason does not apply.
    """
    round_ = _open_vote(state, tx, event.round)
    if state.secret:
        raise WrongPhase(round_.phase)
    if event.reason == SkipReason.BAD_SIGNATURE:
        return
    try:
        check_voter(state, round_, event.learner)
        found = SkipReason.INVALID_BALLOT
    except ProtocolError as error:
        found = _REASONS[type(error)]
    if found != event.reason:
        why = event.reason.name.lower().replace("_", " ")
        raise ImpossibleSkip(f"the reason {why} does not apply to the ballot of {event.learner}")


_REASONS: dict[type[ProtocolError], SkipReason] = {
    NotALearner: SkipReason.NOT_A_LEARNER,
    NotEligible: SkipReason.NOT_ELIGIBLE,
    AlreadyVoted: SkipReason.ALREADY_VOTED,
}


def _open_vote(state: ExperimentState, tx: Transaction, index: int) -> RoundState:
    """Return the open round if ballots can be counted in it."""
    if state.status != Status.RUNNING:
        raise WrongStatus(state.status)
    round_ = state.open_round
    if index != round_.index:
        raise WrongRound(round_.index)
    if round_.phase != (Phase.REVEALING if state.secret else Phase.VOTING):
        raise WrongPhase(round_.phase)
    if tx.time >= round_.deadline:
        raise DeadlinePassed(round_.deadline)
    return round_
