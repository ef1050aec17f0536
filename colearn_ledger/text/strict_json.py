"""Parse untrusted JSON strictly, and write JSON canonically."""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 2_000
"""The most nested brackets in untrusted JSON. The parser cannot enforce a limit by itself:
eth-account raises Python's recursion limit so far that deep nesting overflows the C stack.
"""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[{\]}]")


class InvalidJson(ValueError):
    """Not JSON, or JSON that two parsers could interpret differently."""


def load(data: bytes | str) -> Any:
    """Parse UTF-8 JSON.

    Raises:
        InvalidJson: the text is not JSON, or it has duplicate keys, NaN, infinity, numbers beyond
            float64, lone surrogates, or more than `MAX_DEPTH` nested brackets.
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
            dump(value)  # an escape may stand for a lone surrogate, which UTF-8 cannot encode
    except ValueError as error:
        raise InvalidJson(str(error)[:200]) from error
    return value


def dump(value: Any) -> bytes:
    """Return canonical JSON: UTF-8, sorted keys, no spaces.

    Raises:
        InvalidJson: JSON cannot express the value, for example NaN or infinity.
    """
    try:
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        )
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidJson(str(error)[:200]) from error


def depth(data: bytes) -> int:
    """Return the depth of nested brackets outside of strings, in linear time."""
    now = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", data)):
        now += 1 if bracket in b"[{" else -1
        deepest = max(deepest, now)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise InvalidJson("an object contains a key twice")
    return result


def _constant(name: str) -> float:
    raise InvalidJson(f"{name} is not a JSON number")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidJson("a number exceeds the range of float64")
    return number
