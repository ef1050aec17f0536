"""Compute a file's CID as IPFS does (CIDv1 over UnixFS) while its bytes stream.

The result equals that of Kubo's ``ipfs add --cid-version=1 --raw-leaves``: chunks of 262,144 bytes
as raw leaves, in a balanced tree of dag-pb nodes with up to 174 links each. Sources: the UnixFS and
DAG-PB specifications at specs.ipfs.tech and ipld.io.

The only Python package for DAG-PB at the time of writing is a single 0.0.1 release without UnixFS,
chunking or layout. The two messages needed here, with five kinds of fields, are therefore encoded
by hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from colearn_ledger.protocol import CODEC_DAG_PB, CODEC_RAW, ContentRef
from colearn_ledger.text.cid import encode_cid
from colearn_ledger.weights.store import ContentMismatch, WrongReference, measure_begun

CHUNK_SIZE = 262_144
LINKS_PER_NODE = 174

_RAW_CID = bytes([1, CODEC_RAW, 0x12, 32])
"""The bytes before the digest in a binary CID: version, codec, sha2-256 and its length."""

_DAG_PB_CID = bytes([1, CODEC_DAG_PB, 0x12, 32])

_UNIXFS_FILE = b"\x08\x02"


@dataclass(frozen=True, slots=True)
class _Link:
    """A finished subtree.

    Args:
        cid: the binary CID.
        file_bytes: number of bytes of the file that the subtree covers.
        tree_bytes: total size of its blocks, in bytes.
    """

    cid: bytes
    file_bytes: int
    tree_bytes: int


class _TreeHasher:
    """Compute a file's CID and size in one pass and constant memory."""

    def __init__(
        self, *, chunk_size: int = CHUNK_SIZE, links_per_node: int = LINKS_PER_NODE
    ) -> None:
        self._chunk_size = chunk_size
        self._links_per_node = links_per_node
        self._size = 0
        self._chunk = hashlib.sha256()
        self._chunk_filled = 0
        self._levels: list[list[_Link]] = [[]]

    @property
    def size(self) -> int:
        """Return the number of bytes so far."""
        return self._size

    def update(self, piece: bytes | bytearray | memoryview) -> None:
        """Add the file's next bytes, any number of them."""
        rest = memoryview(piece).cast("B")
        self._size += len(rest)
        while rest:
            if self._chunk_filled == self._chunk_size:
                self._end_chunk()
            part = rest[: self._chunk_size - self._chunk_filled]
            self._chunk.update(part)
            self._chunk_filled += len(part)
            rest = rest[len(part) :]

    def cid(self) -> str:
        """Return the CID of the bytes so far, in base32; more bytes may follow."""
        levels = [list(level) for level in self._levels]
        if self._chunk_filled or not self._size:
            _append(levels, self._leaf(), self._links_per_node)
        for height, links in enumerate(levels):
            top = height == len(levels) - 1
            if top and len(links) == 1:
                break
            if links:
                if top:
                    levels.append([])
                levels[height + 1].append(_node(links))
        root = levels[-1][0].cid
        return encode_cid(root[1], root[-32:])

    def _leaf(self) -> _Link:
        cid = _RAW_CID + self._chunk.digest()
        return _Link(cid, self._chunk_filled, self._chunk_filled)

    def _end_chunk(self) -> None:
        _append(self._levels, self._leaf(), self._links_per_node)
        self._chunk = hashlib.sha256()
        self._chunk_filled = 0


class FileHasher(_TreeHasher):
    """Compute a file's CID, sha256 and size in one pass and constant memory.

    Args:
        chunk_size: bytes in a leaf; Kubo's value by default.
        links_per_node: children of a node; Kubo's value by default. Tests pass small values to get
            deep trees.
    """

    def __init__(
        self, *, chunk_size: int = CHUNK_SIZE, links_per_node: int = LINKS_PER_NODE
    ) -> None:
        super().__init__(chunk_size=chunk_size, links_per_node=links_per_node)
        self._file = hashlib.sha256()

    def update(self, piece: bytes | bytearray | memoryview) -> None:
        """Add the file's next bytes, any number of them."""
        self._file.update(piece)
        super().update(piece)

    def sha256(self) -> str:
        """Return the sha256 of the bytes so far, in hexadecimal."""
        return self._file.hexdigest()

    def content(self) -> ContentRef:
        """Return the reference of the bytes so far.

        Raises:
            InvalidParameter: no bytes were added; content has at least one.
        """
        return ContentRef(self.cid(), self.sha256(), self._size)


def content_of(data: bytes) -> ContentRef:
    """Return the reference of a file in memory, computing CID and sha256 in parallel.

    Raises:
        InvalidParameter: the file is empty; content has at least one byte.
    """
    tree = _TreeHasher()
    with ThreadPoolExecutor(1) as other_core:  # hashlib releases the interpreter lock
        whole = other_core.submit(lambda: hashlib.sha256(data).hexdigest())
        tree.update(data)
    return ContentRef(tree.cid(), whole.result(), tree.size)


def verified(
    pieces: Iterable[bytes],
    content: ContentRef,
    *,
    begun: Path | None = None,
    source: str = "a store",
) -> Iterator[bytes]:
    """Yield pieces as they arrive, but the last one only once the whole matches the reference.

    Args:
        pieces: the pieces.
        content: reference of the file.
        begun: a file with the bytes before the pieces; it may be missing.
        source: the name of the store that delivers the pieces, for errors.

    Raises:
        ContentMismatch: other bytes arrived, or more or fewer of them.
        WrongReference: the bytes match the reference's CID, but not its sha256 or size.
    """
    hasher = FileHasher()
    if begun is not None and measure_begun(begun):
        with begun.open("rb") as file:
            while piece := file.read(CHUNK_SIZE):
                hasher.update(piece)
    before = hasher.size
    origin = f"{source} and an earlier attempt" if before else source
    last: bytes | None = None
    for piece in pieces:
        if not piece:
            continue
        hasher.update(piece)
        if hasher.size > content.size:
            raise ContentMismatch(
                f"more than the {content.size} bytes of {content.cid} were received from {origin}",
                again=before > 0,
            )
        if last is not None:
            yield last
        last = piece
    if hasher.cid() != content.cid:
        raise ContentMismatch(
            f"the {hasher.size} bytes of {content.cid} received from {origin} do not match it; "
            "discard them and fetch it from elsewhere",
            again=before > 0,
        )
    if (hasher.sha256(), hasher.size) != (content.sha256, content.size):
        raise WrongReference(
            f"the sha256 or size that was published with {content.cid} belongs to other bytes"
        )
    if last is not None:
        yield last


def _append(levels: list[list[_Link]], link: _Link, width: int) -> None:
    """Add a leaf; each full level becomes one node of the level above."""
    levels[0].append(link)
    for height in range(len(levels)):
        if len(levels[height]) < width:
            return
        if height + 1 == len(levels):
            levels.append([])
        levels[height + 1].append(_node(levels[height]))
        levels[height] = []


def _node(links: list[_Link]) -> _Link:
    """Return the link to the dag-pb node over these links."""
    size = sum(link.file_bytes for link in links)
    unixfs = _UNIXFS_FILE + b"\x18" + _varint(size)
    unixfs += b"".join(b"\x20" + _varint(link.file_bytes) for link in links)
    block = b"".join(_field(b"\x12", _encoded(link)) for link in links) + _field(b"\x0a", unixfs)
    cid = _DAG_PB_CID + hashlib.sha256(block).digest()
    return _Link(cid, size, len(block) + sum(link.tree_bytes for link in links))


def _encoded(link: _Link) -> bytes:
    """Encode a PBLink: hash, empty name (which Kubo writes too) and cumulative size."""
    return _field(b"\x0a", link.cid) + b"\x12\x00" + b"\x18" + _varint(link.tree_bytes)


def _field(tag: bytes, value: bytes) -> bytes:
    return tag + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
