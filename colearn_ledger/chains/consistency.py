"""Check that a node's answers fit the questions and do not contradict themselves.

Two hashes of the protocol bind what a node returns. `join` names the hash of the creator and the
parameters, and ballots name the digest of the proposals. A node that changes any of these therefore
has to change the hash too, and the contract then refuses the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from colearn_ledger.calls import Query
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.protocol import (
    MAX_PAGE,
    MAX_PROPOSERS,
    Agenda,
    Announced,
    Ballot,
    ContentRef,
    Event,
    Experiment,
    Learner,
    Phase,
    ProposalDeclined,
    Round,
    RoundClosed,
    RoundStarted,
    Slot,
    SlotState,
    Vote,
    WeightsProposed,
    decode_scores,
    experiment_hash,
    proposals_digest,
)

T = TypeVar("T")

_SCORES_BYTES = 16
"""Length of the scores of one file in a ballot."""

_LONGEST_TOPIC = 32
"""Most bytes of a topic of an announcement."""


# ------------------------------------------------------------------------- answers


def most_rows(query: Query[Any]) -> int:
    """Return the most rows that the answer to a list query can have."""
    return MAX_PROPOSERS if query.row is ContentRef else MAX_PAGE


def check_answer(query: Query[T], arguments: Sequence[Any], answer: T) -> T:
    """Return an answer that fits the question.

    Args:
        query: the query.
        arguments: its arguments in canonical form.
        answer: the decoded answer.

    Raises:
        BadAnswer: it is the answer to another question.
    """
    if isinstance(answer, list):
        if query.row is not ContentRef:
            _check_page(query, answer, *arguments[-2:])
    elif place := _PLACES.get(query.row):
        found = place(answer)
        _require_same(found, tuple(arguments[: len(found)]))
    return answer


_PLACES: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    Experiment: lambda row: (row.id,),
    Learner: lambda row: (row.experiment, row.account),
    Round: lambda row: (row.experiment, row.index),
    Ballot: lambda row: (row.experiment, row.round, row.learner),
    Agenda: lambda row: (row.experiment.id, *([row.learner.account] if row.learner else [])),
}
"""What a row is about, as the first arguments of its query."""

_INDEXES: dict[type, Callable[[Any], int]] = {
    Experiment: lambda row: row.id - 1,
    Learner: lambda row: row.index,
    Round: lambda row: row.index,
}
"""The index of a row in its list; a ballot does not contain its own."""


def _check_page(query: Query[Any], rows: list[Any], start: int, limit: int) -> None:
    if len(rows) > limit:
        raise BadAnswer(f"the node returned {len(rows)} rows of at most {limit}")
    if index_of := _INDEXES.get(query.row):
        for index, row in enumerate(rows, start):
            _require_same(index_of(row), index)


def _require_same(found: object, asked: object) -> None:
    if found != asked:
        raise BadAnswer(f"the node returned an answer for {found} to a question about {asked}")


# ------------------------------------------------------------------------- records


def check_experiment(found: Experiment) -> Experiment:
    """Return an experiment whose hash, parameters and current weights agree.

    Raises:
        BadAnswer: they do not.
    """
    if found.hash != experiment_hash(found.creator, found.params):
        raise BadAnswer("the experiment's hash is not that of its creator and parameters")
    initial = found.params.initial
    if found.current_round is not None:
        is_possible = 1 <= len(found.current) <= MAX_PROPOSERS
    else:
        is_possible = found.current == (() if initial is None else (initial,))
    if not is_possible:
        raise BadAnswer("these cannot be the experiment's current weights")
    return found


def check_round(found: Round) -> Round:
    """Return a round whose phase, slots and digest agree.

    Raises:
        BadAnswer: they do not.
    """
    _check_slots(len(found.slots))
    for slot in found.slots:
        _check_slot(slot)
    has_digest = found.proposals is not None
    if found.phase != Phase.CLOSED and has_digest != (found.phase != Phase.PROPOSING):
        raise BadAnswer("the phase and the digest of the proposals do not agree")
    if has_digest != (found.voting_started_at is not None):
        raise BadAnswer("the digest of the proposals and the time of voting do not agree")
    if found.proposals is not None:
        sha256s = {slot: content.sha256 for slot, content in found.contents.items()}
        if not sha256s or found.proposals != proposals_digest(sha256s):
            raise BadAnswer("the digest is not that of the round's proposals")
    return found


def check_agenda(found: Agenda) -> Agenda:
    """Return an agenda whose round is the experiment's current one.

    Raises:
        BadAnswer: it is another round.
    """
    _require_same(found.round and found.round.index, found.experiment.round)
    return found


def _check_slot(slot: Slot) -> None:
    is_proposed = slot.state == SlotState.PROPOSED
    if is_proposed != (slot.content is not None) or is_proposed != (slot.proposed_at is not None):
        raise BadAnswer("a slot's state and its content do not agree")
    if (slot.approvals or slot.accepted) and not is_proposed:
        raise BadAnswer("a slot without a proposal has approvals")


def _check_slots(number: int) -> None:
    if not 1 <= number <= MAX_PROPOSERS:
        raise BadAnswer(f"a round with {number} slots")


# ------------------------------------------------------------------------- events


def decode_vote(approvals: int, scores: bytes) -> Vote:
    """Return the vote of a ballot that the contract counted.

    Raises:
        BadAnswer: the contract counts no such ballot.
    """
    if not 0 <= approvals < 1 << MAX_PROPOSERS:
        raise BadAnswer(f"{approvals} is not a bitmap of slots")
    if not 2 * _SCORES_BYTES <= len(scores) <= (1 + MAX_PROPOSERS) * _SCORES_BYTES:
        raise BadAnswer(f"{len(scores)} bytes are not the scores of a ballot")
    return Vote(approvals, decode_scores(scores))


def check_event(found: Event) -> Event:
    """Return an event that the contract can have emitted.

    Raises:
        BadAnswer: its fields do not agree, or are too long.
    """
    if isinstance(found, RoundStarted):
        _check_slots(len(found.proposers))
    elif isinstance(found, WeightsProposed | ProposalDeclined):
        _check_slots(found.slot + 1)
    elif isinstance(found, RoundClosed):
        _check_slots(len(found.approvals))
        if found.accepted >> len(found.approvals):
            raise BadAnswer("a slot that does not exist is accepted")
    elif isinstance(found, Announced) and not 1 <= len(found.topic.encode()) <= _LONGEST_TOPIC:
        raise BadAnswer("the topic of an announcement is empty or too long")
    return found
