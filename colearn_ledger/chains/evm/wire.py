"""The domain's values as the contract writes them, and back.

What is on its way out is checked as `InvalidParameter`; what came in is hostile until it has
become a value of the domain, else `BadAnswer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from eth_utils.address import (
    is_checksum_address,
    is_hex_address,
    to_canonical_address,
    to_checksum_address,
)

from colearn_ledger import protocol
from colearn_ledger.chains.arguments import (
    checked_choice,
    checked_flag,
    checked_number,
    checked_text,
)
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.chains.evm.abi import ContractAbi, Log
from colearn_ledger.keys.signing import is_canonical
from colearn_ledger.protocol import (
    Account,
    Admission,
    Ballot,
    BallotState,
    ContentRef,
    Event,
    Experiment,
    ExperimentId,
    ExperimentParams,
    InvalidParameter,
    Learner,
    LedgerError,
    Outcome,
    Phase,
    ProtocolError,
    Round,
    Scores,
    Selection,
    SignedBallot,
    SkipReason,
    Status,
    Vote,
    bits_to_score,
    score_to_bits,
)

__all__ = [
    "account_to_wire",
    "ballot_from_wire",
    "content_from_wire",
    "content_to_wire",
    "error_from_wire",
    "event_from_log",
    "experiment_from_wire",
    "learner_from_wire",
    "params_to_wire",
    "received",
    "round_from_wire",
    "scores_to_wire",
    "signed_ballot_to_wire",
]

_FOREVER = 2**32 - 1
"""``untilRound`` of a learner that has not left."""

_EMPTY_CONTENT = (0, bytes(32), bytes(32), 0)

T = TypeVar("T")

Wire = Any
"""A value as `ContractAbi` takes and gives it: integers, bytes, strings, tuples."""


# ------------------------------------------------------------------------- going out


def account_to_wire(account: object, name: str = "account") -> str:
    """Return a 20-byte address in its EIP-55 form.

    Raises:
        InvalidParameter: ``name``, when it is no address, or mistyped by its checksum.
    """
    if not isinstance(account, str) or not is_hex_address(account) or account[:2] != "0x":
        raise InvalidParameter(name)
    digits = account[2:]
    if digits not in (digits.lower(), digits.upper()) and not is_checksum_address(account):
        raise InvalidParameter(name)
    return to_checksum_address(account)


def content_to_wire(content: ContentRef | None) -> Wire:
    """Return a content reference, all fields zero for none."""
    if content is None:
        return _EMPTY_CONTENT
    if not isinstance(content, ContentRef):
        raise InvalidParameter("content")
    return (content.codec, content.digest, bytes.fromhex(content.sha256), content.size)


def scores_to_wire(scores: Scores) -> tuple[int, int]:
    """Return the bits of both scores."""
    return score_to_bits(scores.vote_score), score_to_bits(scores.test_score)


def signed_ballot_to_wire(ballot: SignedBallot) -> bytes:
    """Return the 101 bytes of a signed ballot in a batch, its signature in compact form (EIP-2098).

    That form has no room for a malleable signature or an odd v, which must not become good ones
    on the way: they are sent as zeros, and the contract skips them as any other bad signature.
    """
    compact = bytes(64)
    if is_canonical(ballot.signature):
        r, s, v = ballot.signature[:32], ballot.signature[32:64], ballot.signature[64]
        compact = r + bytes([s[0] | (v - 27) << 7]) + s[1:]
    learner = to_canonical_address(account_to_wire(ballot.learner, "ballots"))
    approve = checked_flag(ballot.vote.approve, "ballots").to_bytes()
    scores = b"".join(bits.to_bytes(8) for bits in scores_to_wire(ballot.vote.scores))
    return learner + approve + scores + compact


_BOUNDS = {
    "rounds": 32,
    "min_learners": 16,
    "max_learners": 16,
    "approval_bps": 16,
    "propose_window": 32,
    "vote_window": 32,
    "reveal_window": 32,
    "max_strikes": 16,
}
"""Bits of each number among the parameters."""


def params_to_wire(params: ExperimentParams) -> Wire:
    """Return the parameters of an experiment.

    Raises:
        InvalidParameter: names one that the contract has no room for. All other bounds are the
            contract's to check.
    """
    numbers = {
        name: checked_number(getattr(params, name), name, bits) for name, bits in _BOUNDS.items()
    }
    return (
        checked_text(params.name, "name"),
        content_to_wire(params.spec),
        content_to_wire(params.initial),
        *(numbers[name] for name in list(_BOUNDS)[:-1]),
        int(checked_choice(Selection, params.selection, "selection")),
        int(checked_choice(Admission, params.admission, "admission")),
        checked_flag(params.late_join, "late_join"),
        checked_flag(params.settle_early, "settle_early"),
        numbers["max_strikes"],
    )


# ------------------------------------------------------------------------- coming in


def received(what: str, read: Callable[[], T]) -> T:
    """Return what ``read`` makes of a node's answer; whatever fails there is a `BadAnswer`."""
    try:
        return read()
    except BadAnswer:
        raise
    except (LedgerError, ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise BadAnswer(f"{what} is not one that the contract gives: {error!r}") from error


def content_from_wire(wire: Wire) -> ContentRef | None:
    """Return a content reference, ``None`` for an empty one."""
    codec, digest, sha256, size = wire
    if (codec, digest, sha256, size) == _EMPTY_CONTENT:
        return None
    return ContentRef.from_digest(codec, digest, sha256.hex(), size)


def _params_from_wire(wire: Wire) -> ExperimentParams:
    name, spec, initial, *numbers = wire
    selection, admission, late_join, settle_early, max_strikes = numbers[7:]
    return ExperimentParams(
        name=name,
        spec=_some_content(spec),
        initial=content_from_wire(initial),
        **dict(zip(list(_BOUNDS)[:-1], numbers[:7], strict=True)),
        selection=Selection(selection),
        admission=Admission(admission),
        late_join=late_join,
        settle_early=settle_early,
        max_strikes=max_strikes,
    )


def _some_content(wire: Wire) -> ContentRef:
    content = content_from_wire(wire)
    if content is None:
        raise BadAnswer("a content reference is missing")
    return content


def experiment_from_wire(wire: Wire) -> Experiment:
    """Return an experiment."""
    started, index = wire[7], wire[8]
    return Experiment(
        id=ExperimentId(wire[0]),
        creator=_account(wire[1]),
        params=_params_from_wire(wire[2]),
        status=Status(wire[3]),
        created_at=wire[4],
        started_at=wire[5] or None,
        ended_at=wire[6] or None,
        round=index if started else None,
        active_learners=wire[9],
        joined_learners=wire[10],
        current=content_from_wire(wire[11]),
        current_round=wire[12] - 1 if wire[12] else None,
        seed=wire[13],
    )


def learner_from_wire(experiment: ExperimentId, wire: Wire) -> Learner:
    """Return a learner."""
    account, index, active, from_round, until_round, strikes, encryption_key = wire
    return Learner(
        experiment=experiment,
        account=_account(account),
        index=index,
        active=active,
        from_round=from_round,
        until_round=None if until_round == _FOREVER else until_round,
        strikes=strikes,
        encryption_key=encryption_key,
    )


def round_from_wire(experiment: ExperimentId, wire: Wire) -> Round:
    """Return a round."""
    index, phase, outcome, proposer, eligible, needed, approvals, rejections, commitments = wire[:9]
    content, started_at, proposed_at, reveal_started_at, closed_at, deadline, by_deadline = wire[9:]
    return Round(
        experiment=experiment,
        index=index,
        phase=Phase(phase),
        outcome=Outcome(outcome),
        proposer=_account(proposer),
        eligible=eligible,
        needed=needed,
        approvals=approvals,
        rejections=rejections,
        commitments=commitments,
        content=content_from_wire(content),
        started_at=started_at,
        proposed_at=proposed_at or None,
        reveal_started_at=reveal_started_at or None,
        closed_at=closed_at or None,
        deadline=deadline or None,
        by_deadline=by_deadline,
    )


def ballot_from_wire(experiment: ExperimentId, round_index: int, wire: Wire) -> Ballot:
    """Return what is recorded of a learner in a round."""
    learner, eligible, state = wire
    return Ballot(experiment, round_index, _account(learner), eligible, BallotState(state))


def _account(address: str) -> Account:
    return Account(to_checksum_address(address))


def _scores(fields: Mapping[str, Wire]) -> Scores:
    return Scores(bits_to_score(fields["voteScore"]), bits_to_score(fields["testScore"]))


# ------------------------------------------------------------------------- errors, events

_ERROR_VALUES: dict[str, Callable[[Wire], object]] = {
    "WrongStatus": Status,
    "WrongPhase": Phase,
}


def error_from_wire(abi: ContractAbi, data: bytes) -> ProtocolError | None:
    """Return the protocol's error that a call was reverted with, ``None`` if it is none.

    Raises:
        BadAnswer: it begins like one and goes on otherwise.
    """
    decoded = abi.decode_error(data)
    if decoded is None:
        return None
    name, values = decoded
    turn = _ERROR_VALUES.get(name, _checksummed)
    error: ProtocolError = received(
        f"the error {name}", lambda: getattr(protocol, name)(*(turn(value) for value in values))
    )
    return error


def _checksummed(value: Wire) -> object:
    return to_checksum_address(value) if is_hex_address(value) else value


def event_from_log(abi: ContractAbi, log: Log) -> Event | None:
    """Return the event of a log, ``None`` when it is none of the contract's.

    Raises:
        BadAnswer: it begins like one and goes on otherwise.
    """
    decoded = abi.decode_log(log)
    if decoded is None:
        return None
    name, fields = decoded
    kind: type[Event] = getattr(protocol, name)
    read = _EVENT_FIELDS.get(name, _plain_fields)
    return received(f"the event {name}", lambda: kind(**read(fields)))


def _plain_fields(fields: Mapping[str, Wire]) -> dict[str, Any]:
    return {
        name: _account(value) if name in ("learner", "proposer", "creator") else value
        for name, value in fields.items()
    }


def _of_round(fields: Mapping[str, Wire], *names: str) -> dict[str, Any]:
    """Return the fields that an event shares with its Solidity twin."""
    return _plain_fields({name: fields[name] for name in ("experiment", "round", *names)})


_EVENT_FIELDS: dict[str, Callable[[Mapping[str, Wire]], dict[str, Any]]] = {
    "ExperimentCreated": lambda f: {
        **_plain_fields({name: f[name] for name in ("experiment", "creator")}),
        "params": _params_from_wire(f["params"]),
    },
    "LearnerJoined": lambda f: {
        **_plain_fields({name: f[name] for name in ("experiment", "learner", "index")}),
        "encryption_key": f["encryptionKey"],
    },
    "WeightsProposed": lambda f: {
        **_of_round(f, "proposer", "deadline"),
        "content": _some_content(f["content"]),
        "scores": _scores(f),
    },
    "VoteCast": lambda f: {
        **_of_round(f, "learner"),
        "vote": Vote(f["approve"], _scores(f)),
    },
    "BallotSkipped": lambda f: {
        **_of_round(f, "learner"),
        "reason": SkipReason(f["reason"]),
    },
    "RoundClosed": lambda f: {
        **_of_round(f, "approvals", "rejections", "eligible"),
        "outcome": Outcome(f["outcome"]),
    },
}
