"""Decode the protocol's events from the events of a chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from colearn_ledger import protocol
from colearn_ledger.chains.cosmos.answers import check_account, enum_member, parse_number
from colearn_ledger.chains.cosmos.records import ChainEvent
from colearn_ledger.chains.cosmos.wire import params_from_wire
from colearn_ledger.chains.decoding import decode_received
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.protocol import (
    Account,
    ContentRef,
    Event,
    Outcome,
    Scores,
    SkipReason,
    Vote,
    bits_to_score,
)
from colearn_ledger.text.strict_json import load

_CONTRACT = "_contract_address"
_OURS = "wasm-"

Fields = Mapping[str, str]

_u32 = partial(parse_number, bits=32)
_time = partial(parse_number, bits=63)


def decode_events(chain_events: Iterable[ChainEvent], contract: Account) -> list[Event]:
    """Return the events that a contract emitted, in order.

    Raises:
        BadAnswer: an event has the name of a contract's event but malformed attributes.
    """
    found = []
    for item in chain_events:
        if not item.type.startswith(_OURS):
            continue
        kind = _KINDS.get(item.type.removeprefix(_OURS))
        if kind is None or (_CONTRACT, contract) not in item.attributes:
            continue
        found.append(decode_received(f"the event {item.type}", partial(_decode_event, kind, item)))
    return found


def _decode_event(kind: str, item: ChainEvent) -> Event:
    fields = dict(item.attributes)
    unique = {name for name, _ in item.attributes} - {"msg_index"}
    if len(unique) != len([name for name, _ in item.attributes if name != "msg_index"]):
        raise BadAnswer("an attribute occurs twice")
    event: Event = getattr(protocol, kind)(
        experiment=parse_number(fields["experiment"]),
        **{name: read(fields) for name, read in _FIELDS[kind].items()},
    )
    return event


def _parse_word(text: str) -> bytes:
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise BadAnswer(f"{text[:80]!r} is not 32 bytes in hexadecimal")
    return bytes.fromhex(text)


def _parse_flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise BadAnswer(f"{text[:80]!r} is neither true nor false")
    return text == "true"


def _decode_scores(fields: Fields) -> Scores:
    vote, test = (parse_number(fields[name]) for name in ("vote_score", "test_score"))
    return Scores(bits_to_score(vote), bits_to_score(test))


def _decode_content(fields: Fields) -> ContentRef:
    codec, size = parse_number(fields["codec"]), parse_number(fields["size"])
    sha256 = _parse_word(fields["sha256"]).hex()
    return ContentRef.from_digest(codec, _parse_word(fields["digest"]), sha256, size)


def _field(name: str, read: Callable[[str], Any]) -> dict[str, Callable[[Fields], Any]]:
    return {name: lambda fields: read(fields[name])}


_ROUND = _field("round", _u32)
_LEARNER = _field("learner", check_account)
_PROPOSER = _field("proposer", check_account)
_DEADLINE = _field("deadline", _time)

_FIELDS: dict[str, dict[str, Callable[[Fields], Any]]] = {
    "ExperimentCreated": {
        **_field("creator", check_account),
        "params": lambda fields: params_from_wire(load(fields["params"])),
    },
    "LearnerAdmitted": _LEARNER,
    "LearnerJoined": {
        **_LEARNER,
        **_field("index", _u32),
        **_field("encryption_key", _parse_word),
    },
    "LearnerLeft": _LEARNER,
    "LearnerRemoved": _LEARNER,
    "ExperimentStarted": {},
    "RoundStarted": {
        **_ROUND,
        **_PROPOSER,
        **_field("eligible", _u32),
        **_field("needed", _u32),
        **_DEADLINE,
    },
    "WeightsProposed": {
        **_ROUND,
        **_PROPOSER,
        "content": _decode_content,
        "scores": _decode_scores,
        **_DEADLINE,
    },
    "ProposalDeclined": {**_ROUND, **_PROPOSER},
    "VoteCommitted": {**_ROUND, **_LEARNER, **_field("commitment", _parse_word)},
    "RevealStarted": {**_ROUND, **_DEADLINE},
    "VoteCast": {
        **_ROUND,
        **_LEARNER,
        "vote": lambda fields: Vote(_parse_flag(fields["approve"]), _decode_scores(fields)),
    },
    "BallotSkipped": {**_ROUND, **_LEARNER, **_field("reason", partial(enum_member, SkipReason))},
    "RoundClosed": {
        **_ROUND,
        **_field("outcome", partial(enum_member, Outcome)),
        **_field("approvals", _u32),
        **_field("rejections", _u32),
        **_field("eligible", _u32),
    },
    "ExperimentCompleted": {},
    "ExperimentCancelled": {},
}

_KINDS = {
    "".join("_" + c.lower() if c.isupper() else c for c in kind).lstrip("_"): kind
    for kind in _FIELDS
}
"""Classes of the events by the contract's names for them."""
