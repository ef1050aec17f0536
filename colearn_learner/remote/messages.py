"""How requests and answers travel: a stream of a head in JSON, then the body in parts.

The head announces size and SHA-256 of the body; the reader holds the sender to both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from colearn_learner.remote.errors import BadMessage, TooLarge
from colearn_ledger.text.strict_json import InvalidJson, dump, load

__all__ = [
    "DEFAULT_MAX_BYTES",
    "FRAME_LIMITS",
    "HEALTH",
    "METHODS",
    "PART",
    "SERVICE",
    "VERSION",
    "Message",
    "check_size",
    "frames",
    "read_message",
]

SERVICE = "colearn.learner.v1.Learner"
HEALTH = "grpc.health.v1.Health"
METHODS = ("Hello", "Propose", "Test", "Accept", "CurrentWeights", "CurrentModel")
VERSION = 1

PART = 1_048_576
"""Bytes of a body in one part, at most."""

DEFAULT_MAX_BYTES = 1_073_741_824
"""Bytes of a body, unless told otherwise."""

_HEAD = 65_536

FRAME_LIMITS = (
    ("grpc.max_receive_message_length", PART + 1_024),
    ("grpc.max_send_message_length", PART + 1_024),
)
"""Channel options: a frame is a head or a part, and no larger."""


@dataclass(frozen=True)
class Message:
    """A request or an answer.

    Args:
        head: JSON values.
        body: a file of weights or of a model, if there is one.
    """

    head: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | bytearray | None = field(default=None, repr=False)

    @cached_property
    def digest(self) -> str | None:
        """The body's SHA-256."""
        return None if self.body is None else hashlib.sha256(self.body).hexdigest()


def check_size(message: Message, max_bytes: int) -> None:
    """Check that a message may be sent.

    Raises:
        TooLarge: its body has more bytes than allowed.
    """
    if message.body is not None and len(message.body) > max_bytes:
        raise TooLarge(
            f"{len(message.body)} bytes would be sent and {max_bytes} are allowed; raise max_bytes"
            " (--max-bytes) on both sides"
        )


def frames(message: Message) -> Iterator[bytes]:
    """Yield what is sent: the head, then the parts of the body.

    Raises:
        BadMessage: the head can not be sent.
    """
    body = message.body
    announced = None if body is None else {"bytes": len(body), "sha256": message.digest}
    try:
        head = dump({"head": dict(message.head), "body": announced})
    except InvalidJson as error:
        raise BadMessage(f"the head is not JSON: {error}") from error
    if len(head) > _HEAD:
        raise BadMessage(f"the head has {len(head)} bytes, {_HEAD} are allowed")
    yield head
    view = memoryview(body or b"")
    for start in range(0, len(view), PART):
        yield bytes(view[start : start + PART])


def read_message(received: Iterable[bytes], *, max_bytes: int) -> Message:
    """Return what the frames add up to.

    Args:
        received: the frames.
        max_bytes: how large the body may be.

    Raises:
        TooLarge: it is larger; told by its announcement, before a part is taken.
        BadMessage: the frames are no message, too few, too many, or their bytes are not those
            that were announced.
    """
    rest = iter(received)
    head, announced = _head_in(next(rest, b""))
    if announced is None:
        if next(rest, None) is not None:
            raise BadMessage("parts came of a body that was not announced")
        return Message(head)
    size, sha256 = announced
    if size > max_bytes:
        raise TooLarge(f"{size} bytes are announced and {max_bytes} are allowed (max_bytes)")
    body = bytearray()
    for part in rest:
        if not 0 < len(part) <= PART:
            raise BadMessage(f"a part has {len(part)} bytes; it may have 1 to {PART}")
        if len(body) + len(part) > size:
            raise TooLarge(f"more than the {size} bytes come that were announced")
        body += part
    if len(body) != size:
        raise BadMessage(f"{len(body)} bytes came of the {size} that were announced")
    message = Message(head, body)
    if message.digest != sha256:
        raise BadMessage("other bytes came than were announced: their SHA-256 differs")
    return message


def _head_in(frame: bytes) -> tuple[Mapping[str, Any], tuple[int, str] | None]:
    if not 0 < len(frame) <= _HEAD:
        raise BadMessage(f"a head of 1 to {_HEAD} bytes has to come first, not {len(frame)}")
    try:
        document = load(frame)
    except InvalidJson as error:
        raise BadMessage(f"the head is not JSON: {error}") from error
    if not isinstance(document, dict) or set(document) != {"head", "body"}:
        raise BadMessage("the first frame is not a head and what there is of a body")
    head, body = document["head"], document["body"]
    if not isinstance(head, dict):
        raise BadMessage("the head is no JSON object")
    if body is None:
        return head, None
    if not isinstance(body, dict) or set(body) != {"bytes", "sha256"}:
        raise BadMessage("a body is announced by its bytes and its sha256")
    size, sha256 = body["bytes"], body["sha256"]
    if type(size) is not int or size < 0 or not isinstance(sha256, str):
        raise BadMessage("a body is announced by a number of bytes and a SHA-256 in hexadecimal")
    return head, (size, sha256)
