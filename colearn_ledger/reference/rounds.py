"""Begin, settle and close rounds: the rules that apply without a decision by any account."""

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
    Status,
    first_seed,
    needed_approvals,
    next_seed,
)
from colearn_ledger.reference.state import ExperimentState, RoundState


@dataclass(frozen=True, slots=True)
class Transaction:
    """The inputs of a call other than its arguments and the state.

    Args:
        caller: the account that signed the call.
        time: the block's time, in seconds since the epoch.
        entropy: the chain's 32 random bytes.
    """

    caller: Account
    time: int
    entropy: bytes


def start_experiment(state: ExperimentState, tx: Transaction, domain: SigningDomain) -> list[Event]:
    """Begin round 0."""
    state.status = Status.RUNNING
    state.started_at = tx.time
    if state.at_random:
        state.seed = first_seed(domain, state.id, tx.entropy)
    return [ExperimentStarted(state.id), _begin_round(state, tx)]


def _begin_round(state: ExperimentState, tx: Transaction) -> Event:
    places = len(state.active)
    state.position = (
        int.from_bytes(state.seed, "big") % places
        if state.at_random
        else (state.position + 1) % places
    )
    eligible = places - 1
    round_ = RoundState(
        index=len(state.rounds),
        proposer=state.active[state.position],
        eligible=eligible,
        needed=needed_approvals(eligible, state.params.approval_bps),
        started_at=tx.time,
        deadline=tx.time + state.params.propose_window,
    )
    state.rounds.append(round_)
    return RoundStarted(
        state.id, round_.index, round_.proposer, round_.eligible, round_.needed, round_.deadline
    )


def start_revealing(state: ExperimentState, tx: Transaction) -> list[Event]:
    """Close the commitments, and let voters reveal their ballots."""
    round_ = state.open_round
    round_.phase = Phase.REVEALING
    round_.reveal_started_at = tx.time
    round_.deadline = tx.time + state.params.reveal_window
    return [RevealStarted(state.id, round_.index, round_.deadline)]


def is_settled(state: ExperimentState, outstanding: int) -> bool:
    """Return whether the open vote closes now, before its deadline.

    Args:
        state: the experiment; its round is in the voting or revealing phase.
        outstanding: the number of ballots that can still be counted.
    """
    round_ = state.open_round
    if state.params.settle_early:
        return round_.approvals >= round_.needed or round_.approvals + outstanding < round_.needed
    return len(round_.ballots) == round_.eligible


def close_unproposed(state: ExperimentState, tx: Transaction, *, by_deadline: bool) -> list[Event]:
    """Close a round without a proposal. If its deadline passed, the proposer gets a strike."""
    round_ = state.open_round
    if by_deadline:
        state.members[round_.proposer].strikes += 1
    return [
        _close(state, tx, Outcome.NO_PROPOSAL, by_deadline=by_deadline),
        _continue_experiment(state, tx),
    ]


def close_vote(state: ExperimentState, tx: Transaction, *, by_deadline: bool) -> list[Event]:
    """Count the votes and close the round. If its deadline passed, absent voters get a strike."""
    round_ = state.open_round
    accepted = round_.approvals >= round_.needed
    if accepted:
        state.accepted = round_
    if by_deadline:
        for member in state.members.values():
            voter = state.is_eligible(member.account, round_)
            if voter and member.active and member.account not in round_.ballots:
                member.strikes += 1
    outcome = Outcome.ACCEPTED if accepted else Outcome.REJECTED
    return [_close(state, tx, outcome, by_deadline=by_deadline), _continue_experiment(state, tx)]


def abandon_round(state: ExperimentState, tx: Transaction) -> list[Event]:
    """Close the current round because the experiment is cancelled."""
    return [_close(state, tx, Outcome.ABANDONED, by_deadline=False)]


def _close(
    state: ExperimentState, tx: Transaction, outcome: Outcome, *, by_deadline: bool
) -> Event:
    round_ = state.open_round
    round_.phase = Phase.CLOSED
    round_.outcome = outcome
    round_.closed_at = tx.time
    round_.by_deadline = by_deadline
    return RoundClosed(
        state.id, round_.index, outcome, round_.approvals, round_.rejections, round_.eligible
    )


def _continue_experiment(state: ExperimentState, tx: Transaction) -> Event:
    if len(state.rounds) == state.params.rounds:
        return end_experiment(state, tx, Status.COMPLETED)
    if state.at_random:
        state.seed = next_seed(state.seed, tx.entropy, state.open_round.salts)
    if len(state.active) < 2:
        return end_experiment(state, tx, Status.CANCELLED)
    return _begin_round(state, tx)


def end_experiment(state: ExperimentState, tx: Transaction, status: Status) -> Event:
    """Set the experiment's final status."""
    state.status = status
    state.ended_at = tx.time
    completed = status == Status.COMPLETED
    return ExperimentCompleted(state.id) if completed else ExperimentCancelled(state.id)
