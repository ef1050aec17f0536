"""Values of the protocol as the Solidity contract encodes them, and back.

Arguments are checked before they are encoded. Data from a node is not trusted: the decoder returns
a value of the protocol or raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eth_utils.address import is_hex_address, to_checksum_address

from colearn_ledger import protocol
from colearn_ledger.arguments import NUMBERS, fit_number
from colearn_ledger.chains.decoding import decode_received
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
    Learner,
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
from colearn_ledger.text.address import address_bytes

_NEVER = 2**32 - 1
"""``untilRound`` of a learner that has not left."""

_EMPTY_CONTENT = (0, bytes(32), bytes(32), 0)

Wire = Any
"""A value in the form that `ContractAbi` accepts and returns: integers, bytes, strings, tuples."""


# ------------------------------------------------------------------------- encoding


def content_to_wire(content: ContentRef | None) -> Wire:
    """Return a content reference; all fields are zero for ``None``."""
    if content is None:
        return _EMPTY_CONTENT
    return (content.codec, content.digest, bytes.fromhex(content.sha256), content.size)


def scores_to_wire(scores: Scores) -> tuple[int, int]:
    """Return the bits of both scores."""
    return score_to_bits(scores.vote_score), score_to_bits(scores.test_score)


def vote_to_wire(vote: Vote) -> tuple[bool, int, int]:
    """Return a vote: whether it approves, and the bits of both scores."""
    return (vote.approve, *scores_to_wire(vote.scores))


def signed_ballot_to_wire(ballot: SignedBallot) -> bytes:
    """Return the 101 bytes of a signed ballot in a batch, with a compact signature (EIP-2098).

    The compact form cannot express a malleable signature or an unusual v. Encoding one must not
    turn it into a valid signature, so it is encoded as zeros, and the contract skips it like any
    other invalid signature.
    """
    compact = bytes(64)
    if is_canonical(ballot.signature):
        r, s, v = ballot.signature[:32], ballot.signature[32:64], ballot.signature[64]
        compact = r + bytes([s[0] | (v - 27) << 7]) + s[1:]
    scores = b"".join(bits.to_bytes(8) for bits in scores_to_wire(ballot.vote.scores))
    return address_bytes(ballot.learner) + ballot.vote.approve.to_bytes() + scores + compact


_BITS = {
    "rounds": 32,
    "min_learners": 16,
    "max_learners": 16,
    "approval_bps": 16,
    "propose_window": 32,
    "vote_window": 32,
    "reveal_window": 32,
    "max_strikes": 16,
}
"""Bits of each numeric parameter."""


def params_to_wire(params: ExperimentParams) -> Wire:
    """Return the parameters of an experiment.

    Raises:
        InvalidParameter: a number does not fit into the contract's type; carries its name. The
            contract checks all other bounds.
    """
    *numbers, max_strikes = (
        fit_number(getattr(params, name), name, _BITS[name]) for name in NUMBERS
    )
    return (
        params.name,
        content_to_wire(params.spec),
        content_to_wire(params.initial),
        *numbers,
        int(params.selection),
        int(params.admission),
        params.late_join,
        params.settle_early,
        max_strikes,
    )


# ------------------------------------------------------------------------- decoding


def content_from_wire(wire: Wire) -> ContentRef | None:
    """Return a content reference, ``None`` for an empty one."""
    codec, digest, sha256, size = wire
    if (codec, digest, sha256, size) == _EMPTY_CONTENT:
        return None
    return ContentRef.from_digest(codec, digest, sha256.hex(), size)


def _params_from_wire(wire: Wire) -> ExperimentParams:
    name, spec, initial, *numbers, selection, admission, late_join, settle_early, max_strikes = wire
    return ExperimentParams(
        name=name,
        spec=_present_content(spec),
        initial=content_from_wire(initial),
        **dict(zip(NUMBERS, [*numbers, max_strikes], strict=True)),
        selection=Selection(selection),
        admission=Admission(admission),
        late_join=late_join,
        settle_early=settle_early,
    )


def _present_content(wire: Wire) -> ContentRef:
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
        until_round=None if until_round == _NEVER else until_round,
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
    """Return the recorded ballot of a learner in a round."""
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
    """Return the protocol's error for a revert, ``None`` if the protocol has no such error.

    Raises:
        BadAnswer: the error has the protocol's selector but malformed values.
    """
    decoded = abi.decode_error(data)
    if decoded is None:
        return None
    name, values = decoded
    decode = _ERROR_VALUES.get(name, _checksum_if_address)
    error: ProtocolError = decode_received(
        f"the error {name}", lambda: getattr(protocol, name)(*(decode(value) for value in values))
    )
    return error


def _checksum_if_address(value: Wire) -> object:
    return to_checksum_address(value) if is_hex_address(value) else value


def event_from_log(abi: ContractAbi, log: Log) -> Event | None:
    """Return the event of a log, ``None`` for an event that the contract does not have.

    Raises:
        BadAnswer: the log has the topic of an event but malformed fields.
    """
    decoded = abi.decode_log(log)
    if decoded is None:
        return None
    name, fields = decoded
    kind: type[Event] = getattr(protocol, name)
    decode = _EVENT_FIELDS.get(name, _plain_fields)
    return decode_received(f"the event {name}", lambda: kind(**decode(fields)))


def _plain_fields(fields: Mapping[str, Wire]) -> dict[str, Any]:
    return {
        name: _account(value) if name in ("learner", "proposer", "creator") else value
        for name, value in fields.items()
    }


def _round_fields(fields: Mapping[str, Wire], *names: str) -> dict[str, Any]:
    """Return the fields that have the same form in Python and Solidity."""
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
        **_round_fields(f, "proposer", "deadline"),
        "content": _present_content(f["content"]),
        "scores": _scores(f),
    },
    "VoteCast": lambda f: {
        **_round_fields(f, "learner"),
        "vote": Vote(f["approve"], _scores(f)),
    },
    "BallotSkipped": lambda f: {
        **_round_fields(f, "learner"),
        "reason": SkipReason(f["reason"]),
    },
    "RoundClosed": lambda f: {
        **_round_fields(f, "approvals", "rejections", "eligible"),
        "outcome": Outcome(f["outcome"]),
    },
}
