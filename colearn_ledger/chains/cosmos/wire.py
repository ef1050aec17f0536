"""Values of the protocol as the CosmWasm contract encodes them, and back.

``contracts/cosmwasm/MESSAGES.md`` describes the encoding. Arguments are checked before they are
encoded. Data from a node is not trusted: the decoder returns a value of the protocol or raises.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import Any

from colearn_ledger import protocol
from colearn_ledger.arguments import NUMBERS, fit_number
from colearn_ledger.chains.consistency import check_agenda, check_experiment, check_round
from colearn_ledger.chains.cosmos.answers import (
    check_account,
    check_flag,
    check_integer,
    check_rows,
    check_text,
    decode_optional,
    enum_member,
    field_of,
    parse_base64,
    parse_hex,
    parse_number,
)
from colearn_ledger.chains.cosmos.errors import Refused
from colearn_ledger.chains.decoding import decode_received
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.keys.signing import PUBLIC_KEY_BYTES
from colearn_ledger.protocol import (
    MAX_PROPOSERS,
    Admission,
    Agenda,
    Ballot,
    BallotState,
    ContentRef,
    Duty,
    Experiment,
    ExperimentId,
    ExperimentParams,
    Learner,
    Merge,
    Outcome,
    Phase,
    ProtocolError,
    Round,
    Scores,
    Selection,
    SignedBallot,
    Slot,
    SlotState,
    Status,
    Vote,
    encode_scores,
    score_to_bits,
)

Wire = Any
"""A JSON value."""


# ------------------------------------------------------------------------- encoding


def bytes_to_wire(value: bytes) -> str:
    """Return bytes in base64."""
    return base64.b64encode(value).decode()


def content_to_wire(content: ContentRef | None) -> Wire:
    """Return a content reference, null for ``None``."""
    if content is None:
        return None
    return {
        "codec": content.codec,
        "digest": bytes_to_wire(content.digest),
        "sha256": bytes_to_wire(bytes.fromhex(content.sha256)),
        "size": str(content.size),
    }


def scores_to_wire(scores: Scores) -> dict[str, str]:
    """Return the bits of both scores, by field name."""
    return {
        "vote_score": str(score_to_bits(scores.vote_score)),
        "test_score": str(score_to_bits(scores.test_score)),
    }


def vote_to_wire(vote: Vote) -> Wire:
    """Return a vote: the bitmap of approved slots, and the bits of all scores, by field name."""
    return {"approvals": vote.approvals, "scores": bytes_to_wire(encode_scores(vote.scores))}


def signed_ballot_to_wire(ballot: SignedBallot) -> Wire:
    """Return a signed ballot; the contract skips a signature of the wrong length."""
    signature = ballot.signature
    return {
        "learner": ballot.learner,
        **vote_to_wire(ballot.vote),
        "public_key": bytes_to_wire(signature[:PUBLIC_KEY_BYTES]),
        "signature": bytes_to_wire(signature[PUBLIC_KEY_BYTES:]),
    }


def params_to_wire(params: ExperimentParams) -> Wire:
    """Return the parameters of an experiment.

    Raises:
        InvalidParameter: a number does not fit into the contract's type; carries its name. The
            contract checks all other bounds.
    """
    return {
        "name": params.name,
        "spec": content_to_wire(params.spec),
        "initial": content_to_wire(params.initial),
        **{name: fit_number(getattr(params, name), name, 32) for name in NUMBERS},
        "selection": params.selection.name.lower(),
        "merge": params.merge.name.lower(),
        "admission": params.admission.name.lower(),
        "late_join": params.late_join,
        "settle_early": params.settle_early,
    }


# ------------------------------------------------------------------------- decoding


def content_from_wire(wire: Wire) -> ContentRef | None:
    """Return a content reference, ``None`` for null."""
    if wire is None:
        return None
    codec, digest = (
        check_integer(field_of(wire, "codec"), 64),
        parse_base64(field_of(wire, "digest")),
    )
    sha256, size = parse_base64(field_of(wire, "sha256")), parse_number(field_of(wire, "size"))
    return ContentRef.from_digest(codec, digest, sha256.hex(), size)


def present_content(wire: Wire) -> ContentRef:
    """Return a content reference that must not be null."""
    content = content_from_wire(wire)
    if content is None:
        raise BadAnswer("a content reference is missing")
    return content


def params_from_wire(wire: Wire) -> ExperimentParams:
    """Return the parameters of an experiment."""
    return ExperimentParams(
        name=check_text(field_of(wire, "name")),
        spec=present_content(field_of(wire, "spec")),
        initial=content_from_wire(field_of(wire, "initial")),
        **{name: check_integer(field_of(wire, name), 32) for name in NUMBERS},
        selection=enum_member(Selection, field_of(wire, "selection")),
        merge=enum_member(Merge, field_of(wire, "merge")),
        admission=enum_member(Admission, field_of(wire, "admission")),
        late_join=check_flag(field_of(wire, "late_join")),
        settle_early=check_flag(field_of(wire, "settle_early")),
    )


def _time(wire: Wire) -> int:
    return check_integer(wire, 63)


def _index(wire: Wire) -> int:
    return check_integer(wire, 32)


def experiment_from_wire(wire: Wire) -> Experiment:
    """Return an experiment."""
    field = partial(field_of, wire)
    return check_experiment(
        Experiment(
            id=ExperimentId(parse_number(field("id"))),
            creator=check_account(field("creator")),
            params=params_from_wire(field("params")),
            hash=parse_base64(field("hash")),
            status=enum_member(Status, field("status")),
            cancel_requested=check_flag(field("cancel_requested")),
            created_at=_time(field("created_at")),
            started_at=decode_optional(_time, field("started_at")),
            ended_at=decode_optional(_time, field("ended_at")),
            round=decode_optional(_index, field("round")),
            active_learners=_index(field("active_learners")),
            joined_learners=_index(field("joined_learners")),
            current=tuple(map(present_content, check_rows(field("current"), MAX_PROPOSERS))),
            current_round=decode_optional(_index, field("current_round")),
            seed=parse_base64(field("seed")),
        )
    )


def learner_from_wire(experiment: ExperimentId, wire: Wire) -> Learner:
    """Return a learner."""
    check_same(experiment, parse_number(field_of(wire, "experiment")))
    return Learner(
        experiment=experiment,
        account=check_account(field_of(wire, "account")),
        index=_index(field_of(wire, "index")),
        active=check_flag(field_of(wire, "active")),
        from_round=_index(field_of(wire, "from_round")),
        until_round=decode_optional(_index, field_of(wire, "until_round")),
        missed_proposals=_index(field_of(wire, "missed_proposals")),
        missed_ballots=_index(field_of(wire, "missed_ballots")),
        encryption_key=parse_base64(field_of(wire, "encryption_key")),
    )


def round_from_wire(experiment: ExperimentId, wire: Wire) -> Round:
    """Return a round."""
    check_same(experiment, parse_number(field_of(wire, "experiment")))
    field = partial(field_of, wire)
    return check_round(
        Round(
            experiment=experiment,
            index=_index(field("index")),
            phase=enum_member(Phase, field("phase")),
            outcome=enum_member(Outcome, field("outcome")),
            slots=tuple(
                _slot_from_wire(slot) for slot in check_rows(field("slots"), MAX_PROPOSERS)
            ),
            eligible=_index(field("eligible")),
            needed=_index(field("needed")),
            ballots=_index(field("ballots")),
            commitments=_index(field("commitments")),
            proposals=decode_optional(parse_base64, field("proposals")),
            started_at=_time(field("started_at")),
            voting_started_at=decode_optional(_time, field("voting_started_at")),
            reveal_started_at=decode_optional(_time, field("reveal_started_at")),
            closed_at=decode_optional(_time, field("closed_at")),
            deadline=decode_optional(_time, field("deadline")),
            by_deadline=check_flag(field("by_deadline")),
        )
    )


def _slot_from_wire(wire: Wire) -> Slot:
    return Slot(
        proposer=check_account(field_of(wire, "proposer")),
        state=enum_member(SlotState, field_of(wire, "state")),
        content=content_from_wire(field_of(wire, "content")),
        proposed_at=decode_optional(_time, field_of(wire, "proposed_at")),
        approvals=_index(field_of(wire, "approvals")),
        accepted=check_flag(field_of(wire, "accepted")),
    )


def ballot_from_wire(experiment: ExperimentId, round_index: int, wire: Wire) -> Ballot:
    """Return the recorded ballot of a learner in a round."""
    check_same(experiment, parse_number(field_of(wire, "experiment")))
    check_same(round_index, _index(field_of(wire, "round")))
    return Ballot(
        experiment,
        round_index,
        check_account(field_of(wire, "learner")),
        check_flag(field_of(wire, "eligible")),
        enum_member(BallotState, field_of(wire, "state")),
        check_integer(field_of(wire, "approvals"), MAX_PROPOSERS),
    )


def agenda_from_wire(wire: Wire) -> Agenda:
    """Return an agenda."""
    experiment = experiment_from_wire(field_of(wire, "experiment"))
    return check_agenda(
        Agenda(
            experiment=experiment,
            round=decode_optional(partial(round_from_wire, experiment.id), field_of(wire, "round")),
            learner=decode_optional(
                partial(learner_from_wire, experiment.id), field_of(wire, "learner")
            ),
            duty=duty_from_wire(wire),
        )
    )


def duty_from_wire(wire: Wire) -> Duty:
    """Return the duty in an answer."""
    return enum_member(Duty, field_of(wire, "duty"))


def check_same(asked: int, answered: int) -> None:
    """Refuse an answer about another experiment or round than the requested one."""
    if asked != answered:
        raise BadAnswer(f"the node returned an answer for {answered} to a question about {asked}")


# ------------------------------------------------------------------------- errors

_ERROR_VALUES: dict[str, tuple[Callable[[Wire], object], ...]] = {
    "UnknownExperiment": (lambda v: check_integer(v, 64),),
    "InvalidParameter": (check_text,),
    "ExperimentFull": (_index,),
    "WrongExperiment": (parse_hex,),
    "WrongProposals": (parse_hex,),
    "WrongStatus": (partial(enum_member, Status),),
    "WrongPhase": (partial(enum_member, Phase),),
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
        (check_account,),
    ),
}


def error_from_wire(refusal: Refused) -> ProtocolError:
    """Return the protocol's error for a refusal.

    Raises:
        BadAnswer: the protocol has no such error, or its values are malformed.
    """
    decoders = _ERROR_VALUES.get(refusal.name)
    if decoders is None:
        raise BadAnswer(f"the protocol has no error {refusal.name}")
    error: ProtocolError = decode_received(
        f"the error {refusal.name}",
        lambda: getattr(protocol, refusal.name)(
            *(decode(value) for decode, value in zip(decoders, refusal.values, strict=True))
        ),
    )
    return error
