"""JSON from strangers, read strictly, and one way of writing it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

__all__ = ["MAX_DEPTH", "InvalidJson", "depth", "dump", "load"]

MAX_DEPTH = 2_000
"""Of nested brackets in JSON from strangers. The parser can not be left to find out by itself:
eth-account raises Python's recursion limit so far that deep nesting overflows the C stack."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[{\]}]")


class InvalidJson(ValueError):
    """Not JSON, or JSON that two readers could understand differently."""


def load(data: bytes | str) -> Any:
    """Parse UTF-8 JSON.

    Raises:
        InvalidJson: also for duplicate keys, NaN, infinity, numbers beyond float64, lone
            surrogates, and nesting too deep for the parser.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        if depth(text.encode("utf-8", "surrogatepass")) > MAX_DEPTH:
            raise InvalidJson("nested too deeply")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
        )
        if "\\u" in text:
            dump(value)  # an escape can smuggle in a surrogate that no encoding can write
    except ValueError as error:
        raise InvalidJson(str(error)[:200]) from error
    return value


def dump(value: Any) -> bytes:
    """Return canonical JSON: UTF-8, sorted keys, no spaces.

    Raises:
        InvalidJson: for what JSON does not have, NaN and infinity included.
    """
    try:
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        )
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidJson(str(error)[:200]) from error


def depth(data: bytes) -> int:
    """Return how deeply brackets are nested outside of strings; linear in the data."""
    now = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", data)):
        now += 1 if bracket in b"[{" else -1
        deepest = max(deepest, now)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise InvalidJson("an object has a key twice")
    return result


def _constant(name: str) -> float:
    raise InvalidJson(f"{name} is not a JSON number")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidJson("a number is beyond float64")
    return number
