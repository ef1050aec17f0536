"""Provide the tools that builds and checks need, and run a command with them on PATH.

Usage: .venv/bin/python scripts/tools.py TOOL... -- COMMAND...
       (TOOL: node, go, c, rust, wasm, ip)

A tool on PATH is used if it is recent enough. Otherwise Node.js and Go are installed from PyPI into
the user's cache folder (XDG_CACHE_HOME or ~/.cache, colearn/toolchains), and the others from
Debian's packages if this runs as root. If a tool cannot be installed, a message describes what to
install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from colearn_localnet.errors import InstallFailed
from colearn_localnet.toolchains import GO, NODE, prepare_environment, read_version, version_key

OLDEST_RUST = "1.82"
"""The `rust-version` in contracts/cosmwasm/Cargo.toml."""


class ToolMissing(Exception):
    """A tool is missing and cannot be installed here; the message suggests what to do."""


@dataclass(frozen=True)
class Tool:
    """A tool that does not come with the Python packages.

    Attributes:
        purpose: its use in the project.
        packages: its Debian packages; none if it comes from PyPI.
        elsewhere: what to install on other systems.
        is_present: returns whether a recent enough one is on PATH.
    """

    purpose: str
    packages: tuple[str, ...]
    elsewhere: str
    is_present: Callable[[], bool]


def report(line: str) -> None:
    """Print a line of progress."""
    print(f"tools: {line}", flush=True)


def has_commands(*names: str) -> bool:
    """Return whether all commands are on PATH."""
    return all(shutil.which(name) for name in names)


def has_rust() -> bool:
    """Return whether cargo, clippy and rustfmt work and rustc is recent enough."""
    version = read_version(["rustc", "--version"])
    if version is None or version_key(version) < version_key(OLDEST_RUST):
        return False
    commands = (["cargo", "--version"], ["cargo", "clippy", "--version"], ["rustfmt", "--version"])
    return has_commands("cc") and all(read_version(command) for command in commands)


FROM_PYPI = {"node": NODE, "go": GO}

TOOLS = {
    "node": Tool(
        "builds and tests the Solidity contract; installs anvil",
        packages=(),
        elsewhere=f"Node.js {NODE.oldest} or newer with npm: {NODE.advice}",
        is_present=lambda: False,  # `prepare_environment` searches PATH
    ),
    "go": Tool(
        "builds the local network's nodes: Kubo, wasmd and Toxiproxy",
        packages=(),
        elsewhere=f"Go {GO.oldest} or newer: {GO.advice}",
        is_present=lambda: False,
    ),
    "c": Tool(
        "builds wasmd, and the library with which a fault test moves clocks",
        packages=("gcc", "libc6-dev"),
        elsewhere="a C compiler that runs as gcc",
        is_present=lambda: has_commands("gcc"),
    ),
    "rust": Tool(
        "builds and tests the CosmWasm contract",
        packages=(
            *("rustc-web", "cargo-web", "rust-web-clippy", "rustfmt-web"),
            *("gcc", "libc6-dev"),
        ),
        elsewhere=f"Rust {OLDEST_RUST} or newer with clippy and rustfmt, by rustup",
        is_present=has_rust,
    ),
    "wasm": Tool(
        "optimizes and checks the CosmWasm contract's wasm",
        packages=("binaryen", "wabt"),
        elsewhere="binaryen (wasm-opt) and wabt (wasm-validate, wasm2wat)",
        is_present=lambda: has_commands("wasm-opt", "wasm-validate", "wasm2wat"),
    ),
    "ip": Tool(
        "runs the fault test that creates its own hosts",
        packages=("iproute2",),
        elsewhere="iproute2 (Linux only)",
        is_present=lambda: has_commands("ip"),
    ),
}


def provide(names: Sequence[str]) -> None:
    """Put tools on PATH for this process and its children, installing missing ones.

    Raises:
        ToolMissing: a tool cannot be installed here.
    """
    try:
        from_pypi = [FROM_PYPI[name] for name in names if name in FROM_PYPI]
        os.environ.update(prepare_environment(from_pypi, report))
    except InstallFailed as error:
        raise ToolMissing(str(error)) from error
    for name in names:
        tool = TOOLS[name]
        if name in FROM_PYPI or tool.is_present():
            continue
        install_packages(tool.packages, elsewhere=tool.elsewhere)
        if not tool.is_present():
            raise ToolMissing(
                f"{name}: {' '.join(tool.packages)} are installed, but another, older or incomplete"
                f" installation comes first on PATH; complete it: {tool.elsewhere}"
            )


def install_packages(packages: Sequence[str], *, elsewhere: str) -> None:
    """Install Debian packages as root.

    Args:
        packages: the packages' names.
        elsewhere: what to install on other systems.

    Raises:
        ToolMissing: the system is not Debian, the user is not root, or apt-get failed.
    """
    command = f"apt-get install {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise ToolMissing(f"missing on this machine; install {elsewhere}")
    if os.geteuid() != 0:
        raise ToolMissing(f"missing on this machine; as root: {command}")
    report(f"installing {' '.join(packages)} with apt-get (a minute or two, once) ...")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["install", "--yes", "--no-install-recommends", "--no-remove", *packages]
    for step in (["update"], install):
        done = subprocess.run(
            ["apt-get", "--quiet=2", "-o=Dpkg::Use-Pty=0", *step],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise ToolMissing(f"apt-get {step[0]} failed, see above; by hand: {command}")
    report("installed")


def main(names: list[str], command: list[str]) -> int:
    """Run a command with tools on PATH and return its exit status."""
    try:
        provide(names)
    except ToolMissing as error:
        print(f"tools: {error}", file=sys.stderr)
        return 1
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else 0
    if not split or not set(arguments[:split]) <= TOOLS.keys() or not arguments[split + 1 :]:
        print(__doc__)
        sys.exit(2)
    sys.exit(main(arguments[:split], arguments[split + 1 :]))
