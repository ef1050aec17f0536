"""CIDs as text: version 1, base32, sha2-256.

The multiformats package fills its tables on first use. If two threads do so at the same time, they
get errors that look like an invalid CID, so a lock admits one thread at a time. It needs almost a
millisecond for a CID, and a round can have many, so the last results are kept.
"""

from __future__ import annotations

import re
import threading
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiformats import CID

_KEPT = 4_096
"""Number of results that are kept."""

_lock = threading.Lock()
_TEXT = re.compile("b[a-z2-7]{58}")


class InvalidCid(ValueError):
    """The text is not a CIDv1 in base32 with sha2-256."""


@lru_cache(maxsize=_KEPT)
def encode_cid(codec: int, digest: bytes) -> str:
    """Return the CID of a codec below 128 and a 32-byte digest."""
    with _lock:
        return str(_cid_class()("base32", 1, codec, ("sha2-256", digest)))


def decode_cid(text: str) -> tuple[int, bytes]:
    """Return a CID's codec and 32-byte digest.

    Raises:
        InvalidCid: the text is not a CIDv1 in base32 with sha2-256.
    """
    if not isinstance(text, str) or not _TEXT.fullmatch(text):
        raise InvalidCid("a CID consists of b and 58 letters a-z or digits 2-7")
    return _decode_text(text)


@lru_cache(maxsize=_KEPT)
def _decode_text(text: str) -> tuple[int, bytes]:
    try:
        with _lock:
            cid = _cid_class().decode(text)
            kind = (cid.version, cid.hashfun.name)
            codec, digest = cid.codec.code, bytes(cid.raw_digest)
    except (ValueError, KeyError, IndexError) as error:
        raise InvalidCid("not a CID") from error
    if kind != (1, "sha2-256"):
        raise InvalidCid("not a CID of version 1 and sha2-256")
    return codec, digest


@cache
def _cid_class() -> type[CID]:
    from multiformats import CID  # imported late: it loads the multicodec tables

    return CID
