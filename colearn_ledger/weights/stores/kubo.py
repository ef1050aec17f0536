"""Store content on an IPFS node through Kubo's RPC.

A node's pins have no owner, so learners that share a node also share its pins. Leave the node's
garbage collection off (Kubo's default), or give each learner a separate node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress

from colearn_ledger.deadline import Deadline
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.errors import shown
from colearn_ledger.weights.store import (
    ContentNotStored,
    ContentUnavailable,
    LoadCopy,
    Piece,
    check_cid,
    load_nothing,
)
from colearn_ledger.weights.stores.addresses import NodeAddress, StoreNotUsable
from colearn_ledger.weights.stores.kubo_rpc import HttpKuboRpc, KuboRpc
from colearn_ledger.weights.stores.remote_store import RemoteStore
from colearn_ledger.weights.streams import (
    PIECE,
    NodeError,
    Patience,
    write_in_thread,
)
from colearn_ledger.weights.unixfs import FileHasher

_HINT = "check that the node runs and reaches its peers, and try again"


class KuboStore(RemoteStore):
    """A `ContentStore` on an IPFS node, on this machine or a remote one.

    `put` pins each file that it stores, and the node serves it to others from then on. `get`
    fetches files that the node lacks from its peers. Each call opens its own connection; threads
    may share a store.

    Args:
        api: address of the node's RPC: ``http://127.0.0.1:5001``,
            ``https://user:password@node.example/path`` or ``/ip4/127.0.0.1/tcp/5001/http``.
        token: sent as ``Authorization: Bearer``.
        patience: limits on waiting for the node.
        client: returns the client for the node's RPC; `HttpKuboRpc` or `ipfshttpclient_rpc`.

    Raises:
        StoreNotUsable: the address is malformed, or the client's package is missing.
    """

    def __init__(
        self,
        api: str,
        *,
        token: str | None = None,
        patience: Patience | None = None,
        client: Callable[[NodeAddress], KuboRpc] = HttpKuboRpc,
    ) -> None:
        address = NodeAddress.parse(api, token=token)
        super().__init__(f"the IPFS node {address.shown}", patience, advice=_HINT)
        self._rpc = client(address)

    def __repr__(self) -> str:
        return f"<KuboStore: {self._name}>"

    def put(self, chunks: Iterable[Piece]) -> ContentRef:
        """Store, pin and serve a file given in pieces and return its reference.

        The pieces are sent as they arrive. Errors raised by `chunks` pass through, and the node
        then keeps nothing pinned. The node's CID is compared with our own, which is computed
        during the transfer unless `chunks` has it; see `ContentStore.put`.

        Raises:
            ContentNotStored: the node could not store the file, or stored different bytes.
            InvalidParameter: the file is empty.
        """
        size = _size(chunks)
        known: ContentRef | None = getattr(chunks, "content", None)
        hasher = FileHasher()
        pieces = _cut(chunks, hasher if known is None else None)
        first = next(pieces, None)
        if first is None:
            return hasher.content()
        try:
            cid = write_in_thread(
                lambda body: self._rpc.add(body, size=size, wait=self._patience.timeout),
                _with_first(first, pieces),
                patience=self._patience,
            )
        except NodeError as error:
            raise ContentNotStored(f"{self._name} {error}; {_HINT}") from error
        content = known or hasher.content()
        if cid != content.cid:
            self._unpin_foreign(cid)
            raise ContentNotStored(
                f"{self._name} stored {shown(cid)} instead of {content.cid}: it is faulty or not "
                "a Kubo node; use another node"
            )
        return content

    def has(self, content: ContentRef) -> bool:
        """Return whether all blocks of the file are on the node itself.

        Raises:
            ContentUnavailable: the node does not answer.
        """
        try:
            answer = self._rpc.stat(check_cid(content), timeout=self._patience.silence)
        except NodeError as error:
            if _is_absent(error):
                return False
            raise ContentUnavailable(f"{self._name} {error}; {_HINT}") from error
        return (
            isinstance(answer, dict)
            and answer.get("Local") is True
            and answer.get("Size") == content.size
        )

    def pin(self, content: ContentRef, load: LoadCopy = load_nothing) -> None:
        """Keep the file until it is unpinned.

        If the node lacks the file, it gets the caller's copy; without one, the file is first
        fetched from its peers through this store. Only bytes that match the reference are pinned,
        and no more than its size.

        Raises:
            ContentUnavailable: the file could not be fetched in time.
            WrongReference: no bytes match the reference.
            ContentNotStored: the node did not pin the file.
        """
        if self.pinned(content):  # `put` has already pinned it
            return
        if not self.has(content):
            copy = load()
            if copy is not None and self.put(copy) == content:
                return
            with self._get(content, Deadline(self._patience.timeout)) as pieces:
                for _ in pieces:
                    pass
        try:
            answer = self._rpc.pin(content.cid, timeout=self._patience.timeout)
        except NodeError as error:
            raise ContentNotStored(
                f"{self._name} did not pin {content.cid}: it {error}; {_HINT}"
            ) from error
        if not isinstance(answer, dict) or answer.get("Pins") != [content.cid]:
            raise ContentNotStored(
                f"{self._name} was asked to pin {content.cid} and answered {shown(answer)}; "
                "use another node"
            )

    def unpin(self, content: ContentRef) -> None:
        """Remove the file's pin, if it has one.

        Raises:
            ContentUnavailable: the node does not answer.
        """
        try:
            self._rpc.unpin(check_cid(content), timeout=self._patience.silence)
        except NodeError as error:
            if "not pinned" in error.reply or "pinned indirectly" in error.reply:
                return
            raise ContentUnavailable(
                f"{content.cid} stays pinned: {self._name} {error}; {_HINT}"
            ) from error

    def pinned(self, content: ContentRef) -> bool:
        """Return whether the node pins the file.

        Raises:
            ContentUnavailable: the node does not answer.
        """
        try:
            answer = self._rpc.pins(check_cid(content), timeout=self._patience.silence)
        except NodeError as error:
            if "not pinned" in error.reply:
                return False
            raise ContentUnavailable(f"{self._name} {error}; {_HINT}") from error
        return isinstance(answer, dict) and content.cid in (answer.get("Keys") or ())

    def _open(
        self, content: ContentRef, offset: int, stop: int, deadline: Deadline
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._rpc.cat(
            content.cid,
            offset=offset,
            # one more byte at the end, to detect a longer file
            length=stop - offset + (stop == content.size),
            wait=self._limit_wait(deadline),
            timeout=deadline.left() + 1,  # ours ends first, with a clearer error
        )

    def _unpin_foreign(self, cid: object) -> None:
        """Unpin the content that the node stored in place of our file."""
        if isinstance(cid, str) and cid.isalnum():
            with suppress(NodeError):
                self._rpc.unpin(cid, timeout=self._patience.silence)


def ipfshttpclient_rpc(address: NodeAddress) -> KuboRpc:
    """Return a client that uses the package ipfshttpclient.

    Raises:
        StoreNotUsable: the package is missing, or does not support the address.
    """
    try:
        from colearn_ledger.weights.stores.kubo_ipfshttpclient import IpfshttpclientRpc
    except ModuleNotFoundError as error:
        raise StoreNotUsable(
            f"this needs the package {error.name}: pip install 'colearn-ledger[ipfs]', or leave "
            "ipfs+ipfshttpclient: out of the store's address"
        ) from error
    return IpfshttpclientRpc(address)


def _size(chunks: Iterable[Piece]) -> int | None:
    """Return the total number of bytes, or ``None`` if it is not known in advance."""
    if isinstance(chunks, list | tuple):
        return sum(memoryview(chunk).nbytes for chunk in chunks)
    size = getattr(chunks, "nbytes", None)
    return size if isinstance(size, int) else None


def _cut(chunks: Iterable[Piece], hasher: FileHasher | None) -> Iterator[bytes]:
    """Hash the chunks and yield pieces of at most `PIECE` bytes; bytes are not copied."""
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


def _is_absent(error: NodeError) -> bool:
    return "not found" in error.reply or "could not find" in error.reply
