"""Decode the protocol's events from the events of a chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from colearn_ledger import protocol
from colearn_ledger.chains.consistency import check_event, decode_vote
from colearn_ledger.chains.cosmos.answers import (
    check_account,
    check_text,
    enum_member,
    parse_hex,
    parse_number,
)
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
    bits_to_score,
)
from colearn_ledger.text.strict_json import load

_CONTRACT = "_contract_address"
_OURS = "wasm-"

T = TypeVar("T")

Fields = Mapping[str, str]

_u16 = partial(parse_number, bits=16)
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
    return check_event(event)


def _parse_list(parse: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Return a parser of items separated by commas."""
    return lambda text: tuple(parse(item) for item in check_text(text).split(","))


def _decode_scores(fields: Fields) -> Scores:
    vote, test = (parse_number(fields[name]) for name in ("vote_score", "test_score"))
    return Scores(bits_to_score(vote), bits_to_score(test))


def _decode_content(fields: Fields) -> ContentRef:
    codec, size = parse_number(fields["codec"]), parse_number(fields["size"])
    sha256 = parse_hex(fields["sha256"]).hex()
    return ContentRef.from_digest(codec, parse_hex(fields["digest"]), sha256, size)


def _field(name: str, read: Callable[[str], Any]) -> dict[str, Callable[[Fields], Any]]:
    return {name: lambda fields: read(fields[name])}


_ROUND = _field("round", _u32)
_LEARNER = _field("learner", check_account)
_PROPOSER = _field("proposer", check_account)
_SLOT = _field("slot", _u16)
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
        **_field("encryption_key", parse_hex),
    },
    "LearnerLeft": _LEARNER,
    "LearnerRemoved": _LEARNER,
    "ExperimentStarted": {},
    "RoundStarted": {
        **_ROUND,
        **_field("proposers", _parse_list(check_account)),
        **_field("eligible", _u32),
        **_field("needed", _u32),
        **_DEADLINE,
    },
    "WeightsProposed": {
        **_ROUND,
        **_PROPOSER,
        **_SLOT,
        "content": _decode_content,
        "scores": _decode_scores,
    },
    "ProposalDeclined": {**_ROUND, **_PROPOSER, **_SLOT},
    "VotingStarted": {**_ROUND, **_field("proposals", parse_hex), **_DEADLINE},
    "VoteCommitted": {**_ROUND, **_LEARNER, **_field("commitment", parse_hex)},
    "RevealStarted": {**_ROUND, **_DEADLINE},
    "VoteCast": {
        **_ROUND,
        **_LEARNER,
        "vote": lambda fields: decode_vote(
            _u16(fields["approvals"]), parse_hex(fields["scores"], None)
        ),
    },
    "BallotSkipped": {**_ROUND, **_LEARNER, **_field("reason", partial(enum_member, SkipReason))},
    "RoundClosed": {
        **_ROUND,
        **_field("outcome", partial(enum_member, Outcome)),
        **_field("accepted", _u16),
        **_field("approvals", _parse_list(_u32)),
        **_field("eligible", _u32),
    },
    "Announced": {
        **_LEARNER,
        "topic": lambda fields: check_text(load(fields["topic"])),
        "content": _decode_content,
    },
    "CancelRequested": {},
    "ExperimentCompleted": {},
    "ExperimentCancelled": {},
}

_KINDS = {
    "".join("_" + c.lower() if c.isupper() else c for c in kind).lstrip("_"): kind
    for kind in _FIELDS
}
"""Classes of the events by the contract's names for them."""
