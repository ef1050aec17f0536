"""The call that emits an event as its first one, and the account that made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from colearn_ledger.protocol import (
    Account,
    Announced,
    BallotSkipped,
    CancelRequested,
    Event,
    ExperimentCancelled,
    ExperimentStarted,
    LearnerAdmitted,
    LearnerJoined,
    LearnerLeft,
    LearnerRemoved,
    Outcome,
    ProposalDeclined,
    RevealStarted,
    RoundClosed,
    VoteCast,
    VoteCommitted,
    VotingStarted,
    WeightsProposed,
)
from colearn_ledger.reference.rounds import Transaction
from colearn_ledger.reference.rules import Rules
from colearn_ledger.reference.state import ExperimentState

_Call = Callable[[Rules, Transaction, ExperimentState, Any], list[Event]]


def _close(
    rules: Rules, tx: Transaction, state: ExperimentState, event: RoundClosed
) -> list[Event]:
    if event.outcome == Outcome.ABANDONED:
        return rules.cancel(tx, state.id)
    return rules.advance(tx, state.id)


CALLS: dict[type[Event], _Call] = {
    LearnerAdmitted: lambda rules, tx, state, e: rules.admit(tx, state.id, [e.learner]),
    LearnerJoined: lambda rules, tx, state, e: rules.join(
        tx, state.id, state.hash, e.encryption_key
    ),
    LearnerLeft: lambda rules, tx, state, e: rules.leave(tx, state.id),
    LearnerRemoved: lambda rules, tx, state, e: rules.remove(tx, state.id, e.learner),
    ExperimentStarted: lambda rules, tx, state, e: rules.start(tx, state.id),
    WeightsProposed: lambda rules, tx, state, e: rules.propose(
        tx, state.id, e.round, e.content, e.scores
    ),
    ProposalDeclined: lambda rules, tx, state, e: rules.decline(tx, state.id, e.round),
    VoteCommitted: lambda rules, tx, state, e: rules.commit(
        tx, state.id, e.round, (state.rounds and state.open_round.proposals) or b"", e.commitment
    ),
    VotingStarted: lambda rules, tx, state, e: rules.advance(tx, state.id),
    RevealStarted: lambda rules, tx, state, e: rules.advance(tx, state.id),
    RoundClosed: _close,
    Announced: lambda rules, tx, state, e: rules.announce(tx, state.id, e.topic, e.content),
    CancelRequested: lambda rules, tx, state, e: rules.cancel(tx, state.id),
    ExperimentCancelled: lambda rules, tx, state, e: rules.cancel(tx, state.id),
}
"""The call that emits an event as its first one. The creator makes those without an actor."""

ACTORS: dict[type[Event], Callable[[Any], Account]] = {
    LearnerJoined: lambda e: e.learner,
    LearnerLeft: lambda e: e.learner,
    WeightsProposed: lambda e: e.proposer,
    ProposalDeclined: lambda e: e.proposer,
    VoteCommitted: lambda e: e.learner,
    VoteCast: lambda e: e.learner,
    BallotSkipped: lambda e: e.learner,
    Announced: lambda e: e.learner,
}
"""The account that a call's first event names as its caller."""
