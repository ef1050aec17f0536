"""Find the user's folders, lock files and write files atomically.

``COLEARN_HOME`` contains everything when it is set; otherwise the XDG folders are used.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from platformdirs.unix import Unix

from colearn_ledger.protocol import LedgerError

_XDG_FOLDERS = Unix("colearn")


class HomeNotWritable(LedgerError):
    """A user's file cannot be written; the message gives the file and the reason."""


class FileInUse(LedgerError):
    """Another process has locked the file, and the caller chose not to wait."""


def config_home() -> Path:
    """Return the folder for keys and networks; it may not exist yet."""
    return _own_home() or Path(_XDG_FOLDERS.user_config_dir)


def data_home() -> Path:
    """Return the folder for agents, transactions and local nodes; it may not exist yet."""
    return _own_home() or Path(_XDG_FOLDERS.user_data_dir)


def cache_home() -> Path:
    """Return the folder for what can be fetched or made again; it may not exist yet."""
    return _own_home() or Path(_XDG_FOLDERS.user_cache_dir)


def _own_home() -> Path | None:
    own = os.environ.get("COLEARN_HOME")
    return Path(own) if own else None


def private_folder(path: Path, *, tighten: bool = False) -> Path:
    """Create a folder with mode 0700, which only its owner can enter, and return it.

    Args:
        path: the folder.
        tighten: whether to remove other users' access to an existing folder too.

    Raises:
        HomeNotWritable: the folder cannot be created, or it belongs to another user.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if tighten and path.stat().st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise HomeNotWritable(f"cannot create the folder {path}: {error.strerror}") from error
    return path


@contextmanager
def lock_file(path: Path, *, on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Lock a file exclusively until the block or the process ends.

    Args:
        path: the lock file. Its folder must exist; the file is created and not deleted.
        on_wait: called once if the lock is taken and this call has to wait.

    Raises:
        OSError: the file cannot be created.
    """
    lock = _open_lock(path)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        _close_lock(lock)


class FileLock:
    """A file that this process has locked, until it releases the lock or ends."""

    def __init__(self, path: Path) -> None:
        """Lock a file without waiting.

        Raises:
            FileInUse: another process or thread has the lock.
            OSError: the file cannot be created.
        """
        lock = _open_lock(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise FileInUse(f"{path} is locked by another process") from error
        self._lock: int | None = lock

    def release(self) -> None:
        """Release the lock, unless that was done before."""
        lock, self._lock = self._lock, None
        if lock is not None:
            _close_lock(lock)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR, 0o644)


def _close_lock(lock: int) -> None:
    fcntl.flock(lock, fcntl.LOCK_UN)  # a forked process has the file open, too
    os.close(lock)


@contextmanager
def open_atomically(
    path: Path, *, private: bool = False, replace: bool = True, sync: bool = True
) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only once it is complete and on disk.

    An error in the ``with`` block discards what was written.

    Args:
        path: the file.
        private: whether to use mode 0600, so that only the owner can read the file.
        replace: whether to replace an existing file.
        sync: whether the file survives a power loss. Otherwise it may be missing or damaged then.

    Raises:
        FileExistsError: the file exists and ``replace`` is false.
        OSError: the file cannot be written, or is a device or a pipe, which would be replaced.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is a device or a pipe instead of a file", str(path))
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    mode = 0o600 if private else 0o666
    try:
        handle = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        if replace:
            partial.replace(path)
        else:
            os.link(partial, path)
        if sync:
            sync_folder(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink()


def write_atomically(
    path: Path, data: bytes | memoryview, *, private: bool = False, replace: bool = True
) -> None:
    """Write a file with `open_atomically`.

    Raises:
        FileExistsError: the file exists and ``replace`` is false.
        OSError: the file cannot be written.
    """
    with open_atomically(path, private=private, replace=replace) as file:
        file.write(data)


def write_private(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file atomically that only its owner can read.

    Raises:
        FileExistsError: the file exists and ``replace`` is false.
        HomeNotWritable: the file cannot be written.
    """
    try:
        write_atomically(path, data, private=True, replace=replace)
    except FileExistsError:
        raise
    except OSError as error:
        raise HomeNotWritable(f"cannot write {path}: {error.strerror}") from error


def append_durably(file: int, data: bytes) -> None:
    """Append to an open file and wait until that is on disk.

    Args:
        file: descriptor of the file.
        data: what to append. If this fails, what was written of it is removed again; if that fails
            too, the next writer or reader has to.

    Raises:
        OSError: the file cannot be written.
    """
    size = os.fstat(file).st_size
    try:
        if os.write(file, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size)
        raise


def sync_folder(path: Path) -> None:
    """Sync a folder to disk, so that its file names survive a power loss."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
