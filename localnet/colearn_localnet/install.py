"""The binaries of the nodes: found on PATH, or installed once, pinned, into the user's cache.

How each is made is in `colearn_localnet.recipes`. No download address is needed here.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from colearn_localnet.errors import InstallFailed
from colearn_localnet.locking import locked
from colearn_localnet.recipes import ANVIL, KUBO, TOXIPROXY, WASMD, Recipe, Say

__all__ = [
    "ANVIL_VERSION",
    "KUBO_VERSION",
    "TOXIPROXY_VERSION",
    "WASMD_VERSION",
    "anvil_binary",
    "kubo_binary",
    "nodes_folder",
    "toxiproxy_binary",
    "wasmd_binary",
]

ANVIL_VERSION = ANVIL.version
KUBO_VERSION = KUBO.version
TOXIPROXY_VERSION = TOXIPROXY.version
WASMD_VERSION = WASMD.version

_log = logging.getLogger(__name__)


def anvil_binary(*, say: Say = _log.info) -> Path:
    """Return an anvil of at least `ANVIL_VERSION`, which is installed if need be.

    Args:
        say: is told which one is taken, and of an installation's progress.

    Raises:
        InstallFailed: there is none and it can not be installed.
    """
    return _binary(ANVIL, say)


def kubo_binary(*, say: Say = _log.info) -> Path:
    """Return an `ipfs` (Kubo) of at least `KUBO_VERSION`, which is built if need be.

    Args:
        say: is told which one is taken, and of an installation's progress.

    Raises:
        InstallFailed: there is none and it can not be built.
    """
    return _binary(KUBO, say)


def wasmd_binary(*, say: Say = _log.info) -> Path:
    """Return a `wasmd` of at least `WASMD_VERSION`, which is built if need be.

    Args:
        say: is told which one is taken, and of an installation's progress.

    Raises:
        InstallFailed: there is none and it can not be built.
    """
    return _binary(WASMD, say)


def toxiproxy_binary(*, say: Say = _log.info) -> Path:
    """Return a `toxiproxy-server` of at least `TOXIPROXY_VERSION`, which is built if need be.

    Args:
        say: is told which one is taken, and of an installation's progress.

    Raises:
        InstallFailed: there is none and it can not be built.
    """
    return _binary(TOXIPROXY, say)


def nodes_folder() -> Path:
    """Return the folder that nodes are installed into; it may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "colearn" / "nodes"


def _binary(node: Recipe, say: Say) -> Path:
    on_path = _on_path(node, say)
    if on_path is not None:
        return on_path
    nodes = nodes_folder()
    home = nodes / f"{node.name}-{node.version}"
    binary = home / node.binary
    if binary.is_file():
        say(f"{node.name} {node.version} from {binary}")
        return binary
    lacking = [tool for tool in node.tools if shutil.which(tool) is None]
    if lacking:
        advice = " ".join(node.tools[tool] for tool in lacking)
        raise InstallFailed(
            f"{node.name} {node.version} or newer is not on PATH and not in {nodes}, and to"
            f" install it {' and '.join(lacking)} is missing. {advice}"
        )
    with _locked(nodes, node.name, say):
        if not binary.is_file():
            _install(node, home, say)
    return binary


def _on_path(node: Recipe, say: Say) -> Path | None:
    found = shutil.which(node.binary)
    if found is None:
        return None
    version = _version_of(Path(found), node)
    if version is None or _numbers(version) < _numbers(node.version):
        said = version or "an unknown version"
        say(f"{found} on PATH is {said}, and {node.version} is needed: not taken")
        return None
    say(f"{node.name} {version} on PATH: {found}")
    return Path(found)


def _version_of(binary: Path, node: Recipe) -> str | None:
    """Return the version that a binary says, as ``1.2.3``; None when it says none."""
    try:
        said = subprocess.run(  # noqa: S603  (the path is the caller's)
            [str(binary), *node.ask], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\d+\.\d+\.\d+", said.stdout)
    return match[0] if match and said.returncode == 0 else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@contextmanager
def _locked(nodes: Path, name: str, say: Say) -> Iterator[None]:
    """Hold the lock of one node's installation, after the process that may hold it now."""

    def waiting() -> None:
        say(f"another process is installing {name}: waiting for it")

    with ExitStack() as holding:
        try:
            nodes.mkdir(parents=True, exist_ok=True)
            holding.enter_context(locked(nodes / f"{name}.lock", when_taken=waiting))
        except OSError as error:
            raise InstallFailed(
                f"{nodes} can not be written ({error.strerror}):"
                " set XDG_CACHE_HOME to a folder that can"
            ) from error
        yield


def _install(node: Recipe, home: Path, say: Say) -> None:
    """Make the binary beside its place and rename the whole folder; the lock is held."""
    for left in home.parent.glob(f".{node.name}-*"):  # by an installation that was killed
        shutil.rmtree(left, ignore_errors=True)
    say(f"installing {node.name} {node.version} into {home} ({node.takes}, once) ...")
    with tempfile.TemporaryDirectory(prefix=f".{node.name}-", dir=home.parent) as folder:
        work = Path(folder) / "work"
        work.mkdir()
        for pin in node.pins:
            shutil.copyfile(pin, work / pin.name)
        try:
            made, *beside = node.make(work, say)
        except InstallFailed as error:
            raise InstallFailed(f"{node.name} could not be installed: {error}") from error
        version = _version_of(made, node)
        if version != node.version:
            raise InstallFailed(f"{node.name} was installed, but says that it is {version}")
        ready = Path(folder) / "ready"
        ready.mkdir()
        made.replace(ready / node.binary)
        for file in beside:
            file.replace(ready / file.name)
        shutil.rmtree(home, ignore_errors=True)
        ready.replace(home)
    say(f"{node.name} {node.version} is installed: {home / node.binary}")
