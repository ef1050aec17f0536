"""Explain the protocol's refusals to the user of a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from colearn_learner.cli._support.connect import describe_other_contracts
from colearn_learner.errors import LearnerError
from colearn_ledger.networks.references import ExperimentReference
from colearn_ledger.protocol import (
    NO_ROUND,
    AlreadyJoined,
    ExperimentFull,
    InvalidParameter,
    NotAdmitted,
    NotALearner,
    NotCreator,
    ProtocolError,
    Status,
    UnknownExperiment,
    WrongExperiment,
    WrongRound,
    WrongStatus,
)


class Refused(LearnerError):
    """The contract refused a call; explains why, and what to do next."""


@contextmanager
def explain_refusals(reference: object) -> Iterator[None]:
    """Turn refusals about an experiment into errors that a person can act on."""
    try:
        yield
    except ProtocolError as error:
        raise Refused(_explain(error, str(reference))) from error


def _explain(error: ProtocolError, reference: str) -> str:
    explain = _EXPLANATIONS.get(type(error))
    return str(error) if explain is None else f"{reference}: {explain(error, reference)}"


def _value(error: ProtocolError) -> object:
    return error.args[0] if error.args else None


def _status(error: ProtocolError, _: str) -> str:
    status = Status(int(error.args[0])).name.lower()
    return f"the experiment is {status}, which does not allow this"


def _unknown(error: ProtocolError, reference: str) -> str:
    place = ExperimentReference.parse(reference)
    return (
        f"the contract has no experiment {_value(error)}; list its experiments with colearn "
        f"experiment list{describe_other_contracts(place.chain, place.contract)}"
    )


def _wrong_experiment(error: ProtocolError, reference: str) -> str:
    found = error.args[0].hex() if error.args else "another"
    return (
        f"the experiment with this id has the hash {found}, so its creator or its rules are not "
        f"the expected ones; read colearn experiment show {reference} before you join"
    )


def _not_creator(error: ProtocolError, _: str) -> str:
    return f"only the experiment's creator may do this, not {_value(error)}; check --key"


def _not_admitted(error: ProtocolError, reference: str) -> str:
    return (
        f"the creator has not admitted {_value(error)}; ask the creator to run colearn experiment "
        f"admit {reference} {_value(error)}"
    )


def _full(error: ProtocolError, _: str) -> str:
    return f"all {_value(error)} places are taken; wait until a learner leaves"


def _joined(error: ProtocolError, _: str) -> str:
    return f"{_value(error)} has already joined, and an account can join only once; run its agent"


def _no_learner(error: ProtocolError, _: str) -> str:
    return f"{_value(error)} is not a learner in this experiment, or has left it; check --key"


def _parameter(error: ProtocolError, _: str) -> str:
    if _value(error) == "admission":
        return "anyone may join this experiment, so no account has to be admitted"
    if _value(error) == "min_learners":
        return "too few learners have joined to start it; see colearn experiment show"
    return str(error)


def _round(error: ProtocolError, _: str) -> str:
    if _value(error) == NO_ROUND:
        return "no round has begun yet"
    return f"that round has not begun; the current round is {_value(error)}, counted from 0"


_EXPLANATIONS: dict[type[ProtocolError], Callable[[ProtocolError, str], str]] = {
    WrongStatus: _status,
    UnknownExperiment: _unknown,
    WrongExperiment: _wrong_experiment,
    NotCreator: _not_creator,
    NotAdmitted: _not_admitted,
    ExperimentFull: _full,
    AlreadyJoined: _joined,
    NotALearner: _no_learner,
    InvalidParameter: _parameter,
    WrongRound: _round,
}
