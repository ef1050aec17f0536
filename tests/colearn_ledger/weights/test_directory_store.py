from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from colearn_ledger.protocol import ContentRef, InvalidParameter
from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentNotStored,
    ContentStore,
    ContentTooLarge,
    ContentUnavailable,
)
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.unixfs import content_of

DATA = b"weights" * 100_000
ANY_SIZE = 2**40


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> DirectoryStore:
    return DirectoryStore(root)


def read(store: ContentStore, content: ContentRef, max_size: int = ANY_SIZE) -> bytes:
    with store.get(content, max_size=max_size) as pieces:
        return b"".join(pieces)


def stored_files(root: Path) -> list[Path]:
    return [
        p for folder in ("files", "incoming") for p in (root / folder).rglob("*") if p.is_file()
    ]


def path_of(root: Path, content: ContentRef) -> Path:
    [path] = (root / "files").rglob(content.cid)
    return path


class TestFiles:
    def test_stored_file_is_read_back(self, store: DirectoryStore):
        content = store.put([DATA[:10], b"", DATA[10:]])
        assert content == content_of(DATA)
        assert store.has(content)
        assert read(store, content) == DATA

    def test_second_store_on_the_folder_reads_the_file(self, store: DirectoryStore, root: Path):
        content = store.put([DATA])
        assert read(DirectoryStore(root), content) == DATA

    def test_equal_files_are_stored_once(self, store: DirectoryStore, root: Path):
        assert store.put([DATA]) == store.put([DATA])
        assert len(stored_files(root)) == 1

    def test_empty_file_is_refused(self, store: DirectoryStore, root: Path):
        with pytest.raises(InvalidParameter):
            store.put([])
        assert stored_files(root) == []

    def test_missing_file_is_unavailable(self, store: DirectoryStore):
        content = content_of(DATA)
        assert not store.has(content)
        with pytest.raises(ContentUnavailable, match="not in this store"):
            read(store, content)

    def test_size_limit_of_the_caller_is_enforced(self, store: DirectoryStore):
        content = store.put([DATA])
        assert read(store, content, max_size=len(DATA)) == DATA
        with pytest.raises(ContentTooLarge, match=str(len(DATA) - 1)):
            read(store, content, max_size=len(DATA) - 1)


class TestDamage:
    @pytest.mark.parametrize("at", [0, 300_000, len(DATA) - 1])
    def test_flipped_bit_is_a_mismatch(self, store: DirectoryStore, root: Path, at: int):
        content = store.put([DATA])
        damaged = bytearray(DATA)
        damaged[at] ^= 0x10
        path_of(root, content).write_bytes(damaged)
        with pytest.raises(ContentMismatch, match=content.cid):
            read(store, content)

    def test_shortened_file_is_a_mismatch_and_counts_as_missing(
        self, store: DirectoryStore, root: Path
    ):
        content = store.put([DATA])
        path_of(root, content).write_bytes(DATA[:-1])
        assert not store.has(content)
        with pytest.raises(ContentMismatch):
            read(store, content)

    def test_lengthened_file_is_refused_and_counts_as_missing(
        self, store: DirectoryStore, root: Path
    ):
        content = store.put([DATA])
        path_of(root, content).write_bytes(DATA + b"x")
        assert not store.has(content)
        with pytest.raises(ContentMismatch):
            read(store, content)

    def test_storing_again_repairs_a_damaged_file(self, store: DirectoryStore, root: Path):
        content = store.put([DATA])
        path_of(root, content).write_bytes(b"damage")
        store.put([DATA])
        assert read(store, content) == DATA


class TestHostileReferences:
    @pytest.mark.parametrize(
        "cid", ["../../outside", "/etc/passwd", "b" + "a" * 57 + "/", "", "..", "b" * 59 + "\n"]
    )
    def test_hostile_cid_cannot_leave_the_folder(
        self, store: DirectoryStore, tmp_path: Path, cid: str
    ):
        outside = tmp_path / "outside"
        outside.write_bytes(DATA)
        content = content_of(DATA)
        object.__setattr__(content, "cid", cid)  # the domain refuses it; so must the store
        for use in (store.pin, store.unpin, store.pinned, store.has, lambda c: read(store, c)):
            with pytest.raises(ContentUnavailable):
                use(content)
        assert outside.read_bytes() == DATA

    @pytest.mark.parametrize("owner", ["", "..", "a/b", ".hidden", "x" * 101])
    def test_hostile_owner_is_refused(self, root: Path, owner: str):
        with pytest.raises(ContentNotStored):
            DirectoryStore(root, owner=owner)


class TestPins:
    def test_only_files_without_pins_are_collected(self, store: DirectoryStore):
        kept, dropped = store.put([DATA]), store.put([b"superseded"])
        store.pin(kept)
        assert store.collect(older_than=0) == 1
        assert (store.has(kept), store.has(dropped)) == (True, False)
        store.unpin(kept)
        assert store.has(kept)
        assert store.collect(older_than=0) == 1
        assert not store.has(kept)

    def test_pinning_and_unpinning_are_idempotent(self, store: DirectoryStore):
        content = store.put([DATA])
        store.pin(content)
        store.pin(content)
        assert store.pinned(content)
        store.unpin(content)
        store.unpin(content)
        assert not store.pinned(content)

    def test_pinning_a_missing_file_is_refused(self, store: DirectoryStore):
        with pytest.raises(ContentUnavailable, match="put it first"):
            store.pin(content_of(DATA))

    def test_pins_of_other_owners_survive_unpinning(self, root: Path):
        alice, bob = DirectoryStore(root, owner="alice"), DirectoryStore(root, owner="bob")
        content = alice.put([DATA])
        alice.pin(content)
        bob.pin(content)
        alice.unpin(content)
        assert not alice.pinned(content)
        assert alice.collect(older_than=0) == 0
        assert read(bob, content) == DATA

    def test_unpinning_removes_a_file_that_is_old_and_not_pinned(self, root: Path):
        alice, bob = DirectoryStore(root, owner="alice"), DirectoryStore(root, owner="bob")
        alice.unpin(alice.put([b"collects for the first time"]))
        shared, recent = alice.put([DATA]), alice.put([b"recent"])
        for owner, content in ((alice, shared), (alice, recent), (bob, shared)):
            owner.pin(content)
        os.utime(path_of(root, shared), (0, 0))
        alice.unpin(shared)
        alice.unpin(recent)
        assert (bob.has(shared), alice.has(recent)) == (True, True)
        bob.unpin(shared)
        assert not bob.has(shared)

    def test_unpinning_collects_only_if_no_owner_has_for_a_while(self, root: Path):
        alice, bob = DirectoryStore(root, owner="alice"), DirectoryStore(root, owner="bob")
        content, forgotten = alice.put([DATA]), alice.put([b"never pinned"])
        alice.unpin(content)
        os.utime(path_of(root, forgotten), (0, 0))
        bob.unpin(content)
        assert bob.has(forgotten)
        os.utime(root / "collected", (0, 0))
        bob.unpin(content)
        assert not bob.has(forgotten)

    def test_recently_stored_file_is_not_collected(self, store: DirectoryStore, root: Path):
        content = store.put([DATA])
        assert store.collect() == 0
        os.utime(path_of(root, content), (0, 0))
        store.put([DATA])
        assert store.collect() == 0
        os.utime(path_of(root, content), (0, 0))
        assert store.collect() == 1

    @pytest.mark.parametrize("skew", [-7_200, 7_200], ids=["behind", "ahead"])
    def test_age_is_measured_by_the_clock_of_the_file_system(
        self, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, skew: int
    ):
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + skew)
        store.put([DATA])
        assert store.collect() == 0
        assert store.collect(older_than=0) == 1

    def test_reader_finishes_a_file_that_is_collected_meanwhile(self, store: DirectoryStore):
        content = store.put([DATA])
        with store.get(content, max_size=ANY_SIZE) as pieces:
            first = next(pieces)
            assert store.collect(older_than=0) == 1
            assert first + b"".join(pieces) == DATA


class TestInterruptions:
    def test_failing_source_leaves_no_file(self, store: DirectoryStore, root: Path):
        def failing():
            yield DATA
            raise ConnectionError("peer went away")

        with pytest.raises(ConnectionError, match="peer went away"):
            store.put(failing())
        assert stored_files(root) == []

    @pytest.mark.parametrize("length", [1_000, 300_000])
    def test_full_disk_leaves_no_file(self, store: DirectoryStore, root: Path, length: int):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))  # larger files cannot be written
        try:
            with pytest.raises(ContentNotStored, match="could not write a file"):
                store.put(DATA[i : i + length] for i in range(0, len(DATA), length))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert stored_files(root) == []
        assert read(store, store.put([DATA])) == DATA

    def test_disk_that_is_full_at_the_flush_leaves_no_file(
        self, store: DirectoryStore, root: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ContentNotStored, match="No space left"):
            store.put([DATA])
        assert stored_files(root) == []

    def test_store_is_consistent_after_a_kill_at_any_system_call(self, root: Path):
        kept = DirectoryStore(root).put([b"earlier"])
        content = content_of(DATA)
        step, finished = 0, False
        while not finished:
            finished = kill_at(step, lambda: put_and_pin(root))
            step += 1
            store = DirectoryStore(root)
            assert list((root / "incoming").iterdir()) == []
            assert read(store, kept) == b"earlier"
            if store.has(content):
                assert read(store, content) == DATA
            if store.pinned(content):
                assert store.has(content)
                store.unpin(content)
            store.collect(older_than=60)
            for path in (root / "files").rglob(content.cid):
                path.unlink()
        assert step > 10

    def test_files_of_a_killed_writer_are_removed_when_the_store_opens(self, root: Path):
        store = DirectoryStore(root)
        kept = store.put([DATA])
        writer = subprocess.Popen(
            [sys.executable, "-c", STUCK_WRITER, str(root)], stdout=subprocess.PIPE
        )
        try:
            writer.stdout.readline()
            DirectoryStore(root)  # opening the store does not disturb a running writer
            store.collect()
            assert len(list((root / "incoming").iterdir())) == 1
        finally:
            writer.kill()
            writer.wait()
            writer.stdout.close()
        assert len(list((root / "incoming").iterdir())) == 1
        again = DirectoryStore(root)
        assert list((root / "incoming").iterdir()) == []
        assert read(again, kept) == DATA

    def test_path_that_is_a_file_is_reported(self, tmp_path: Path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(ContentNotStored, match="open the store"):
            DirectoryStore(tmp_path / "file")


def put_and_pin(root: Path) -> None:
    store = DirectoryStore(root)
    store.pin(store.put([DATA[:1000], DATA[1000:]]))


STEPS = {"open", "fsync", "replace", "rename", "unlink", "mkdir", "fdopen", "flock", "write"}


def kill_at(step: int, act: Callable[[], None]) -> bool:
    """Run an action in a child that dies before system call `step`; return whether it survived."""
    child = os.fork()
    if child == 0:
        left = step

        def watch(_: object, event: str, called: object) -> None:
            nonlocal left
            if event == "c_call" and getattr(called, "__name__", "") in STEPS:
                left -= 1
                if left < 0:
                    os._exit(9)

        sys.setprofile(watch)
        try:
            act()
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 0


STUCK_WRITER = """
import signal, sys
from colearn_ledger.weights.stores.directory import DirectoryStore

def stuck():
    yield b"x" * 1_000_000
    print("writing", flush=True)
    signal.pause()

DirectoryStore(sys.argv[1]).put(stuck())
"""


class TestConcurrency:
    def test_threads_put_pin_read_and_collect_concurrently(self, root: Path):
        failures: list[BaseException] = []

        def use(number: int) -> None:
            try:
                churn(root, number)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=use, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert list((root / "incoming").iterdir()) == []

    def test_processes_put_pin_read_and_collect_concurrently(self, root: Path):
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=churn, args=(root, n)) for n in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0, 0]
        assert list((root / "incoming").iterdir()) == []


def churn(root: Path, number: int) -> None:
    store = DirectoryStore(root, owner=f"user{number}")
    for turn in range(8):
        shared, own = f"shared {turn}".encode() * 9_999, f"own {number} {turn}".encode() * 9_999
        for data in (shared, own):
            content = store.put([data])
            store.pin(content)
            store.collect(older_than=60)
            if read(store, content) != data:
                raise ValueError("other bytes came back")
            store.unpin(content)
