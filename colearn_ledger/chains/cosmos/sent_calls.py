"""Decode the calls of the contract in the bytes of a transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError

from colearn_ledger.arguments import Argument, Kind
from colearn_ledger.calls import CALLS, Call
from colearn_ledger.chains.consistency import decode_vote
from colearn_ledger.chains.cosmos.answers import (
    check_account,
    check_integer,
    check_rows,
    check_text,
    field_of,
    parse_base64,
    parse_number,
)
from colearn_ledger.chains.cosmos.transactions import read_actions
from colearn_ledger.chains.cosmos.wire import Wire, params_from_wire, present_content
from colearn_ledger.chains.decoding import decode_received
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.keys.signing import PUBLIC_KEY_BYTES
from colearn_ledger.protocol import Account, Scores, SignedBallot, Vote, bits_to_score
from colearn_ledger.text.strict_json import load

_EXECUTE = "/cosmwasm.wasm.v1.MsgExecuteContract"
_SIGNATURE = 64
_MOST_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class SentCall:
    """A message of a transaction that calls a contract: the caller, the contract, the JSON."""

    sender: Account
    contract: str
    message: bytes


def read_sent_calls(raw: bytes) -> list[SentCall | None]:
    """Return the messages of a transaction, ``None`` for each that does not call a contract.

    Raises:
        BadAnswer: the bytes are not a transaction.
    """
    try:
        return [_read_sent_call(AnyMessage.FromString(action)) for action in read_actions(raw)]
    except DecodeError as error:
        raise BadAnswer("the transaction's bytes cannot be decoded") from error


def _read_sent_call(action: AnyMessage) -> SentCall | None:
    if action.type_url != _EXECUTE:
        return None
    found = MsgExecuteContract.FromString(action.value)
    return SentCall(Account(found.sender), found.contract, found.msg)


def decode_call(message: bytes) -> tuple[Call, tuple[Any, ...]] | None:
    """Return the call that a message makes, ``None`` if it cannot be decoded."""
    try:
        return decode_received("the message", lambda: _decode(load(message)))
    except BadAnswer:
        return None


def _decode(wire: Wire) -> tuple[Call, tuple[Any, ...]]:
    if not isinstance(wire, dict) or len(wire) != 1:
        raise BadAnswer("a message is an object with one key")
    [(name, fields)] = wire.items()
    call = CALLS[name]
    return call, tuple(_from_wire(argument, fields) for argument in call.arguments)


def _from_wire(argument: Argument, fields: Wire) -> Any:
    if decode_fields := _DECODERS_OF_FIELDS.get(argument.kind):
        return decode_fields(fields)
    return _DECODERS[argument.kind](field_of(fields, argument.name))


def _params_from_message(wire: Wire) -> Any:
    """Decode parameters; a message may leave out a reference that is null."""
    return params_from_wire({"initial": None, **wire})


def _scores_from_wire(fields: Wire) -> Scores:
    vote, test = (parse_number(field_of(fields, name)) for name in ("vote_score", "test_score"))
    return Scores(bits_to_score(vote), bits_to_score(test))


def _vote_from_wire(fields: Wire) -> Vote:
    approvals = check_integer(field_of(fields, "approvals"), 16)
    return decode_vote(approvals, parse_base64(field_of(fields, "scores"), None))


def _ballot_from_wire(wire: Wire) -> SignedBallot:
    """Decode a signed ballot. A key or signature of the wrong length becomes an empty signature."""
    key, signature = (
        parse_base64(field_of(wire, "public_key"), None),
        parse_base64(field_of(wire, "signature"), None),
    )
    fits = (len(key), len(signature)) == (PUBLIC_KEY_BYTES, _SIGNATURE)
    learner = check_account(field_of(wire, "learner"))
    return SignedBallot(learner, _vote_from_wire(wire), key + signature if fits else b"")


_DECODERS: dict[Kind, Callable[[Wire], Any]] = {
    Kind.PARAMS: _params_from_message,
    Kind.EXPERIMENT: parse_number,
    Kind.ROUND: lambda wire: check_integer(wire, 32),
    Kind.ACCOUNT: check_account,
    Kind.ACCOUNTS: lambda wire: [check_account(each) for each in check_rows(wire, _MOST_ROWS)],
    Kind.CONTENT: present_content,
    Kind.WORD: parse_base64,
    Kind.TEXT: check_text,
    Kind.BALLOTS: lambda wire: [_ballot_from_wire(each) for each in check_rows(wire, _MOST_ROWS)],
}

_DECODERS_OF_FIELDS: dict[Kind, Callable[[Wire], Any]] = {
    Kind.SCORES: _scores_from_wire,
    Kind.VOTE: _vote_from_wire,
}
"""Decoders of the arguments that are several fields."""
