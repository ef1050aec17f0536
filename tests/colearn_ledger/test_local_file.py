"""The local ledger's file: what can be done to it, and what it then says."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import random
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from eth_account.messages import encode_defunct

from colearn_ledger.keys.signing import signing_domain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import (
    ContentRef,
    ExperimentId,
    ExperimentParams,
    InvalidParameter,
    LedgerError,
    NotALearner,
    Scores,
    Vote,
    WrongStatus,
)
from colearn_ledger.reference import DamagedLog, LocalLedger, LogUnavailable, NotALedgerFile
from tests.support.waiting import LIMIT, Running, ended

ANA, BOB = (Wallet.from_key(bytes([i]) * 32) for i in (1, 2))


def content_of(text: str) -> ContentRef:
    digest = hashlib.sha256(text.encode()).digest()
    return ContentRef.from_digest(0x55, digest, digest.hex(), len(text))


PARAMS = ExperimentParams("an experiment", content_of("spec"), None, 3, 2, 9)


def told(path: Path | None = None) -> LocalLedger:
    """Return a ledger in which ana and bob held one round."""
    ana = LocalLedger.new(ANA, path)
    bob = ana.acting_for(BOB)
    e = ana.create(PARAMS).wait().experiment
    ana.join(e)
    bob.join(e)
    ana.start(e)
    ana.propose(e, 0, content_of("weights"), Scores(0.5))
    bob.vote(e, 0, Vote(True))
    return ana


def rewrite(path: Path, sql: str, *values: object) -> None:
    with sqlite3.connect(path) as db:
        db.execute(sql, values)
    db.close()


# ------------------------------------------------------------------ sharing a file


def test_a_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written = told(tmp_path / "l")
    read = LocalLedger.open(BOB, tmp_path / "l")
    e = ExperimentId(1)
    assert read.domain == written.domain
    assert read.experiment(e) == written.experiment(e)
    assert read.learners(e) == written.learners(e)
    assert read.rounds(e) == written.rounds(e)
    assert read.ballots(e, 0) == written.ballots(e, 0)
    assert read.events(e) == written.events(e)
    assert read.verify() == written.verify()


def test_two_openings_of_a_file_see_each_other(tmp_path: Path) -> None:
    ana = LocalLedger.new(ANA, tmp_path / "l")
    bob = LocalLedger.open(BOB, tmp_path / "l")
    e = ana.create(PARAMS).wait().experiment
    bob.join(e)
    ana.join(e)
    assert [row.account for row in bob.learners(e)] == [BOB.address, ANA.address]


def test_a_receipt_names_the_log_head(tmp_path: Path) -> None:
    ana = told(tmp_path / "l")
    receipt = ana.leave(ExperimentId(1)).wait()
    head = ana.verify()
    assert (head.entries, head.hash) == (7, receipt.transaction)


def test_a_refused_call_appends_nothing(tmp_path: Path) -> None:
    ana = told(tmp_path / "l")
    before = ana.verify()
    with pytest.raises(WrongStatus):
        ana.start(ExperimentId(1))
    with pytest.raises(NotALearner):
        ana.acting_for(Wallet.create()).leave(ExperimentId(1))
    assert ana.verify() == before


def test_time_never_goes_backwards() -> None:
    clock = iter([100.9, 50.0, 0.0, 120.0])
    ana = LocalLedger.new(ANA, clock=lambda: next(clock))
    e = ana.create(PARAMS).wait()
    joined = ana.join(e.experiment).wait()
    assert (e.time, joined.time, ana.now(), ana.now()) == (100, 100, 100, 120)


def test_an_entropy_source_that_runs_dry_is_reported() -> None:
    ana = LocalLedger.new(ANA, entropy=lambda: b"short")
    with pytest.raises(LedgerError, match="5 bytes"):
        ana.create(PARAMS)
    assert ana.verify().entries == 0


def test_waiting_ends_when_another_thread_writes() -> None:
    ana = told()
    ana.wait_for_change(60)  # what happened so far
    bob = ana.acting_for(BOB)
    waiting = Running(ana.wait_for_change, 30 * LIMIT)
    bob.leave(ExperimentId(1))
    waiting.result()


def test_waiting_ends_when_another_process_writes(tmp_path: Path) -> None:
    ana = told(tmp_path / "l")
    ana.wait_for_change(60)
    waiting = Running(ana.wait_for_change, 30 * LIMIT)
    LocalLedger.open(BOB, tmp_path / "l").leave(ExperimentId(1))
    waiting.result()


def test_waiting_never_misses_what_happened_before_the_wait() -> None:
    ana = told()
    ana.wait_for_change(60)
    ana.acting_for(BOB).leave(ExperimentId(1))
    ended(ana.wait_for_change, 30 * LIMIT)


def test_waiting_ends_with_its_timeout() -> None:
    ana = LocalLedger.new(ANA)
    ana.wait_for_change(0.01)


def test_many_threads_share_a_ledger(tmp_path: Path) -> None:
    ana = LocalLedger.new(ANA, tmp_path / "l")
    e = ana.create(PARAMS).wait().experiment
    wallets = [Wallet.create() for _ in range(8)]
    threads = [threading.Thread(target=ana.acting_for(w).join, args=(e,)) for w in wallets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row.account for row in ana.learners(e)} == {w.address for w in wallets}
    assert ana.verify().entries == 9


# ------------------------------------------------------------------ hostile input


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("encryption_key", lambda ledger: ledger.join(1, bytes(31))),
        ("encryption_key", lambda ledger: ledger.join(1, "00" * 32)),
        ("commitment", lambda ledger: ledger.commit(1, 0, b"")),
        ("salt", lambda ledger: ledger.reveal(1, 0, Vote(True), bytes(33))),
        ("account", lambda ledger: ledger.remove(1, "0x12")),
        ("account", lambda ledger: ledger.remove(1, "0x" + "zz" * 20)),
        ("account", lambda ledger: ledger.remove(1, BOB.address[:-1] + BOB.address[-1].swapcase())),
        ("accounts", lambda ledger: ledger.admit(1, BOB.address)),
        ("accounts", lambda ledger: ledger.admit(1, [None])),
        ("experiment", lambda ledger: ledger.join("1")),
        ("experiment", lambda ledger: ledger.join(True)),
        ("round", lambda ledger: ledger.decline(1, 0.0)),
        ("content", lambda ledger: ledger.propose(1, 0, None, Scores())),
        ("scores", lambda ledger: ledger.propose(1, 0, content_of("w"), Scores("high"))),
        ("scores", lambda ledger: ledger.propose(1, 0, content_of("w"), None)),
        ("vote", lambda ledger: ledger.vote(1, 0, Vote(1))),
        ("vote", lambda ledger: ledger.vote(1, 0, True)),
        ("ballots", lambda ledger: ledger.vote_signed(1, 0, [b"ballot"])),
        ("ballots", lambda ledger: ledger.vote_signed(1, 0, "ballots")),
        ("rounds", lambda ledger: ledger.create(_changed(rounds="3"))),
        ("name", lambda ledger: ledger.create(_changed(name=b"x"))),
        ("name", lambda ledger: ledger.create(_changed(name="\ud800"))),
        ("selection", lambda ledger: ledger.create(_changed(selection=7))),
        ("late_join", lambda ledger: ledger.create(_changed(late_join=1))),
        ("reveal_window", lambda ledger: ledger.create(_changed(reveal_window=-1))),
        ("reveal_window", lambda ledger: ledger.create(_changed(reveal_window=2**32))),
        ("max_strikes", lambda ledger: ledger.create(_changed(max_strikes=65_536))),
    ],
)
def test_arguments_of_a_wrong_kind_are_named(
    name: str, call: Callable[[LocalLedger], object]
) -> None:
    ledger = told()
    before = ledger.verify()
    with pytest.raises(InvalidParameter) as refusal:
        call(ledger)
    assert refusal.value.args == (name,)
    assert ledger.verify() == before


def _changed(**changes: object) -> ExperimentParams:
    return replace(PARAMS, **changes)


def test_addresses_in_lower_case_are_understood() -> None:
    ledger = told()
    assert ledger.learner(ExperimentId(1), BOB.address.lower()).account == BOB.address


# ------------------------------------------------------------------ tampering


def flip(column: str, position: int) -> Callable[[Path], None]:
    def tamper(path: Path) -> None:
        with sqlite3.connect(path) as db:
            (value,) = db.execute(
                f"SELECT {column} FROM log WHERE position = ?", (position,)
            ).fetchone()
            changed = bytes([*value[:-2], value[-2] ^ 1, value[-1]])
            db.execute(f"UPDATE log SET {column} = ? WHERE position = ?", (changed, position))
        db.close()

    return tamper


def swap_two(path: Path) -> None:
    rewrite(path, "UPDATE log SET position = -1 WHERE position = 2")
    rewrite(path, "UPDATE log SET position = 2 WHERE position = 3")
    rewrite(path, "UPDATE log SET position = 3 WHERE position = -1")


TAMPERED = [
    (flip("message", 3), 3),
    (flip("signature", 2), 2),
    (flip("entropy", 1), 1),
    (flip("hash", 4), 4),
    (lambda p: rewrite(p, "UPDATE log SET time = time + 1 WHERE position = 2"), 2),
    (lambda p: rewrite(p, "UPDATE log SET time = -5 WHERE position = 2"), 2),
    (lambda p: rewrite(p, "UPDATE log SET message = x'' WHERE position = 5"), 5),
    (lambda p: rewrite(p, "UPDATE log SET entropy = x'00' WHERE position = 0"), 0),
    (lambda p: rewrite(p, "DELETE FROM log WHERE position = 0"), 0),
    (lambda p: rewrite(p, "DELETE FROM log WHERE position = 3"), 3),
    (swap_two, 2),
]


@pytest.mark.parametrize(("tamper", "entry"), TAMPERED)
def test_a_tampered_file_names_the_entry(
    tmp_path: Path, tamper: Callable[[Path], None], entry: int
) -> None:
    told(tmp_path / "l").close()
    tamper(tmp_path / "l")
    with pytest.raises(DamagedLog, match=f"entry {entry} of the log") as refusal:
        LocalLedger.open(ANA, tmp_path / "l")
    assert refusal.value.entry == entry


def test_an_audit_reads_again_what_an_open_ledger_has_read(tmp_path: Path) -> None:
    ana = told(tmp_path / "l")
    flip("message", 3)(tmp_path / "l")
    with pytest.raises(DamagedLog, match="entry 3"):
        ana.verify()


def test_nothing_is_appended_to_a_log_that_was_cut(tmp_path: Path) -> None:
    ana = told(tmp_path / "l")
    for cut in ("DELETE FROM log WHERE position >= 4", "DELETE FROM log"):
        rewrite(tmp_path / "l", cut)
        with pytest.raises(DamagedLog, match="rewritten"):
            ana.leave(ExperimentId(1))


class Forger:
    """Rebuilds a file's hash chain after a change, as one with write access could."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path)
        contract = self.db.execute("SELECT contract FROM ledger").fetchone()[0]
        self.separator = signing_domain(0, "0x" + contract.hex()).separator

    def rows(self) -> list[list]:
        query = "SELECT time, entropy, message, signature FROM log ORDER BY position"
        return [list(row) for row in self.db.execute(query)]

    def replace_with(self, rows: list[list]) -> None:
        self.db.execute("DELETE FROM log")
        head = hashlib.sha256(self.separator).digest()
        for position, (at, entropy, message, signature) in enumerate(rows):
            fixed = head + at.to_bytes(8, "big") + entropy + signature
            head = hashlib.sha256(fixed + message).digest()
            row = (position, at, entropy, message, signature, head)
            self.db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", row)
        self.db.commit()
        self.db.close()


def signed_by(wallet: Wallet, message: bytes) -> bytes:
    return wallet.sign_message(encode_defunct(primitive=message))


def change(message: bytes, **changes: object) -> bytes:
    changed = {**json.loads(message), **changes}
    return json.dumps(changed, sort_keys=True, separators=(",", ":")).encode()


def _unsigned_change(rows: list[list]) -> None:
    rows[1][2] = change(rows[1][2], arguments=[1, "11" * 32])


def _signed_by_another(rows: list[list]) -> None:
    rows[1][3] = signed_by(BOB, rows[1][2])


def _repeated(rows: list[list]) -> None:
    rows.insert(2, rows[1])


def _out_of_turn(rows: list[list]) -> None:
    message = change(rows[1][2], number=7)
    rows[1][2:] = [message, signed_by(ANA, message)]


def _of_another_ledger(rows: list[list]) -> None:
    message = change(rows[1][2], ledger="ab" * 32)
    rows[1][2:] = [message, signed_by(ANA, message)]


def _refused_by_the_protocol(rows: list[list]) -> None:
    message = change(rows[1][2], call="cancel", arguments=[9])
    rows[1][2:] = [message, signed_by(ANA, message)]


def _no_such_call(rows: list[list]) -> None:
    message = change(rows[1][2], call="__init__", arguments=[])
    rows[1][2:] = [message, signed_by(ANA, message)]


def _malformed_arguments(rows: list[list]) -> None:
    message = change(rows[1][2], arguments={"experiment": 1})
    rows[1][2:] = [message, signed_by(ANA, message)]


def _not_canonical(rows: list[list]) -> None:
    message = rows[1][2].replace(b":", b": ", 1)
    rows[1][2:] = [message, signed_by(ANA, message)]


def _brackets_in_a_string(rows: list[list]) -> None:
    message = b'"' + b"[" * 100_000
    rows[1][2:] = [message, signed_by(ANA, message)]


def _deeply_nested(rows: list[list]) -> None:
    message = b"[" * 100_000
    rows[1][2:] = [message, signed_by(ANA, message)]


def _number_is_a_flag(rows: list[list]) -> None:
    message = change(rows[1][2], number=True)
    rows[1][2:] = [message, signed_by(ANA, message)]


def _back_in_time(rows: list[list]) -> None:
    rows[1][0] = rows[0][0] - 1


@pytest.mark.parametrize(
    ("forge", "entry", "reason"),
    [
        (_unsigned_change, 1, "not signed by its sender"),
        (_signed_by_another, 1, "not signed by its sender"),
        (_repeated, 2, "out of turn"),
        (_out_of_turn, 1, "out of turn"),
        (_of_another_ledger, 1, "another ledger"),
        (_refused_by_the_protocol, 1, "UnknownExperiment"),
        (_no_such_call, 1, "InvalidParameter"),
        (_malformed_arguments, 1, "InvalidParameter"),
        (_not_canonical, 1, "canonical"),
        (_deeply_nested, 1, "nested too deeply"),
        (_brackets_in_a_string, 1, "not a message"),
        (_number_is_a_flag, 1, "canonical"),
        (_back_in_time, 1, "time lies before"),
    ],
)
def test_a_forged_chain_is_found_out(
    tmp_path: Path, forge: Callable[[list[list]], None], entry: int, reason: str
) -> None:
    told(tmp_path / "l").close()
    forger = Forger(tmp_path / "l")
    rows = forger.rows()
    forge(rows)
    forger.replace_with(rows)
    with pytest.raises(DamagedLog, match=re.escape(reason)) as refusal:
        LocalLedger.open(ANA, tmp_path / "l")
    assert refusal.value.entry == entry


# ------------------------------------------------------------------ foreign and broken files


def test_a_missing_file_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(NotALedgerFile, match="does not exist"):
        LocalLedger.open(ANA, tmp_path / "l")


def test_an_existing_ledger_is_not_overwritten(tmp_path: Path) -> None:
    before = told(tmp_path / "l").verify()
    with pytest.raises(NotALedgerFile, match="exists already"):
        LocalLedger.new(BOB, tmp_path / "l")
    assert LocalLedger.open(BOB, tmp_path / "l").verify() == before


def test_a_creation_that_was_cut_short_can_be_done_again(tmp_path: Path) -> None:
    (tmp_path / "l").touch()
    with pytest.raises(NotALedgerFile, match="not a ledger"):
        LocalLedger.open(ANA, tmp_path / "l")
    LocalLedger.new(ANA, tmp_path / "l").create(PARAMS)


def test_other_files_are_no_ledgers(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("I am not a database, " * 100)
    rewrite(tmp_path / "sqlite", "CREATE TABLE other (x)")
    for name in ("text", "sqlite"):
        with pytest.raises(NotALedgerFile):
            LocalLedger.open(ANA, tmp_path / name)
        with pytest.raises(NotALedgerFile):
            LocalLedger.new(ANA, tmp_path / name)


def test_a_file_of_another_format_tells_its_version(tmp_path: Path) -> None:
    told(tmp_path / "l").close()
    rewrite(tmp_path / "l", "PRAGMA user_version = 9")
    with pytest.raises(NotALedgerFile, match="format 9"):
        LocalLedger.open(ANA, tmp_path / "l")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE more (x)",
        "CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM log; END",
        "DROP TABLE log",
        "DELETE FROM ledger",
        "INSERT INTO ledger VALUES (0, x'00')",
        "UPDATE ledger SET contract = x'00'",
        "UPDATE ledger SET chain_id = -1",
    ],
)
def test_a_file_with_other_tables_is_damaged(tmp_path: Path, sql: str) -> None:
    told(tmp_path / "l").close()
    rewrite(tmp_path / "l", sql)
    with pytest.raises(DamagedLog):
        LocalLedger.open(ANA, tmp_path / "l")


def test_a_file_of_another_ledger_id_does_not_pass(tmp_path: Path) -> None:
    told(tmp_path / "l").close()
    rewrite(tmp_path / "l", "UPDATE ledger SET contract = zeroblob(20)")
    with pytest.raises(DamagedLog, match="entry 0"):
        LocalLedger.open(ANA, tmp_path / "l")


def test_overwritten_pages_are_reported(tmp_path: Path) -> None:
    told(tmp_path / "l").close()
    data = bytearray((tmp_path / "l").read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    (tmp_path / "l").write_bytes(data)
    with pytest.raises(LedgerError):
        LocalLedger.open(ANA, tmp_path / "l")


def test_a_locked_file_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colearn_ledger.reference.log._LOCK_TIMEOUT", 0.05)
    ana = told(tmp_path / "l")
    other = sqlite3.connect(tmp_path / "l", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LogUnavailable, match="locked"):
        ana.leave(ExperimentId(1))
    with pytest.raises(LedgerUnavailable, match="locked"):
        ana.experiment(ExperimentId(1))
    other.execute("ROLLBACK")
    ana.leave(ExperimentId(1))


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    ana = told(tmp_path / "l")
    db = ana._deployment.log._db
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    e, sent = ExperimentId(2), 0
    with pytest.raises(LogUnavailable, match="disk is full"):  # noqa: PT012
        for _ in range(1_000):
            ana.create(PARAMS)
            sent += 1
    assert len(ana.experiments()) == 1 + sent
    assert LocalLedger.open(BOB, tmp_path / "l").experiments() == ana.experiments()
    db.execute("PRAGMA max_page_count = 1000000")
    ana.create(PARAMS)
    assert ana.experiment(e).id == e


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="can not be opened"):
        LocalLedger.new(ANA, tmp_path / "missing" / "l")


def test_a_file_that_can_not_be_written_is_reported(tmp_path: Path) -> None:
    ana = told(tmp_path / "l")
    ana._deployment.log._db.execute("PRAGMA query_only = ON")
    with pytest.raises(LogUnavailable, match="not writable"):
        ana.leave(ExperimentId(1))
    assert ana.learner(ExperimentId(1), ANA.address).active


# ------------------------------------------------------------------ crashes and processes

FORK = multiprocessing.get_context("fork")  # the import of eth-account takes a second otherwise


def write_for_ever(path: Path, wallet: Wallet, acknowledge: Connection) -> None:
    ledger = LocalLedger.open(wallet, path)
    while True:
        receipt = ledger.create(PARAMS).wait()
        acknowledge.send_bytes(f"{receipt.experiment} {receipt.transaction}".encode())


class Writer:
    """A process that writes until it is killed, and acknowledges each receipt through a pipe."""

    def __init__(self, path: Path, wallet: Wallet) -> None:
        self._receipts, sender = FORK.Pipe(duplex=False)
        self._process = FORK.Process(
            target=write_for_ever, args=(path, wallet, sender), daemon=True
        )
        self._process.start()
        sender.close()

    def receipt(self) -> tuple[int, str]:
        """Return the number and transaction of the next experiment it created."""
        number, transaction = self._receipts.recv_bytes().decode().split()
        return int(number), transaction

    def kill(self) -> dict[int, str]:
        """Kill it, and return what it acknowledged and nobody has read."""
        self._process.kill()
        self._process.join()
        unread = {}
        with contextlib.suppress(EOFError):
            while True:
                number, transaction = self.receipt()
                unread[number] = transaction
        return unread


def transactions_of(ledger: LocalLedger, numbers: Iterable[int]) -> dict[int, str]:
    return {number: ledger.events(ExperimentId(number))[0].transaction for number in numbers}


def test_killing_a_writer_at_any_instant_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l"
    LocalLedger.new(ANA, path).close()
    acknowledged: dict[int, str] = {}
    for kill in range(15):
        writer = Writer(path, BOB)
        acknowledged.update([writer.receipt()])
        # not a synchronisation: the kill shall come at whatever instant this leads to
        time.sleep(random.random() * 0.02 * (kill % 4))
        acknowledged |= writer.kill()

        ledger = LocalLedger.open(ANA, path)
        entries = ledger.verify().entries
        assert transactions_of(ledger, acknowledged) == acknowledged
        assert ledger.create(PARAMS).wait().experiment == entries + 1
        ledger.close()
    assert len(acknowledged) > 15


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l"
    LocalLedger.new(ANA, path).close()
    writers = [Writer(path, wallet) for wallet in (ANA, BOB)]
    acknowledged = [dict(writer.receipt() for _ in range(25)) for writer in writers]
    for writer, seen in zip(writers, acknowledged, strict=True):
        seen |= writer.kill()
    ledger = LocalLedger.open(ANA, path)
    assert not acknowledged[0].keys() & acknowledged[1].keys()
    for wallet, seen in zip((ANA, BOB), acknowledged, strict=True):
        assert transactions_of(ledger, seen) == seen
        assert {ledger.experiment(ExperimentId(number)).creator for number in seen} == {
            wallet.address
        }
    assert ledger.verify().entries >= sum(map(len, acknowledged))
