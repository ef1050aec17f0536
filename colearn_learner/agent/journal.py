"""The journal of an agent's decisions: a file of JSON lines, each on disk before it counts.

journal.jsonl  the lines; the checksum of each covers the previous one
journal.head   the number of lines and the checksum of the last one, written after each line

Checksums detect altered, missing and reordered lines. The head detects lines missing at the end. It
is not synced: after a power loss it may be older than the journal, never newer.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from colearn_learner.agent.errors import DamagedFolder, writing_folder
from colearn_ledger.home import append_durably, write_atomically
from colearn_ledger.text.checked_lines import DamagedLine, read_line, write_line

_log = logging.getLogger(__name__)


class DecisionJournal:
    """A file to which one agent appends lines.

    Read all of `replay` before the first `append`.

    Args:
        path: the file; created by the first line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head = path.with_suffix(".head")
        self._file: int | None = None
        self._size = 0
        self._lines = 0
        self._check = ""

    def replay(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield each line's number, starting at 1, and its content.

        A torn last line is skipped: the agent was killed while it wrote the line, before it acted
        on it.

        Raises:
            DamagedFolder: a line is damaged or missing, or a file cannot be read.
        """
        data = _read(self._path) or b""
        *lines, torn = data.split(b"\n")
        self._size = len(data) - len(torn)
        expected, last = self._read_head(len(lines))
        for line in lines:
            self._lines += 1
            try:
                content, self._check = read_line(line, self._check)
            except DamagedLine as error:
                raise self.damage(self._lines) from error
            if self._lines == expected and self._check != last:
                raise self.damage(self._lines)
            yield self._lines, content
        if self._lines < expected:
            raise _damaged(
                f"line {self._lines + 1} of {self._path} is missing: the agent wrote {expected}"
            )

    def append(self, content: Mapping[str, Any]) -> None:
        """Write a line and wait until it is on disk; if this fails, the file stays as it was.

        Raises:
            FolderNotWritable: the line cannot be written.
        """
        line, check = write_line(content, self._check)
        line += b"\n"
        with writing_folder(self._path):
            append_durably(self._open(), line)
        self._size += len(line)
        self._lines += 1
        self._check = check
        self._write_head()

    def damage(self, number: int) -> DamagedFolder:
        """Return the error that a line is damaged."""
        return _damaged(f"line {number} of {self._path} is damaged")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # ------------------------------------------------------------------ files

    def _open(self) -> int:
        """Return the open file, without a torn line at its end."""
        if self._lines == 0:  # before the first line, so that a missing head is noticed
            write_atomically(self._head, self._format_head())
        if self._file is None:
            flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
            self._file = os.open(self._path, flags, 0o666)
        if os.fstat(self._file).st_size != self._size:
            os.ftruncate(self._file, self._size)
        return self._file

    def _format_head(self) -> bytes:
        return write_line({"last": self._check, "lines": self._lines})[0] + b"\n"

    def _write_head(self) -> None:
        """Write the head in place, which takes no disk space."""
        try:
            with self._head.open("r+b", buffering=0) as file:
                file.write(self._format_head())
        except OSError as error:  # an older head only detects fewer missing lines
            _log.warning("cannot write %s: %s; trying again later", self._head, error.strerror)

    def _read_head(self, found: int) -> tuple[int, str]:
        """Return the number of lines that the agent wrote, and the checksum of the last one."""
        data = _read(self._head)
        if data is None and not found:
            return 0, ""
        try:
            if data is None or not data.endswith(b"\n"):
                raise DamagedLine("it is missing or torn")
            head, _ = read_line(data[:-1])
            return int(head["lines"]), str(head["last"])
        except (ValueError, LookupError, TypeError) as error:
            raise _damaged(
                f"{self._head} is damaged or missing, so lines after line {found} of {self._path}"
                " may be missing"
            ) from error


def _damaged(what: str) -> DamagedFolder:
    return DamagedFolder(
        f"{what}; move the folder away to start over (commitments that are not revealed yet are"
        " then lost)"
    )


def _read(path: Path) -> bytes | None:
    """Return the content of a file, ``None`` if it does not exist."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedFolder(
            f"cannot read {path}: {error.strerror}; make the file readable, or restore it"
        ) from error
