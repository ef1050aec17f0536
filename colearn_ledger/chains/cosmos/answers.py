"""Checks of the JSON that a contract returned; malformed JSON raises `BadAnswer`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NoReturn, TypeVar

from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.protocol import Account
from colearn_ledger.text.address import InvalidAddress, check_cosmos_address

T = TypeVar("T")
E = TypeVar("E", bound=IntEnum)

_LONGEST = 4_096
"""Most characters of one text."""


def _refuse(value: object, expected: str) -> NoReturn:
    raise BadAnswer(f"the node returned {str(value)[:100]!r}, expected {expected}")


def field_of(answer: Any, name: str) -> Any:
    """Return a field of an object."""
    if not isinstance(answer, Mapping) or name not in answer:
        _refuse(answer, f"an object with the field {name}")
    return answer[name]


def check_integer(value: Any, bits: int) -> int:
    """Return a JSON number that fits into ``bits`` bits, unsigned."""
    if type(value) is not int or not 0 <= value < 1 << bits:
        _refuse(value, f"an unsigned number of {bits} bits")
    return value


def parse_number(value: Any, bits: int = 64) -> int:
    """Parse a number from its decimal digits."""
    if not isinstance(value, str) or not value.isascii() or not value.isdecimal():
        _refuse(value, "decimal digits")
    return check_integer(int(value) if len(value) <= 20 else -1, bits)


def check_text(value: Any) -> str:
    """Return a text of bounded length."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        _refuse(value, f"text of at most {_LONGEST} characters")
    return value


def check_flag(value: Any) -> bool:
    """Return true or false."""
    if type(value) is not bool:
        _refuse(value, "true or false")
    return value


def parse_base64(value: Any, length: int | None = 32) -> bytes:
    """Decode base64; exactly ``length`` bytes unless it is ``None``."""
    try:
        found = base64.b64decode(check_text(value), validate=True)
    except binascii.Error:
        _refuse(value, "base64")
    if length is not None and len(found) != length:
        _refuse(value, f"{length} bytes in base64")
    return found


def parse_hex(value: Any, length: int | None = 32) -> bytes:
    """Decode lower-case hexadecimal; exactly ``length`` bytes unless it is ``None``."""
    text = check_text(value)
    if len(text) % 2 or set(text) - set("0123456789abcdef"):
        _refuse(value, "hexadecimal digits in lower case")
    found = bytes.fromhex(text)
    if length is not None and len(found) != length:
        _refuse(value, f"{length} bytes in hexadecimal")
    return found


def check_account(value: Any) -> Account:
    """Return a valid bech32 address."""
    try:
        return Account(check_cosmos_address(value))
    except InvalidAddress:
        _refuse(value, "an address in bech32")


def enum_member(kind: type[E], value: Any) -> E:
    """Return the member of an enumeration with this name, which is in lower case."""
    found = kind.__members__.get(check_text(value).upper())
    if found is None or value != value.lower():
        _refuse(value, f"the name of a {kind.__name__}")
    return found


def check_rows(value: Any, most: int) -> list[Any]:
    """Return a list of bounded length."""
    if not isinstance(value, list) or len(value) > most:
        _refuse(value, f"a list of at most {most} rows")
    return value


def decode_optional(decode: Callable[[Any], T], value: Any) -> T | None:
    """Return ``None`` for null, otherwise the decoded value."""
    return None if value is None else decode(value)
