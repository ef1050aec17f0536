"""Use several stores as one: the local folder first, then nodes, then gateways.

**Writing** goes to every writable layer. It succeeds if others can fetch the file: if at least one
node stored it or, without nodes, at least one folder. Other failures are then only logged. If
writing fails, the error lists every layer.

**Reading** tries the layers in order until one succeeds. Bytes are returned once a layer has
delivered all of them and they match; until then they are kept in an unnamed file. A layer that
breaks off or sends wrong bytes therefore costs only time. The last layer has no fallback, so its
bytes are passed on as they arrive.

**Resuming** (``begun``) is faster: the next layer continues at the byte that was reached, large
files come from several layers at the same time, and all bytes are passed on as they arrive. If they
do not match in the end, the whole has to be fetched again; nobody knows which layer is to blame,
unless only one delivered. A layer that is known to have delivered wrong bytes is asked last until
it delivers a file that matches.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO

from colearn_ledger.deadline import Deadline
from colearn_ledger.protocol import ContentRef, LedgerError
from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentNotStored,
    ContentUnavailable,
    LoadCopy,
    Piece,
    check_size,
    load_nothing,
)
from colearn_ledger.weights.stores.addresses import StoreNotUsable
from colearn_ledger.weights.stores.layers import Layer, Role, describe_failures
from colearn_ledger.weights.stores.parallel import write_piece
from colearn_ledger.weights.stores.resuming import ResumingReader
from colearn_ledger.weights.streams import PIECE

_log = logging.getLogger(__name__)

_FAILURES = (ContentNotStored, ContentUnavailable)


class LayeredStore:
    """Combine several stores, as the module's docstring describes.

    Args:
        layers: the stores, in the order in which to read them.
        scratch: folder for temporary files; the system's by default.

    Raises:
        StoreNotUsable: there are no layers.
    """

    def __init__(self, layers: Sequence[Layer], *, scratch: Path | None = None) -> None:
        if not layers:
            raise StoreNotUsable("a store needs at least one folder, node or gateway")
        self._layers = tuple(layers)
        self._writable = tuple(x for x in layers if x.role is not Role.GATEWAY)
        self._scratch = scratch
        self._resuming = ResumingReader(self._layers, self._file)
        self._failing: set[str] = set()  # layers that failed in the last write

    def __repr__(self) -> str:
        return f"<LayeredStore: {', '.join(layer.name for layer in self._layers)}>"

    def put(self, chunks: Iterable[Piece]) -> ContentRef:
        """Store a file given in pieces in every writable layer, and return its reference.

        An iterator is first copied to a file; a list is read once for each layer, without a copy.
        Errors raised by `chunks` pass through.

        Raises:
            ContentNotStored: no node stored the file or, without nodes, no folder.
            InvalidParameter: the file is empty.
        """
        results: list[ContentRef] = []
        with ExitStack() as stack:
            again = self._make_repeatable(chunks, stack)
            self._write("store the file", lambda layer: results.append(layer.store.put(again())))
        return results[0]

    @contextmanager
    def get(
        self,
        content: ContentRef,
        *,
        max_size: int,
        timeout: float | None = None,
        begun: Path | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """Open a file; see `ContentStore.get`.

        Each layer gets an equal share of the time that is left.

        Raises:
            ContentMismatch: ``begun`` is given, and the bytes do not match; without it, such a
                layer is skipped.
            ContentTooLarge: ``content.size`` exceeds ``max_size`` bytes.
            ContentUnavailable: no layer delivered the file.
            WrongReference: no bytes match the reference.
        """
        check_size(content, max_size)
        with ExitStack() as stack:
            if begun is None:
                yield self._first_good(self._layers, content, timeout, stack)
            else:
                yield stack.enter_context(closing(self._resuming.read(content, begun, timeout)))

    def has(self, content: ContentRef) -> bool:
        """Return whether a layer has the whole file.

        Raises:
            ContentUnavailable: no layer confirmed that it has the file, and some did not answer.
        """
        failures: list[tuple[Layer, LedgerError]] = []
        for layer in self._layers:
            try:
                if layer.store.has(content):
                    return True
            except _FAILURES as error:
                failures.append((layer, error))
        if failures:
            raise ContentUnavailable(
                describe_failures(f"no layer is known to have {content.cid}", failures)
            )
        return False

    def pin(self, content: ContentRef, load: LoadCopy = load_nothing) -> None:
        """Pin the file in every writable layer, copying it to layers that lack it.

        They get the caller's copy; without one, that of another layer, which may be far away.

        Raises:
            ContentUnavailable: no layer has the file.
            ContentNotStored: no node pinned the file or, without nodes, no folder.
        """

        def keep(layer: Layer) -> None:
            if not layer.store.has(content):
                copy = load()
                if copy is None:
                    self._copy(content, layer)
                else:
                    layer.store.put(copy)
            layer.store.pin(content)

        self._write(f"pin {content.cid}", keep)

    def unpin(self, content: ContentRef) -> None:
        """Unpin the file in every writable layer.

        Raises:
            ContentUnavailable: every layer failed; if only some fail, that is logged.
        """
        failures = _try_each(self._writable, lambda layer: layer.store.unpin(content))
        if failures and len(failures) == len(self._writable):
            raise ContentUnavailable(describe_failures(f"{content.cid} stays pinned", failures))
        self._report(f"unpin {content.cid}", failures)

    def _write(self, what: str, act: Callable[[Layer], None]) -> None:
        """Act on every writable layer; the module's docstring defines success."""
        failures = _try_each(self._writable, act)
        failed = [layer for layer, _ in failures]
        nodes = [x for x in self._writable if x.role is Role.NODE] or self._writable
        if any(layer not in failed for layer in nodes):
            self._report(what, failures)
            return
        if not nodes:
            raise ContentNotStored(f"cannot {what}: gateways are read-only; add a node")
        unavailable = all(isinstance(error, ContentUnavailable) for _, error in failures)
        kind = ContentUnavailable if unavailable and len(failures) else ContentNotStored
        raise kind(describe_failures(f"could not {what} where others can fetch it", failures))

    def _report(self, what: str, failures: list[tuple[Layer, LedgerError]]) -> None:
        """Warn of layers that begin to fail, and log those that work again."""
        failed = {layer.name for layer, _ in failures}
        for layer, error in failures:
            level = logging.DEBUG if layer.name in self._failing else logging.WARNING
            _log.log(level, "%s could not %s: %s", layer.name, what, error)
        for name in sorted(self._failing - failed):
            _log.info("%s works again", name)
        self._failing = failed

    def _copy(self, content: ContentRef, target: Layer) -> None:
        """Copy the file from the other layers to one that lacks it, if they have it."""
        others = [layer for layer in self._layers if layer is not target]
        try:
            with ExitStack() as stack:
                target.store.put(self._first_good(others, content, None, stack))
        except ContentUnavailable as error:
            _log.info("%s has to fetch %s by itself: %s", target.name, content.cid, error)

    def _first_good(
        self,
        layers: Sequence[Layer],
        content: ContentRef,
        timeout: float | None,
        stack: ExitStack,
    ) -> Iterator[bytes]:
        """Return the pieces from the first layer that delivers the file; `stack` closes it."""
        if not layers:
            raise ContentUnavailable(f"no other store has {content.cid}")
        deadline = None if timeout is None else Deadline(timeout)
        failures: list[tuple[Layer, LedgerError]] = []
        for number, layer in enumerate(layers[:-1]):
            share = None if deadline is None else deadline.left() / (len(layers) - number)
            try:
                return self._read_whole(layer, content, share, stack)
            except _FAILURES as error:
                failures.append((layer, error))
                _log.debug("%s did not deliver %s: %s", layer.name, content.cid, error)
                self._note_wrong_bytes(layer, error)
        left = None if deadline is None else deadline.left()
        return stack.enter_context(closing(self._read_last(layers[-1], content, left, failures)))

    def _read_whole(
        self, layer: Layer, content: ContentRef, timeout: float | None, stack: ExitStack
    ) -> Iterator[bytes]:
        """Return the file's pieces after the layer has delivered all of them."""
        with ExitStack() as until_whole:
            file = until_whole.enter_context(self._file())
            with layer.store.get(content, max_size=content.size, timeout=timeout) as pieces:
                for piece in pieces:
                    write_piece(file, piece)
            stack.enter_context(until_whole.pop_all())
        self._resuming.trust(layer)
        return _read_again(file)

    def _read_last(
        self,
        layer: Layer,
        content: ContentRef,
        timeout: float | None,
        failures: list[tuple[Layer, LedgerError]],
    ) -> Generator[bytes]:
        """Yield the last layer's pieces; an error also lists the failures of the other layers."""
        try:
            with layer.store.get(content, max_size=content.size, timeout=timeout) as pieces:
                yield from pieces
        except _FAILURES as error:
            self._note_wrong_bytes(layer, error)
            failures = [*failures, (layer, error)]
            raise ContentUnavailable(
                describe_failures(f"no store delivered {content.cid}", failures)
            ) from error

    def _note_wrong_bytes(self, layer: Layer, error: LedgerError) -> None:
        if isinstance(error, ContentMismatch):
            self._resuming.mistrust(layer)
            _log.warning("%s is damaged, or lies: %s", layer.name, error)

    def _make_repeatable(
        self, chunks: Iterable[Piece], stack: ExitStack
    ) -> Callable[[], Iterable[Piece]]:
        """Return a function that returns the chunks once for each layer."""
        if iter(chunks) is not chunks or len(self._writable) < 2:
            return lambda: chunks
        file = stack.enter_context(self._file())
        for chunk in chunks:
            write_piece(file, chunk)
        return lambda: _read_again(file)

    def _file(self) -> IO[bytes]:
        try:
            return tempfile.TemporaryFile(dir=self._scratch, buffering=0)
        except OSError as error:
            raise ContentNotStored(f"no temporary file can be created: {error.strerror}") from error


def _try_each(
    layers: Sequence[Layer], act: Callable[[Layer], None]
) -> list[tuple[Layer, LedgerError]]:
    """Act on every layer and return the layers that failed, with their errors."""
    failures: list[tuple[Layer, LedgerError]] = []
    for layer in layers:
        try:
            act(layer)
        except _FAILURES as error:
            failures.append((layer, error))
    return failures


def _read_again(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece
