"""Copies of weights in an agent's folder; every read checks the file against its digest.

<sha256>.safetensors     accepted weights
<round>-<sha256>.tested  the tested proposal, so that it is not fetched again if accepted
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

from colearn_learner.errors import LearnerError
from colearn_ledger.home import write_atomically
from colearn_ledger.protocol import ContentRef

__all__ = ["Copies", "DamagedFolder"]

_log = logging.getLogger(__name__)


class DamagedFolder(LearnerError):
    """Raised when an agent's folder cannot be written, or its journal is damaged."""


class Copies:
    """Files of weights in a folder.

    Args:
        path: the folder; created if it is missing.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path

    def load(self, content: ContentRef) -> bytes | None:
        """Return the file of accepted weights, or ``None`` if it is missing or damaged."""
        return _read(self._accepted(content), content)

    def save(self, content: ContentRef, data: bytes) -> None:
        """Save a file of accepted weights atomically.

        Raises:
            DamagedFolder: the file cannot be written.
        """
        try:
            write_atomically(self._accepted(content), data)
        except OSError as error:
            raise self._not_written(error) from error

    def remove(self, content: ContentRef) -> None:
        """Remove the file of accepted weights, if it exists."""
        self._accepted(content).unlink(missing_ok=True)

    def remove_all_but(self, known: Iterable[ContentRef]) -> None:
        """Remove accepted weights other than these, and partial files left by a kill."""
        keep = {self._accepted(content) for content in known}
        for path in {*self._path.glob("*.safetensors"), *self._path.glob("*.part")} - keep:
            path.unlink(missing_ok=True)

    def load_tested(self, content: ContentRef) -> bytes | None:
        """Return the file of a tested proposal, or ``None`` if it is missing or damaged."""
        for path in self._tested(content):
            if (data := _read(path, content)) is not None:
                return data
        return None

    def save_tested(self, round_index: int, content: ContentRef, data: bytes) -> None:
        """Replace all tested proposals with this one; a failed write is only logged."""
        self.forget_tested()
        try:
            write_atomically(self._path / f"{round_index}-{content.sha256}.tested", data)
        except OSError as error:
            _log.warning("the proposal of round %d is not kept: %s", round_index, error.strerror)

    def accept_tested(self, content: ContentRef) -> None:
        """Turn a tested proposal's file into one of accepted weights.

        Call `load_tested` first: it checks the file.

        Raises:
            DamagedFolder: the file cannot be renamed.
        """
        try:
            for path in self._tested(content):
                path.replace(self._accepted(content))
        except OSError as error:
            raise self._not_written(error) from error

    def forget_tested(self, *, but_of: int | None = None) -> None:
        """Remove the files of tested proposals, except those of the round ``but_of``."""
        for path in self._path.glob("*.tested"):
            if path.name.partition("-")[0] != str(but_of):
                path.unlink(missing_ok=True)

    def _accepted(self, content: ContentRef) -> Path:
        return self._path / f"{content.sha256}.safetensors"

    def _tested(self, content: ContentRef) -> list[Path]:
        return list(self._path.glob(f"*-{content.sha256}.tested"))

    def _not_written(self, error: OSError) -> DamagedFolder:
        return DamagedFolder(f"weights can not be written to {self._path}: {error.strerror}")


def _read(path: Path, content: ContentRef) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == content.sha256 else None
