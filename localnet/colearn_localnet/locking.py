"""Lock a file against other processes, and report when that means waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def lock_file(file: Path, *, on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold an exclusive lock until the block, or the process, ends.

    Args:
        file: the lock file, created in a folder that exists; it stays.
        on_wait: called once if another process or thread has the lock now.

    Raises:
        OSError: the file cannot be created.
    """
    lock = FileLock(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
