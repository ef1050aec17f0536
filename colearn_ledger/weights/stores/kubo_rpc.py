"""The commands of Kubo's RPC that a store needs, over the project's own HTTP client.

`KuboRpc` is the port; `kubo_ipfshttpclient` implements it too. A node may be hostile, so every
answer is limited in size and time, and JSON in depth.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol
from urllib.parse import urlencode

from colearn_ledger.deadline import Deadline
from colearn_ledger.http import AnswerTooLarge, HttpClient, HttpError, Stream, TimedOut
from colearn_ledger.text import strict_json
from colearn_ledger.weights.errors import shown
from colearn_ledger.weights.stores.addresses import NodeAddress
from colearn_ledger.weights.streams import NodeError, restart_at_each
from colearn_ledger.weights.unixfs import CHUNK_SIZE, LINKS_PER_NODE

MAX_ANSWER = 65_536
"""Largest JSON answer, in bytes."""

ADD_OPTIONS = {
    "cid-version": "1",
    "raw-leaves": "true",
    "chunker": f"size-{CHUNK_SIZE}",
    "max-file-links": str(LINKS_PER_NODE),
    "hash": "sha2-256",
    "trickle": "false",
    "inline": "false",
    "wrap-with-directory": "false",
    "progress": "false",
    "pin": "true",
}
"""All options that affect the CID; they override the node's settings."""

STAT_OPTIONS = {"with-local": "true", "offline": "true"}
PIN_OPTIONS = {"recursive": "true", "offline": "true"}

_MOMENTARY = frozenset({429, 500, 502, 503, 504})
_REDIRECT = 300


class KuboRpc(Protocol):
    """Commands of a node. Threads may share an implementation. Every method raises `NodeError`."""

    def add(self, body: Iterator[bytes], *, size: int | None, wait: float) -> object:
        """Send a file, pin it, and return the CID that the node computed.

        Args:
            body: the file, in pieces.
            size: the file's size in bytes; None if unknown.
            wait: seconds for each step of the exchange.
        """

    def cat(
        self, cid: str, *, offset: int, length: int, wait: float, timeout: float
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a part of a file, in pieces; the stream may end early without an error.

        Args:
            cid: the file's CID.
            offset: position of the first byte.
            length: largest number of bytes.
            wait: seconds for each step of the exchange.
            timeout: seconds for the node's own search for the file.
        """

    def stat(self, cid: str, *, timeout: float) -> object:
        """Return the answer to ``files/stat`` for the local part of a file."""

    def pin(self, cid: str, *, timeout: float) -> object:
        """Pin a file that the node has, and return the answer to ``pin/add``."""

    def unpin(self, cid: str, *, timeout: float) -> None:
        """Remove a file's pin."""

    def pins(self, cid: str, *, timeout: float) -> object:
        """Return the answer to ``pin/ls`` for a file."""


class HttpKuboRpc:
    """A `KuboRpc` over `colearn_ledger.http`.

    Args:
        address: the node's address.
    """

    def __init__(self, address: NodeAddress) -> None:
        self._http = HttpClient(
            address.url, name=address.shown, authorization=address.authorization
        )

    def add(self, body: Iterator[bytes], *, size: int | None, wait: float) -> object:
        """Send a file; see `KuboRpc.add`.

        If `size` is known, the request has a ``Content-Length`` and the pieces are not copied.
        Otherwise they are sent as HTTP chunks, which costs a copy of each.
        """
        boundary = secrets.token_hex(16)
        head, tail = _multipart_frame(boundary)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if size is not None:
            headers["Content-Length"] = str(size + len(head) + len(tail))
        deadline = Deadline(wait)

        def pieces() -> Iterator[bytes]:
            yield head
            for piece in body:
                deadline.restart()
                yield piece
            deadline.restart()
            yield tail

        with self._open("add", ADD_OPTIONS, deadline, body=pieces(), headers=headers) as stream:
            answer = _parse(stream)
        return answer.get("Hash") if isinstance(answer, dict) else None

    @contextmanager
    def cat(
        self, cid: str, *, offset: int, length: int, wait: float, timeout: float
    ) -> Iterator[Iterator[bytes]]:
        """Open a part of a file; see `KuboRpc.cat`."""
        options = {
            "offset": str(offset),
            "length": str(length),
            "timeout": f"{max(1, round(timeout * 1000))}ms",
            "arg": cid,
        }
        deadline = Deadline(wait)
        with self._open("cat", options, deadline) as stream:
            yield restart_at_each(deadline, stream.pieces)

    def stat(self, cid: str, *, timeout: float) -> object:
        """Describe the local part of a file; see `KuboRpc.stat`."""
        return self._ask("files/stat", {**STAT_OPTIONS, "arg": f"/ipfs/{cid}"}, timeout)

    def pin(self, cid: str, *, timeout: float) -> object:
        """Pin a file; see `KuboRpc.pin`."""
        return self._ask("pin/add", {**PIN_OPTIONS, "arg": cid}, timeout)

    def unpin(self, cid: str, *, timeout: float) -> None:
        """Remove a pin; see `KuboRpc.unpin`."""
        self._ask("pin/rm", {"recursive": "true", "arg": cid}, timeout)

    def pins(self, cid: str, *, timeout: float) -> object:
        """Look for a pin; see `KuboRpc.pins`."""
        return self._ask("pin/ls", {"type": "recursive", "arg": cid}, timeout)

    def _ask(self, command: str, options: Mapping[str, str], timeout: float) -> Any:
        with self._open(command, options, Deadline(timeout)) as stream:
            return _parse(stream)

    @contextmanager
    def _open(
        self,
        command: str,
        options: Mapping[str, str],
        deadline: Deadline,
        *,
        body: Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Stream]:
        path = f"/{command}?{urlencode(options)}"
        try:
            with self._http.open(
                "POST", path, body=body, headers=headers, deadline=deadline
            ) as stream:
                if is_refusal(stream.status):
                    raise refusal(stream.status, _read_start(stream))
                yield stream
        except HttpError as error:
            raise NodeError(error.why, again=not isinstance(error, TimedOut)) from error


def is_refusal(status: int) -> bool:
    """Return whether a status means that the command failed."""
    return status >= _REDIRECT


def refusal(status: int, content: bytes) -> NodeError:
    """Return the error for a failed command, with the node's own message if there is one."""
    reply = _message_in(content)
    if reply:
        return NodeError(f"answered: {shown(reply)}", reply=reply)
    if status in (401, 403):
        return NodeError(
            f"refuses these credentials (HTTP {status}); set the node's token, or user:password "
            "in its URL"
        )
    if status in (404, 405):
        return NodeError(f"is not a Kubo node's RPC (HTTP {status}); is this a gateway's port?")
    if _REDIRECT <= status < 400:
        return NodeError(f"redirects (HTTP {status}); write the address that it redirects to")
    return NodeError(f"answered HTTP {status}", again=status in _MOMENTARY)


def too_large() -> NodeError:
    """Return the error for an answer of more than `MAX_ANSWER` bytes."""
    return NodeError("sends an endless answer instead of a line of JSON")


def not_json(content: bytes) -> NodeError:
    """Return the error for an answer that cannot be parsed."""
    return NodeError(f"returned an answer that is not JSON ({shown(content[:40])})")


def _parse(stream: Stream) -> Any:
    try:
        content = stream.read(MAX_ANSWER)
    except AnswerTooLarge:
        raise too_large() from None
    try:
        return strict_json.load(content)
    except strict_json.InvalidJson:
        raise not_json(content) from None


def _read_start(stream: Stream) -> bytes:
    """Return the body of an error answer, or nothing if it is too long to be a message."""
    try:
        return stream.read(MAX_ANSWER)
    except HttpError:
        return b""


def _message_in(content: bytes) -> str:
    """Return the node's message in an error answer, or an empty text."""
    try:
        answer = strict_json.load(content)
    except strict_json.InvalidJson:
        return ""
    message = answer.get("Message") if isinstance(answer, dict) else None
    return message if isinstance(message, str) else ""


def _multipart_frame(boundary: str) -> tuple[bytes, bytes]:
    """Return the bytes before and after the only file in a multipart body."""
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; filename="weights"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode(), f"\r\n--{boundary}--\r\n".encode()
