"""Checks of what callers give, the same before a call goes to any chain.

Each returns the value, or raises `InvalidParameter` of its name when it is none of its type.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeVar

from colearn_ledger.protocol import InvalidParameter

__all__ = ["checked_choice", "checked_flag", "checked_number", "checked_text", "checked_word"]

Choice = TypeVar("Choice", bound=IntEnum)

_REFUSED_AT_THE_EDGE = {"rounds", "min_learners", "max_learners", "approval_bps"}
"""Numbers whose least and greatest encodable values are out of bounds for the contracts too."""


def checked_flag(value: object, name: str) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise InvalidParameter(name)
    return value


def checked_word(value: object, name: str) -> bytes:
    """Return 32 bytes."""
    if not isinstance(value, bytes) or len(value) != 32:
        raise InvalidParameter(name)
    return value


def checked_text(value: object, name: str) -> str:
    """Return text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise InvalidParameter(name)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:  # lone surrogates
        raise InvalidParameter(name) from error
    return value


def checked_number(value: object, name: str, bits: int) -> int:
    """Return a number of an experiment's parameters that has no more than so many bits."""
    if type(value) is not int:
        raise InvalidParameter(name)
    greatest = (1 << bits) - 1
    if 0 <= value <= greatest:
        return value
    if name in _REFUSED_AT_THE_EDGE:  # let the contract say it, in the order of its checks
        return min(max(value, 0), greatest)
    raise InvalidParameter(name)


def checked_choice(kind: type[Choice], value: Any, name: str) -> Choice:
    """Return one of an enumeration's members."""
    try:
        return kind(value)
    except ValueError as error:
        raise InvalidParameter(name) from error
