"""Read the transactions that emitted events: their senders, their calls and the chain's entropy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from colearn_ledger import calls
from colearn_ledger.arguments import Kind
from colearn_ledger.calls import Call
from colearn_ledger.chains.consistency import decode_vote
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.chains.evm.abi import ContractAbi
from colearn_ledger.chains.evm.encoder import function_name
from colearn_ledger.chains.evm.node import Node
from colearn_ledger.chains.evm.wire import (
    Wire,
    account_from_wire,
    params_from_wire,
    present_content,
)
from colearn_ledger.ledger import Origin, RecordedEvent
from colearn_ledger.protocol import (
    MAX_PROPOSERS,
    Account,
    BallotSkipped,
    InvalidParameter,
    Scores,
    SignedBallot,
    Vote,
    VoteCast,
    bits_to_score,
    decode_scores,
)

_CALLS = {function_name(c): c for c in vars(calls).values() if isinstance(c, Call)}
_ADDRESS, _APPROVALS, _SIGNATURE = 20, 2, 64


def read_origins(
    node: Node, contract: Account, abi: ContractAbi, recorded: Sequence[RecordedEvent]
) -> list[Origin | None]:
    """Return the origins of events, ``None`` for transactions that the node does not have."""
    voters: dict[str, list[Account]] = {each.transaction: [] for each in recorded}
    for each in recorded:
        if isinstance(each.event, VoteCast | BallotSkipped):
            voters[each.transaction].append(each.event.learner)
    sent = dict(zip(voters, node.transactions(list(voters)), strict=True))
    numbers = sorted({each.block for each in sent.values() if each is not None})
    entropies = dict(zip(numbers, node.entropies(numbers), strict=True))
    origins: dict[str, Origin | None] = {}
    for name, found in sent.items():
        entropy = None if found is None else entropies[found.block]
        if found is None or entropy is None:
            origins[name] = None
            continue
        decoded = decode_call(abi, found.data, voters[name]) if found.to == contract else None
        call, arguments = decoded or (None, ())
        origins[name] = Origin(Account(found.sender), entropy, call, arguments)
    return [origins[each.transaction] for each in recorded]


def decode_call(
    abi: ContractAbi, data: bytes, voters: Sequence[Account]
) -> tuple[Call, tuple[Any, ...]] | None:
    """Return the call that a transaction's data makes, ``None`` if it is not one.

    Args:
        abi: the contract's interface.
        data: the data.
        voters: the learners of the ballots that the transaction cast, in order. A batch of signed
            ballots does not contain the number of proposals, which follows from them.
    """
    try:
        decoded = abi.decode_call(data)
        if decoded is None or decoded[0] not in _CALLS:
            return None
        call, values = _CALLS[decoded[0]], list(decoded[1])
        return call, tuple(_from_wire(each.kind, values, voters) for each in call.arguments)
    except (BadAnswer, InvalidParameter, ValueError, LookupError):
        return None


def _from_wire(kind: Kind, values: list[Wire], voters: Sequence[Account]) -> Any:
    """Take the values of one argument from the front of a list and return the argument."""
    first = values.pop(0)
    if kind == Kind.SCORES:
        return Scores(bits_to_score(first), bits_to_score(values.pop(0)))
    if kind == Kind.VOTE:
        return decode_vote(first, values.pop(0))
    if kind == Kind.BALLOTS:
        return _split_batch(first, voters)
    decode = _DECODERS.get(kind)
    return decode(first) if decode else first


_DECODERS: dict[Kind, Callable[[Wire], Any]] = {
    Kind.PARAMS: params_from_wire,
    Kind.CONTENT: present_content,
    Kind.ACCOUNT: account_from_wire,
    Kind.ACCOUNTS: lambda wire: [account_from_wire(each) for each in wire],
}


def _split_batch(batch: bytes, voters: Sequence[Account]) -> list[SignedBallot]:
    """Return the ballots of a batch: learner, approvals, scores and compact signature of each."""
    for exactly, named in ((True, True), (False, True), (True, False)):
        for scores in range(32, 16 * (2 + MAX_PROPOSERS), 16):
            size = _ADDRESS + _APPROVALS + scores + _SIGNATURE
            starts = range(0, len(batch), size)
            if len(batch) % size or (exactly and len(starts) != len(voters)):
                continue
            ballots = [_read_ballot(batch[at : at + size], scores) for at in starts]
            if not named or {ballot.learner for ballot in ballots} >= set(voters):
                return ballots
    raise InvalidParameter("ballots")


def _read_ballot(data: bytes, scores: int) -> SignedBallot:
    account, data = account_from_wire("0x" + data[:_ADDRESS].hex()), data[_ADDRESS:]
    approvals, data = int.from_bytes(data[:_APPROVALS], "big"), data[_APPROVALS:]
    vote, compact = Vote(approvals, decode_scores(data[:scores])), data[scores:]
    last = bytes([27 + (compact[32] >> 7)])
    signature = compact[:32] + bytes([compact[32] & 0x7F]) + compact[33:] + last
    return SignedBallot(account, vote, signature)
