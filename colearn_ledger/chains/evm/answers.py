"""Checks of the JSON that a node returned; malformed JSON raises `BadAnswer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from eth_utils.address import to_checksum_address

from colearn_ledger.chains.errors import BadAnswer

_MAX_DATA = 8_000_000
"""The most characters of one value that a node may return."""


def reject_answer(what: str, answer: object) -> NoReturn:
    """Raise `BadAnswer` for an answer."""
    raise BadAnswer(f"the node returned {str(answer)[:100]!r} as {what}")


def quantity(answer: Any, what: str) -> int:
    """Return an unsigned number of at most 256 bits; in-process nodes return plain integers."""
    value = answer
    if isinstance(answer, str) and answer.startswith("0x") and len(answer) <= 66:
        try:
            value = int(answer, 16)
        except ValueError:
            reject_answer(what, answer)
    if type(value) is not int or not 0 <= value < 2**256:
        reject_answer(what, answer)
    return value


def octets(answer: Any, what: str) -> bytes:
    """Decode bytes written as ``0x…``."""
    if not isinstance(answer, str) or not answer.startswith("0x") or len(answer) > _MAX_DATA:
        reject_answer(what, answer)
    try:
        return bytes.fromhex(answer[2:])
    except ValueError:
        reject_answer(what, answer)


def hash32(answer: Any, what: str) -> str:
    """Return a hash of 32 bytes as ``0x…`` in lower case."""
    if len(octets(answer, what)) != 32:
        reject_answer(what, answer)
    return str(answer).lower()


def address(answer: Any, what: str) -> str:
    """Return an EIP-55 address."""
    if len(octets(answer, what)) != 20:
        reject_answer(what, answer)
    return _add_checksum(answer)


@lru_cache(maxsize=4_096)  # the same few addresses are in thousands of logs and transactions
def _add_checksum(answer: str) -> str:
    return to_checksum_address(answer)


def object_of(answer: Any, what: str) -> Mapping[str, Any]:
    """Return a JSON object."""
    if not isinstance(answer, Mapping):
        reject_answer(what, answer)
    return answer


def rows(answer: Any, what: str) -> Sequence[Any]:
    """Return a JSON array."""
    if not isinstance(answer, list | tuple):
        reject_answer(what, answer)
    return answer


def revert_data(answer: Any) -> bytes:
    """Return the revert data of an error, which some nodes wrap in another object."""
    if isinstance(answer, Mapping):
        answer = answer.get("data")
    if not isinstance(answer, str) or not answer.startswith("0x"):
        return b""
    return octets(answer, "the revert data")


def hexadecimal(value: bytes) -> str:
    """Write bytes as ``0x…``."""
    return "0x" + value.hex()
