"""A small disk: a tmpfs that only the test and its agents see; needs root."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNS = 0x20000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system with little space."""

    path: Path

    def fill(self) -> None:
        """Use all of its space."""
        with (self.path / "filler").open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4_096)):
                    pass
            except OSError:
                return

    def free(self) -> None:
        """Make the space free again."""
        (self.path / "filler").unlink()


def can_mount() -> bool:
    return os.geteuid() == 0


@contextmanager
def mount_small_disk(path: Path, size: int) -> Iterator[SmallDisk]:
    """Mount a disk of a few bytes in a mount namespace of this thread and its child processes."""
    path.mkdir(parents=True)
    folder = Path.cwd()
    with Path("/proc/thread-self/ns/mnt").open("rb") as before:
        _check("unshare", _libc.unshare(_CLONE_NEWNS))
        try:
            _mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
            _mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, f"size={size}".encode())
            yield SmallDisk(path)
        finally:
            _check("setns", _libc.setns(before.fileno(), _CLONE_NEWNS))
            os.chdir(folder)


def _mount(
    source: bytes, target: bytes, kind: bytes | None, flags: int, options: bytes | None
) -> None:
    _check("mount", _libc.mount(source, target, kind, ctypes.c_ulong(flags), options))


def _check(call: str, result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")
