"""The table of calls and queries that every ledger offers: names, arguments and results.

The contracts, their encoders and the reference all follow this table. To add a call or a query,
add its entry here and a typed method to `colearn_ledger.ledger`. The encoder of a chain changes
only for a new kind of argument or a new type of result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from colearn_ledger.arguments import Argument, Kind, check_argument
from colearn_ledger.protocol import (
    Agenda,
    Ballot,
    ContentRef,
    Duty,
    Experiment,
    Learner,
    Round,
    SigningScheme,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A transaction of the protocol.

    Args:
        name: the call's name in snake case.
        arguments: its arguments, in the order of the contracts.
    """

    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A query to a ledger.

    Args:
        name: the query's name in snake case.
        arguments: its arguments, in the order of the contracts.
        row: the type of the answer, or of each row of a list.
        is_list: whether the answer is a list.
    """

    name: str
    arguments: tuple[Argument, ...]
    row: type[Any]
    is_list: bool = False


def check_arguments(
    entry: Call | Query[Any], values: Sequence[object], scheme: SigningScheme
) -> tuple[Any, ...]:
    """Check the arguments of a call or query and return them in canonical form.

    Raises:
        InvalidParameter: a value has the wrong type; the error names it.
        UnknownExperiment: no experiment can have this id.
    """
    pairs = zip(entry.arguments, values, strict=True)
    return tuple(check_argument(argument, value, scheme) for argument, value in pairs)


_PARAMS = Argument("params", Kind.PARAMS)
_EXPERIMENT = Argument("experiment", Kind.EXPERIMENT)
_ROUND = Argument("round", Kind.ROUND)
_ACCOUNT = Argument("account", Kind.ACCOUNT)
_ACCOUNTS = Argument("accounts", Kind.ACCOUNTS)
_LEARNER = Argument("learner", Kind.ACCOUNT)
_CONTENT = Argument("content", Kind.CONTENT)
_SCORES = Argument("scores", Kind.SCORES)
_VOTE = Argument("vote", Kind.VOTE)
_BALLOTS = Argument("ballots", Kind.BALLOTS)
_ENCRYPTION_KEY = Argument("encryption_key", Kind.WORD)
_HASH = Argument("hash", Kind.WORD)
_PROPOSALS = Argument("proposals", Kind.WORD)
_TOPIC = Argument("topic", Kind.TEXT)
_COMMITMENT = Argument("commitment", Kind.WORD)
_SALT = Argument("salt", Kind.WORD)
_PAGE = (Argument("start", Kind.START), Argument("limit", Kind.LIMIT))

CREATE = Call("create", (_PARAMS,))
ADMIT = Call("admit", (_EXPERIMENT, _ACCOUNTS))
JOIN = Call("join", (_EXPERIMENT, _HASH, _ENCRYPTION_KEY))
SET_ENCRYPTION_KEY = Call("set_encryption_key", (_EXPERIMENT, _ENCRYPTION_KEY))
LEAVE = Call("leave", (_EXPERIMENT,))
REMOVE = Call("remove", (_EXPERIMENT, _LEARNER))
START = Call("start", (_EXPERIMENT,))
CANCEL = Call("cancel", (_EXPERIMENT,))
PROPOSE = Call("propose", (_EXPERIMENT, _ROUND, _CONTENT, _SCORES))
DECLINE = Call("decline", (_EXPERIMENT, _ROUND))
VOTE = Call("vote", (_EXPERIMENT, _ROUND, _PROPOSALS, _VOTE))
COMMIT = Call("commit", (_EXPERIMENT, _ROUND, _PROPOSALS, _COMMITMENT))
REVEAL = Call("reveal", (_EXPERIMENT, _ROUND, _VOTE, _SALT))
VOTE_SIGNED = Call("vote_signed", (_EXPERIMENT, _ROUND, _PROPOSALS, _BALLOTS))
ADVANCE = Call("advance", (_EXPERIMENT,))
ANNOUNCE = Call("announce", (_EXPERIMENT, _TOPIC, _CONTENT))

EXPERIMENT: Query[Experiment] = Query("experiment", (_EXPERIMENT,), Experiment)
EXPERIMENTS: Query[list[Experiment]] = Query("experiments", _PAGE, Experiment, is_list=True)
LEARNER: Query[Learner] = Query("learner", (_EXPERIMENT, _ACCOUNT), Learner)
LEARNERS: Query[list[Learner]] = Query("learners", (_EXPERIMENT, *_PAGE), Learner, is_list=True)
ROUND: Query[Round] = Query("round", (_EXPERIMENT, _ROUND), Round)
ROUNDS: Query[list[Round]] = Query("rounds", (_EXPERIMENT, *_PAGE), Round, is_list=True)
BALLOT: Query[Ballot] = Query("ballot", (_EXPERIMENT, _ROUND, _ACCOUNT), Ballot)
BALLOTS: Query[list[Ballot]] = Query("ballots", (_EXPERIMENT, _ROUND, *_PAGE), Ballot, is_list=True)
CURRENT_WEIGHTS: Query[list[ContentRef]] = Query(
    "current_weights", (_EXPERIMENT,), ContentRef, is_list=True
)
DUTY: Query[Duty] = Query("duty", (_EXPERIMENT, _ACCOUNT), Duty)
AGENDA: Query[Agenda] = Query("agenda", (_EXPERIMENT, _ACCOUNT), Agenda)

_CALLS = (
    *(CREATE, ADMIT, JOIN, SET_ENCRYPTION_KEY, LEAVE, REMOVE, START, CANCEL),
    *(PROPOSE, DECLINE, VOTE, COMMIT, REVEAL, VOTE_SIGNED, ADVANCE, ANNOUNCE),
)
_QUERIES: tuple[Query[Any], ...] = (
    *(EXPERIMENT, EXPERIMENTS, LEARNER, LEARNERS, ROUND, ROUNDS),
    *(BALLOT, BALLOTS, CURRENT_WEIGHTS, DUTY, AGENDA),
)

CALLS = {call.name: call for call in _CALLS}
"""Every call by its name."""

QUERIES = {query.name: query for query in _QUERIES}
"""Every query by its name."""
