"""The protocol's events out of a chain's, all of them: pure translation, no chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from colearn_ledger import protocol
from colearn_ledger.chains.cosmos.answers import account, named, received, text_of_number
from colearn_ledger.chains.cosmos.node import ChainEvent
from colearn_ledger.chains.cosmos.wire import params_from_wire
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

__all__ = ["events_of"]

_CONTRACT = "_contract_address"
_OURS = "wasm-"

Fields = Mapping[str, str]

_u32 = partial(text_of_number, bits=32)
_time = partial(text_of_number, bits=63)


def events_of(happened: Iterable[ChainEvent], contract: Account) -> list[Event]:
    """Return the events that a contract made, in their order.

    Raises:
        BadAnswer: one begins like the contract's and goes on otherwise.
    """
    found = []
    for item in happened:
        if not item.type.startswith(_OURS):
            continue
        kind = _KINDS.get(item.type.removeprefix(_OURS))
        if kind is None or (_CONTRACT, contract) not in item.attributes:
            continue
        found.append(received(f"the event {item.type}", partial(_event, kind, item)))
    return found


def _event(kind: str, item: ChainEvent) -> Event:
    fields = dict(item.attributes)
    unique = {name for name, _ in item.attributes} - {"msg_index"}
    if len(unique) != len([name for name, _ in item.attributes if name != "msg_index"]):
        raise BadAnswer("it has an attribute twice")
    event: Event = getattr(protocol, kind)(
        experiment=text_of_number(fields["experiment"]),
        **{name: read(fields) for name, read in _FIELDS[kind].items()},
    )
    return event


def _bytes(text: str) -> bytes:
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise BadAnswer(f"{text[:80]!r} are not 32 bytes")
    return bytes.fromhex(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise BadAnswer(f"{text[:80]!r} is neither true nor false")
    return text == "true"


def _scores(fields: Fields) -> Scores:
    vote, test = (text_of_number(fields[name]) for name in ("vote_score", "test_score"))
    return Scores(bits_to_score(vote), bits_to_score(test))


def _content(fields: Fields) -> ContentRef:
    codec, size = text_of_number(fields["codec"]), text_of_number(fields["size"])
    sha256 = _bytes(fields["sha256"]).hex()
    return ContentRef.from_digest(codec, _bytes(fields["digest"]), sha256, size)


def _field(name: str, read: Callable[[str], Any]) -> dict[str, Callable[[Fields], Any]]:
    return {name: lambda fields: read(fields[name])}


_ROUND = _field("round", _u32)
_LEARNER = _field("learner", account)
_PROPOSER = _field("proposer", account)
_DEADLINE = _field("deadline", _time)

_FIELDS: dict[str, dict[str, Callable[[Fields], Any]]] = {
    "ExperimentCreated": {
        **_field("creator", account),
        "params": lambda fields: params_from_wire(load(fields["params"])),
    },
    "LearnerAdmitted": _LEARNER,
    "LearnerJoined": {
        **_LEARNER,
        **_field("index", _u32),
        **_field("encryption_key", _bytes),
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
        "content": _content,
        "scores": _scores,
        **_DEADLINE,
    },
    "ProposalDeclined": {**_ROUND, **_PROPOSER},
    "VoteCommitted": {**_ROUND, **_LEARNER, **_field("commitment", _bytes)},
    "RevealStarted": {**_ROUND, **_DEADLINE},
    "VoteCast": {
        **_ROUND,
        **_LEARNER,
        "vote": lambda fields: Vote(_flag(fields["approve"]), _scores(fields)),
    },
    "BallotSkipped": {**_ROUND, **_LEARNER, **_field("reason", partial(named, SkipReason))},
    "RoundClosed": {
        **_ROUND,
        **_field("outcome", partial(named, Outcome)),
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
"""The contract's name of each event."""
