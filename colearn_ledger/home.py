"""Where a user's files are, and writing them so that they are whole and nobody else's.

``COLEARN_HOME`` holds everything when it is set; else the XDG folders are used.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from colearn_ledger.protocol import LedgerError

__all__ = ["HomeNotWritable", "config_home", "data_home", "private_folder", "write_private"]


class HomeNotWritable(LedgerError):
    """A file of the user's can not be written; says which, and why."""


def config_home() -> Path:
    """Return the folder of keys and networks; it may not exist yet."""
    return _home("XDG_CONFIG_HOME", ".config")


def data_home() -> Path:
    """Return the folder of what agents keep; it may not exist yet."""
    return _home("XDG_DATA_HOME", ".local/share")


def _home(variable: str, default: str) -> Path:
    if own := os.environ.get("COLEARN_HOME"):
        return Path(own)
    base = Path(os.environ.get(variable) or "")
    return (base if base.is_absolute() else Path.home() / default) / "colearn"


def private_folder(path: Path, *, tighten: bool = False) -> Path:
    """Make a folder that only its owner can enter, mode 0700, and return it.

    Args:
        path: the folder.
        tighten: whether one that is there already is closed to others too.

    Raises:
        HomeNotWritable: it can not be made, or is another user's.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if tighten and path.stat().st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise HomeNotWritable(f"the folder {path} can not be made: {error.strerror}") from error
    return path


def write_private(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file of mode 0600 that has its name only once it is whole and on the disk.

    Args:
        path: the file.
        data: all of it.
        replace: whether a file that has the name already is replaced.

    Raises:
        FileExistsError: there is one and it is not to be replaced.
        HomeNotWritable: the disk does not take it.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            partial.replace(path)
        else:
            os.link(partial, path)
        _sync_folder(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise HomeNotWritable(f"{path} can not be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
