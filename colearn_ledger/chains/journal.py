"""Write-ahead log of the transactions sent with one key.

Several processes can share a key through its journal, and a restarted process reads from it the
transactions that it sent before. The file has one JSON line for each signed version of a
transaction, with a checksum, written before that version is sent. An incomplete last line was never
sent. Damaged lines are skipped.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from colearn_ledger.home import (
    HomeNotWritable,
    append_durably,
    private_folder,
    write_private,
)
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.text.checked_lines import DamagedLine, read_line, write_line

_log = logging.getLogger(__name__)

_KEPT = 64
"""Number of transactions to keep; reorganisations drop far fewer."""

_LINES = 4 * _KEPT

_PAUSE = 0.005


@dataclass(frozen=True, slots=True)
class Premise:
    """The proposals that a call assumes; it is not sent again once its round has others.

    Args:
        contract: the contract's address.
        experiment: the experiment's id.
        round: the round's index.
        proposals: the digest of the proposals that a ballot judges, in hexadecimal; for a proposal,
            the sha256 of the proposed file.
        proposer: the account that proposes; empty for a ballot.
    """

    contract: str
    experiment: int
    round: int
    proposals: str
    proposer: str = ""

    def fits(self, proposals: str) -> bool:
        """Return whether the call is valid now.

        Args:
            proposals: the digest of the round's proposals, or the sha256 of the proposer's file;
                empty while there is none.
        """
        return proposals == self.proposals or bool(self.proposer and not proposals)

    def is_alternative(self, other: Premise | None) -> bool:
        """Return whether both belong to ballots on one round, or to proposals in one slot."""
        return other is not None and self == replace(other, proposals=self.proposals)


@dataclass(frozen=True, slots=True)
class Version:
    """One signed version of a transaction: its fields and its hash."""

    hash: str
    unsigned: dict[str, Any]


@dataclass(slots=True)
class Entry:
    """The transaction sent with one nonce. At most one of its versions can take effect.

    Args:
        nonce: the nonce, called sequence on Cosmos chains.
        call: an identifier of the call that is independent of fees and nonce.
        time: the time when the first version was sent, in seconds since the epoch.
        premise: the proposals that the call assumes, if it depends on any.
        versions: the signed versions, oldest first; at least one.
    """

    nonce: int
    call: str
    time: float
    premise: Premise | None = None
    versions: list[Version] = field(default_factory=list)

    @property
    def last(self) -> Version:
        """Return the latest version, which pays the most."""
        return self.versions[-1]


class Journal:
    """The journal of one account. Read and write it only inside `turn`.

    Args:
        path: the file; ``None`` keeps the journal in memory, for a chain in this process.
        patience: seconds to wait while another process uses the key.
    """

    def __init__(self, path: Path | None, *, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._lock = threading.RLock()
        self._state: tuple[int, int, int] | None = None
        self._lines = 0
        self._pruned_below = 0
        self._reported: set[bytes] = set()
        self.entries: dict[int, Entry] = {}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Lock the key, so that no other thread or process sends with it.

        Raises:
            LedgerUnavailable: another process keeps the key locked for too long.
            HomeNotWritable: the file cannot be used.
        """
        with self._lock:
            if self._path is None:
                yield
                return
            private_folder(self._path.parent)
            try:
                lock = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
            except OSError as error:
                raise _cannot_use(self._path, error) from error
            try:
                self._acquire(lock)
                self._refresh(self._path)
                yield
            finally:
                os.close(lock)

    def add(self, entry: Entry, version: Version) -> None:
        """Record a version of a transaction. Call this before sending the version."""
        record = {
            "nonce": entry.nonce,
            "call": entry.call,
            "time": entry.time,
            "hash": version.hash,
            "unsigned": {k: _to_json(v) for k, v in version.unsigned.items()},
        }
        if entry.premise is not None:
            record["premise"] = asdict(entry.premise)
        self._write(record)
        entry.versions.append(version)
        self.entries[entry.nonce] = entry
        self._prune()

    def forget(self, nonce: int) -> None:
        """Record that the transaction with a nonce is abandoned and never sent again."""
        if self.entries.pop(nonce, None) is not None:
            self._write({"nonce": nonce, "forgotten": True})

    def has_pruned(self, nonce: int) -> bool:
        """Return whether a nonce may be missing because the journal dropped its oldest entries."""
        return nonce < self._pruned_below

    # ------------------------------------------------------------------ the file

    def _acquire(self, lock: int) -> None:
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
        """Read the lines that other processes added."""
        try:
            content = b"" if self._is_unchanged(path) else path.read_bytes()
        except OSError as error:
            raise _cannot_use(path, error) from error
        if not content:
            return
        lines = content.split(b"\n")
        if lines[-1]:  # incomplete: its transaction was never sent
            write_private(path, b"".join(line + b"\n" for line in lines[:-1]))
        known, self.entries = self.entries, {}
        self._lines = len(lines)
        for line in lines[:-1]:
            self._replay(line, known)
        self._prune()
        self._remember_state(path)

    def _is_unchanged(self, path: Path) -> bool:
        return not path.exists() or _state_of(path) == self._state

    def _remember_state(self, path: Path) -> None:
        self._state = _state_of(path)

    def _replay(self, line: bytes, known: dict[int, Entry]) -> None:
        try:
            record = _parse(line)
        except _UNREADABLE:
            self._report(line)
            return
        if record.version is None:
            self.entries.pop(record.nonce, None)
            return
        entry = self.entries.get(record.nonce) or record.entry
        before = known.get(record.nonce)
        is_same = before is not None and before.versions[0].hash == record.version.hash
        if not entry.versions and before is not None and is_same:
            entry = before  # keep the object that a waiting thread refers to
            entry.versions.clear()
        entry.versions.append(record.version)
        self.entries[entry.nonce] = entry

    def _report(self, line: bytes) -> None:
        """Warn about a damaged line, once; the chain is authoritative."""
        if line not in self._reported:
            self._reported.add(line)
            _log.warning(
                "a line of the journal of transactions %s is damaged: its transaction is neither "
                "resumed nor sent again",
                self._path,
            )

    def _write(self, record: dict[str, Any]) -> None:
        if self._path is None:
            return
        line = write_line(record)[0] + b"\n"
        try:
            file = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
            try:
                append_durably(file, line)
            finally:
                os.close(file)
        except OSError as error:
            raise _cannot_use(self._path, error) from error
        self._lines += 1
        self._remember_state(self._path)

    def _prune(self) -> None:
        for nonce in sorted(self.entries)[:-_KEPT]:
            del self.entries[nonce]
            self._pruned_below = nonce + 1
        if self._path is None or self._lines <= _LINES:
            return
        hashes = {version.hash for entry in self.entries.values() for version in entry.versions}
        lines = self._path.read_bytes().split(b"\n")[:-1]
        kept = [line for line in lines if _read_hash(line) in hashes]
        write_private(self._path, b"".join(line + b"\n" for line in kept))
        self._lines = len(kept)
        self._remember_state(self._path)


@dataclass(frozen=True, slots=True)
class _Record:
    """The content of a line; ``version`` is ``None`` if the transaction was abandoned."""

    entry: Entry
    version: Version | None

    @property
    def nonce(self) -> int:
        return self.entry.nonce


_UNREADABLE = (DamagedLine, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What `_parse` may raise."""


def _parse(line: bytes) -> _Record:
    record, _ = read_line(line)
    nonce = int(record["nonce"])
    if record.get("forgotten"):
        return _Record(Entry(nonce, "", 0.0), None)
    premise = record.get("premise")
    assumed = Premise(**premise) if premise else None
    entry = Entry(nonce, str(record["call"]), float(record["time"]), assumed)
    unsigned = {k: _from_json(v) for k, v in record["unsigned"].items()}
    return _Record(entry, Version(str(record["hash"]), unsigned))


def _read_hash(line: bytes) -> str | None:
    try:
        version = _parse(line).version
    except _UNREADABLE:
        return None
    return None if version is None else version.hash


def _state_of(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _cannot_use(path: Path, error: OSError) -> HomeNotWritable:
    return HomeNotWritable(f"the journal {path} cannot be used: {error.strerror}")


def _to_json(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _from_json(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
