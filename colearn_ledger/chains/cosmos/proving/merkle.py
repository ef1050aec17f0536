"""Encode what CometBFT hashes: Merkle trees (as RFC 6962), and fields of protobuf messages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

_LEAF = b"\x00"
_INNER = b"\x01"


def compute_root(items: Sequence[bytes]) -> bytes:
    """Return the root of the tree of items, given in order."""
    level = [hash_bytes(_LEAF + item) for item in items]
    if not level:
        return hash_bytes(b"")
    while len(level) > 1:  # a last one without a sibling moves up
        pairs = zip(level[::2], level[1::2], strict=False)
        odd = level[len(level) & ~1 :]
        level = [hash_bytes(_INNER + left + right) for left, right in pairs] + odd
    return level[0]


def hash_bytes(data: bytes) -> bytes:
    """Return the sha256 of bytes."""
    return hashlib.sha256(data).digest()


def encode_varint(number: int) -> bytes:
    """Return an unsigned number of up to 64 bits as protobuf encodes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode_number(field: int, number: int) -> bytes:
    """Return an integer field of a message; nothing for 0."""
    return encode_varint(field << 3) + encode_varint(number % 2**64) if number else b""


def encode_bytes(field: int, data: bytes) -> bytes:
    """Return a field with bytes, a text or a message; nothing for an empty one."""
    return encode_message(field, data) if data else b""


def encode_message(field: int, data: bytes) -> bytes:
    """Return a field with a message, which is written even if it is empty."""
    return encode_varint(field << 3 | 2) + encode_varint(len(data)) + data
