"""The releases of wasmd that a local Cosmos chain can run, and all differences between them.

The oldest one has Cosmos SDK 0.45, Tendermint 0.34 and wasmvm 1.0, on which the FET network's
released node is built; that node moves to the middle one.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from colearn_localnet.errors import InstallFailed, SettingsRefused
from colearn_localnet.install import Recipe, Workplace, build_go
from colearn_localnet.toolchains import GO, PINS


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release of wasmd, and its differences from other releases.

    Attributes:
        name: the release line, as given to ``--wasmd``.
        version: the version of this line that is installed.
        vm: the Go module of its VM.
        vm_folder: the folder of that module that contains the VM's libraries.
        link_flags: further flags for Go's linker.
        genesis_words: words before the name of a command that works on a genesis.
        start_options: further options of `wasmd start`.
        block_params: parameters of blocks that replace those of a new genesis.
    """

    name: str
    version: str
    vm: str = "github.com/CosmWasm/wasmvm/v3"
    vm_folder: str = "internal/api"
    link_flags: str = ""
    genesis_words: tuple[str, ...] = ("genesis",)
    start_options: tuple[str, ...] = ("--log_no_color",)
    block_params: Mapping[str, str] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        """Return the recipe that installs this release."""
        pins = PINS / f"wasmd-{self.name}"
        return Recipe(
            name="wasmd",
            binary="wasmd",
            version=self.version,
            line=self.name,
            ask=("version",),
            toolchain=GO,
            duration="two to eleven minutes of building with Go",
            pins=(pins / "go.mod", pins / "go.sum"),
            make=partial(_make_wasmd, self),
            packages={"gcc": "gcc libc6-dev"},
        )


RELEASES: Mapping[str, Release] = {
    release.name: release
    for release in (
        Release(
            name="0.27",
            version="0.27.0",
            vm="github.com/CosmWasm/wasmvm",
            vm_folder="api",
            # one of its modules uses functions of Go's runtime that newer linkers protect
            link_flags="-checklinkname=0",
            genesis_words=(),
            start_options=(),
            # otherwise the time of a block is at least one second after the previous block's
            block_params={"time_iota_ms": "1"},
        ),
        Release(name="0.61", version="0.61.14"),
        Release(name="0.70", version="0.70.3"),
    )
}
"""The releases by name, the oldest first."""

DEFAULT_RELEASE = "0.70"
"""Name of the release that runs unless another one is chosen."""


def find_release(name: str) -> Release:
    """Return the release of a name.

    Raises:
        SettingsRefused: there is no such release.
    """
    if name not in RELEASES:
        raise SettingsRefused(f"there is no release {name!r} of wasmd; use {', '.join(RELEASES)}")
    return RELEASES[name]


def vm_library() -> str:
    """Return the file name of wasmvm's shared library on this machine."""
    if platform.system() == "Darwin":
        return "libwasmvm.dylib"
    machine = {"arm64": "aarch64", "amd64": "x86_64"}
    return f"libwasmvm.{machine.get(platform.machine(), platform.machine())}.so"


def _make_wasmd(release: Release, place: Workplace) -> tuple[Path, ...]:
    """Build wasmd, and copy the VM, a shared library in one of its modules, to its folder.

    The loader searches the binary's folder first. Go has verified the library's hash.
    """
    facts = {"Version": release.version, "Name": "wasm", "AppName": "wasmd"}
    names = [f"-X github.com/cosmos/cosmos-sdk/version.{k}={v}" for k, v in facts.items()]
    binary = build_go(
        place,
        "github.com/CosmWasm/wasmd/cmd/wasmd",
        "wasmd",
        link=" ".join([release.link_flags, *names]).strip(),
        CGO_ENABLED="1",
        CGO_LDFLAGS="-Wl,-rpath,$ORIGIN",
    )
    output = place.run("go", "list", "-mod=readonly", "-m", "-f={{.Dir}}", release.vm)
    libraries = Path(output.splitlines()[-1]) / release.vm_folder
    name = vm_library()
    if not (libraries / name).is_file():
        raise InstallFailed(f"wasmvm has no {name} in {libraries}")
    copy = place.folder / name
    shutil.copyfile(libraries / name, copy)  # without the mode, as Go's cache is read-only
    return binary, copy
