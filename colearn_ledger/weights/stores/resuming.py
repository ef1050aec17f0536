"""Read the rest of a file from several stores, at the same time if it is large."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO

from colearn_ledger.deadline import Deadline
from colearn_ledger.protocol import ContentRef, LedgerError
from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentNotStored,
    ContentUnavailable,
    measure_begun,
)
from colearn_ledger.weights.stores.layers import Layer, Role, describe_failures
from colearn_ledger.weights.stores.parallel import PART, ParallelReader
from colearn_ledger.weights.unixfs import verified


class ResumingReader:
    """Continue files with whatever layer delivers, and remember which layers delivered wrong bytes.

    A mistrusted layer is asked last, until it delivers a file that matches.

    Args:
        layers: the stores, in the order in which to read them.
        open_file: opens an unnamed file for a part that arrives early.
    """

    def __init__(self, layers: Sequence[Layer], open_file: Callable[[], IO[bytes]]) -> None:
        self._layers = tuple(layers)
        self._open_file = open_file
        self._mistrusted: set[Layer] = set()
        self._used: dict[ContentRef, set[Layer]] = {}

    def trust(self, layer: Layer) -> None:
        """Note that a layer delivered a whole file that matches."""
        self._mistrusted.discard(layer)

    def mistrust(self, layer: Layer) -> None:
        """Note that a layer delivered bytes that do not match."""
        self._mistrusted.add(layer)

    def read(self, content: ContentRef, begun: Path, timeout: float | None) -> Generator[bytes]:
        """Yield the bytes after those of ``begun``, and verify the whole.

        Args:
            content: reference of the file.
            begun: a file with the first bytes; it may be missing.
            timeout: limit on the whole, in seconds; ``None``: the limits of the stores.

        Raises:
            ContentUnavailable: no layer delivered the rest.
            ContentMismatch: the bytes do not match; the message names the layers.
            WrongReference: no bytes match the reference.
        """
        used = self._used.setdefault(content, set())
        try:
            with closing(self._read_rest(content, begun, timeout)) as pieces:
                yield from verified(pieces, content, begun=begun)
        except ContentMismatch as error:
            del self._used[content]
            if len(used) == 1:  # of several, nobody knows which one it was
                self._mistrusted |= used
            names = ", ".join(sorted(layer.name for layer in used)) or "an earlier process"
            raise ContentMismatch(
                f"the bytes of {content.cid} delivered by {names} do not match it; discard them "
                "and fetch the whole again",
                again=True,
            ) from error
        del self._used[content]
        if len(used) == 1:
            self._mistrusted -= used

    def _read_rest(
        self, content: ContentRef, begun: Path, timeout: float | None
    ) -> Generator[bytes]:
        """Yield the bytes after those of ``begun``, which are **not** verified."""
        deadline = None if timeout is None else Deadline(timeout)
        position = measure_begun(begun)
        failures: list[tuple[Layer, LedgerError]] = []
        groups = self._group(content.size - position)
        for number, group in enumerate(groups):
            left = None if deadline is None else deadline.left() / (len(groups) - number)
            try:
                with closing(self._read_from(group, content, position, left)) as pieces:
                    for piece in pieces:
                        position += len(piece)
                        yield piece
            except (ContentUnavailable, ContentNotStored) as error:
                failures.append((group[0], error))
            if position >= content.size:
                return
        raise ContentUnavailable(describe_failures(f"no store delivered {content.cid}", failures))

    def _group(self, size: int) -> list[list[Layer]]:
        """Return the layers in the order in which to read ``size`` bytes.

        Those in one group are read at the same time.
        """
        trusted = [layer for layer in self._layers if layer not in self._mistrusted]
        folders = [[layer] for layer in trusted if layer.role is Role.FOLDER]
        others = [layer for layer in trusted if layer.role is not Role.FOLDER]
        last = [[layer] for layer in self._layers if layer in self._mistrusted]
        together = [others] if len(others) > 1 and size > PART else [[each] for each in others]
        return folders + together + last

    def _read_from(
        self, group: list[Layer], content: ContentRef, position: int, timeout: float | None
    ) -> Generator[bytes]:
        """Yield the bytes from a position on that the layers of a group deliver."""
        used = self._used[content]
        if len(group) == 1:
            [layer] = group
            with layer.store.read(content, position, content.size, timeout=timeout) as pieces:
                for piece in pieces:
                    used.add(layer)
                    yield piece
            return
        deadline = None if timeout is None else Deadline(timeout)
        reader = ParallelReader(
            group, content, position, deadline=deadline, open_file=self._open_file
        )
        for layer, pieces in reader.read():
            used.add(layer)
            yield from pieces
