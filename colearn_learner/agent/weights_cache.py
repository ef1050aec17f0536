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

_log = logging.getLogger(__name__)


class DamagedFolder(LearnerError):
    """Raised when an agent's folder cannot be written, or its journal is damaged."""


class WeightsCache:
    """Files of weights in a folder.

    Args:
        path: the folder; created if it is missing.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path

    def load(self, content: ContentRef) -> bytes | None:
        """Return the file of accepted weights, or ``None`` if it is missing or damaged."""
        return _read_verified(self._accepted_path(content), content)

    def save(self, content: ContentRef, data: bytes) -> None:
        """Save a file of accepted weights atomically.

        Raises:
            DamagedFolder: the file cannot be written.
        """
        try:
            write_atomically(self._accepted_path(content), data)
        except OSError as error:
            raise self._write_error(error) from error

    def remove(self, content: ContentRef) -> None:
        """Remove the file of accepted weights, if it exists."""
        self._accepted_path(content).unlink(missing_ok=True)

    def remove_all_except(self, known: Iterable[ContentRef]) -> None:
        """Remove accepted weights other than these, and partial files left by a kill."""
        keep = {self._accepted_path(content) for content in known}
        for path in {*self._path.glob("*.safetensors"), *self._path.glob("*.part")} - keep:
            path.unlink(missing_ok=True)

    def load_tested(self, content: ContentRef) -> bytes | None:
        """Return the file of a tested proposal, or ``None`` if it is missing or damaged."""
        for path in self._tested_paths(content):
            if (data := _read_verified(path, content)) is not None:
                return data
        return None

    def save_tested(self, round_index: int, content: ContentRef, data: bytes) -> None:
        """Replace all tested proposals with this one; a failed write is only logged."""
        self.remove_tested()
        try:
            write_atomically(self._path / f"{round_index}-{content.sha256}.tested", data)
        except OSError as error:
            _log.warning(
                "cannot keep a copy of the proposal of round %d: %s; it is fetched again if needed",
                round_index,
                error.strerror,
            )

    def accept_tested(self, content: ContentRef) -> None:
        """Turn a tested proposal's file into one of accepted weights.

        Call `load_tested` first: it checks the file.

        Raises:
            DamagedFolder: the file cannot be renamed.
        """
        try:
            for path in self._tested_paths(content):
                path.replace(self._accepted_path(content))
        except OSError as error:
            raise self._write_error(error) from error

    def remove_tested(self, *, except_round: int | None = None) -> None:
        """Remove the files of tested proposals, except those of the round ``except_round``."""
        for path in self._path.glob("*.tested"):
            if path.name.partition("-")[0] != str(except_round):
                path.unlink(missing_ok=True)

    def _accepted_path(self, content: ContentRef) -> Path:
        return self._path / f"{content.sha256}.safetensors"

    def _tested_paths(self, content: ContentRef) -> list[Path]:
        return list(self._path.glob(f"*-{content.sha256}.tested"))

    def _write_error(self, error: OSError) -> DamagedFolder:
        return DamagedFolder(
            f"cannot write weights to {self._path}: {error.strerror}; make the folder writable,"
            " then start the agent again"
        )


def _read_verified(path: Path, content: ContentRef) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == content.sha256 else None
