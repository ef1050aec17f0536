"""Check the arguments of calls and queries.

Every ledger checks its arguments here before it encodes them. A value of the wrong type raises
`InvalidParameter`. Bounds that are rules of the protocol are left to the ledger, so that its checks
run in the order given in ``docs/protocol.md``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, auto
from typing import Any, TypeVar

from colearn_ledger.protocol import (
    MAX_PAGE,
    MAX_PROPOSERS,
    NO_ROUND,
    Account,
    Admission,
    ContentRef,
    ExperimentId,
    ExperimentParams,
    InvalidParameter,
    Merge,
    Scores,
    Selection,
    SignedBallot,
    SigningScheme,
    UnknownExperiment,
    Vote,
    bits_to_score,
    score_to_bits,
)
from colearn_ledger.text.address import InvalidAddress, check_cosmos_address, check_evm_address

_PAST_EVERY_LIST = 2**53
"""Larger than the length of any list, and exact in JSON."""

T = TypeVar("T")
Choice = TypeVar("Choice", bound=IntEnum)


class Kind(Enum):
    """The kind of an argument; each chain encodes each kind in one way."""

    PARAMS = auto()
    EXPERIMENT = auto()
    ROUND = auto()
    ACCOUNT = auto()
    ACCOUNTS = auto()
    CONTENT = auto()
    SCORES = auto()
    VOTE = auto()
    BALLOTS = auto()
    WORD = auto()
    TEXT = auto()
    START = auto()
    LIMIT = auto()


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call or query.

    Args:
        name: the argument's name in the contracts, in snake case.
        kind: the kind of its values.
    """

    name: str
    kind: Kind


def check_argument(argument: Argument, value: object, scheme: SigningScheme) -> Any:
    """Check a value and return it in its canonical form.

    Addresses get the form that the ledger returns. Scores that are NaN become absent. Page sizes
    are capped at `MAX_PAGE`. Impossible round indexes become `NO_ROUND`.

    Args:
        argument: the argument that the value is for.
        value: the caller's value.
        scheme: the ledger's signing scheme, which determines the form of its addresses.

    Raises:
        InvalidParameter: the value has the wrong type; the error names the argument or field.
        UnknownExperiment: no experiment can have this id.
    """
    if argument.kind == Kind.ACCOUNT:
        return check_account(value, scheme)
    if argument.kind == Kind.ACCOUNTS:
        accounts = _check_sequence(value, argument.name)
        return [check_account(account, scheme, argument.name) for account in accounts]
    if argument.kind == Kind.BALLOTS:
        ballots = _check_sequence(value, argument.name)
        return [_check_ballot(ballot, scheme) for ballot in ballots]
    return _CHECKS[argument.kind](value, argument.name)


def check_account(value: object, scheme: SigningScheme, name: str = "account") -> Account:
    """Check an account's address and return it in the form that the ledger uses.

    Raises:
        InvalidParameter: the value is not an address, or its checksum is wrong.
    """
    check = check_cosmos_address if scheme == SigningScheme.ADR036 else check_evm_address
    try:
        return Account(check(value))
    except InvalidAddress as error:
        raise InvalidParameter(name) from error


def check_experiment(value: object, name: str = "experiment") -> ExperimentId:
    """Check an experiment's id and return it."""
    if type(value) is not int:
        raise InvalidParameter(name)
    if not 0 <= value < 2**64:
        raise UnknownExperiment(value)
    return ExperimentId(value)


def check_integer(value: object, name: str) -> int:
    """Check an integer and return it; a ``bool`` is refused."""
    if type(value) is not int:
        raise InvalidParameter(name)
    return value


def check_flag(value: object, name: str) -> bool:
    """Check a ``bool`` and return it."""
    if type(value) is not bool:
        raise InvalidParameter(name)
    return value


def check_word(value: object, name: str) -> bytes:
    """Check a 32-byte word and return it."""
    if not isinstance(value, bytes) or len(value) != 32:
        raise InvalidParameter(name)
    return value


def check_text(value: object, name: str) -> str:
    """Check that UTF-8 can encode a text and return it."""
    if not isinstance(value, str):
        raise InvalidParameter(name)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:  # lone surrogates
        raise InvalidParameter(name) from error
    return value


def check_choice(kind: type[Choice], value: Any, name: str) -> Choice:
    """Check a member of an enumeration and return it."""
    try:
        return kind(value)
    except ValueError as error:
        raise InvalidParameter(name) from error


def check_content(value: object, name: str) -> ContentRef:
    """Check a content reference and return it."""
    return _check_instance(ContentRef, value, name)


def _check_params(value: object, name: str) -> ExperimentParams:
    """Check the types of an experiment's parameters, but not their bounds, and return them."""
    params = _check_instance(ExperimentParams, value, name)
    check_text(params.name, "name")
    check_content(params.spec, "spec")
    if params.initial is not None:
        check_content(params.initial, "initial")
    for number in NUMBERS:
        check_integer(getattr(params, number), number)
    check_flag(params.late_join, "late_join")
    check_flag(params.settle_early, "settle_early")
    return replace(
        params,
        selection=check_choice(Selection, params.selection, "selection"),
        merge=check_choice(Merge, params.merge, "merge"),
        admission=check_choice(Admission, params.admission, "admission"),
    )


NUMBERS = (
    "rounds",
    "min_learners",
    "max_learners",
    "approval_bps",
    "propose_window",
    "vote_window",
    "reveal_window",
    "proposers",
    "max_strikes",
    "patience",
)
"""The numeric parameters of an experiment."""

_CONTRACT_CHECKS_EDGES = {"rounds", "min_learners", "max_learners", "approval_bps", "proposers"}
"""Parameters whose smallest and largest encodable values the contracts refuse."""


def fit_number(value: int, name: str, bits: int) -> int:
    """Return a numeric parameter of an experiment as one that fits an unsigned integer.

    If the contract refuses both the smallest and the largest encodable value, a number out of range
    is replaced by the nearer of the two. The contract then refuses it in the usual order of checks.

    Raises:
        InvalidParameter: the number does not fit into ``bits`` bits.
    """
    largest = (1 << bits) - 1
    if not 0 <= value <= largest and name not in _CONTRACT_CHECKS_EDGES:
        raise InvalidParameter(name)
    return min(max(value, 0), largest)


# ------------------------------------------------------------------------- parts


def _check_instance(kind: type[T], value: object, name: str) -> T:
    if not isinstance(value, kind):
        raise InvalidParameter(name)
    return value


def _check_sequence(value: object, name: str) -> Sequence[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise InvalidParameter(name)
    return value


def _check_round(value: object, name: str) -> int:
    index = check_integer(value, name)
    return index if 0 <= index < NO_ROUND else NO_ROUND


def _check_score(value: Any, name: str) -> float | None:
    try:
        return bits_to_score(score_to_bits(value))
    except (TypeError, ValueError, OverflowError, struct.error) as error:
        raise InvalidParameter(name) from error


def _check_scores(value: object, name: str) -> Scores:
    scores = _check_instance(Scores, value, name)
    return Scores(_check_score(scores.vote_score, name), _check_score(scores.test_score, name))


def _check_vote(value: object, name: str) -> Vote:
    vote = _check_instance(Vote, value, name)
    approvals = check_integer(vote.approvals, "approvals")
    if not 0 <= approvals < 1 << MAX_PROPOSERS:
        raise InvalidParameter("approvals")
    scores = _check_sequence(vote.scores, "scores")
    return Vote(approvals, tuple(_check_scores(each, "scores") for each in scores))


def _check_ballot(value: object, scheme: SigningScheme) -> SignedBallot:
    name = "ballots"
    ballot = _check_instance(SignedBallot, value, name)
    signature = _check_instance(bytes, ballot.signature, name)
    learner = check_account(ballot.learner, scheme, name)
    try:
        return SignedBallot(learner, _check_vote(ballot.vote, name), signature)
    except InvalidParameter as error:
        raise InvalidParameter(name) from error


def _check_start(value: object, name: str) -> int:
    return min(max(check_integer(value, name), 0), _PAST_EVERY_LIST)


def _check_limit(value: object, name: str) -> int:
    return min(max(check_integer(value, name), 0), MAX_PAGE)


_CHECKS: dict[Kind, Callable[[object, str], Any]] = {
    Kind.PARAMS: _check_params,
    Kind.EXPERIMENT: check_experiment,
    Kind.ROUND: _check_round,
    Kind.CONTENT: check_content,
    Kind.SCORES: _check_scores,
    Kind.VOTE: _check_vote,
    Kind.WORD: check_word,
    Kind.TEXT: check_text,
    Kind.START: _check_start,
    Kind.LIMIT: _check_limit,
}
