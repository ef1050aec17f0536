"""Fees, refusals and the journal, without a chain."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from colearn_ledger.chains.errors import Refusal
from colearn_ledger.chains.evm.errors import classify_refusal
from colearn_ledger.chains.evm.fees import Fees, Price, raise_fees
from colearn_ledger.chains.journal import Entry, Journal, Premise, Version
from colearn_ledger.home import HomeNotWritable
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.text.checked_lines import write_line


@pytest.mark.parametrize(
    ("ceiling", "offer"),
    [(100, Fees(25, 5)), (25, Fees(25, 5)), (24, Fees(24, 5)), (15, Fees(15, 5)), (14, None)],
)
def test_offer_is_twice_the_base_fee_plus_the_tip_up_to_the_ceiling(ceiling: int, offer):
    assert Price(base_fee=10, tip=5).offer(ceiling) == offer


@pytest.mark.parametrize(
    ("old", "price", "ceiling", "new"),
    [
        (Fees(80, 8), Price(1, 1), 1_000, Fees(90, 9)),
        (Fees(81, 9), Price(1, 1), 1_000, Fees(92, 11)),  # at least an eighth more
        (Fees(80, 8), Price(100, 1), 1_000, Fees(201, 9)),
        (Fees(80, 8), Price(100, 50), 160, Fees(160, 50)),
        (Fees(80, 8), Price(1, 1), 90, Fees(90, 9)),
        (Fees(80, 8), Price(1, 1), 89, None),
        (Fees(80, 8), Price(160, 1), 160, None),
    ],
)
def test_replacement_offers_an_eighth_more_within_the_ceilings(old, price, ceiling, new):
    assert raise_fees(old, price, ceiling, 10**9) == new


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("nonce too low: next nonce 5, tx nonce 4", Refusal.NONCE_USED),
        ("OldNonce, Current nonce: 5, nonce of rejected tx: 4", Refusal.NONCE_USED),
        ("already known", Refusal.KNOWN),
        ("transaction already imported", Refusal.KNOWN),
        ("AlreadyKnown", Refusal.KNOWN),
        ("Known transaction", Refusal.KNOWN),
        ("replacement transaction underpriced", Refusal.NONCE_TAKEN),
        ("Replacement transaction underpriced: needs 9", Refusal.NONCE_TAKEN),
        ("max fee per gas less than block base fee: address 0x", Refusal.FEE),
        ("transaction underpriced: tip needed 1", Refusal.FEE),
        ("insufficient funds for gas * price + value", Refusal.OTHER),
        ("txpool is full", Refusal.OTHER),
        ("invalid chain id for signer", Refusal.OTHER),
        ("", Refusal.OTHER),
    ],
)
def test_error_messages_of_each_node_are_classified(message: str, expected: Refusal):
    assert classify_refusal(message) == expected


def add_versions(journal: Journal, nonce: int, *hashes: str, call: str = "call") -> Entry:
    entry = Entry(nonce, call, 1.0)
    for name in hashes:
        journal.add(entry, Version(name, {"nonce": nonce, "data": b"\x01\xff", "to": "0x12"}))
    return entry


class TestJournal:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "chain" / "account.jsonl"

    def read(self, path: Path) -> dict[int, Entry]:
        journal = Journal(path, patience=1)
        with journal.turn():
            return dict(journal.entries)

    def test_premise_is_read_by_the_next_process(self, path: Path):
        premise = Premise("0x12", 7, 2, "the proposal", proposer="0x34")
        journal = Journal(path, patience=1)
        with journal.turn():
            journal.add(Entry(1, "call", 1.0, premise), Version("a", {}))
        assert self.read(path)[1].premise == premise

    def test_next_process_reads_the_journal(self, path: Path):
        journal = Journal(path, patience=1)
        with journal.turn():
            one, two = add_versions(journal, 1, "a", "b"), add_versions(journal, 2, "c")
            add_versions(journal, 3, "d")
            journal.forget(3)
        assert self.read(path) == {1: one, 2: two}
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700

    def test_waiting_thread_sees_versions_that_others_add(self, path: Path):
        here, there = Journal(path, patience=1), Journal(path, patience=1)
        with here.turn():
            entry = add_versions(here, 1, "a")
        with there.turn():
            there.add(there.entries[1], Version("b", {"nonce": 1}))
        with here.turn():
            assert here.entries[1] is entry
        assert [version.hash for version in entry.versions] == ["a", "b"]

    @pytest.mark.parametrize("cut", range(1, 12))
    def test_incomplete_last_line_is_dropped(self, path: Path, cut: int):
        journal = Journal(path, patience=1)
        with journal.turn():
            one = add_versions(journal, 1, "a")
            add_versions(journal, 2, "b")
        content = path.read_bytes()
        path.write_bytes(content[:-cut])
        again = Journal(path, patience=1)
        with again.turn():
            assert again.entries == {1: one}
            three = add_versions(again, 3, "c")
        assert self.read(path) == {1: one, 3: three}

    @pytest.mark.parametrize(
        "line",
        [
            *(b"nonsense", b"[]", b'{"nonce": 1}', b"\xff\xfe", b""),
            write_line({"nonce": 1})[0],
            write_line({"nonce": 1, "call": "c", "time": 10**400, "hash": "a", "unsigned": {}})[0],
            write_line({"nonce": [], "forgotten": True})[0],
        ],
    )
    def test_damaged_line_is_skipped_with_one_warning(
        self, path: Path, line: bytes, caplog: pytest.LogCaptureFixture
    ):
        path.parent.mkdir()
        path.write_bytes(line + b"\n")
        journal, other = Journal(path, patience=1), Journal(path, patience=1)
        with journal.turn():
            assert journal.entries == {}
            one = add_versions(journal, 1, "a")
        with other.turn():
            two = add_versions(other, 2, "b")
        caplog.clear()
        with journal.turn():
            assert journal.entries == {1: one, 2: two}
        assert caplog.text.count("is damaged") == 0
        assert self.read(path) == {1: one, 2: two}
        assert caplog.text.count("account.jsonl is damaged: its transaction is neither") == 1

    def test_altered_transaction_is_never_read(self, path: Path):
        journal = Journal(path, patience=1)
        with journal.turn():
            entries = {n: add_versions(journal, n, f"hash {n}") for n in range(3)}
        whole = path.read_bytes()
        for at in range(len(whole)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            found = self.read(path)
            assert found.items() < entries.items()

    def test_line_that_does_not_fit_on_the_disk_is_removed(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        journal, write = Journal(path, patience=1), os.write
        with journal.turn():
            one = add_versions(journal, 1, "a")
        before = path.read_bytes()
        with journal.turn(), monkeypatch.context() as full:
            full.setattr(os, "write", lambda file, data: write(file, data[:9]))
            with pytest.raises(HomeNotWritable, match="No space left on device"):
                add_versions(journal, 2, "b")
        assert path.read_bytes() == before
        assert self.read(path) == {1: one}

    def test_journal_stays_small(self, path: Path):
        journal = Journal(path, patience=1)
        with journal.turn():
            for nonce in range(700):
                add_versions(journal, nonce, f"hash {nonce}")
        assert len(path.read_bytes().splitlines()) <= 256
        assert sorted(self.read(path)) == list(range(636, 700))

    def test_lock_of_another_process_is_awaited(self, path: Path):
        journal = Journal(path, patience=0.1)
        with journal.turn():
            pass
        other = os.open(path.with_suffix(".lock"), os.O_RDWR)
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LedgerUnavailable, match="another process"), journal.turn():
            pytest.fail("the journal was not locked")
        threading.Timer(0.1, os.close, args=(other,)).start()
        patient = Journal(path, patience=5)
        with patient.turn():
            pass

    def test_unwritable_folder_is_reported(self, tmp_path: Path):
        (tmp_path / "file").write_text("")
        journal = Journal(tmp_path / "file" / "sent.jsonl", patience=1)
        with pytest.raises(HomeNotWritable), journal.turn():
            pytest.fail("the folder does not exist")
