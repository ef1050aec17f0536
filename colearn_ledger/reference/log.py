"""Where a ledger's log is kept: in memory, or in one SQLite file that processes share."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

from eth_utils.address import to_checksum_address

from colearn_ledger.keys.signing import signing_domain
from colearn_ledger.protocol import Account, LedgerError, SigningDomain
from colearn_ledger.reference.errors import DamagedLog, LogUnavailable, NotALedgerFile
from colearn_ledger.reference.replica import Entry

__all__ = ["FileLog", "Log", "MemoryLog", "new_domain"]

_APPLICATION_ID = 0x434C4C47  # "CLLG": marks the file as a ledger
_FORMAT = 1
_SCHEMA = (
    "CREATE TABLE ledger (chain_id INTEGER NOT NULL, contract BLOB NOT NULL) STRICT",
    "CREATE TABLE log (position INTEGER PRIMARY KEY, time INTEGER NOT NULL, entropy BLOB NOT NULL,"
    " message BLOB NOT NULL, signature BLOB NOT NULL, hash BLOB NOT NULL) STRICT",
)
_LOCK_TIMEOUT = 30.0
"""Seconds to wait for another process that is writing."""

_BATCH = 500
"""How many entries are read at once."""


def new_domain() -> SigningDomain:
    """Return the domain of a new ledger: chain 0, a random contract address."""
    return signing_domain(0, Account(to_checksum_address(os.urandom(20))))


class Log(Protocol):
    """An ordered list of entries that only grows."""

    @property
    def domain(self) -> SigningDomain:
        """The signing domain of the ledger that the log belongs to."""

    @property
    def shared(self) -> bool:
        """Tell whether other processes may append."""

    def writing(self) -> AbstractContextManager[None]:
        """Return a context in which nobody else appends; leaving it makes appends last."""

    def entries(self, start: int) -> Iterator[Entry]:
        """Return the entries from a position on."""

    def last_hash(self) -> bytes | None:
        """Return the hash of the last entry, ``None`` when there are none."""

    def append(self, entry: Entry) -> None:
        """Append an entry, inside `writing`."""

    def close(self) -> None:
        """Let go of the log."""


class MemoryLog:
    """A log that lives as long as its process."""

    shared = False

    def __init__(self, domain: SigningDomain) -> None:
        self.domain = domain
        self._entries: list[Entry] = []

    def writing(self) -> AbstractContextManager[None]:
        """Return a context that does nothing: the ledger has a lock of its own."""
        return nullcontext()

    def entries(self, start: int) -> Iterator[Entry]:
        """Return the entries from a position on."""
        return iter(self._entries[start:])

    def last_hash(self) -> bytes | None:
        """Return the hash of the last entry, ``None`` when there are none."""
        return self._entries[-1].hash if self._entries else None

    def append(self, entry: Entry) -> None:
        """Append an entry."""
        self._entries.append(entry)

    def close(self) -> None:
        """Do nothing."""


class FileLog:
    """A log in an SQLite file; each append is on the disk before it is acknowledged.

    Not to be used across a fork.
    """

    shared = True

    def __init__(self, path: Path, *, create: SigningDomain | None = None) -> None:
        """Open a log, or create it when given a domain.

        Raises:
            NotALedgerFile: no ledger is there, or, when creating, something is.
            LogUnavailable: the file can not be read or written.
        """
        self._path = path
        if create is None and not path.is_file():
            raise NotALedgerFile(f"{path} does not exist; create the ledger first")
        with self._translated():
            mode = "rw" if create is None else "rwc"
            self._db = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode={mode}",
                uri=True,
                timeout=_LOCK_TIMEOUT,
                isolation_level=None,  # transactions are begun below, by name
                check_same_thread=False,  # the ledger's lock lets one thread in at a time
            )
        try:
            self._prepare(create)
            self.domain = self._read_domain()
        except BaseException:
            self._db.close()
            raise

    def writing(self) -> AbstractContextManager[None]:
        """Return a context in which no other process writes."""
        return self._transaction()

    def entries(self, start: int) -> Iterator[Entry]:
        """Return the entries from a position on."""
        query = (
            "SELECT position, time, entropy, message, signature, hash FROM log"
            " WHERE position >= ? ORDER BY position LIMIT ?"
        )
        while True:  # in batches: verifying them takes time, and the file must not stay locked
            with self._translated():
                rows = self._db.execute(query, (start, _BATCH)).fetchall()
            yield from (Entry(*row) for row in rows)
            if len(rows) < _BATCH:
                return
            start += _BATCH

    def last_hash(self) -> bytes | None:
        """Return the hash of the last entry, ``None`` when there are none."""
        query = "SELECT hash FROM log ORDER BY position DESC LIMIT 1"
        with self._translated():
            row = self._db.execute(query).fetchone()
        return row[0] if row else None

    def append(self, entry: Entry) -> None:
        """Append an entry, inside `writing`."""
        row = (
            entry.position,
            entry.time,
            entry.entropy,
            entry.message,
            entry.signature,
            entry.hash,
        )
        self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _prepare(self, create: SigningDomain | None) -> None:
        self._db.text_factory = bytes  # nothing that is read is text; never decode on the way
        with self._translated():
            self._db.execute("PRAGMA trusted_schema = OFF")
            self._db.execute("PRAGMA synchronous = EXTRA")
        if create is None:
            return
        with self._transaction():
            if self._db.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
                raise NotALedgerFile(f"{self._path} exists already; open it, or choose another")
            for statement in _SCHEMA:
                self._db.execute(statement)
            contract = bytes.fromhex(create.contract.removeprefix("0x"))
            self._db.execute("INSERT INTO ledger VALUES (?, ?)", (create.chain_id, contract))
            self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {_FORMAT}")

    def _read_domain(self) -> SigningDomain:
        with self._translated():
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if application != _APPLICATION_ID:
                raise NotALedgerFile(f"{self._path} is not a ledger; give the path of one")
            if version != _FORMAT:
                raise NotALedgerFile(
                    f"{self._path} is a ledger of format {version}, this program reads format"
                    f" {_FORMAT}; use the version of the program that wrote it"
                )
            schema = self._db.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
            if schema != [(statement.encode(),) for statement in _SCHEMA]:
                raise DamagedLog("its tables are not those of a ledger")
            rows = self._db.execute("SELECT chain_id, contract FROM ledger").fetchall()
        if len(rows) != 1 or len(rows[0][1]) != 20 or rows[0][0] < 0:
            raise DamagedLog("it does not say which ledger it is")
        return signing_domain(rows[0][0], Account(to_checksum_address(rows[0][1])))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explained(self._path, error) from error


def _explained(path: Path, error: sqlite3.Error) -> LedgerError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return NotALedgerFile(f"{path} is not a ledger; give the path of one")
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedLog(f"SQLite can not read {path}: {error}")
    return LogUnavailable(f"{path}: {_REASONS.get(code, error)}; nothing was lost")


_REASONS = {
    sqlite3.SQLITE_BUSY: "another process keeps the file locked; try again",
    sqlite3.SQLITE_FULL: "the disk is full; free some space and try again",
    sqlite3.SQLITE_READONLY: "the file, or its folder, is not writable; change its permissions",
    sqlite3.SQLITE_CANTOPEN: "the file can not be opened; check its folder and its permissions",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write; check it and try again",
}
