"""Values of the protocol as the Solidity contract encodes them, and back.

Arguments are checked before they are encoded. Data from a node is not trusted: the decoder returns
a value of the protocol or raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from eth_utils.address import is_hex_address, to_checksum_address

from colearn_ledger import protocol
from colearn_ledger.arguments import NUMBERS, fit_number
from colearn_ledger.chains.consistency import check_agenda, check_experiment, check_round
from colearn_ledger.chains.decoding import decode_received
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.chains.evm.abi import ContractAbi
from colearn_ledger.keys.signing import is_canonical
from colearn_ledger.protocol import (
    Account,
    Admission,
    Agenda,
    Ballot,
    BallotState,
    ContentRef,
    Duty,
    Experiment,
    ExperimentId,
    ExperimentParams,
    InvalidParameter,
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


def vote_to_wire(vote: Vote) -> tuple[int, bytes]:
    """Return a vote: the bitmap of approved slots, and the bits of all scores."""
    return vote.approvals, encode_scores(vote.scores)


def ballots_to_wire(ballots: Sequence[SignedBallot]) -> bytes:
    """Return a batch of signed ballots, one after another.

    Raises:
        InvalidParameter: their scores differ in number, so the batch has no such form; carries
            ``ballots``.
    """
    if len({len(ballot.vote.scores) for ballot in ballots}) > 1:
        raise InvalidParameter("ballots")
    return b"".join(map(_signed_ballot_to_wire, ballots))


def _signed_ballot_to_wire(ballot: SignedBallot) -> bytes:
    """Return learner (20), approvals (2), scores (16 each) and compact signature (64, EIP-2098).

    The compact form cannot express a malleable signature or an unusual v. Encoding one must not
    turn it into a valid signature, so it is encoded as zeros, and the contract skips it like any
    other invalid signature.
    """
    compact = bytes(64)
    if is_canonical(ballot.signature):
        r, s, v = ballot.signature[:32], ballot.signature[32:64], ballot.signature[64]
        compact = r + bytes([s[0] | (v - 27) << 7]) + s[1:]
    approvals, scores = vote_to_wire(ballot.vote)
    return address_bytes(ballot.learner) + approvals.to_bytes(2, "big") + scores + compact


_BITS = {
    "rounds": 32,
    "min_learners": 16,
    "max_learners": 16,
    "approval_bps": 16,
    "propose_window": 32,
    "vote_window": 32,
    "reveal_window": 32,
    "proposers": 8,
    "max_strikes": 16,
    "patience": 32,
}
"""Bits of each numeric parameter."""


def params_to_wire(params: ExperimentParams) -> Wire:
    """Return the parameters of an experiment.

    Raises:
        InvalidParameter: a number does not fit into the contract's type; carries its name. The
            contract checks all other bounds.
    """
    *numbers, proposers, max_strikes, patience = (
        fit_number(getattr(params, name), name, _BITS[name]) for name in NUMBERS
    )
    return (
        params.name,
        content_to_wire(params.spec),
        content_to_wire(params.initial),
        *numbers,
        int(params.selection),
        proposers,
        int(params.merge),
        int(params.admission),
        params.late_join,
        params.settle_early,
        max_strikes,
        patience,
    )


# ------------------------------------------------------------------------- decoding


@lru_cache(maxsize=1_024)
def content_from_wire(wire: Wire) -> ContentRef | None:
    """Return a content reference, ``None`` for an empty one."""
    codec, digest, sha256, size = wire
    if (codec, digest, sha256, size) == _EMPTY_CONTENT:
        return None
    return ContentRef.from_digest(codec, digest, sha256.hex(), size)


def params_from_wire(wire: Wire) -> ExperimentParams:
    """Return the parameters of an experiment."""
    name, spec, initial, *numbers = wire[:10]
    selection, proposers, merge, admission, late_join, settle_early, max_strikes, patience = wire[
        10:
    ]
    return ExperimentParams(
        name=name,
        spec=present_content(spec),
        initial=content_from_wire(initial),
        **dict(zip(NUMBERS, [*numbers, proposers, max_strikes, patience], strict=True)),
        selection=Selection(selection),
        merge=Merge(merge),
        admission=Admission(admission),
        late_join=late_join,
        settle_early=settle_early,
    )


def present_content(wire: Wire) -> ContentRef:
    """Return a content reference that must not be empty."""
    content = content_from_wire(wire)
    if content is None:
        raise BadAnswer("a content reference is missing")
    return content


@lru_cache(maxsize=64)  # agents ask for the same one again and again
def experiment_from_wire(wire: Wire) -> Experiment:
    """Return an experiment."""
    number, creator, params, digest, status, cancel_requested, *times = wire[:9]
    started, index, active, joined, current, current_round, seed = wire[9:]
    return check_experiment(
        Experiment(
            id=ExperimentId(number),
            creator=account_from_wire(creator),
            params=params_from_wire(params),
            hash=digest,
            status=Status(status),
            cancel_requested=cancel_requested,
            created_at=times[0],
            started_at=times[1] or None,
            ended_at=times[2] or None,
            round=index if started else None,
            active_learners=active,
            joined_learners=joined,
            current=tuple(map(present_content, current)),
            current_round=current_round - 1 if current_round else None,
            seed=seed,
        )
    )


def learner_from_wire(experiment: ExperimentId, wire: Wire) -> Learner:
    """Return a learner."""
    account, index, active, from_round, until_round, *missed, encryption_key = wire
    missed_proposals, missed_ballots = missed
    return Learner(
        experiment=experiment,
        account=account_from_wire(account),
        index=index,
        active=active,
        from_round=from_round,
        until_round=None if until_round == _NEVER else until_round,
        missed_proposals=missed_proposals,
        missed_ballots=missed_ballots,
        encryption_key=encryption_key,
    )


@lru_cache(maxsize=64)
def round_from_wire(experiment: ExperimentId, wire: Wire) -> Round:
    """Return a round."""
    index, phase, outcome, slots, eligible, needed, ballots, commitments, proposals = wire[:9]
    started_at, *times, by_deadline = wire[9:]
    voting_started_at, reveal_started_at, closed_at, deadline = (time or None for time in times)
    return check_round(
        Round(
            experiment=experiment,
            index=index,
            phase=Phase(phase),
            outcome=Outcome(outcome),
            slots=tuple(map(_slot_from_wire, slots)),
            eligible=eligible,
            needed=needed,
            ballots=ballots,
            commitments=commitments,
            proposals=proposals if any(proposals) else None,
            started_at=started_at,
            voting_started_at=voting_started_at,
            reveal_started_at=reveal_started_at,
            closed_at=closed_at,
            deadline=deadline,
            by_deadline=by_deadline,
        )
    )


def _slot_from_wire(wire: Wire) -> Slot:
    proposer, state, content, proposed_at, approvals, accepted = wire
    return Slot(
        proposer=account_from_wire(proposer),
        state=SlotState(state),
        content=content_from_wire(content),
        proposed_at=proposed_at or None,
        approvals=approvals,
        accepted=accepted,
    )


def ballot_from_wire(experiment: ExperimentId, round_index: int, wire: Wire) -> Ballot:
    """Return the recorded ballot of a learner in a round."""
    learner, eligible, state, approvals = wire
    account = account_from_wire(learner)
    return Ballot(experiment, round_index, account, eligible, BallotState(state), approvals)


def agenda_from_wire(wire: Wire) -> Agenda:
    """Return an agenda."""
    experiment, round_, learner, duty = wire
    found = experiment_from_wire(experiment)
    return check_agenda(
        Agenda(
            experiment=found,
            round=None if found.round is None else round_from_wire(found.id, round_),
            learner=learner_from_wire(found.id, learner) if int(learner[0], 16) else None,
            duty=Duty(duty),
        )
    )


@lru_cache(maxsize=4_096)
def account_from_wire(address: str) -> Account:
    """Return an address with its EIP-55 checksum."""
    return Account(to_checksum_address(address))


# ------------------------------------------------------------------------- errors

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
