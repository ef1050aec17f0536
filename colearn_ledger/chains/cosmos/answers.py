"""What a contract's JSON must be before it is believed; everything else is a `BadAnswer`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NoReturn, TypeVar

from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.protocol import Account, LedgerError
from colearn_ledger.text.bech32 import decoded

__all__ = [
    "account",
    "flag",
    "integer",
    "maybe",
    "named",
    "octets",
    "received",
    "rows",
    "text",
    "text_of_number",
    "value_in",
]

T = TypeVar("T")
E = TypeVar("E", bound=IntEnum)

_LONGEST = 4_096
_ACCOUNT_BYTES = (20, 32)


def received(what: str, read: Callable[[], T]) -> T:
    """Return what ``read`` makes of a node's answer; whatever fails there is a `BadAnswer`."""
    try:
        return read()
    except BadAnswer as error:
        raise BadAnswer(f"{what}: {error}") from error
    except (LedgerError, ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise BadAnswer(f"{what} is not one that the contract gives: {error!r}") from error


def _nonsense(what: str, value: object) -> NoReturn:
    raise BadAnswer(f"the node gave {str(value)[:100]!r} as {what}")


def value_in(answer: Any, name: str) -> Any:
    """Return a field of an object."""
    if not isinstance(answer, Mapping) or name not in answer:
        _nonsense(f"something with {name}", answer)
    return answer[name]


def integer(value: Any, bits: int) -> int:
    """Return a JSON number of so many bits, unsigned."""
    if type(value) is not int or not 0 <= value < 1 << bits:
        _nonsense(f"a number of {bits} bits", value)
    return value


def text_of_number(value: Any, bits: int = 64) -> int:
    """Return a number that was written as a text of digits."""
    if not isinstance(value, str) or not value.isascii() or not value.isdecimal():
        _nonsense("a number", value)
    return integer(int(value) if len(value) <= 20 else -1, bits)


def text(value: Any) -> str:
    """Return a text."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        _nonsense("a text", value)
    return value


def flag(value: Any) -> bool:
    """Return true or false."""
    if type(value) is not bool:
        _nonsense("true or false", value)
    return value


def octets(value: Any, length: int = 32) -> bytes:
    """Return bytes written in base64."""
    try:
        found = base64.b64decode(text(value), validate=True)
    except binascii.Error:
        _nonsense("bytes", value)
    if len(found) != length:
        _nonsense(f"{length} bytes", value)
    return found


def account(value: Any) -> Account:
    """Return an address in bech32."""
    if len(decoded(text(value))[1]) not in _ACCOUNT_BYTES:
        _nonsense("an address", value)
    return Account(value)


def named(kind: type[E], value: Any) -> E:
    """Return a member of an enumeration by its name in lower case."""
    found = kind.__members__.get(text(value).upper())
    if found is None or value != value.lower():
        _nonsense(kind.__name__.lower(), value)
    return found


def rows(value: Any, most: int) -> list[Any]:
    """Return a list no longer than a page."""
    if not isinstance(value, list) or len(value) > most:
        _nonsense(f"a list of at most {most} rows", value)
    return value


def maybe(read: Callable[[Any], T], value: Any) -> T | None:
    """Return what may be null."""
    return None if value is None else read(value)
