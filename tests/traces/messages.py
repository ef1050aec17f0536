"""Convert the values of recorded traces to the format of contracts/cosmwasm/MESSAGES.md."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    ContentRef,
    Event,
    ExperimentParams,
    Scores,
    Vote,
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
    return fields | contents | {name: word(fields[name]) for name in ("selection", "admission")}


def wire_values(values: tuple[Any, ...]) -> list[Json]:
    """Return an error's values, with names in place of accounts."""
    named = [word(v) if hasattr(v, "name") else v for v in values]
    return [NAME_OF.get(v, v) if isinstance(v, str) else v for v in named]


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
            approve = {"approve": str(value.approve).lower()}
            return approve | wire_attribute("scores", value.scores)
        case Scores():
            pairs = {"vote_score": value.vote_score, "test_score": value.test_score}
            return {name: str(score_to_bits(score)) for name, score in pairs.items()}
        case ExperimentParams():
            return {}
        case bytes():
            return {} if field == "commitment" else {field: value.hex()}
    return {field: str(wire_values((value,))[0])}
