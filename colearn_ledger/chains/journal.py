"""What was sent with a key: on the disk before it is on its way, and under one lock.

A journal is what lets several processes share a key, and what a process that starts again knows
of the transactions that its predecessor sent. It is a file of JSON lines, one for each form in
which a transaction was signed; a line that a kill tore off was never sent.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colearn_ledger.home import HomeNotWritable, private_folder, write_private
from colearn_ledger.ledger import LedgerUnavailable

__all__ = ["Entry", "Journal", "Version"]

_KEPT = 64
"""Transactions that are remembered; what a reorganisation may drop is far fewer."""

_LINES = 4 * _KEPT

_PAUSE = 0.005


@dataclass(frozen=True, slots=True)
class Version:
    """A transaction as it was signed once: the fields that were, and its hash."""

    hash: str
    unsigned: dict[str, Any]


@dataclass(slots=True)
class Entry:
    """What was sent with one nonce, in the order of its versions, of which one can take effect.

    Args:
        nonce: the account's.
        call: identifies what the transaction is for, whatever its fees and nonce.
        time: when it was first sent, seconds since the epoch.
        versions: at least one.
    """

    nonce: int
    call: str
    time: float
    versions: list[Version] = field(default_factory=list)

    @property
    def last(self) -> Version:
        """The version that pays most."""
        return self.versions[-1]


class Journal:
    """One account's journal; who is inside `turn` may read and write it.

    Args:
        path: the file; ``None`` for one that ends with the process, where no other can use the
            key: a chain in this process.
        patience: seconds to wait for another process's turn to end.
    """

    def __init__(self, path: Path | None, *, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._lock = threading.RLock()
        self._read_as: tuple[int, int, int] | None = None
        self._lines = 0
        self.entries: dict[int, Entry] = {}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the key: no other thread or process sends with it meanwhile.

        Raises:
            LedgerUnavailable: another process does not let go of it.
            HomeNotWritable: the file can not be used.
        """
        with self._lock:
            if self._path is None:
                yield
                return
            private_folder(self._path.parent)
            try:
                lock = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
            except OSError as error:
                raise _not_usable(self._path, error) from error
            try:
                self._take(lock)
                self._refresh(self._path)
                yield
            finally:
                os.close(lock)

    def add(self, entry: Entry, version: Version) -> None:
        """Note a version of a transaction that is about to be sent."""
        noted = {
            "nonce": entry.nonce,
            "call": entry.call,
            "time": entry.time,
            "hash": version.hash,
            "unsigned": {k: _to_json(v) for k, v in version.unsigned.items()},
        }
        self._write(noted)
        entry.versions.append(version)
        self.entries[entry.nonce] = entry
        self._prune()

    def forget(self, nonce: int) -> None:
        """Note that what was sent with a nonce can not take effect: the nonce is free, or lost."""
        if self.entries.pop(nonce, None) is not None:
            self._write({"nonce": nonce, "forgotten": True})

    # ------------------------------------------------------------------ the file

    def _take(self, lock: int) -> None:
        ends = time.monotonic() + self._patience
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > ends:
                    raise LedgerUnavailable(
                        f"another process has been sending with this key for {self._patience:g} s "
                        f"({self._path}); is it stuck?"
                    ) from None
            time.sleep(_PAUSE)

    def _refresh(self, path: Path) -> None:
        """Read what other processes wrote."""
        try:
            content = b"" if self._is_as_read(path) else path.read_bytes()
        except OSError as error:
            raise _not_usable(path, error) from error
        if not content:
            return
        lines = content.split(b"\n")
        if lines[-1]:  # torn off: what it notes was never sent
            write_private(path, b"".join(line + b"\n" for line in lines[:-1]))
        before, self.entries = self.entries, {}
        self._lines = len(lines)
        for line in lines[:-1]:
            self._replay(line, before)
        self._prune()
        self._note_read(path)

    def _is_as_read(self, path: Path) -> bool:
        return not path.exists() or _state_of(path) == self._read_as

    def _note_read(self, path: Path) -> None:
        self._read_as = _state_of(path)

    def _replay(self, line: bytes, before: dict[int, Entry]) -> None:
        try:
            noted = json.loads(line)
            nonce = noted["nonce"]
            if noted.get("forgotten"):
                self.entries.pop(nonce, None)
                return
            unsigned = {k: _from_json(v) for k, v in noted["unsigned"].items()}
            version = Version(noted["hash"], unsigned)
            entry = self.entries.get(nonce) or Entry(nonce, noted["call"], noted["time"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # written by no version of this package; the chain knows better
        held = before.get(nonce)
        if not entry.versions and held is not None and held.versions[0].hash == version.hash:
            entry = held  # who waits for it has hold of this one
            entry.versions.clear()
        entry.versions.append(version)
        self.entries[nonce] = entry

    def _write(self, noted: dict[str, Any]) -> None:
        if self._path is None:
            return
        line = json.dumps(noted, separators=(",", ":")).encode() + b"\n"
        try:
            file = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
            try:
                if os.write(file, line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fdatasync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise _not_usable(self._path, error) from error
        self._lines += 1
        self._note_read(self._path)

    def _prune(self) -> None:
        for nonce in sorted(self.entries)[:-_KEPT]:
            del self.entries[nonce]
        if self._path is None or self._lines <= _LINES:
            return
        held = {version.hash for entry in self.entries.values() for version in entry.versions}
        lines = self._path.read_bytes().split(b"\n")[:-1]
        kept = [line for line in lines if _hash_in(line) in held]
        write_private(self._path, b"".join(line + b"\n" for line in kept))
        self._lines = len(kept)
        self._note_read(self._path)


def _state_of(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _hash_in(line: bytes) -> Any:
    try:
        return json.loads(line).get("hash")
    except (ValueError, AttributeError):
        return None


def _not_usable(path: Path, error: OSError) -> HomeNotWritable:
    return HomeNotWritable(f"the journal {path} can not be used: {error.strerror}")


def _to_json(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _from_json(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
