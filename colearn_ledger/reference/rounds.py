"""How rounds begin, settle and close: the part of the rules that no account decides."""

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

__all__ = [
    "Transaction",
    "abandon_round",
    "close_unproposed",
    "close_vote",
    "end_experiment",
    "is_settled",
    "start_experiment",
    "start_revealing",
]


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a call finds outside the state.

    Args:
        caller: who signed it.
        time: of its block, seconds since the epoch.
        entropy: the chain's 32 random bytes.
    """

    caller: Account
    time: int
    entropy: bytes


def start_experiment(e: ExperimentState, tx: Transaction, domain: SigningDomain) -> list[Event]:
    """Begin round 0."""
    e.status = Status.RUNNING
    e.started_at = tx.time
    if e.at_random:
        e.seed = first_seed(domain, e.id, tx.entropy)
    return [ExperimentStarted(e.id), _begin_round(e, tx)]


def _begin_round(e: ExperimentState, tx: Transaction) -> Event:
    places = len(e.active)
    e.position = (
        int.from_bytes(e.seed, "big") % places if e.at_random else (e.position + 1) % places
    )
    eligible = places - 1
    begun = RoundState(
        index=len(e.rounds),
        proposer=e.active[e.position],
        eligible=eligible,
        needed=needed_approvals(eligible, e.params.approval_bps),
        started_at=tx.time,
        deadline=tx.time + e.params.propose_window,
    )
    e.rounds.append(begun)
    return RoundStarted(
        e.id, begun.index, begun.proposer, begun.eligible, begun.needed, begun.deadline
    )


def start_revealing(e: ExperimentState, tx: Transaction) -> list[Event]:
    """Close the commitments and let ballots be revealed."""
    held = e.open_round
    held.phase = Phase.REVEALING
    held.reveal_started_at = tx.time
    held.deadline = tx.time + e.params.reveal_window
    return [RevealStarted(e.id, held.index, held.deadline)]


def is_settled(e: ExperimentState, outstanding: int) -> bool:
    """Tell whether the open vote closes now, before its deadline.

    Args:
        e: the experiment, in a round that is voted on or revealed.
        outstanding: how many ballots may still come in.
    """
    held = e.open_round
    if e.params.settle_early:
        return held.approvals >= held.needed or held.approvals + outstanding < held.needed
    return len(held.ballots) == held.eligible


def close_unproposed(e: ExperimentState, tx: Transaction, *, by_deadline: bool) -> list[Event]:
    """Close a round without a proposal; a deadline that did it is a strike."""
    held = e.open_round
    if by_deadline:
        e.members[held.proposer].strikes += 1
    return [
        _close(e, tx, Outcome.NO_PROPOSAL, by_deadline=by_deadline),
        _go_on(e, tx),
    ]


def close_vote(e: ExperimentState, tx: Transaction, *, by_deadline: bool) -> list[Event]:
    """Count the vote; when a deadline closed it, absent voters have a strike more."""
    held = e.open_round
    accepted = held.approvals >= held.needed
    if accepted:
        e.accepted = held
    if by_deadline:
        for member in e.members.values():
            voter = e.is_eligible(member.account, held)
            if voter and member.active and member.account not in held.ballots:
                member.strikes += 1
    outcome = Outcome.ACCEPTED if accepted else Outcome.REJECTED
    return [_close(e, tx, outcome, by_deadline=by_deadline), _go_on(e, tx)]


def abandon_round(e: ExperimentState, tx: Transaction) -> list[Event]:
    """Close the running round because the experiment is cancelled."""
    return [_close(e, tx, Outcome.ABANDONED, by_deadline=False)]


def _close(e: ExperimentState, tx: Transaction, outcome: Outcome, *, by_deadline: bool) -> Event:
    held = e.open_round
    held.phase = Phase.CLOSED
    held.outcome = outcome
    held.closed_at = tx.time
    held.by_deadline = by_deadline
    return RoundClosed(e.id, held.index, outcome, held.approvals, held.rejections, held.eligible)


def _go_on(e: ExperimentState, tx: Transaction) -> Event:
    if len(e.rounds) == e.params.rounds:
        return end_experiment(e, tx, Status.COMPLETED)
    if e.at_random:
        e.seed = next_seed(e.seed, tx.entropy, e.open_round.salts)
    if len(e.active) < 2:
        return end_experiment(e, tx, Status.CANCELLED)
    return _begin_round(e, tx)


def end_experiment(e: ExperimentState, tx: Transaction, status: Status) -> Event:
    """Set the last status."""
    e.status = status
    e.ended_at = tx.time
    completed = status == Status.COMPLETED
    return ExperimentCompleted(e.id) if completed else ExperimentCancelled(e.id)
