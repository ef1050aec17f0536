"""The journal of an agent's decisions: a file of JSON lines, each on disk before it counts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from colearn_learner.agent.errors import DamagedFolder, writing_folder


class DecisionJournal:
    """A file to which one agent appends lines.

    Read all of `replay` before the first `append`.

    Args:
        path: the file; created by the first line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._size = 0

    def replay(self) -> Iterator[tuple[int, Any]]:
        """Yield each line's number, starting at 1, and its content.

        A torn last line is skipped: the agent was killed while it wrote the line, before it acted
        on it.

        Raises:
            DamagedFolder: a line is damaged.
            FolderNotWritable: the file cannot be read.
        """
        with writing_folder(self._path):
            data = self._path.read_bytes() if self._path.exists() else b""
        *lines, torn = data.split(b"\n")
        self._size = len(data) - len(torn)
        for number, line in enumerate(lines, start=1):
            try:
                content = json.loads(line)
            except ValueError as error:
                raise self.damage(number) from error
            yield number, content

    def append(self, content: Mapping[str, Any]) -> None:
        """Write a line and wait until it is on disk; if this fails, the file stays as it was.

        Raises:
            FolderNotWritable: the line cannot be written.
        """
        line = json.dumps(content, sort_keys=True).encode() + b"\n"
        with writing_folder(self._path):
            file = self._open()
            try:
                _write_all(file, line)
                os.fsync(file)
            except OSError:
                with suppress(OSError):  # otherwise the next line or start removes what is left
                    os.ftruncate(file, self._size)
                raise
        self._size += len(line)

    def damage(self, number: int) -> DamagedFolder:
        """Return the error that a line is damaged."""
        return DamagedFolder(
            f"line {number} of {self._path} is damaged; move the folder away to start over"
            " (commitments that are not revealed yet are then lost)"
        )

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        """Return the open file, without a torn line at its end."""
        if self._file is None:
            flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
            self._file = os.open(self._path, flags, 0o666)
        if os.fstat(self._file).st_size != self._size:
            os.ftruncate(self._file, self._size)
        return self._file


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
