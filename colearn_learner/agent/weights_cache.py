"""Copies of weights in an agent's folder; every read checks the file against its digest.

Files are mapped into memory, not read, so that the system can drop their pages at any time. Whoever
changes a mapped file, as a learner may that gets it as weights, changes its own pages only.

<sha256>.safetensors           weights that were the current ones
<round>/<sha256>.safetensors   proposals of the current round, the agent's own one included
incoming/<sha256>.safetensors  weights that were fetched to become the current ones
"""

from __future__ import annotations

import hashlib
import mmap
import shutil
from collections.abc import Iterable
from pathlib import Path

from colearn_learner.agent.errors import writing_folder
from colearn_ledger.home import open_atomically, sync_folder, write_atomically
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.fetching import file_name
from colearn_ledger.weights.unixfs import FileHasher

_INCOMING = "incoming"


class WeightsCache:
    """Files of weights in a folder.

    Args:
        path: the folder; created if it is missing.

    Raises:
        FolderNotWritable: from here and from each method that writes or removes files.
    """

    def __init__(self, path: Path) -> None:
        with writing_folder(path):
            path.mkdir(parents=True, exist_ok=True)
        self._path = path

    # ------------------------------------------------------------------ accepted weights

    def load(self, content: ContentRef) -> memoryview | None:
        """Map the file of accepted weights, or ``None`` if it is missing or damaged."""
        return _map_verified(self._path / file_name(content), content)

    def save(self, content: ContentRef, data: memoryview) -> None:
        """Save a file of accepted weights atomically."""
        self._write(self._path / file_name(content), data)

    def remove(self, content: ContentRef) -> None:
        """Remove the file of accepted weights, if it exists."""
        self._remove(self._path / file_name(content))

    def remove_all_except(self, known: Iterable[ContentRef]) -> None:
        """Remove accepted weights other than these, and partial files left by a kill."""
        keep = {self._path / file_name(content) for content in known}
        partial = (*self._path.glob("*.part"), *self._path.glob("*/*.part"))
        for path in {*self._path.glob("*.safetensors"), *partial} - keep:
            self._remove(path)

    def open_incoming(self) -> Path:
        """Return the folder of weights that are fetched, created if it is missing."""
        return self._open(_INCOMING)

    def load_incoming(self, content: ContentRef) -> memoryview | None:
        """Map a file that was fetched, or return ``None`` if it is missing or damaged."""
        return _map_verified(self._path / _INCOMING / file_name(content), content)

    # ------------------------------------------------------------------ proposals

    def open_round(self, round_index: int) -> Path:
        """Return the folder of a round's proposals, created if it is missing."""
        return self._open(str(round_index))

    def _open(self, name: str) -> Path:
        path = self._path / name
        with writing_folder(path):
            path.mkdir(exist_ok=True)
        return path

    def find_proposal(self, round_index: int, content: ContentRef) -> Path:
        """Return the path of a proposal's file, which may be missing or damaged."""
        return self._path / str(round_index) / file_name(content)

    def load_proposal(self, round_index: int, content: ContentRef) -> memoryview | None:
        """Map the file of a proposal, or ``None`` if it is missing or damaged."""
        return _map_verified(self.find_proposal(round_index, content), content)

    def save_proposal(self, round_index: int, pieces: Iterable[bytes | memoryview]) -> ContentRef:
        """Save the file of a proposal atomically and return its reference."""
        folder, hasher = self.open_round(round_index), FileHasher()
        path = folder / "proposal.part"
        with writing_folder(folder):
            with open_atomically(path) as file:
                for piece in pieces:
                    hasher.update(piece)
                    file.write(piece)
            content = hasher.content()
            path.replace(folder / file_name(content))
            sync_folder(folder)
        return content

    def remove_proposals(self, *, except_round: int | None = None) -> None:
        """Remove the proposals of all rounds except ``except_round``, and what was fetched."""
        for path in self._path.iterdir():
            if path.is_dir() and path.name != str(except_round):
                shutil.rmtree(path, ignore_errors=True)

    def _write(self, path: Path, data: memoryview) -> None:
        with writing_folder(path):
            write_atomically(path, data)

    def _remove(self, path: Path) -> None:
        with writing_folder(path):
            path.unlink(missing_ok=True)


def _map_verified(path: Path, content: ContentRef) -> memoryview | None:
    try:
        with path.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None
    return data if hashlib.sha256(data).hexdigest() == content.sha256 else None
