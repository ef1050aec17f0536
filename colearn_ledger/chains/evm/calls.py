"""The protocol's calls and queries as the contract's functions: pure translation, no chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from colearn_ledger.chains.arguments import checked_flag, checked_word
from colearn_ledger.chains.evm.abi import ContractAbi
from colearn_ledger.chains.evm.wire import (
    account_to_wire,
    ballot_from_wire,
    content_from_wire,
    content_to_wire,
    experiment_from_wire,
    learner_from_wire,
    params_to_wire,
    received,
    round_from_wire,
    scores_to_wire,
    signed_ballot_to_wire,
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

__all__ = ["Calls", "ContractCall", "Queries", "Query"]

T = TypeVar("T")

_NO_ROUND = 2**32 - 1
"""The one index that no round can have: what a round out of range is sent as."""


@dataclass(frozen=True, slots=True)
class ContractCall:
    """A call of the contract: function and arguments, ready for its ABI."""

    function: str
    arguments: tuple[Any, ...]

    def encode(self, abi: ContractAbi) -> bytes:
        """Return the data of the call."""
        return abi.encode_call(self.function, self.arguments)


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A call that only asks, and how its answer becomes a value of the domain."""

    call: ContractCall
    _read: Callable[[Any], T]

    def read(self, abi: ContractAbi, data: bytes) -> T:
        """Return the answer.

        Raises:
            BadAnswer: the bytes are not one.
        """
        decoded = abi.decode_answer(self.call.function, data)
        return received(f"the answer to {self.call.function}", lambda: self._read(decoded))


def _call(function: str, *arguments: Any) -> ContractCall:
    return ContractCall(function, arguments)


def _experiment(value: ExperimentId) -> int:
    if type(value) is not int:
        raise InvalidParameter("experiment")
    if not 0 <= value < 2**64:
        raise UnknownExperiment(value)
    return value


def _round(value: int) -> int:
    if type(value) is not int:
        raise InvalidParameter("round")
    return value if 0 <= value < _NO_ROUND else _NO_ROUND


class Calls:
    """The transactions of `colearn_ledger.ledger.Ledger`, by the same names."""

    @staticmethod
    def create(params: ExperimentParams) -> ContractCall:
        """Create an experiment."""
        return _call("create", params_to_wire(params))

    @staticmethod
    def admit(experiment: ExperimentId, accounts: Sequence[Account]) -> ContractCall:
        """Put accounts on the allowlist."""
        wanted = [account_to_wire(account, "accounts") for account in accounts]
        return _call("admit", _experiment(experiment), wanted)

    @staticmethod
    def join(experiment: ExperimentId, encryption_key: bytes) -> ContractCall:
        """Become a learner."""
        key = checked_word(encryption_key, "encryption_key")
        return _call("join", _experiment(experiment), key)

    @staticmethod
    def leave(experiment: ExperimentId) -> ContractCall:
        """Leave."""
        return _call("leave", _experiment(experiment))

    @staticmethod
    def remove(experiment: ExperimentId, learner: Account) -> ContractCall:
        """Remove a learner."""
        return _call("remove", _experiment(experiment), account_to_wire(learner))

    @staticmethod
    def start(experiment: ExperimentId) -> ContractCall:
        """Start."""
        return _call("start", _experiment(experiment))

    @staticmethod
    def cancel(experiment: ExperimentId) -> ContractCall:
        """Cancel."""
        return _call("cancel", _experiment(experiment))

    @staticmethod
    def propose(
        experiment: ExperimentId, round_index: int, content: ContentRef, scores: Scores
    ) -> ContractCall:
        """Propose weights."""
        place = _experiment(experiment), _round(round_index)
        return _call("propose", *place, content_to_wire(content), *scores_to_wire(scores))

    @staticmethod
    def decline(experiment: ExperimentId, round_index: int) -> ContractCall:
        """Decline to propose."""
        return _call("decline", _experiment(experiment), _round(round_index))

    @staticmethod
    def vote(experiment: ExperimentId, round_index: int, vote: Vote) -> ContractCall:
        """Cast an open ballot."""
        approve = checked_flag(vote.approve, "vote")
        place = _experiment(experiment), _round(round_index)
        return _call("vote", *place, approve, *scores_to_wire(vote.scores))

    @staticmethod
    def commit(experiment: ExperimentId, round_index: int, commitment: bytes) -> ContractCall:
        """Commit to a secret ballot."""
        word = checked_word(commitment, "commitment")
        return _call("commit", _experiment(experiment), _round(round_index), word)

    @staticmethod
    def reveal(experiment: ExperimentId, round_index: int, vote: Vote, salt: bytes) -> ContractCall:
        """Reveal a committed ballot."""
        approve = checked_flag(vote.approve, "vote")
        place = _experiment(experiment), _round(round_index)
        word = checked_word(salt, "salt")
        return _call("reveal", *place, approve, *scores_to_wire(vote.scores), word)

    @staticmethod
    def vote_signed(
        experiment: ExperimentId, round_index: int, ballots: Sequence[SignedBallot]
    ) -> ContractCall:
        """Carry signed ballots."""
        signed = b"".join(signed_ballot_to_wire(ballot) for ballot in ballots)
        return _call("voteSigned", _experiment(experiment), _round(round_index), signed)

    @staticmethod
    def advance(experiment: ExperimentId) -> ContractCall:
        """Close or move on a phase whose deadline has passed."""
        return _call("advance", _experiment(experiment))


def _page(start: int, limit: int) -> tuple[int, int]:
    return min(max(start, 0), 2**64), min(max(limit, 0), MAX_PAGE)


def _rows(read: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    """Read a list, of which no answer may be longer than a page."""

    def read_all(wires: Sequence[Any]) -> list[T]:
        if len(wires) > MAX_PAGE:
            raise ValueError(f"{len(wires)} rows, more than a page has")
        return [read(wire) for wire in wires]

    return read_all


class Queries:
    """The queries of `colearn_ledger.ledger.Ledger`, by the same names."""

    @staticmethod
    def experiment(experiment: ExperimentId) -> Query[Experiment]:
        """Ask for an experiment."""
        return Query(_call("experiment", _experiment(experiment)), experiment_from_wire)

    @staticmethod
    def experiments(start: int, limit: int) -> Query[list[Experiment]]:
        """Ask for experiments in order of id."""
        return Query(_call("experiments", *_page(start, limit)), _rows(experiment_from_wire))

    @staticmethod
    def learner(experiment: ExperimentId, account: Account) -> Query[Learner]:
        """Ask for a learner."""
        call = _call("learner", _experiment(experiment), account_to_wire(account))
        return Query(call, partial(learner_from_wire, experiment))

    @staticmethod
    def learners(experiment: ExperimentId, start: int, limit: int) -> Query[list[Learner]]:
        """Ask for learners in order of index."""
        call = _call("learners", _experiment(experiment), *_page(start, limit))
        return Query(call, _rows(partial(learner_from_wire, experiment)))

    @staticmethod
    def round(experiment: ExperimentId, round_index: int) -> Query[Round]:
        """Ask for a round."""
        call = _call("round", _experiment(experiment), _round(round_index))
        return Query(call, partial(round_from_wire, experiment))

    @staticmethod
    def rounds(experiment: ExperimentId, start: int, limit: int) -> Query[list[Round]]:
        """Ask for rounds in order."""
        call = _call("rounds", _experiment(experiment), *_page(start, limit))
        return Query(call, _rows(partial(round_from_wire, experiment)))

    @staticmethod
    def ballot(experiment: ExperimentId, round_index: int, learner: Account) -> Query[Ballot]:
        """Ask what is recorded of a learner in a round."""
        place = _experiment(experiment), _round(round_index)
        call = _call("ballot", *place, account_to_wire(learner))
        return Query(call, partial(ballot_from_wire, experiment, round_index))

    @staticmethod
    def ballots(
        experiment: ExperimentId, round_index: int, start: int, limit: int
    ) -> Query[list[Ballot]]:
        """Ask what is recorded of each learner in a round."""
        place = _experiment(experiment), _round(round_index)
        call = _call("ballots", *place, *_page(start, limit))
        return Query(call, _rows(partial(ballot_from_wire, experiment, round_index)))

    @staticmethod
    def current_weights(experiment: ExperimentId) -> Query[ContentRef | None]:
        """Ask for the current weights."""
        return Query(_call("currentWeights", _experiment(experiment)), content_from_wire)

    @staticmethod
    def duty(experiment: ExperimentId, account: Account) -> Query[Duty]:
        """Ask what an account should do now."""
        return Query(_call("duty", _experiment(experiment), account_to_wire(account)), Duty)

    @staticmethod
    def domain_separator() -> Query[bytes]:
        """Ask for the 32-byte EIP-712 domain separator."""
        return Query(_call("domainSeparator"), bytes)
