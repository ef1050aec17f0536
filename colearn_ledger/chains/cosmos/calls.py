"""The protocol's calls and queries as the contract's messages: pure translation, no chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from colearn_ledger.chains.arguments import checked_flag
from colearn_ledger.chains.cosmos.answers import named, received, rows, value_in
from colearn_ledger.chains.cosmos.wire import (
    Wire,
    account_to_wire,
    ballot_from_wire,
    content_from_wire,
    content_to_wire,
    experiment_from_wire,
    learner_from_wire,
    params_to_wire,
    round_from_wire,
    scores_to_wire,
    signed_ballot_to_wire,
    word_to_wire,
)
from colearn_ledger.protocol import (
    MAX_PAGE,
    Account,
    Ballot,
    ContentRef,
    Duty,
    Experiment,
    ExperimentId,
    ExperimentParams,
    InvalidParameter,
    Learner,
    Round,
    Scores,
    SignedBallot,
    UnknownExperiment,
    Vote,
)

__all__ = ["Calls", "Message", "Queries", "Query"]

T = TypeVar("T")

Message = dict[str, Any]
"""A message of the contract: its name, and the fields under it."""

_NO_ROUND = 2**32 - 1
"""The one index that no round can have: what a round out of range is sent as."""


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A question, and how its answer becomes a value of the domain."""

    message: Message
    _read: Callable[[Wire], T]

    def read(self, answer: Wire) -> T:
        """Return the answer.

        Raises:
            BadAnswer: it is not one.
        """
        (name,) = self.message
        return received(f"the answer to {name}", lambda: self._read(answer))


def _place(experiment: ExperimentId, round_index: int | None = None) -> Message:
    if type(experiment) is not int:
        raise InvalidParameter("experiment")
    if not 0 <= experiment < 2**64:
        raise UnknownExperiment(experiment)
    fields: Message = {"experiment": str(experiment)}
    if round_index is None:
        return fields
    if type(round_index) is not int:
        raise InvalidParameter("round")
    return fields | {"round": round_index if 0 <= round_index < _NO_ROUND else _NO_ROUND}


class Calls:
    """The transactions of `colearn_ledger.ledger.Ledger`, by the same names."""

    @staticmethod
    def create(params: ExperimentParams) -> Message:
        """Create an experiment."""
        return {"create": {"params": params_to_wire(params)}}

    @staticmethod
    def admit(experiment: ExperimentId, accounts: Sequence[Account]) -> Message:
        """Put accounts on the allowlist."""
        wanted = [account_to_wire(account, "accounts") for account in accounts]
        return {"admit": _place(experiment) | {"accounts": wanted}}

    @staticmethod
    def join(experiment: ExperimentId, encryption_key: bytes) -> Message:
        """Become a learner."""
        key = word_to_wire(encryption_key, "encryption_key")
        return {"join": _place(experiment) | {"encryption_key": key}}

    @staticmethod
    def leave(experiment: ExperimentId) -> Message:
        """Leave."""
        return {"leave": _place(experiment)}

    @staticmethod
    def remove(experiment: ExperimentId, learner: Account) -> Message:
        """Remove a learner."""
        return {"remove": _place(experiment) | {"learner": account_to_wire(learner)}}

    @staticmethod
    def start(experiment: ExperimentId) -> Message:
        """Start."""
        return {"start": _place(experiment)}

    @staticmethod
    def cancel(experiment: ExperimentId) -> Message:
        """Cancel."""
        return {"cancel": _place(experiment)}

    @staticmethod
    def propose(
        experiment: ExperimentId, round_index: int, content: ContentRef, scores: Scores
    ) -> Message:
        """Propose weights."""
        if content is None:
            raise InvalidParameter("content")
        fields = {"content": content_to_wire(content), **scores_to_wire(scores)}
        return {"propose": _place(experiment, round_index) | fields}

    @staticmethod
    def decline(experiment: ExperimentId, round_index: int) -> Message:
        """Decline to propose."""
        return {"decline": _place(experiment, round_index)}

    @staticmethod
    def vote(experiment: ExperimentId, round_index: int, vote: Vote) -> Message:
        """Cast an open ballot."""
        fields = {"approve": checked_flag(vote.approve, "vote"), **scores_to_wire(vote.scores)}
        return {"vote": _place(experiment, round_index) | fields}

    @staticmethod
    def commit(experiment: ExperimentId, round_index: int, commitment: bytes) -> Message:
        """Commit to a secret ballot."""
        word = word_to_wire(commitment, "commitment")
        return {"commit": _place(experiment, round_index) | {"commitment": word}}

    @staticmethod
    def reveal(experiment: ExperimentId, round_index: int, vote: Vote, salt: bytes) -> Message:
        """Reveal a committed ballot."""
        fields = {"approve": checked_flag(vote.approve, "vote"), **scores_to_wire(vote.scores)}
        fields["salt"] = word_to_wire(salt, "salt")
        return {"reveal": _place(experiment, round_index) | fields}

    @staticmethod
    def vote_signed(
        experiment: ExperimentId, round_index: int, ballots: Sequence[SignedBallot]
    ) -> Message:
        """Carry signed ballots."""
        signed = [signed_ballot_to_wire(ballot) for ballot in ballots]
        return {"vote_signed": _place(experiment, round_index) | {"ballots": signed}}

    @staticmethod
    def advance(experiment: ExperimentId) -> Message:
        """Close or move on a phase whose deadline has passed."""
        return {"advance": _place(experiment)}


def _page(start: int, limit: int) -> Message:
    return {"start": min(max(start, 0), 2**64 - 1), "limit": min(max(limit, 0), MAX_PAGE)}


def _list(name: str, read: Callable[[Wire], T]) -> Callable[[Wire], list[T]]:
    return lambda wire: [read(row) for row in rows(value_in(wire, name), MAX_PAGE)]


class Queries:
    """The queries of `colearn_ledger.ledger.Ledger`, by the same names."""

    @staticmethod
    def experiment(experiment: ExperimentId) -> Query[Experiment]:
        """Ask for an experiment."""
        message = {"experiment": _place(experiment)}
        return Query(message, partial(experiment_from_wire, experiment))

    @staticmethod
    def experiments(start: int, limit: int) -> Query[list[Experiment]]:
        """Ask for experiments in order of id."""
        read = _list("experiments", partial(experiment_from_wire, None))
        return Query({"experiments": _page(start, limit)}, read)

    @staticmethod
    def learner(experiment: ExperimentId, account: Account) -> Query[Learner]:
        """Ask for a learner."""
        message = {"learner": _place(experiment) | {"account": account_to_wire(account)}}
        return Query(message, partial(learner_from_wire, experiment))

    @staticmethod
    def learners(experiment: ExperimentId, start: int, limit: int) -> Query[list[Learner]]:
        """Ask for learners in order of index."""
        message = {"learners": _place(experiment) | _page(start, limit)}
        return Query(message, _list("learners", partial(learner_from_wire, experiment)))

    @staticmethod
    def round(experiment: ExperimentId, round_index: int) -> Query[Round]:
        """Ask for a round."""
        message = {"round": _place(experiment, round_index)}
        return Query(message, partial(round_from_wire, experiment))

    @staticmethod
    def rounds(experiment: ExperimentId, start: int, limit: int) -> Query[list[Round]]:
        """Ask for rounds in order."""
        message = {"rounds": _place(experiment) | _page(start, limit)}
        return Query(message, _list("rounds", partial(round_from_wire, experiment)))

    @staticmethod
    def ballot(experiment: ExperimentId, round_index: int, learner: Account) -> Query[Ballot]:
        """Ask what is recorded of a learner in a round."""
        place = _place(experiment, round_index)
        message = {"ballot": place | {"account": account_to_wire(learner)}}
        return Query(message, partial(ballot_from_wire, experiment, round_index))

    @staticmethod
    def ballots(
        experiment: ExperimentId, round_index: int, start: int, limit: int
    ) -> Query[list[Ballot]]:
        """Ask what is recorded of each learner in a round."""
        message = {"ballots": _place(experiment, round_index) | _page(start, limit)}
        read = partial(ballot_from_wire, experiment, round_index)
        return Query(message, _list("ballots", read))

    @staticmethod
    def current_weights(experiment: ExperimentId) -> Query[ContentRef | None]:
        """Ask for the current weights."""
        message = {"current_weights": _place(experiment)}
        return Query(message, lambda wire: content_from_wire(value_in(wire, "content")))

    @staticmethod
    def duty(experiment: ExperimentId, account: Account) -> Query[Duty]:
        """Ask what an account should do now."""
        message = {"duty": _place(experiment) | {"account": account_to_wire(account)}}
        return Query(message, lambda wire: named(Duty, value_in(wire, "duty")))
