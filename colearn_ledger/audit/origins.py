"""Compare events with the transactions that emitted them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from colearn_ledger.audit.findings import AuditCounts, describe
from colearn_ledger.keys.signing import ballot_signer
from colearn_ledger.ledger import Origin
from colearn_ledger.protocol import (
    Account,
    Announced,
    BallotSkipped,
    CancelRequested,
    Event,
    ExperimentCancelled,
    ExperimentCreated,
    ExperimentStarted,
    InvalidParameter,
    LearnerAdmitted,
    LearnerJoined,
    LearnerLeft,
    LearnerRemoved,
    ProposalDeclined,
    RevealStarted,
    RoundClosed,
    SignedBallot,
    SigningDomain,
    SkipReason,
    VoteCast,
    VoteCommitted,
    VotingStarted,
    WeightsProposed,
)
from colearn_ledger.reference.ballots import basis_of, check_vote
from colearn_ledger.reference.state import ExperimentState

Difference = tuple[str, str, str]
"""What was checked, what was expected, and what was found."""

_CALLS: dict[type[Event], tuple[str, ...]] = {
    ExperimentCreated: ("create",),
    LearnerAdmitted: ("admit",),
    LearnerJoined: ("join",),
    LearnerLeft: ("leave",),
    LearnerRemoved: ("remove",),
    ExperimentStarted: ("start",),
    WeightsProposed: ("propose",),
    ProposalDeclined: ("decline",),
    VoteCommitted: ("commit",),
    VotingStarted: ("advance",),
    RevealStarted: ("advance",),
    VoteCast: ("vote", "vote_signed", "reveal"),
    BallotSkipped: ("vote_signed",),
    RoundClosed: ("advance", "cancel"),
    Announced: ("announce",),
    CancelRequested: ("cancel",),
    ExperimentCancelled: ("cancel",),
}
"""The calls that can emit an event as their first one."""

_ACTORS: dict[str, Callable[[ExperimentState, Any], Account]] = {
    **dict.fromkeys(("create", "admit", "start", "cancel"), lambda state, _: state.creator),
    **dict.fromkeys(("join", "leave", "vote", "commit", "reveal"), lambda _, e: e.learner),
    "announce": lambda _, e: e.learner,
    **dict.fromkeys(("propose", "decline"), lambda _, e: e.proposer),
}
"""The account that must have sent a call; anyone may send the others."""

_ARGUMENTS: dict[str, Callable[[ExperimentState, Any], tuple[Any, ...]]] = {
    "create": lambda state, e: (e.params,),
    "admit": lambda state, e: (state.id,),
    "join": lambda state, e: (state.id, state.hash, e.encryption_key),
    "leave": lambda state, e: (state.id,),
    "remove": lambda state, e: (state.id, e.learner),
    "start": lambda state, e: (state.id,),
    "cancel": lambda state, e: (state.id,),
    "advance": lambda state, e: (state.id,),
    "propose": lambda state, e: (state.id, e.round, e.content, e.scores),
    "decline": lambda state, e: (state.id, e.round),
    "vote": lambda state, e: (state.id, e.round, state.rounds[e.round].proposals, e.vote),
    "vote_signed": lambda state, e: (state.id, e.round, state.rounds[e.round].proposals),
    "commit": lambda state, e: (state.id, e.round, state.rounds[e.round].proposals, e.commitment),
    "reveal": lambda state, e: (state.id, e.round, e.vote),
    "announce": lambda state, e: (state.id, e.topic, e.content),
}
"""The arguments to which an event leads, without the salt of `reveal` and without lists."""


def check_origin(
    state: ExperimentState,
    event: Event,
    origin: Origin,
    domain: SigningDomain,
    counts: AuditCounts,
    place: tuple[int, int] = (0, 1),
) -> Iterator[Difference]:
    """Yield the differences between an event and the transaction that emitted it.

    Args:
        state: the experiment after the event.
        event: the first event of a call, or an event of a batch of ballots.
        origin: the transaction.
        domain: the ledger's signing domain.
        counts: counts what was checked.
        place: the event's position among the ballots of its transaction, and their number.
    """
    if origin.fault:
        yield "transaction", "the transaction that emitted the event", origin.fault
    if origin.call is None:
        return
    name = origin.call.name
    counts.transactions += 1
    if name not in _CALLS.get(type(event), ()):
        yield "call of the transaction", " or ".join(_CALLS.get(type(event), ())), name
        return
    actor = _ACTORS.get(name)
    if actor is not None and origin.sender != actor(state, event):
        yield f"sender of {name}", actor(state, event), origin.sender
    values = zip(_ARGUMENTS[name](state, event), origin.arguments, strict=False)
    for argument, (found, sent) in zip(origin.call.arguments, values, strict=False):
        if found != sent:
            yield f"{argument.name} of {name}", describe(sent), describe(found)
    if name == "vote_signed":
        ballots, (position, number) = origin.arguments[3], place
        if position == number - 1 and number != len(ballots):
            yield "ballots of the batch", describe(len(ballots)), describe(number)
        if isinstance(event, VoteCast | BallotSkipped) and position < len(ballots):
            counts.signatures += 1
            yield from _check_ballot(state, event, ballots[position], domain)
    elif name == "admit" and getattr(event, "learner", None) not in origin.arguments[1]:
        yield "admitted account", describe(origin.arguments[1]), _actor(event)
    counts.reveals += name == "reveal"


def _check_ballot(
    state: ExperimentState,
    event: VoteCast | BallotSkipped,
    ballot: SignedBallot,
    domain: SigningDomain,
) -> Iterator[Difference]:
    """Compare an event with the signed ballot in the same position of the batch."""
    round_ = state.rounds[event.round]
    subject = f"signed ballot of {event.learner}"
    vote = event.vote if isinstance(event, VoteCast) else ballot.vote
    if (ballot.learner, ballot.vote) != (event.learner, vote):
        yield subject, "a ballot like the event's in the transaction", "another ballot"
        return
    reason = None if isinstance(event, VoteCast) else event.reason
    is_valid = ballot_signer(domain, basis_of(state, round_), ballot) == ballot.learner
    if is_valid and reason == SkipReason.BAD_SIGNATURE:
        yield subject, "an invalid signature, for which it was skipped", "a valid one"
    elif not is_valid and reason != SkipReason.BAD_SIGNATURE:
        yield subject, "a signature of the learner", "an invalid signature"
    if reason == SkipReason.INVALID_BALLOT:
        with suppress(InvalidParameter):
            check_vote(round_, ballot.learner, ballot.vote)
            yield subject, "approvals that are refused, for which it was skipped", "allowed ones"


def _actor(event: Event) -> str:
    return str(getattr(event, "learner", "nobody"))
