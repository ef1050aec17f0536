"""The protocol's calls as messages: canonical JSON that a wallet signs and anyone can replay."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from eth_utils.address import is_checksum_address, is_hex_address, to_checksum_address

from colearn_ledger.protocol import (
    Account,
    Admission,
    ContentRef,
    ExperimentParams,
    InvalidParameter,
    Scores,
    Selection,
    SignedBallot,
    Vote,
    bits_to_score,
    score_to_bits,
)
from colearn_ledger.text import strict_json

__all__ = ["Message", "checked_account", "decode_arguments", "encode_arguments"]

Json = Any
"""A JSON value: of a stored message, hence of any shape until it is decoded."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a wallet signs.

    Args:
        ledger: the ledger's 32-byte domain separator, so that it counts nowhere else.
        sender: the account that signs.
        number: how many messages the sender sent before, so that it counts once.
        call: the name of the call.
        arguments: its arguments as JSON values.
    """

    ledger: bytes
    sender: Account
    number: int
    call: str
    arguments: Json

    def encode(self) -> bytes:
        """Return the canonical bytes: sorted keys, no spaces, ASCII."""
        return _canonical(
            {
                "arguments": self.arguments,
                "call": self.call,
                "ledger": self.ledger.hex(),
                "number": self.number,
                "sender": self.sender,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Message:
        """Read a message back.

        Raises:
            ValueError: the bytes are not a message in its canonical form.
        """
        if strict_json.depth(data) > _MAX_DEPTH:
            raise ValueError("not a message: it is nested too deeply")
        try:
            parsed = json.loads(data)
            ledger = bytes.fromhex(parsed["ledger"])
            message = cls(
                ledger, parsed["sender"], parsed["number"], parsed["call"], parsed["arguments"]
            )
            canonical = message.encode() == data
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError("not a message") from error
        if not canonical or type(message.number) is not int or type(message.call) is not str:
            raise ValueError("not a message in canonical form")
        return message


def _canonical(value: Json) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


_MAX_DEPTH = 8
"""More than any message needs; see `strict_json.MAX_DEPTH` for why it must be bounded."""


def encode_arguments(call: str, arguments: Sequence[object]) -> list[Json]:
    """Return a call's arguments as JSON values.

    Raises:
        InvalidParameter: names the argument whose type or length is wrong.
    """
    return [codec.encode(value) for codec, value in zip(_CALLS[call], arguments, strict=True)]


def decode_arguments(call: str, encoded: Json) -> list[Any]:
    """Return a call's arguments from the JSON values of a message.

    Raises:
        InvalidParameter: names what is not as `encode_arguments` writes it.
    """
    codecs = _CALLS.get(call)
    if codecs is None:
        raise InvalidParameter("call")
    if type(encoded) is not list or len(encoded) != len(codecs):
        raise InvalidParameter("arguments")
    values = [codec.decode(value) for codec, value in zip(codecs, encoded, strict=True)]
    if encode_arguments(call, values) != encoded:
        raise InvalidParameter("arguments")
    return values


def checked_account(value: object, name: str = "account") -> Account:
    """Return an address in its EIP-55 form.

    Raises:
        InvalidParameter: ``name``, when it is no 20-byte address, or mistyped by its checksum.
    """
    if type(value) is not str or not is_hex_address(value) or not value.startswith("0x"):
        raise InvalidParameter(name)
    digits = value[2:]
    if digits not in (digits.lower(), digits.upper()) and not is_checksum_address(value):
        raise InvalidParameter(name)
    return Account(to_checksum_address(value))


# ------------------------------------------------------------------------- codecs


class _Codec:
    """Turns one argument into JSON and back; a wrong one is `InvalidParameter` of its name."""

    def __init__(
        self, name: str, encode: Callable[[Any], Json], decode: Callable[[Json], Any]
    ) -> None:
        self._name = name
        self._encode = encode
        self._decode = decode

    def encode(self, value: object) -> Json:
        return self._guarded(self._encode, value)

    def decode(self, value: Json) -> Any:
        return self._guarded(self._decode, value)

    def _guarded(self, turn: Callable[[Any], Any], value: object) -> Any:
        try:
            return turn(value)
        except InvalidParameter:
            raise
        except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
            raise InvalidParameter(self._name) from error


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("an integer is wanted")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError("True or False is wanted")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("text is wanted")
    return value


def _word(value: Any) -> str:
    if not isinstance(value, bytes) or len(value) != 32:
        raise ValueError("32 bytes are wanted")
    return value.hex()


def _sequence(value: Any) -> Sequence[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise TypeError("a list is wanted")
    return value


def _encode_content(content: Any) -> Json:
    if type(content) is not ContentRef:
        raise TypeError("a ContentRef is wanted")
    return [content.cid, content.sha256, _integer(content.size)]


def _decode_content(value: Json) -> ContentRef:
    cid, sha256, size = value
    return ContentRef(_text(cid), _text(sha256), _integer(size))


def _encode_scores(scores: Scores) -> Json:
    return [score_to_bits(scores.vote_score), score_to_bits(scores.test_score)]


def _decode_scores(value: Json) -> Scores:
    vote_score, test_score = value
    return Scores(bits_to_score(_integer(vote_score)), bits_to_score(_integer(test_score)))


def _encode_vote(vote: Vote) -> Json:
    return [_flag(vote.approve), *_encode_scores(vote.scores)]


def _decode_vote(value: Json) -> Vote:
    approve, *scores = value
    return Vote(_flag(approve), _decode_scores(scores))


def _encode_ballots(ballots: Sequence[SignedBallot]) -> Json:
    return [
        [checked_account(b.learner, "ballots"), _encode_vote(b.vote), b.signature.hex()]
        for b in _sequence(ballots)
    ]


def _decode_ballots(value: Json) -> list[SignedBallot]:
    return [
        SignedBallot(checked_account(learner, "ballots"), _decode_vote(vote), bytes.fromhex(signed))
        for learner, vote, signed in value
    ]


_PARAM_TYPES: dict[str, Callable[[Any], Json]] = {
    "name": _text,
    "spec": _encode_content,
    "initial": lambda content: None if content is None else _encode_content(content),
    "selection": lambda selection: Selection(selection).value,
    "admission": lambda admission: Admission(admission).value,
    "late_join": _flag,
    "settle_early": _flag,
}


def _encode_params(params: ExperimentParams) -> Json:
    return {
        field.name: _Codec(field.name, _PARAM_TYPES.get(field.name, _integer), _text).encode(
            getattr(params, field.name)
        )
        for field in fields(ExperimentParams)
    }


def _decode_params(value: Json) -> ExperimentParams:
    initial = value["initial"]
    decoded = {
        "spec": _decode_content(value["spec"]),
        "initial": None if initial is None else _decode_content(initial),
        "selection": Selection(value["selection"]),
        "admission": Admission(value["admission"]),
    }
    return ExperimentParams(**{**value, **decoded})


_EXPERIMENT = _Codec("experiment", _integer, _integer)
_ROUND = _Codec("round", _integer, _integer)
_PARAMS = _Codec("params", _encode_params, _decode_params)
_ACCOUNT = _Codec("account", checked_account, checked_account)
_ACCOUNTS = _Codec(
    "accounts",
    lambda accounts: [checked_account(a, "accounts") for a in _sequence(accounts)],
    lambda accounts: [checked_account(a, "accounts") for a in accounts],
)
_CONTENT = _Codec("content", _encode_content, _decode_content)
_SCORES = _Codec("scores", _encode_scores, _decode_scores)
_VOTE = _Codec("vote", _encode_vote, _decode_vote)
_BALLOTS = _Codec("ballots", _encode_ballots, _decode_ballots)


def _bytes32(name: str) -> _Codec:
    return _Codec(name, _word, bytes.fromhex)


_CALLS: dict[str, tuple[_Codec, ...]] = {
    "create": (_PARAMS,),
    "admit": (_EXPERIMENT, _ACCOUNTS),
    "join": (_EXPERIMENT, _bytes32("encryption_key")),
    "leave": (_EXPERIMENT,),
    "remove": (_EXPERIMENT, _ACCOUNT),
    "start": (_EXPERIMENT,),
    "cancel": (_EXPERIMENT,),
    "propose": (_EXPERIMENT, _ROUND, _CONTENT, _SCORES),
    "decline": (_EXPERIMENT, _ROUND),
    "vote": (_EXPERIMENT, _ROUND, _VOTE),
    "commit": (_EXPERIMENT, _ROUND, _bytes32("commitment")),
    "reveal": (_EXPERIMENT, _ROUND, _VOTE, _bytes32("salt")),
    "vote_signed": (_EXPERIMENT, _ROUND, _BALLOTS),
    "advance": (_EXPERIMENT,),
}
