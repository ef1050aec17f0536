"""Messages of a remote learner, split into frames and read back (learner.proto).

A message is a head, then optionally a body in parts. The head announces the body's size and
SHA-256; the reader checks both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar

from colearn_learner.remote import learner_pb2 as pb
from colearn_learner.remote.errors import BadMessage, TooLarge

_SERVICE = pb.DESCRIPTOR.services_by_name["Learner"]
SERVICE: str = _SERVICE.full_name
METHODS: tuple[str, ...] = tuple(method.name for method in _SERVICE.methods)
VERSION = 1

PART = 1_048_576
"""Largest number of body bytes in one frame."""

_MAX_HEAD_BYTES = 65_536

FRAME_LIMITS = (
    ("grpc.max_receive_message_length", PART + 1_024),
    ("grpc.max_send_message_length", PART + 1_024),
)
"""Channel options that limit a frame to the size of a head or a part."""

Frame: TypeAlias = pb.Request | pb.Response
Head = TypeVar("Head", pb.RequestHead, pb.ResponseHead)


@dataclass(frozen=True)
class Message(Generic[Head]):
    """A request or a response.

    Args:
        head: everything but the body.
        body: a file of weights or of a model; ``None`` without one.
    """

    head: Head
    body: bytes | bytearray | None = field(default=None, repr=False)

    @cached_property
    def digest(self) -> bytes | None:
        """The SHA-256 of the body; ``None`` without a body."""
        return None if self.body is None else hashlib.sha256(self.body).digest()


def check_size(message: Message[Head], max_bytes: int) -> None:
    """Check that a message is small enough to send.

    Raises:
        TooLarge: the body has more than ``max_bytes`` bytes.
    """
    if message.body is not None and len(message.body) > max_bytes:
        raise TooLarge(
            f"{len(message.body)} bytes would be sent and {max_bytes} are allowed; raise max_bytes"
            " (--max-bytes) on both sides"
        )


def frames(message: Message[Head]) -> Iterator[Frame]:
    """Yield the frames of a message: its head, then the parts of its body.

    Raises:
        BadMessage: the head is too large.
    """
    frame = pb.Request if isinstance(message.head, pb.RequestHead) else pb.Response
    first = frame(head=message.head)
    if message.body is not None:
        first.head.body.size = len(message.body)
        first.head.body.sha256 = message.digest or b""
    if first.head.ByteSize() > _MAX_HEAD_BYTES:
        raise BadMessage(
            f"the head has {first.head.ByteSize()} bytes, {_MAX_HEAD_BYTES} are allowed"
        )
    yield first
    view = memoryview(message.body or b"")
    for start in range(0, len(view), PART):
        yield frame(part=bytes(view[start : start + PART]))


def read_message(received: Iterable[Frame], *, max_bytes: int) -> Message[Head]:
    """Assemble a message from its frames.

    Args:
        received: the frames.
        max_bytes: size of the largest body to read.

    Raises:
        TooLarge: the body is larger than announced or allowed. If the head announces too many
            bytes, no part is read.
        BadMessage: frames are missing, superfluous or malformed, or the body is not the announced
            one.
    """
    rest = iter(received)
    head = _read_head(next(rest, None))
    if not head.HasField("body"):
        if next(rest, None) is not None:
            raise BadMessage("parts were received of a body that was not announced")
        return Message(head)
    size, sha256 = head.body.size, head.body.sha256
    head.ClearField("body")
    if size > max_bytes:
        raise TooLarge(f"{size} bytes are announced and {max_bytes} are allowed (max_bytes)")
    body = bytearray()
    for frame in rest:
        part = frame.part
        if not 0 < len(part) <= PART:
            raise BadMessage(f"a part has {len(part)} bytes; it may have 1 to {PART}")
        if len(body) + len(part) > size:
            raise TooLarge(f"more than the {size} announced bytes were received")
        body += part
    if len(body) != size:
        raise BadMessage(f"{len(body)} bytes were received of the {size} that were announced")
    message = Message(head, body)
    if message.digest != sha256:
        raise BadMessage("the body is not the announced one: its SHA-256 differs")
    return message


def _read_head(frame: Frame | None) -> Any:
    if frame is None or frame.WhichOneof("frame") != "head":
        raise BadMessage("the first frame is not a head")
    if frame.head.ByteSize() > _MAX_HEAD_BYTES:
        raise BadMessage(
            f"the head has {frame.head.ByteSize()} bytes, {_MAX_HEAD_BYTES} are allowed"
        )
    head = type(frame.head)()
    head.CopyFrom(frame.head)
    return head
