"""Build Rust crates for WebAssembly, byte for byte the same with the same tools.

A crate's dependencies.lock is its Cargo.lock without the registry's address. The build compiles the
standard library too, and leaves no paths of this machine in the result.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tools import TOOLS, ToolMissing, install_packages, provide

from colearn_localnet.errors import InstallFailed
from colearn_localnet.toolchains import cache_folder, run_with_progress

ROOT = Path(__file__).resolve().parent.parent
TARGET = "wasm32-unknown-unknown"

DEBIAN = {
    "rustc-web": "/usr/share/doc/rustc-web",
    "cargo-web": "/usr/share/doc/cargo-web",
    "rust-web-src": "/usr/share/doc/rust-web-src",
    "lld-19": "/usr/lib/llvm-19/bin/wasm-ld",
}


class BuildFailed(Exception):
    """The wasm could not be built or is not valid; the message suggests what to do."""


@dataclass(frozen=True)
class Toolchain:
    """The commands that compile and link, and their versions."""

    rustc: str
    cargo: str
    linker: str
    library: Path
    versions: dict[str, str]


@dataclass(frozen=True)
class Crate:
    """A crate, and the wasm in the Python package that is built from it.

    Args:
        name: name of the make target and of the folders in the cache.
        folder: the crate's folder.
        wasm: the package's wasm; artifact.json stands beside it.
        library: name of cargo's result.
        flags: options for the compiler.
        slim: options for wasm-opt; without any, the result is not optimized further.
    """

    name: str
    folder: Path
    wasm: Path
    library: str
    flags: Sequence[str] = ()
    slim: Sequence[str] = ()

    @property
    def artifact(self) -> Path:
        """Return the file that describes the wasm."""
        return self.wasm.parent / "artifact.json"

    @property
    def lock(self) -> Path:
        """Return cargo's lock file."""
        return self.folder / "Cargo.lock"

    @property
    def frozen(self) -> Path:
        """Return the lock file without the registry's address."""
        return self.folder / "dependencies.lock"

    def report(self, line: str) -> None:
        """Print a line of progress."""
        print(f"make {self.name}: {line}", flush=True)


Check = Callable[[Path], None]
"""Raises `BuildFailed` if a wasm is not valid."""


# ------------------------------------------------------------------------------- tasks


def run_task(crate: Crate, check_wasm: Check, arguments: Sequence[str]) -> int | None:
    """Run the task given on the command line; return the exit status, `None` without a task."""
    tasks = {
        (): partial(build, crate, check_wasm),
        ("--check",): partial(check, crate, check_wasm),
        ("--lock",): partial(write_lock, crate),
        ("--freeze",): partial(freeze_lock, crate),
    }
    task = tasks.get(tuple(arguments))
    if task is None:
        return None
    try:
        task()
    except (BuildFailed, InstallFailed) as error:
        print(f"make {crate.name}: {error}", file=sys.stderr)
        return 1
    except ToolMissing as error:
        print(f"make {crate.name}: {error}", file=sys.stderr)
        return 3
    return 0


def build(crate: Crate, check_wasm: Check) -> None:
    """Build and check the wasm, and write the package's files."""
    tools = find_toolchain(crate)
    wasm = compile_wasm(crate, tools)
    check_wasm(wasm)
    crate.wasm.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(wasm, crate.wasm)
    text = json.dumps(describe(crate, wasm, tools), indent=1, sort_keys=True)
    crate.artifact.write_text(text + "\n")
    crate.report(f"wrote {crate.wasm.relative_to(ROOT)}, {wasm.stat().st_size:,} bytes")


def check(crate: Crate, check_wasm: Check) -> None:
    """Check the package's wasm against the sources, its limits and a build made here."""
    if not (crate.wasm.exists() and crate.artifact.exists()):
        raise BuildFailed(f"{crate.wasm.relative_to(ROOT)} does not exist: run `make {crate.name}`")
    shipped = json.loads(crate.artifact.read_text())
    if shipped["sourceHash"] != source_hash(crate):
        raise BuildFailed(
            f"{crate.wasm.relative_to(ROOT)} was built from other sources than "
            f"{crate.folder.relative_to(ROOT)} has: run `make {crate.name}` and commit the result"
        )
    if shipped["sha256"] != sha256(crate.wasm):
        raise BuildFailed(
            f"{crate.artifact.relative_to(ROOT)} has another sha256 than the wasm next to it: "
            f"run `make {crate.name}` and commit the result"
        )
    tools = find_toolchain(crate)
    check_wasm(crate.wasm)
    crate.report(f"the package's wasm is valid: {crate.wasm.stat().st_size:,} bytes")
    wasm = compile_wasm(crate, tools)
    check_wasm(wasm)
    compare(crate, shipped, wasm, tools)


def compare(crate: Crate, shipped: dict[str, object], wasm: Path, tools: Toolchain) -> None:
    """Compare the package's wasm with the one built here."""
    if shipped["toolchain"] != tools.versions:
        crate.report("the package's wasm was built with other tools: only sources were compared")
        crate.report(f"here {tools.versions}, {wasm.stat().st_size:,} bytes, {sha256(wasm)}")
    elif shipped["sha256"] != sha256(wasm):
        raise BuildFailed(
            "the same tools build other bytes than the package has: "
            f"sha256 {sha256(wasm)} instead of {shipped['sha256']}"
        )
    else:
        crate.report("this machine builds the package's wasm byte for byte")


def write_lock(crate: Crate) -> None:
    """Write Cargo.lock from dependencies.lock, adding the registry's address."""
    line = f'source = "{registry(crate)}"'
    text = re.sub(r"^(checksum = )", rf"{line}\n\1", crate.frozen.read_text(), flags=re.MULTILINE)
    if not crate.lock.exists() or crate.lock.read_text() != text:
        crate.lock.write_text(text)


def freeze_lock(crate: Crate) -> None:
    """Write dependencies.lock from Cargo.lock, removing the registry's address."""
    crate.frozen.write_text(crate.lock.read_text().replace(f'source = "{registry(crate)}"\n', ""))
    crate.report(f"wrote {crate.frozen.relative_to(ROOT)}")


def registry(crate: Crate) -> str:
    """Return cargo's default registry, as written in a lock file."""
    if shutil.which("cargo") is None:
        provide(["rust"])
    manifest = ["--manifest-path", str(crate.folder / "Cargo.toml")]
    metadata = output("cargo", "metadata", "--no-deps", "--format-version", "1", *manifest)
    source: str = json.loads(metadata)["packages"][0]["dependencies"][0]["source"]
    return source


# ------------------------------------------------------------------------------- tools


def find_toolchain(crate: Crate) -> Toolchain:
    """Return rustup's toolchain if it can build for wasm, else Debian's, installing if needed."""
    if crate.slim:
        provide(["wasm"])
    rustc, cargo = shutil.which("rustc"), shutil.which("cargo")
    if rustc and cargo:
        library = sysroot(rustc) / "lib" / "rustlib" / "src" / "rust" / "library"
        target = sysroot(rustc) / "lib" / "rustlib" / TARGET
        linker = rust_lld(rustc)
        if target.exists() and library.exists() and linker:
            return toolchain(crate, rustc, cargo, linker, library)
    missing = [name for name, path in DEBIAN.items() if not Path(path).exists()]
    if rustc and rust_lld(rustc) and "lld-19" in missing:
        missing.remove("lld-19")
    if missing:
        rustup = "by rustup: target wasm32-unknown-unknown, component rust-src"
        install_packages(missing, elsewhere=f"{TOOLS['rust'].elsewhere}, {rustup}")
    rustc_web, cargo_web = "/usr/bin/rustc", "/usr/bin/cargo"
    linker = (rustc and rust_lld(rustc)) or DEBIAN["lld-19"]
    library = sysroot(rustc_web) / "lib" / "rustlib" / "src" / "rust" / "library"
    return toolchain(crate, rustc_web, cargo_web, linker, library)


def toolchain(crate: Crate, rustc: str, cargo: str, linker: str, library: Path) -> Toolchain:
    """Return a toolchain with the versions that affect the wasm's bytes."""
    flavor = ["-flavor", "wasm"] if Path(linker).name == "rust-lld" else []
    versions = {
        "rustc": output(rustc, "--version"),
        "linker": output(linker, *flavor, "--version").split(" (")[0],
    }
    if crate.slim:
        versions["wasm-opt"] = output("wasm-opt", "--version")
    return Toolchain(rustc, cargo, linker, library, versions)


def sysroot(rustc: str) -> Path:
    """Return the folder of a compiler's libraries."""
    return Path(output(rustc, "--print", "sysroot"))


def rust_lld(rustc: str) -> str | None:
    """Return the linker of a rustup toolchain, if it has one."""
    found = sorted(sysroot(rustc).glob("lib/rustlib/*/bin/rust-lld"))
    return str(found[0]) if found else None


def output(*command: str) -> str:
    """Return the output of a command."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


# ------------------------------------------------------------------------------- building


def compile_wasm(crate: Crate, tools: Toolchain) -> Path:
    """Build the wasm in the user's cache folder and return its path.

    Reuse the result of an earlier build of the same sources by the same tools and options.
    """
    folder = cache_folder() / crate.name / "wasm"
    cached = folder / build_hash(crate, tools) / crate.wasm.name  # artifact.json contains the name
    if cached.exists():
        crate.report("the same sources and tools were built before; using that wasm")
        return cached
    write_lock(crate)
    environment = {name: value for name, value in os.environ.items() if "RUSTFLAGS" not in name}
    environment |= {
        "RUSTC": tools.rustc,
        "RUSTC_BOOTSTRAP": "1",  # building the standard library is not stable yet
        "CARGO_TARGET_DIR": str(folder),
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER": tools.linker,
        "CARGO_INCREMENTAL": "0",
    }
    run(crate, [tools.cargo, "fetch", "--locked"], environment)
    environment["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(rust_flags(crate, tools))
    crate.report(f"building with {tools.versions['rustc']}, {tools.versions['linker']}")
    command = [tools.cargo, "build", "--release", "--lib", "--locked", "--target", TARGET]
    run(crate, [*command, "-Z", "build-std=std,panic_abort"], environment)
    built = folder / TARGET / "release" / f"{crate.library}.wasm"
    result = folder / crate.wasm.name
    if crate.slim:
        run(crate, ["wasm-opt", *crate.slim, str(built), "-o", str(result)], environment)
    elif built != result:
        shutil.copyfile(built, result)
    cached.parent.mkdir(exist_ok=True)
    return result.replace(cached)


def rust_flags(crate: Crate, tools: Toolchain) -> list[str]:
    """Return compiler options, without paths of this machine in the result."""
    cargo_home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    folders = dict.fromkeys(sorted((cargo_home / "registry" / "src").glob("*")), "/cargo")
    folders |= {crate.folder: "/contract", tools.library: "/library"}
    options = [*crate.flags, "-Clink-arg=-s", "-Zlocation-detail=none"]
    return options + [f"--remap-path-prefix={path}={name}" for path, name in folders.items()]


def run(crate: Crate, command: list[str], environment: dict[str, str]) -> None:
    """Run a command in the crate's folder and report its progress."""
    run_with_progress(command, crate.folder, crate.report, environment=environment)


def describe(crate: Crate, wasm: Path, tools: Toolchain) -> dict[str, object]:
    """Return the content of artifact.json."""
    return {
        "name": wasm.name,
        "sha256": sha256(wasm),
        "size": wasm.stat().st_size,
        "sourceHash": source_hash(crate),
        "toolchain": tools.versions,
    }


def source_hash(crate: Crate) -> str:
    """Return the sha256 over the names and contents of the wasm's source files."""
    folder, digest = crate.folder, hashlib.sha256()
    for path in [*sorted((folder / "src").rglob("*.rs")), folder / "Cargo.toml", crate.frozen]:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def build_hash(crate: Crate, tools: Toolchain) -> str:
    """Return the sha256 over everything that affects the wasm: sources, tools and options."""
    options = json.dumps([list(crate.flags), list(crate.slim)])
    parts = [source_hash(crate), json.dumps(tools.versions, sort_keys=True), options]
    return hashlib.sha256("\n".join([*parts, sha256(Path(__file__))]).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Return a file's sha256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
