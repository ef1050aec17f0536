"""CIDs as text: version 1, base32, sha2-256, and a codec below 128.

Source: https://github.com/multiformats/cid. The bytes are the version, the codec, the code and the
length of the hash, and the digest; each number below 128 takes one byte.
"""

from __future__ import annotations

import base64
import binascii
import re

_VERSION, _SHA256, _LENGTH = 1, 0x12, 32
_LARGEST_CODEC = 127
_TEXT = re.compile("b[a-z2-7]{58}")
_PADDING = "=" * 6


class InvalidCid(ValueError):
    """The text is not a CIDv1 in base32 with sha2-256."""


def encode_cid(codec: int, digest: bytes) -> str:
    """Return the CID of a codec below 128 and a 32-byte digest."""
    if not 0 <= codec <= _LARGEST_CODEC or len(digest) != _LENGTH:
        raise ValueError("a CID has a codec below 128 and a digest of 32 bytes")
    raw = bytes((_VERSION, codec, _SHA256, _LENGTH)) + digest
    return "b" + base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def decode_cid(text: str) -> tuple[int, bytes]:
    """Return a CID's codec and 32-byte digest.

    Raises:
        InvalidCid: the text is not a CIDv1 in base32 with sha2-256.
    """
    if not isinstance(text, str) or not _TEXT.fullmatch(text):
        raise InvalidCid("a CID consists of b and 58 letters a-z or digits 2-7")
    try:
        raw = base64.b32decode(text[1:].upper() + _PADDING)
    except binascii.Error as error:
        raise InvalidCid("not a CID") from error
    version, codec, kind, length = raw[:4]
    if (version, kind, length) != (_VERSION, _SHA256, _LENGTH) or codec > _LARGEST_CODEC:
        raise InvalidCid("not a CID of version 1 and sha2-256")
    digest = raw[4:]
    if encode_cid(codec, digest) != text:
        raise InvalidCid("the last letter of the CID has bits that belong to no byte")
    return codec, digest
