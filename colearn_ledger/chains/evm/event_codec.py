"""Decode the protocol's events from the logs of the Solidity contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from colearn_ledger import protocol
from colearn_ledger.chains.consistency import check_event, decode_vote
from colearn_ledger.chains.decoding import decode_received
from colearn_ledger.chains.evm.abi import ContractAbi, Log
from colearn_ledger.chains.evm.wire import (
    Wire,
    account_from_wire,
    params_from_wire,
    present_content,
)
from colearn_ledger.protocol import Event, Outcome, Scores, SkipReason, bits_to_score

Fields = Mapping[str, Wire]


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
    decode = _DECODERS.get(name, _decode_plain)
    return decode_received(f"the event {name}", lambda: check_event(kind(**decode(fields))))


def _decode_plain(fields: Fields) -> dict[str, Any]:
    """Return fields that have the same names in Solidity; only accounts have another form."""
    return {
        name: account_from_wire(value) if name in ("learner", "proposer", "creator") else value
        for name, value in fields.items()
    }


def _select_plain(fields: Fields, *names: str) -> dict[str, Any]:
    return _decode_plain({name: fields[name] for name in ("experiment", *names)})


_DECODERS: dict[str, Callable[[Fields], dict[str, Any]]] = {
    "ExperimentCreated": lambda f: {
        **_select_plain(f, "creator"),
        "params": params_from_wire(f["params"]),
    },
    "LearnerJoined": lambda f: {
        **_select_plain(f, "learner", "index"),
        "encryption_key": f["encryptionKey"],
    },
    "RoundStarted": lambda f: {
        **_select_plain(f, "round", "eligible", "needed", "deadline"),
        "proposers": tuple(map(account_from_wire, f["proposers"])),
    },
    "WeightsProposed": lambda f: {
        **_select_plain(f, "round", "proposer", "slot"),
        "content": present_content(f["content"]),
        "scores": Scores(bits_to_score(f["voteScore"]), bits_to_score(f["testScore"])),
    },
    "VoteCast": lambda f: {
        **_select_plain(f, "round", "learner"),
        "vote": decode_vote(f["approvals"], f["scores"]),
    },
    "BallotSkipped": lambda f: {
        **_select_plain(f, "round", "learner"),
        "reason": SkipReason(f["reason"]),
    },
    "RoundClosed": lambda f: {
        **_select_plain(f, "round", "accepted", "eligible"),
        "outcome": Outcome(f["outcome"]),
        "approvals": tuple(f["approvals"]),
    },
    "Announced": lambda f: {
        **_select_plain(f, "learner", "topic"),
        "content": present_content(f["content"]),
    },
}
"""Decoders of the events with fields that differ."""
