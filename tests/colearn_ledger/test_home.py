"""The user's folders, locks between processes, and files that are never partial."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from colearn_ledger.home import (
    FileInUse,
    FileLock,
    HomeNotWritable,
    config_home,
    data_home,
    lock_file,
    private_folder,
    write_atomically,
    write_private,
)

HOLD_LOCK = """
import sys
from pathlib import Path
from colearn_ledger.home import lock_file
with lock_file(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


class TestFolders:
    def test_xdg_variables_are_followed_and_relative_ones_ignored(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ):
        monkeypatch.delenv("COLEARN_HOME", raising=False)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert config_home() == tmp_path / "config" / "colearn"
        assert data_home() == tmp_path / ".local" / "share" / "colearn"

    def test_colearn_home_contains_everything(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "own"))
        assert config_home() == data_home() == tmp_path / "own"

    def test_private_folder_is_closed_to_other_users(self, tmp_path: Path):
        (tmp_path / "open").mkdir(mode=0o755)
        assert stat.S_IMODE(private_folder(tmp_path / "new").stat().st_mode) == 0o700
        folder = private_folder(tmp_path / "open", tighten=True)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


class TestLocks:
    def test_lock_waits_for_another_process_and_reports_it(self, tmp_path: Path):
        path = tmp_path / "lock"
        command = [sys.executable, "-c", HOLD_LOCK, str(path)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None
            assert other.stdin is not None
            assert other.stdout.readline() == "locked\n"
            with pytest.raises(FileInUse):
                FileLock(path)
            waits = []

            def release() -> None:
                waits.append(path)
                other.stdin.close()

            with lock_file(path, on_wait=release):
                assert waits == [path]

    def test_killed_process_leaves_no_lock(self, tmp_path: Path):
        path = tmp_path / "lock"
        command = [sys.executable, "-c", HOLD_LOCK, str(path)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "locked\n"
            other.kill()
        FileLock(path).release()

    def test_threads_exclude_each_other(self, tmp_path: Path):
        inside, most = 0, 0

        def enter() -> None:
            nonlocal inside, most
            for _ in range(20):
                with lock_file(tmp_path / "lock"):
                    inside += 1
                    most = max(most, inside)
                    inside -= 1

        threads = [threading.Thread(target=enter) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 1

    def test_thread_waits_for_another_one_and_reports_it(self, tmp_path: Path):
        is_waiting, entered = threading.Event(), []

        def enter() -> None:
            with lock_file(tmp_path / "lock", on_wait=is_waiting.set):
                entered.append(True)

        thread = threading.Thread(target=enter, daemon=True)
        with lock_file(tmp_path / "lock"):
            thread.start()
            assert is_waiting.wait(60)
        thread.join(60)
        assert entered == [True]

    def test_lock_is_free_again_after_an_error(self, tmp_path: Path):
        with pytest.raises(ZeroDivisionError), lock_file(tmp_path / "lock"):
            raise ZeroDivisionError
        FileLock(tmp_path / "lock").release()

    def test_second_release_of_a_lock_closes_no_other_file(self, tmp_path: Path):
        lock = FileLock(tmp_path / "lock")
        lock.release()
        with (tmp_path / "other").open("wb") as other:  # it may have the lock's descriptor
            lock.release()
            os.fstat(other.fileno())

    def test_missing_folder_is_not_created(self, tmp_path: Path):
        with pytest.raises(FileNotFoundError), lock_file(tmp_path / "none" / "lock"):
            pass
        assert list(tmp_path.iterdir()) == []


class TestAtomicWrites:
    def test_interrupted_write_keeps_the_old_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        path = tmp_path / "file"
        write_atomically(path, b"old")

        def refuse(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, b"new")
        with pytest.raises(HomeNotWritable, match=r"cannot write .*file: No space left"):
            write_private(path, b"new")
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_pipe_or_device_is_not_replaced_by_a_file(self, tmp_path: Path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        with pytest.raises(OSError, match="a device or a pipe instead of a file"):
            write_atomically(pipe, b"new")
        assert pipe.is_fifo()
        assert list(tmp_path.iterdir()) == [pipe]

    def test_existing_file_is_kept_unless_it_may_be_replaced(self, tmp_path: Path):
        path = tmp_path / "file"
        write_atomically(path, b"old", replace=False)
        with pytest.raises(FileExistsError):
            write_atomically(path, b"new", replace=False)
        assert path.read_bytes() == b"old"
        write_atomically(path, b"new")
        assert path.read_bytes() == b"new"

    def test_private_file_can_be_read_by_its_owner_only(self, tmp_path: Path):
        write_private(tmp_path / "file", b"secret")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
