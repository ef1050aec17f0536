"""Several stores as one: the local folder first, then nodes, then gateways.

**Writing** goes to every layer that takes files. It has succeeded when others can get the file:
when at least one node has it or, where there are no nodes, one folder. What failed beside is
logged; when that is not reached, the error names every layer.

**Reading** asks the layers in order until one delivers. Bytes are handed out when a layer has
delivered all of them and they match, so that a layer that breaks off or lies costs time and
nothing else; until then they wait in an unnamed file. The last layer has none after it and
streams straight through.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO

from colearn_ledger.deadline import Deadline
from colearn_ledger.protocol import ContentRef, LedgerError
from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentNotStored,
    ContentStore,
    ContentTooLarge,
    ContentUnavailable,
)
from colearn_ledger.weights.stores.addresses import StoreNotUsable
from colearn_ledger.weights.streams import PIECE, check_size

__all__ = ["Layer", "LayeredStore", "Role"]

_log = logging.getLogger(__name__)

_LIES = (ContentMismatch, ContentTooLarge)
_FAILURES = (*_LIES, ContentNotStored, ContentUnavailable)


class Role(Enum):
    """What a layer is good for."""

    FOLDER = "folder"
    """Takes files and keeps them to itself."""
    NODE = "node"
    """Takes files and serves them to others."""
    GATEWAY = "gateway"
    """Is only read from."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One of the stores.

    Args:
        name: for messages; nothing secret.
        store: the store.
        role: what it is good for.
    """

    name: str
    store: ContentStore
    role: Role


class LayeredStore:
    """A `ContentStore` of several; the module says how they work together.

    Args:
        layers: in the order in which to read them.
        scratch: a folder for the files in passing; the system's own by default.

    Raises:
        StoreNotUsable: there are no layers.
    """

    def __init__(self, layers: Sequence[Layer], *, scratch: Path | None = None) -> None:
        if not layers:
            raise StoreNotUsable("a store needs at least one folder, node or gateway")
        self._layers = tuple(layers)
        self._writable = tuple(x for x in layers if x.role is not Role.GATEWAY)
        self._scratch = scratch

    def __repr__(self) -> str:
        return f"<LayeredStore: {', '.join(layer.name for layer in self._layers)}>"

    def put(self, chunks: Iterable[bytes]) -> ContentRef:
        """Store a file given in pieces in every layer that takes files, and return its reference.

        An iterator is read once, by way of a file; a list once for each layer, without a copy.
        What `chunks` raises passes through.

        Raises:
            ContentNotStored: no node took it, or no folder where there are no nodes.
            InvalidParameter: there were no bytes.
        """
        results: list[ContentRef] = []
        with ExitStack() as stack:
            again = self._repeatable(chunks, stack)
            self._write("store the file", lambda layer: results.append(layer.store.put(again())))
        return results[0]

    @contextmanager
    def get(
        self, content: ContentRef, *, max_size: int, timeout: float | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Open a file; see `ContentStore.get`.

        Each layer gets an even share of the time that is left.

        Raises:
            ContentTooLarge: ``content.size`` is above ``max_size`` bytes.
            ContentUnavailable: no layer delivered it.
            ContentMismatch: every layer delivered something else.
        """
        check_size(content, max_size)
        with ExitStack() as stack:
            yield self._first_good(self._layers, content, timeout, stack)

    def has(self, content: ContentRef) -> bool:
        """Tell whether a layer has the whole file.

        Raises:
            ContentUnavailable: none is known to, and some could not be asked.
        """
        failures: list[tuple[Layer, LedgerError]] = []
        for layer in self._layers:
            try:
                if layer.store.has(content):
                    return True
            except _FAILURES as error:
                failures.append((layer, error))
        if failures:
            raise ContentUnavailable(_told(f"it is unknown who has {content.cid}", failures))
        return False

    def pin(self, content: ContentRef) -> None:
        """Keep the file in every layer that takes files, copied there where it is missing.

        Raises:
            ContentUnavailable: no layer has it.
            ContentNotStored: no node keeps it, or no folder where there are no nodes.
        """

        def keep(layer: Layer) -> None:
            if not layer.store.has(content):
                self._copy(content, layer)
            layer.store.pin(content)

        self._write(f"pin {content.cid}", keep)

    def unpin(self, content: ContentRef) -> None:
        """Let the file go in every layer that takes files.

        Raises:
            ContentUnavailable: all of them failed to; the failure of some is logged.
        """
        failures = _each(self._writable, lambda layer: layer.store.unpin(content))
        if failures and len(failures) == len(self._writable):
            raise ContentUnavailable(_told(f"{content.cid} stays pinned", failures))
        _warn(f"unpin {content.cid}", failures)

    def _write(self, what: str, act: Callable[[Layer], None]) -> None:
        """Act on every layer that takes files; the module says what counts as success."""
        failures = _each(self._writable, act)
        failed = [layer for layer, _ in failures]
        nodes = [x for x in self._writable if x.role is Role.NODE] or self._writable
        if any(layer not in failed for layer in nodes):
            _warn(what, failures)
            return
        if not nodes:
            raise ContentNotStored(f"can not {what}: gateways can only be read from; add a node")
        unavailable = all(isinstance(error, ContentUnavailable) for _, error in failures)
        kind = ContentUnavailable if unavailable and len(failures) else ContentNotStored
        raise kind(_told(f"could not {what} where others can get it", failures))

    def _copy(self, content: ContentRef, target: Layer) -> None:
        """Put the file into a layer from the others, if they have it."""
        others = [layer for layer in self._layers if layer is not target]
        try:
            with ExitStack() as stack:
                target.store.put(self._first_good(others, content, None, stack))
        except (ContentUnavailable, *_LIES) as error:
            _log.info("%s must fetch %s by itself: %s", target.name, content.cid, error)

    def _first_good(
        self,
        layers: Sequence[Layer],
        content: ContentRef,
        timeout: float | None,
        stack: ExitStack,
    ) -> Iterator[bytes]:
        """Return the file's pieces out of the first layer that has them; `stack` closes it."""
        if not layers:
            raise ContentUnavailable(f"nobody else has {content.cid}")
        deadline = None if timeout is None else Deadline(timeout)
        failures: list[tuple[Layer, LedgerError]] = []
        for number, layer in enumerate(layers[:-1]):
            share = None if deadline is None else deadline.left() / (len(layers) - number)
            try:
                return self._whole(layer, content, share, stack)
            except _FAILURES as error:
                failures.append((layer, error))
                _log.debug("%s does not deliver %s: %s", layer.name, content.cid, error)
        left = None if deadline is None else deadline.left()
        return stack.enter_context(closing(_last(layers[-1], content, left, failures)))

    def _whole(
        self, layer: Layer, content: ContentRef, timeout: float | None, stack: ExitStack
    ) -> Iterator[bytes]:
        """Return the file's pieces after the layer has delivered all of it."""
        with ExitStack() as until_whole:
            file = until_whole.enter_context(self._file())
            with layer.store.get(content, max_size=content.size, timeout=timeout) as pieces:
                for piece in pieces:
                    _save(file, piece)
            stack.enter_context(until_whole.pop_all())
        return _replayed(file)

    def _repeatable(
        self, chunks: Iterable[bytes], stack: ExitStack
    ) -> Callable[[], Iterable[bytes]]:
        """Return what gives the chunks as often as there are layers."""
        if iter(chunks) is not chunks or len(self._writable) < 2:
            return lambda: chunks
        file = stack.enter_context(self._file())
        for chunk in chunks:
            _save(file, chunk)
        return lambda: _replayed(file)

    def _file(self) -> IO[bytes]:
        try:
            return tempfile.TemporaryFile(dir=self._scratch, buffering=0)
        except OSError as error:
            raise ContentNotStored(f"no file can be made in passing: {error.strerror}") from error


def _last(
    layer: Layer,
    content: ContentRef,
    timeout: float | None,
    failures: list[tuple[Layer, LedgerError]],
) -> Generator[bytes]:
    """Yield the last layer's pieces; its error names what the others did."""
    try:
        with layer.store.get(content, max_size=content.size, timeout=timeout) as pieces:
            yield from pieces
    except _FAILURES as error:
        failures = [*failures, (layer, error)]
        lies = all(isinstance(e, _LIES) for _, e in failures)
        kind = ContentMismatch if lies else ContentUnavailable
        raise kind(_told(f"no store delivered {content.cid}", failures)) from error


def _each(layers: Sequence[Layer], act: Callable[[Layer], None]) -> list[tuple[Layer, LedgerError]]:
    """Act on every layer and return who failed, and how."""
    failures: list[tuple[Layer, LedgerError]] = []
    for layer in layers:
        try:
            act(layer)
        except _FAILURES as error:
            failures.append((layer, error))
    return failures


def _warn(what: str, failures: list[tuple[Layer, LedgerError]]) -> None:
    for layer, error in failures:
        _log.warning("%s could not %s: %s", layer.name, what, error)


def _told(what: str, failures: Sequence[tuple[Layer, LedgerError]]) -> str:
    """Return one line with every layer's failure in it."""
    return f"{what}: " + " ".join(
        f"[{number}] {layer.name}: {error}." for number, (layer, error) in enumerate(failures, 1)
    )


def _save(file: IO[bytes], piece: bytes) -> None:
    try:
        rest = memoryview(piece)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise ContentNotStored(f"no room for a file in passing: {error.strerror}") from error


def _replayed(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece
