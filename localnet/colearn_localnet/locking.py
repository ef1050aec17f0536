"""A lock between processes, which says when it has to wait."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["locked"]


@contextmanager
def locked(file: Path, *, when_taken: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold the lock of a file, which is made and stays; its end releases it, a kill too.

    Args:
        file: in a folder that exists.
        when_taken: is called once if another process, or thread, holds it now.

    Raises:
        OSError: the file can not be made.
    """
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            when_taken()
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
