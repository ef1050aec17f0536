"""Write and read lines of JSON with checksums, which detect damage.

The last field of a line is the checksum of the bytes before it. Lines can be chained: then the
checksum also covers that of the previous line, so that missing and reordered lines are noticed.
Whoever can write the file can also compute checksums: they do not protect against forgery.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from colearn_ledger.text import strict_json

_FIELD = b', "check": "'
_END = b'"}'
_DIGITS = 32
_LENGTH = len(_FIELD) + _DIGITS + len(_END)


class DamagedLine(ValueError):
    """The line is not one that `write_line` returned after the same previous line."""


def write_line(content: Mapping[str, Any], previous: str = "") -> tuple[bytes, str]:
    """Return a line without its line break, and its checksum.

    Lone surrogates, which UTF-8 cannot encode, become question marks.

    Args:
        content: at least one field.
        previous: checksum of the previous line, if lines are chained.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, sort_keys=True)
    start = text.encode("utf-8", "replace").removesuffix(b"}")
    check = _compute(start, previous)
    return start + _FIELD + check.encode() + _END, check


def read_line(line: bytes, previous: str = "") -> tuple[dict[str, Any], str]:
    """Return the content of a line and its checksum.

    Args:
        line: the line, without its line break.
        previous: checksum of the previous line, if lines are chained.

    Raises:
        DamagedLine: the checksum does not match, or the line is not JSON.
    """
    start, end = line[:-_LENGTH], line[-_LENGTH:]
    check = _compute(start, previous)
    if end != _FIELD + check.encode() + _END:
        raise DamagedLine("the checksum does not match")
    try:
        content: dict[str, Any] = strict_json.load(start + _END[1:])
    except strict_json.InvalidJson as error:
        raise DamagedLine(str(error)) from error
    return content, check


def _compute(start: bytes, previous: str) -> str:
    return hashlib.sha256(previous.encode() + b"\n" + start).hexdigest()[:_DIGITS]
