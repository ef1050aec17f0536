"""Find the nodes' binaries on PATH, or install pinned versions into the user's cache folder.

Anvil comes from npm. Kubo, wasmd and Toxiproxy are built from source from the Go module proxy. All
are pinned by hash in `pins/`. Node.js and Go come from `colearn_localnet.toolchains` if needed.
The recipes of wasmd are in `colearn_localnet.wasmd_releases`.
"""

from __future__ import annotations

import logging
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from colearn_localnet.errors import InstallFailed
from colearn_localnet.toolchains import (
    GO,
    NODE,
    PINS,
    Report,
    Toolchain,
    cache_folder,
    lock_installation,
    prepare_environment,
    read_version,
    run_with_progress,
    version_key,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workplace:
    """Folder, environment and progress reports for making a binary."""

    folder: Path
    environment: Mapping[str, str]
    report: Report

    def run(self, *command: str, **variables: str) -> str:
        """Run a command here with extra environment variables, and return its output."""
        environment = {**self.environment, **variables}
        return run_with_progress(command, self.folder, self.report, environment=environment)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe for finding and installing one binary.

    Attributes:
        name: name of the program, and of its folder in the cache.
        binary: file name, also on PATH.
        version: the version that is installed; a newer one on PATH is used instead.
        ask: arguments with which the binary prints its version.
        toolchain: the toolchain that installs it.
        duration: text on the duration and the source of an installation, for progress messages.
        pins: files to copy to the folder where it is made.
        make: makes it in a workplace and returns its files, the binary first.
        packages: further commands that it needs, each with its Debian packages.
        line: the release line, such as "0.27", that a version on PATH must belong to; any if empty.
    """

    name: str
    binary: str
    version: str
    ask: tuple[str, ...]
    toolchain: Toolchain
    duration: str
    pins: tuple[Path, ...]
    make: Callable[[Workplace], tuple[Path, ...]]
    packages: Mapping[str, str]
    line: str = ""

    @property
    def wanted(self) -> str:
        """Return in words which versions on PATH are used."""
        return f"{self.version} or newer" + (f" of the line {self.line}" if self.line else "")

    def accepts(self, version: str | None) -> bool:
        """Return whether a version on PATH is used."""
        if version is None or version_key(version) < version_key(self.version):
            return False
        return not self.line or f"{version}.".startswith(f"{self.line}.")


def find_binary(recipe: Recipe, *, report: Report = _log.info) -> Path:
    """Return a recipe's binary: a recent enough one on PATH or the pinned one in the cache.

    Args:
        recipe: the program's recipe.
        report: called with the binary that is used, and with the progress of an installation.

    Raises:
        InstallFailed: the binary is not on PATH and cannot be installed.
    """
    installed = find_installed(recipe, report=report)
    if installed is not None:
        return installed
    for command, packages in recipe.packages.items():
        if shutil.which(command) is None:
            raise InstallFailed(
                f"{recipe.name} {recipe.wanted} is not on PATH, and to build it {command}"
                f" is missing. Install it first; on Debian, as root: apt-get install {packages}"
            )
    binary = _cached_binary(recipe)
    with lock_installation(nodes_folder(), recipe.name, report):
        if not binary.is_file():
            _install(recipe, binary.parent, report)
    return binary


def find_installed(recipe: Recipe, *, report: Report = _log.info) -> Path | None:
    """Return a recipe's binary from PATH or the cache, without installing anything.

    Args:
        recipe: the program's recipe.
        report: called with the binary that is used.
    """
    on_path = _find_on_path(recipe, report)
    if on_path is not None:
        return on_path
    binary = _cached_binary(recipe)
    if not binary.is_file():
        return None
    report(f"{recipe.name} {recipe.version} from {binary}")
    return binary


def nodes_folder() -> Path:
    """Return the folder for installed nodes; it may not exist yet."""
    return cache_folder() / "nodes"


def _cached_binary(recipe: Recipe) -> Path:
    return nodes_folder() / f"{recipe.name}-{recipe.version}" / recipe.binary


def _find_on_path(recipe: Recipe, report: Report) -> Path | None:
    found = shutil.which(recipe.binary)
    if found is None:
        return None
    version = read_version([found, *recipe.ask])
    if not recipe.accepts(version):
        report(
            f"{found} on PATH has {version or 'an unknown version'}, but {recipe.wanted}"
            " is needed: not used"
        )
        return None
    report(f"{recipe.name} {version} on PATH: {found}")
    return Path(found)


def _install(recipe: Recipe, home: Path, report: Report) -> None:
    """Make the binary in a temporary folder and rename the folder; the caller has the lock."""
    for leftover in home.parent.glob(f".{recipe.name}-*"):  # from an installation that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    environment = prepare_environment([recipe.toolchain], report)
    report(f"installing {recipe.name} {recipe.version} into {home} ({recipe.duration}, once) ...")
    with tempfile.TemporaryDirectory(prefix=f".{recipe.name}-", dir=home.parent) as folder:
        place = Workplace(Path(folder) / "work", environment, report)
        place.folder.mkdir()
        for pin in recipe.pins:
            shutil.copyfile(pin, place.folder / pin.name)
        try:
            binary, *companions = recipe.make(place)
        except InstallFailed as error:
            raise InstallFailed(f"{recipe.name} could not be installed: {error}") from error
        version = read_version([binary, *recipe.ask])
        if version != recipe.version:
            raise InstallFailed(
                f"{recipe.name} was installed, but reports version {version}"
                f" instead of {recipe.version}"
            )
        ready = Path(folder) / "ready"
        ready.mkdir()
        binary.replace(ready / recipe.binary)
        for file in companions:
            file.replace(ready / file.name)
        shutil.rmtree(home, ignore_errors=True)
        ready.replace(home)
    report(f"{recipe.name} {recipe.version} is installed: {home / recipe.binary}")


def _make_anvil(place: Workplace) -> tuple[Path, ...]:
    place.run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    scope = place.folder / "node_modules" / "@foundry-rs"
    binaries = sorted(scope.glob("anvil-*/bin/anvil"))
    if not binaries:
        machine = f"{platform.system()} on {platform.machine()}"
        raise InstallFailed(f"npm has no anvil {ANVIL.version} for {machine}")
    binaries[0].chmod(0o755)
    return (binaries[0],)


def _make_kubo(place: Workplace) -> tuple[Path, ...]:
    return (build_go(place, "github.com/ipfs/kubo/cmd/ipfs", "ipfs", CGO_ENABLED="0"),)


def _make_toxiproxy(place: Workplace) -> tuple[Path, ...]:
    module = "github.com/Shopify/toxiproxy/v2"
    link = f"-X {module}.Version={TOXIPROXY.version}"
    binary = TOXIPROXY.binary
    return (build_go(place, f"{module}/cmd/server", binary, link=link, CGO_ENABLED="0"),)


def build_go(
    place: Workplace, package: str, binary: str, *, link: str = "", **variables: str
) -> Path:
    """Build a Go package of the pinned modules, and return the binary.

    Args:
        place: where to build; it contains the pins.
        package: the package's path.
        binary: name of the binary.
        link: flags for Go's linker.
        **variables: further environment variables.
    """
    flags = ["-v", "-trimpath", "-mod=readonly", f"-ldflags=-s -w {link}".strip(), "-o", binary]
    place.run("go", "build", *flags, package, **variables)
    return place.folder / binary


ANVIL = Recipe(
    name="anvil",
    binary="anvil",
    version="1.7.1",
    ask=("--version",),
    toolchain=NODE,
    duration="seconds, from npm",
    pins=(PINS / "anvil" / "package.json", PINS / "anvil" / "package-lock.json"),
    make=_make_anvil,
    packages={},
)

KUBO = Recipe(
    name="kubo",
    binary="ipfs",
    version="0.43.1",
    ask=("--version",),
    toolchain=GO,
    duration="two to four minutes of building with Go",
    pins=(PINS / "kubo" / "go.mod", PINS / "kubo" / "go.sum"),
    make=_make_kubo,
    packages={},
)

TOXIPROXY = Recipe(
    name="toxiproxy",
    binary="toxiproxy-server",
    version="2.12.0",
    ask=("--version",),
    toolchain=GO,
    duration="half a minute of building with Go",
    pins=(PINS / "toxiproxy" / "go.mod", PINS / "toxiproxy" / "go.sum"),
    make=_make_toxiproxy,
    packages={},
)
"""Simulates bad links, for the fault tests only; it is not a node."""
