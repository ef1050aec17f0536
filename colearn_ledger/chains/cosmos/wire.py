"""The domain's values as the contract writes them, and back (contracts/cosmwasm/MESSAGES.md).

What is on its way out is checked as `InvalidParameter`; what came in is hostile until it has
become a value of the domain, else `BadAnswer`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import Any

from colearn_ledger import protocol
from colearn_ledger.chains.arguments import (
    checked_choice,
    checked_flag,
    checked_number,
    checked_text,
    checked_word,
)
from colearn_ledger.chains.cosmos.answers import (
    account,
    flag,
    integer,
    maybe,
    named,
    octets,
    received,
    text,
    text_of_number,
    value_in,
)
from colearn_ledger.chains.cosmos.errors import Refused
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.keys.signing import PUBLIC_KEY_BYTES
from colearn_ledger.protocol import (
    Admission,
    Ballot,
    BallotState,
    ContentRef,
    Experiment,
    ExperimentId,
    ExperimentParams,
    InvalidParameter,
    Learner,
    Outcome,
    Phase,
    ProtocolError,
    Round,
    Scores,
    Selection,
    SignedBallot,
    Status,
    score_to_bits,
)
from colearn_ledger.text.bech32 import NotBech32, decoded

__all__ = [
    "Wire",
    "account_to_wire",
    "ballot_from_wire",
    "content_from_wire",
    "content_to_wire",
    "error_from_wire",
    "experiment_from_wire",
    "learner_from_wire",
    "params_from_wire",
    "params_to_wire",
    "round_from_wire",
    "scores_to_wire",
    "signed_ballot_to_wire",
    "word_to_wire",
]

Wire = Any
"""A value of JSON."""

_ACCOUNT_BYTES = (20, 32)


# ------------------------------------------------------------------------- going out


def account_to_wire(value: object, name: str = "account") -> str:
    """Return a bech32 address; whose chain's it is, the contract checks.

    Raises:
        InvalidParameter: ``name``, when it is no address, or mistyped by its checksum.
    """
    try:
        if isinstance(value, str) and len(decoded(value)[1]) in _ACCOUNT_BYTES:
            return value
    except NotBech32 as error:
        raise InvalidParameter(name) from error
    raise InvalidParameter(name)


def word_to_wire(value: object, name: str) -> str:
    """Return 32 bytes, or raise `InvalidParameter` of ``name``."""
    return _base64(checked_word(value, name))


def content_to_wire(content: ContentRef | None, name: str = "content") -> Wire:
    """Return a content reference, null for none."""
    if content is None:
        return None
    if not isinstance(content, ContentRef):
        raise InvalidParameter(name)
    return {
        "codec": content.codec,
        "digest": _base64(content.digest),
        "sha256": _base64(bytes.fromhex(content.sha256)),
        "size": str(content.size),
    }


def scores_to_wire(scores: Scores) -> dict[str, str]:
    """Return the bits of both scores, by name."""
    return {
        "vote_score": str(score_to_bits(scores.vote_score)),
        "test_score": str(score_to_bits(scores.test_score)),
    }


def signed_ballot_to_wire(ballot: SignedBallot) -> Wire:
    """Return a signed ballot; a signature of another length is the contract's to skip."""
    signature = ballot.signature
    return {
        "learner": account_to_wire(ballot.learner, "ballots"),
        "approve": checked_flag(ballot.vote.approve, "ballots"),
        **scores_to_wire(ballot.vote.scores),
        "public_key": _base64(signature[:PUBLIC_KEY_BYTES]),
        "signature": _base64(signature[PUBLIC_KEY_BYTES:]),
    }


_NUMBERS = (
    *("rounds", "min_learners", "max_learners", "approval_bps"),
    *("propose_window", "vote_window", "reveal_window", "max_strikes"),
)
"""The parameters that are numbers, of 32 bits each."""


def params_to_wire(params: ExperimentParams) -> Wire:
    """Return the parameters of an experiment.

    Raises:
        InvalidParameter: names one that the contract has no room for. All other bounds are the
            contract's to check.
    """
    if not isinstance(params.spec, ContentRef):
        raise InvalidParameter("spec")
    return {
        "name": checked_text(params.name, "name"),
        "spec": content_to_wire(params.spec, "spec"),
        "initial": content_to_wire(params.initial, "initial"),
        **{name: checked_number(getattr(params, name), name, 32) for name in _NUMBERS},
        "selection": checked_choice(Selection, params.selection, "selection").name.lower(),
        "admission": checked_choice(Admission, params.admission, "admission").name.lower(),
        "late_join": checked_flag(params.late_join, "late_join"),
        "settle_early": checked_flag(params.settle_early, "settle_early"),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# ------------------------------------------------------------------------- coming in


def content_from_wire(wire: Wire) -> ContentRef | None:
    """Return a content reference, ``None`` for null."""
    if wire is None:
        return None
    codec, digest = integer(value_in(wire, "codec"), 64), octets(value_in(wire, "digest"))
    sha256, size = octets(value_in(wire, "sha256")), text_of_number(value_in(wire, "size"))
    return ContentRef.from_digest(codec, digest, sha256.hex(), size)


def params_from_wire(wire: Wire) -> ExperimentParams:
    """Return the parameters of an experiment."""
    spec = content_from_wire(value_in(wire, "spec"))
    if spec is None:
        raise BadAnswer("a content reference is missing")
    return ExperimentParams(
        name=text(value_in(wire, "name")),
        spec=spec,
        initial=content_from_wire(value_in(wire, "initial")),
        **{name: integer(value_in(wire, name), 32) for name in _NUMBERS},
        selection=named(Selection, value_in(wire, "selection")),
        admission=named(Admission, value_in(wire, "admission")),
        late_join=flag(value_in(wire, "late_join")),
        settle_early=flag(value_in(wire, "settle_early")),
    )


def _time(wire: Wire) -> int:
    return integer(wire, 63)


def _index(wire: Wire) -> int:
    return integer(wire, 32)


def experiment_from_wire(asked: ExperimentId | None, wire: Wire) -> Experiment:
    """Return an experiment; ``asked`` is the one that was asked for, if one was."""
    number = ExperimentId(text_of_number(value_in(wire, "id")))
    _check_same(asked, number)
    return Experiment(
        id=number,
        creator=account(value_in(wire, "creator")),
        params=params_from_wire(value_in(wire, "params")),
        status=named(Status, value_in(wire, "status")),
        created_at=_time(value_in(wire, "created_at")),
        started_at=maybe(_time, value_in(wire, "started_at")),
        ended_at=maybe(_time, value_in(wire, "ended_at")),
        round=maybe(_index, value_in(wire, "round")),
        active_learners=_index(value_in(wire, "active_learners")),
        joined_learners=_index(value_in(wire, "joined_learners")),
        current=content_from_wire(value_in(wire, "current")),
        current_round=maybe(_index, value_in(wire, "current_round")),
        seed=octets(value_in(wire, "seed")),
    )


def learner_from_wire(experiment: ExperimentId, wire: Wire) -> Learner:
    """Return a learner."""
    _check_same(experiment, text_of_number(value_in(wire, "experiment")))
    return Learner(
        experiment=experiment,
        account=account(value_in(wire, "account")),
        index=_index(value_in(wire, "index")),
        active=flag(value_in(wire, "active")),
        from_round=_index(value_in(wire, "from_round")),
        until_round=maybe(_index, value_in(wire, "until_round")),
        strikes=_index(value_in(wire, "strikes")),
        encryption_key=octets(value_in(wire, "encryption_key")),
    )


def round_from_wire(experiment: ExperimentId, wire: Wire) -> Round:
    """Return a round."""
    _check_same(experiment, text_of_number(value_in(wire, "experiment")))
    field = partial(value_in, wire)
    return Round(
        experiment=experiment,
        index=_index(field("index")),
        phase=named(Phase, field("phase")),
        outcome=named(Outcome, field("outcome")),
        proposer=account(field("proposer")),
        eligible=_index(field("eligible")),
        needed=_index(field("needed")),
        approvals=_index(field("approvals")),
        rejections=_index(field("rejections")),
        commitments=_index(field("commitments")),
        content=content_from_wire(field("content")),
        started_at=_time(field("started_at")),
        proposed_at=maybe(_time, field("proposed_at")),
        reveal_started_at=maybe(_time, field("reveal_started_at")),
        closed_at=maybe(_time, field("closed_at")),
        deadline=maybe(_time, field("deadline")),
        by_deadline=flag(field("by_deadline")),
    )


def ballot_from_wire(experiment: ExperimentId, round_index: int, wire: Wire) -> Ballot:
    """Return what is recorded of a learner in a round."""
    _check_same(experiment, text_of_number(value_in(wire, "experiment")))
    _check_same(round_index, _index(value_in(wire, "round")))
    return Ballot(
        experiment,
        round_index,
        account(value_in(wire, "learner")),
        flag(value_in(wire, "eligible")),
        named(BallotState, value_in(wire, "state")),
    )


def _check_same(asked: int | None, answered: int) -> None:
    if asked not in (None, answered):
        raise BadAnswer(f"the node answered for {answered} what was asked for {asked}")


# ------------------------------------------------------------------------- errors

_ERROR_VALUES: dict[str, tuple[Callable[[Wire], object], ...]] = {
    "UnknownExperiment": (lambda v: integer(v, 64),),
    "InvalidParameter": (text,),
    "ExperimentFull": (_index,),
    "WrongStatus": (partial(named, Status),),
    "WrongPhase": (partial(named, Phase),),
    "WrongRound": (_index,),
    "Unchanged": (),
    "NotRemovable": (_index,),
    "DeadlinePassed": (_time,),
    "DeadlineNotPassed": (_time,),
    **dict.fromkeys(
        (
            *("NotCreator", "NotAdmitted", "AlreadyJoined", "NotALearner"),
            *("NotProposer", "NotEligible", "AlreadyVoted", "BadReveal"),
        ),
        (account,),
    ),
}


def error_from_wire(refusal: Refused) -> ProtocolError:
    """Return the protocol's error that a call was refused with.

    Raises:
        BadAnswer: it is none of them, or its values are not.
    """
    reads = _ERROR_VALUES.get(refusal.name)
    if reads is None:
        raise BadAnswer(f"the contract knows no error {refusal.name}")
    error: ProtocolError = received(
        f"the error {refusal.name}",
        lambda: getattr(protocol, refusal.name)(
            *(read(value) for read, value in zip(reads, refusal.values, strict=True))
        ),
    )
    return error
