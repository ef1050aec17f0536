"""Convert the values of recorded traces to the format of contracts/cosmwasm/MESSAGES.md."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    ContentRef,
    Event,
    ExperimentParams,
    ProtocolError,
    Scores,
    Vote,
    WrongExperiment,
    encode_scores,
    score_to_bits,
)

Json = Any

NAMES = ("ana", "bob", "cy", "dan", "eve", "late", "stranger")
CREATOR = "creator"


def hashed(text: str) -> bytes:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).digest()


WALLETS = {name: Wallet.from_key(hashed(f"person {name}")) for name in (*NAMES, CREATOR)}
NAME_OF: dict[str, str] = {wallet.address: name for name, wallet in WALLETS.items()}


def base64_of(data: bytes) -> str:
    """Return bytes in the format of messages."""
    return base64.b64encode(data).decode()


def word(value: Any) -> str:
    """Return the name of an enumeration's value in the format of messages."""
    name: str = value.name
    return name.lower()


def wire_content(content: ContentRef) -> Json:
    """Return a content reference in the format of messages."""
    return {
        "codec": content.codec,
        "digest": base64_of(content.digest),
        "sha256": base64_of(bytes.fromhex(content.sha256)),
        "size": str(content.size),
    }


def wire_params(params: ExperimentParams) -> Json:
    """Return parameters in the format of messages."""
    fields = {name: getattr(params, name) for name in params.__dataclass_fields__}
    contents = {name: fields[name] and wire_content(fields[name]) for name in ("spec", "initial")}
    choices = {name: word(fields[name]) for name in ("selection", "merge", "admission")}
    return fields | contents | choices


def wire_vote(vote: Vote) -> Json:
    """Return the fields of a vote in the format of messages."""
    return {"approvals": vote.approvals, "scores": base64_of(encode_scores(vote.scores))}


def wire_error(error: ProtocolError) -> Json:
    """Return an error's name and values, with names in place of accounts.

    The experiment's hash depends on the creator's address and is left out.
    """
    values = [None] if isinstance(error, WrongExperiment) else [wire_value(v) for v in error.args]
    return {"name": type(error).__name__, "values": values}


def wire_value(value: Any) -> Json:
    """Return a value of an error or an event, with names in place of accounts."""
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "name"):
        return word(value)
    return NAME_OF.get(value, value) if isinstance(value, str) else value


def wire_event(event: Event) -> Json:
    """Return an event's name and the attributes that the reference determines."""
    kind = type(event).__name__
    name = "".join("_" + c.lower() if c.isupper() else c for c in kind).removeprefix("_")
    fields: dict[str, str] = {}
    for field in event.__dataclass_fields__:
        fields |= wire_attribute(field, getattr(event, field))
    return [name, fields]


def wire_attribute(field: str, value: Any) -> dict[str, str]:
    """Return a field of an event as attributes, without bytes that depend on addresses."""
    match value:
        case ContentRef():
            digests = {"digest": value.digest.hex(), "sha256": value.sha256}
            return {"codec": str(value.codec), "size": str(value.size), **digests}
        case Vote():
            scores = encode_scores(value.scores).hex()
            return {"approvals": str(value.approvals), "scores": scores}
        case Scores():
            pairs = {"vote_score": value.vote_score, "test_score": value.test_score}
            return {name: str(score_to_bits(score)) for name, score in pairs.items()}
        case ExperimentParams():
            return {}
        case bytes() if field == "commitment":
            return {}
        case str() if field == "topic":
            return {field: json.dumps(value, ensure_ascii=False)}
        case tuple():
            return {field: ",".join(str(wire_value(item)) for item in value)}
    return {field: str(wire_value(value))}
