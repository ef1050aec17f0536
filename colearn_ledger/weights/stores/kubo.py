"""Content on an IPFS node, through the RPC of Kubo.

Needs ``pip install 'colearn-ledger[ipfs]'``. Pins of a node have no owner: learners who share
one share its pins, so leave its garbage collection off (Kubo's default), or give each his own.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from colearn_ledger.deadline import Deadline
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.errors import shown
from colearn_ledger.weights.store import ContentNotStored, ContentUnavailable
from colearn_ledger.weights.stores.addresses import NodeAddress, StoreNotUsable
from colearn_ledger.weights.streams import (
    PIECE,
    NodeError,
    Patience,
    check_size,
    pulled,
    pushed,
    resumed,
)
from colearn_ledger.weights.unixfs import CHUNK_SIZE, LINKS_PER_NODE, FileHasher, verified

if TYPE_CHECKING:
    from colearn_ledger.weights.stores.kubo_rpc import KuboRpc

__all__ = ["KuboStore"]

_CID = re.compile(r"b[a-z2-7]{58}")

_ADD = {
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
"""All that the CID depends on, whatever the node's own settings are."""


class KuboStore:
    """A `ContentStore` on an IPFS node, this machine's or a remote one.

    What `put` stores is pinned and from then on served to others. `get` fetches what the node
    does not have from its peers. Each call opens its own connection; threads may share a store.

    Args:
        api: where the node's RPC answers: ``http://127.0.0.1:5001``,
            ``https://user:password@node.example/path`` or ``/ip4/127.0.0.1/tcp/5001/http``.
        token: sent as ``Authorization: Bearer``.
        patience: how long to wait for it.

    Raises:
        StoreNotUsable: no such address, or ipfshttpclient is not installed.
    """

    def __init__(
        self, api: str, *, token: str | None = None, patience: Patience | None = None
    ) -> None:
        address = NodeAddress.parse(api, token=token)
        self._name = f"the IPFS node {address.shown}"
        self._patience = patience or Patience()
        self._rpc = _rpc(address)

    def __repr__(self) -> str:
        return f"<KuboStore: {self._name}>"

    def put(self, chunks: Iterable[bytes]) -> ContentRef:
        """Store, pin and serve a file given in pieces and return its reference.

        The pieces are sent as they come. What `chunks` raises passes through; the node then
        keeps nothing pinned. The node's CID is compared with our own, which is computed on the
        way unless `chunks` has it: see `ContentStore.put`.

        Raises:
            ContentNotStored: the node could not take it, or took other bytes for it.
            InvalidParameter: there were no bytes.
        """
        size = _size(chunks)
        known: ContentRef | None = getattr(chunks, "content", None)
        hasher = FileHasher()
        pieces = _cut(chunks, hasher if known is None else None)
        first = next(pieces, None)
        if first is None:
            return hasher.content()
        try:
            answer = pushed(
                lambda body: self._rpc.add(body, _ADD, wait=self._patience.timeout, size=size),
                _with_first(first, pieces),
                patience=self._patience,
            )
        except NodeError as error:
            raise ContentNotStored(f"{self._name} {error}; {_HOW_TO_MEND}") from error
        content = known or hasher.content()
        given = answer.get("Hash") if isinstance(answer, dict) else None
        if given != content.cid:
            self._disown(given)
            raise ContentNotStored(
                f"{self._name} took {content.cid} for {shown(given)}: what it holds are other "
                "bytes, or it is no Kubo node; use another node"
            )
        return content

    def get(
        self, content: ContentRef, *, max_size: int, timeout: float | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file; see `ContentStore.get`. A stream that breaks is taken up where it broke."""
        check_size(content, max_size)
        _check_cid(content)
        return self._get(content, Deadline(self._patience.timeout if timeout is None else timeout))

    @contextmanager
    def _get(self, content: ContentRef, deadline: Deadline) -> Iterator[Iterator[bytes]]:
        with closing(self._pieces(content, deadline)) as pieces:
            yield verified(pieces, content)

    def has(self, content: ContentRef) -> bool:
        """Tell whether all blocks of the file are on the node; it asks nobody else.

        Raises:
            ContentUnavailable: the node does not answer.
        """
        options = {"with-local": "true", "offline": "true"}
        try:
            answer = self._ask("files/stat", "/ipfs/" + _check_cid(content), options)
        except NodeError as error:
            if _is_absent(error):
                return False
            raise ContentUnavailable(f"{self._name} {error}; {_HOW_TO_MEND}") from error
        return (
            isinstance(answer, dict)
            and answer.get("Local") is True
            and answer.get("Size") == content.size
        )

    def pin(self, content: ContentRef) -> None:
        """Keep the file until it is unpinned.

        What the node does not have it fetches from its peers, through this store: only bytes
        that match the reference, and not more than it says, are pinned.

        Raises:
            ContentUnavailable: it could not be had in time.
            ContentTooLarge, ContentMismatch: other bytes came.
            ContentNotStored: the node does not take the pin.
        """
        if self.pinned(content):  # as `put` leaves it
            return
        if not self.has(content):
            with self._get(content, Deadline(self._patience.timeout)) as pieces:
                for _ in pieces:
                    pass
        options = {"recursive": "true", "offline": "true"}
        try:
            answer = self._ask("pin/add", content.cid, options, within=self._patience.timeout)
        except NodeError as error:
            raise ContentNotStored(
                f"{self._name} does not pin {content.cid}: it {error}; {_HOW_TO_MEND}"
            ) from error
        if not isinstance(answer, dict) or answer.get("Pins") != [content.cid]:
            raise ContentNotStored(
                f"{self._name} was asked to pin {content.cid} and answers {shown(answer)}; "
                "use another node"
            )

    def unpin(self, content: ContentRef) -> None:
        """Let the file go; what is not pinned stays so.

        Raises:
            ContentUnavailable: the node does not answer.
        """
        try:
            self._ask("pin/rm", _check_cid(content), {"recursive": "true"})
        except NodeError as error:
            if "not pinned" in error.said or "pinned indirectly" in error.said:
                return
            raise ContentUnavailable(
                f"{content.cid} stays pinned: {self._name} {error}; {_HOW_TO_MEND}"
            ) from error

    def pinned(self, content: ContentRef) -> bool:
        """Tell whether the node pins the file.

        Raises:
            ContentUnavailable: the node does not answer.
        """
        try:
            answer = self._ask("pin/ls", _check_cid(content), {"type": "recursive"})
        except NodeError as error:
            if "not pinned" in error.said:
                return False
            raise ContentUnavailable(f"{self._name} {error}; {_HOW_TO_MEND}") from error
        return isinstance(answer, dict) and content.cid in (answer.get("Keys") or ())

    def _pieces(self, content: ContentRef, deadline: Deadline) -> Generator[bytes]:
        def open_at(offset: int) -> AbstractContextManager[Iterator[bytes]]:
            wait = min(self._patience.silence, deadline.left()) + 1
            options = {
                "offset": str(offset),
                "length": str(content.size - offset + 1),  # one more shows that there is more
                "timeout": f"{max(1, round(deadline.left() * 1000))}ms",
            }
            return self._rpc.cat(content.cid, options, wait=wait)

        try:
            yield from resumed(open_at, content, deadline=deadline, patience=self._patience)
        except NodeError as error:
            raise ContentUnavailable(
                f"{content.cid} could not be had: {self._name} {error}; {_HOW_TO_MEND}"
            ) from error

    def _ask(
        self, command: str, arg: str, options: dict[str, str], *, within: float | None = None
    ) -> Any:
        """Ask in a thread of its own, so that no node can keep the caller beyond its patience."""
        deadline = Deadline(self._patience.silence if within is None else within)
        answers: list[Any] = []

        @contextmanager
        def asking() -> Iterator[Iterator[bytes]]:
            answers.append(self._rpc.ask(command, arg, options, wait=deadline.seconds + 1))
            yield iter(())

        with closing(pulled(asking, deadline=deadline, silence=deadline.seconds)) as nothing:
            for _ in nothing:
                pass
        return answers[0]

    def _disown(self, cid: object) -> None:
        """Unpin what the node took for our file."""
        if isinstance(cid, str) and cid.isalnum():
            with suppress(NodeError):
                self._ask("pin/rm", cid, {"recursive": "true"})


_HOW_TO_MEND = "see that the node runs and reaches its peers, and try again"


def _rpc(address: NodeAddress) -> KuboRpc:
    try:
        from colearn_ledger.weights.stores.kubo_rpc import KuboRpc
    except ModuleNotFoundError as error:
        raise StoreNotUsable(
            f"an IPFS node needs the package {error.name}: pip install 'colearn-ledger[ipfs]'"
        ) from error
    return KuboRpc(address)


def _size(chunks: Iterable[bytes]) -> int | None:
    """Return how many bytes these are together, ``None`` when that is not known beforehand."""
    if isinstance(chunks, list | tuple):
        return sum(memoryview(chunk).nbytes for chunk in chunks)
    size = getattr(chunks, "nbytes", None)
    return size if isinstance(size, int) else None


def _cut(chunks: Iterable[bytes], hasher: FileHasher | None) -> Iterator[bytes]:
    """Yield pieces of at most `PIECE` bytes, shown to the hasher; no bytes object is copied."""
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        lasting = isinstance(view.obj, bytes)  # a bytearray may change before it is sent
        for start in range(0, len(view), PIECE):
            piece = view[start : start + PIECE]
            if hasher is not None:
                hasher.update(piece)
            yield piece if lasting else bytes(piece)  # type: ignore[misc]


def _with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _check_cid(content: ContentRef) -> str:
    if not _CID.fullmatch(content.cid):
        raise ContentUnavailable(f"{ascii(content.cid)[:80]} is not a CID this store can have")
    return content.cid


def _is_absent(error: NodeError) -> bool:
    return "not found" in error.said or "could not find" in error.said
