"""Values and events of the protocol as dictionaries that JSON can represent, and back.

Fields keep their names. Enumerations become their names in lower case, bytes become hexadecimal,
and tuples become lists. Infinite scores become the texts ``inf`` and ``-inf``. The dictionary of an
event has its type under ``event``.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum, IntEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from colearn_ledger.protocol import events
from colearn_ledger.protocol.errors import InvalidDocument, InvalidParameter
from colearn_ledger.protocol.events import Event

T = TypeVar("T")

_EVENT = "event"


def to_dict(value: Any) -> dict[str, Any]:
    """Return a value or an event of the protocol as a dictionary."""
    document = {field.name: _encode(getattr(value, field.name)) for field in fields(value)}
    return {_EVENT: _event_name(type(value)), **document} if isinstance(value, Event) else document


def from_dict(kind: type[T], document: object) -> T:
    """Convert a dictionary made by `to_dict` back into a value.

    Args:
        kind: the class of the value; `Event` for an event of any type.
        document: a dictionary, for example from JSON.

    Raises:
        InvalidDocument: a field is missing, unknown or malformed; carries its path.
    """
    value: T = _decode(kind, document, kind.__name__)
    return value


# ------------------------------------------------------------------------- encoding


def _encode(value: Any) -> Any:
    if is_dataclass(value):
        return to_dict(value)
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value


def _event_name(kind: type) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in kind.__name__).lstrip("_")


_EVENTS = {
    _event_name(kind): kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
}
"""All types of events by their names in dictionaries."""


# ------------------------------------------------------------------------- decoding


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, document: Any, where: str) -> Any:
    kind = getattr(kind, "__supertype__", kind)  # of a NewType
    if get_origin(kind) in (Union, types.UnionType):
        if document is None:
            return None
        [kind] = [each for each in get_args(kind) if each is not type(None)]
        return _decode(kind, document, where)
    if get_origin(kind) is tuple:
        return _decode_tuple(get_args(kind)[0], document, where)
    if is_dataclass(kind):
        return _decode_dataclass(kind, document, where)
    if issubclass(kind, Enum):
        return _decode_enum(kind, document, where)
    return _decode_plain(kind, document, where)


def _decode_tuple(kind: Any, document: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(document, list):
        raise InvalidDocument(where, "expected a list")
    return tuple(_decode(kind, item, f"{where}[{i}]") for i, item in enumerate(document))


def _decode_dataclass(kind: Any, document: Any, where: str) -> Any:
    if not isinstance(document, Mapping):
        raise InvalidDocument(where, "expected an object")
    if issubclass(kind, Event):
        kind = _event_kind(kind, document, where)
        document = {name: value for name, value in document.items() if name != _EVENT}
    hints = _hints(kind)
    if wrong := sorted(map(str, set(document) ^ set(hints))):
        raise InvalidDocument(where, f"fields are missing or unknown: {', '.join(wrong)[:200]}")
    values = {name: _decode(hints[name], document[name], f"{where}.{name}") for name in hints}
    try:
        return kind(**values)
    except InvalidParameter as error:
        raise InvalidDocument(where, "its fields do not fit together") from error


def _event_kind(kind: type[Event], document: Mapping[str, Any], where: str) -> type[Event]:
    name = document.get(_EVENT)
    found = _EVENTS.get(name) if isinstance(name, str) else None
    if found is not None and issubclass(found, kind):
        return found
    raise InvalidDocument(f"{where}.{_EVENT}", f"there is no event {ascii(name)[:80]}")


def _decode_enum(kind: type[Enum], document: Any, where: str) -> Enum:
    for member in kind:
        if document == _encode(member):
            return member
    expected = ", ".join(_encode(member) for member in kind)
    raise InvalidDocument(where, f"{ascii(document)[:80]} is not one of {expected}")


def _decode_float(document: Any) -> float:
    if document in ("inf", "-inf"):
        return float(document)
    if type(document) not in (int, float):
        raise ValueError("not a number")
    return float(document)


def _decode_bytes(document: Any) -> bytes:
    if not isinstance(document, str):
        raise TypeError("not text")
    return bytes.fromhex(document)


_DECODERS: dict[type, Callable[[Any], Any]] = {float: _decode_float, bytes: _decode_bytes}
_EXPECTED = {
    float: "a number",
    bytes: "hexadecimal text",
    int: "an integer",
    bool: "true or false",
    str: "text",
}


def _decode_plain(kind: type, document: Any, where: str) -> Any:
    try:
        if decode := _DECODERS.get(kind):
            return decode(document)
    except (TypeError, ValueError, OverflowError) as error:
        raise _malformed(kind, document, where) from error
    if type(document) is not kind:
        raise _malformed(kind, document, where)
    return document


def _malformed(kind: type, document: Any, where: str) -> InvalidDocument:
    return InvalidDocument(where, f"{ascii(document)[:80]} is not {_EXPECTED[kind]}")
