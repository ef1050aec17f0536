"""Begin, continue and close rounds: the rules that apply without a decision by any account."""

from __future__ import annotations

from dataclasses import dataclass

from colearn_ledger.protocol import (
    Account,
    Event,
    ExperimentCancelled,
    ExperimentCompleted,
    ExperimentStarted,
    Outcome,
    Phase,
    RevealStarted,
    RoundClosed,
    RoundStarted,
    SigningDomain,
    SlotState,
    Status,
    VotingStarted,
    first_seed,
    needed_approvals,
    next_seed,
    proposals_digest,
)
from colearn_ledger.reference.ballots import choose_accepted
from colearn_ledger.reference.selection import select_proposers
from colearn_ledger.reference.state import ExperimentState, ProposerSlot, RoundState


@dataclass(frozen=True, slots=True)
class Transaction:
    """The inputs of a call other than its arguments and the state.

    Args:
        caller: the account that signed the call.
        time: the block's time, in seconds since the epoch.
        entropy: the chain's 32 random bytes.
        proposers: the learners that the chain drew for the round that the call begins. An audit
            gives them if it cannot read the entropy; they are drawn from the seed otherwise.
    """

    caller: Account
    time: int
    entropy: bytes
    proposers: tuple[Account, ...] | None = None


def start_experiment(state: ExperimentState, tx: Transaction, domain: SigningDomain) -> list[Event]:
    """Begin round 0."""
    state.status = Status.RUNNING
    state.started_at = tx.time
    if state.at_random:
        state.seed = first_seed(domain, state.id, tx.entropy)
    return [ExperimentStarted(state.id), _begin_round(state, tx)]


def _begin_round(state: ExperimentState, tx: Transaction) -> Event:
    eligible = len(state.active) - 1
    proposers = select_proposers(state, tx.proposers)
    round_ = RoundState(
        index=len(state.rounds),
        slots=[ProposerSlot(proposer) for proposer in proposers],
        eligible=eligible,
        needed=needed_approvals(eligible, state.params.approval_bps),
        started_at=tx.time,
        deadline=tx.time + state.params.propose_window,
    )
    state.rounds.append(round_)
    return RoundStarted(
        state.id, round_.index, tuple(proposers), round_.eligible, round_.needed, round_.deadline
    )


def end_proposing(state: ExperimentState, tx: Transaction, *, by_deadline: bool) -> list[Event]:
    """Start the vote on the proposals, or close the round if there is none."""
    round_ = state.open_round
    if not round_.contents:
        return _close(state, tx, Outcome.NO_PROPOSAL, by_deadline=by_deadline)
    round_.phase = Phase.VOTING
    round_.proposals = proposals_digest({i: c.sha256 for i, c in round_.contents.items()})
    round_.voting_started_at = tx.time
    round_.deadline = tx.time + state.params.vote_window
    return [VotingStarted(state.id, round_.index, round_.proposals, round_.deadline)]


def end_proposing_if_complete(state: ExperimentState, tx: Transaction) -> list[Event]:
    """End the proposing phase once no slot is open."""
    slots = state.open_round.slots
    if any(slot.state == SlotState.OPEN for slot in slots):
        return []
    return end_proposing(state, tx, by_deadline=False)


def mark_missed_proposals(state: ExperimentState) -> None:
    """Count a missed proposal for each proposer whose slot is still open at the deadline."""
    for slot in state.open_round.slots:
        if slot.state == SlotState.OPEN:
            slot.state = SlotState.MISSED
            state.members[slot.proposer].missed_proposals += 1


def start_revealing(state: ExperimentState, tx: Transaction) -> list[Event]:
    """Close the commitments, and let voters reveal their ballots."""
    round_ = state.open_round
    round_.phase = Phase.REVEALING
    round_.reveal_started_at = tx.time
    round_.deadline = tx.time + state.params.reveal_window
    return [RevealStarted(state.id, round_.index, round_.deadline)]


def close_vote(state: ExperimentState, tx: Transaction, *, by_deadline: bool) -> list[Event]:
    """Count the votes and close the round. At its deadline, absent voters have missed a ballot."""
    round_ = state.open_round
    round_.accepted = choose_accepted(state, round_)
    if round_.accepted:
        state.accepted = round_
    if by_deadline:
        for member in state.members.values():
            voter = state.is_eligible(member.account, round_)
            if voter and member.active and member.account not in round_.ballots:
                member.missed_ballots += 1
    outcome = Outcome.ACCEPTED if round_.accepted else Outcome.REJECTED
    return _close(state, tx, outcome, by_deadline=by_deadline)


def abandon_round(state: ExperimentState, tx: Transaction) -> list[Event]:
    """Close the current round because the experiment is cancelled."""
    closed = _record_close(state, tx, Outcome.ABANDONED, by_deadline=False)
    return [closed, end_experiment(state, tx, Status.CANCELLED)]


def _close(
    state: ExperimentState, tx: Transaction, outcome: Outcome, *, by_deadline: bool
) -> list[Event]:
    closed = _record_close(state, tx, outcome, by_deadline=by_deadline)
    return [closed, _continue_experiment(state, tx)]


def _record_close(
    state: ExperimentState, tx: Transaction, outcome: Outcome, *, by_deadline: bool
) -> Event:
    round_ = state.open_round
    round_.phase = Phase.CLOSED
    round_.outcome = outcome
    round_.closed_at = tx.time
    round_.by_deadline = by_deadline
    accepted = sum(1 << slot for slot in round_.accepted)
    approvals = tuple(round_.approvals(slot) for slot in range(len(round_.slots)))
    return RoundClosed(state.id, round_.index, outcome, accepted, approvals, round_.eligible)


def _continue_experiment(state: ExperimentState, tx: Transaction) -> Event:
    params, rounds = state.params, len(state.rounds)
    unaccepted = rounds - (state.accepted.index + 1 if state.accepted else 0)
    if rounds == params.rounds:
        return end_experiment(state, tx, Status.COMPLETED)
    if state.cancel_requested:
        return end_experiment(state, tx, Status.CANCELLED)
    if params.patience and unaccepted >= params.patience:
        return end_experiment(state, tx, Status.COMPLETED)
    if len(state.active) < 2:
        return end_experiment(state, tx, Status.CANCELLED)
    if state.at_random:
        state.seed = next_seed(state.seed, tx.entropy, state.open_round.salts)
    return _begin_round(state, tx)


def end_experiment(state: ExperimentState, tx: Transaction, status: Status) -> Event:
    """Set the experiment's final status."""
    state.status = status
    state.ended_at = tx.time
    completed = status == Status.COMPLETED
    return ExperimentCompleted(state.id) if completed else ExperimentCancelled(state.id)
