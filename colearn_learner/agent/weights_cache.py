"""The copies of weights in an agent's folder, each checked against its digest when it is read.

<sha256>.safetensors     accepted weights
<round>-<sha256>.tested  the proposal that is voted on: when it is accepted, nobody is asked for it
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
    """The folder's journal is not one that an agent wrote, or the disk does not take it."""


class Copies:
    """Files of weights in a folder.

    Args:
        path: the folder, made when it is missing.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path

    def load(self, content: ContentRef) -> bytes | None:
        """Return the file of accepted weights, ``None`` when it is not here or damaged."""
        return _read(self._accepted(content), content)

    def save(self, content: ContentRef, data: bytes) -> None:
        """Keep a file of accepted weights; it has its name only once it is whole.

        Raises:
            DamagedFolder: the disk does not take it.
        """
        try:
            write_atomically(self._accepted(content), data)
        except OSError as error:
            raise self._not_written(error) from error

    def remove(self, content: ContentRef) -> None:
        """Remove the file of accepted weights, if it is here."""
        self._accepted(content).unlink(missing_ok=True)

    def remove_all_but(self, known: Iterable[ContentRef]) -> None:
        """Remove what a kill left, and accepted weights other than these."""
        keep = {self._accepted(content) for content in known}
        for path in {*self._path.glob("*.safetensors"), *self._path.glob("*.part")} - keep:
            path.unlink(missing_ok=True)

    def load_tested(self, content: ContentRef) -> bytes | None:
        """Return the file of a tested proposal, ``None`` when it is not here or damaged."""
        for path in self._tested(content):
            if (data := _read(path, content)) is not None:
                return data
        return None

    def save_tested(self, round_index: int, content: ContentRef, data: bytes) -> None:
        """Keep the file of a round's proposal, and no other proposal's, if the disk takes it."""
        self.forget_tested()
        try:
            write_atomically(self._path / f"{round_index}-{content.sha256}.tested", data)
        except OSError as error:
            _log.warning("the proposal of round %d is not kept: %s", round_index, error.strerror)

    def accept_tested(self, content: ContentRef) -> None:
        """Make a tested proposal's file, just read by `load_tested`, that of accepted weights.

        Raises:
            DamagedFolder: the disk does not take it.
        """
        try:
            for path in self._tested(content):
                path.replace(self._accepted(content))
        except OSError as error:
            raise self._not_written(error) from error

    def forget_tested(self, *, but_of: int | None = None) -> None:
        """Remove the files of proposals, except a round's."""
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
