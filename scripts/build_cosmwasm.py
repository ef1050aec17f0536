"""Build the CosmWasm contract and write the wasm to the Python package.

Usage: python scripts/build_cosmwasm.py [--check | --lock | --freeze]

Without an option, build and check the wasm and write it to colearn_ledger/chains/cosmos/contract.
With --check, write nothing. Fail unless the package's wasm comes from these sources, passes the
checks of the oldest VM that it must run on (wasmvm 1.0, used by the FET network), and equals the
result of a build on this machine if the tools are the same.
Exit status: 0 for success, 1 for a failure, 3 for a missing tool.

--lock writes contracts/cosmwasm/Cargo.lock, which cargo needs for `--locked`, from
dependencies.lock, which is the same file without the registry's address. --freeze does the reverse,
after an update.

Tools: a rustup toolchain with the wasm32 target and rust-src, or Debian's rustc-web, cargo-web and
rust-web-src (installed if this runs as root); wasm-opt (binaryen), wasm2wat and wasm-validate
(wabt). The build compiles the standard library too, to limit it to the instruction set of the first
wasm version.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools import TOOLS, ToolMissing, install_packages, provide

from colearn_localnet.errors import InstallFailed
from colearn_localnet.toolchains import cache_folder, run_with_progress

ROOT = Path(__file__).resolve().parent.parent
CRATE = ROOT / "contracts" / "cosmwasm"
PACKAGE = ROOT / "colearn_ledger" / "chains" / "cosmos" / "contract"
WASM = PACKAGE / "collective_learning.wasm"
ARTIFACT = PACKAGE / "artifact.json"
LOCK = CRATE / "Cargo.lock"
FROZEN = CRATE / "dependencies.lock"

TARGET = "wasm32-unknown-unknown"
MAX_BYTES = 400_000
IMPORTS = {
    "abort", "db_read", "db_write", "db_remove", "db_scan", "db_next", "addr_validate",
    "addr_canonicalize", "addr_humanize", "secp256k1_verify", "secp256k1_recover_pubkey",
    "ed25519_verify", "ed25519_batch_verify", "debug", "query_chain",
}  # fmt: skip
"""Functions that wasmvm 1.0 provides in the module `env`."""
EXPORTS = {"memory", "allocate", "deallocate", "interface_version_8", "instantiate", "execute"}
EXPORTS |= {"query"}
FORBIDDEN_EXPORTS = {"migrate", "sudo", "reply"}
"""Entry points that would give someone more power than the protocol does."""
CAPABILITIES = {"requires_iterator", "requires_staking", "requires_stargate"}
LATER_FEATURES = (
    "mutable-globals", "saturating-float-to-int", "sign-extension", "simd", "multi-value",
    "bulk-memory", "reference-types",
)  # fmt: skip

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


def main(arguments: list[str]) -> int:
    """Run the task given on the command line and return the exit status."""
    tasks = {(): build, ("--check",): check, ("--lock",): write_lock, ("--freeze",): freeze_lock}
    task = tasks.get(tuple(arguments))
    if task is None:
        print(__doc__)
        return 2
    try:
        task()
    except (BuildFailed, InstallFailed) as error:
        print(f"build_cosmwasm: {error}", file=sys.stderr)
        return 1
    except ToolMissing as error:
        print(f"build_cosmwasm: {error}", file=sys.stderr)
        return 3
    return 0


def report(line: str) -> None:
    """Print a line of progress."""
    print(f"build_cosmwasm: {line}", flush=True)


# ------------------------------------------------------------------------------- tasks


def build() -> None:
    """Build and check the wasm, and write the package's files."""
    tools = find_toolchain()
    wasm = compile_wasm(tools)
    check_vm(wasm)
    PACKAGE.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(wasm, WASM)
    text = json.dumps(describe(wasm, tools), indent=1, sort_keys=True)
    ARTIFACT.write_text(text + "\n")
    report(f"wrote {WASM.relative_to(ROOT)}, {wasm.stat().st_size:,} bytes")


def check() -> None:
    """Check the package's wasm against the sources, the VM's limits and a build made here."""
    if not (WASM.exists() and ARTIFACT.exists()):
        raise BuildFailed(f"{WASM.relative_to(ROOT)} does not exist: run `make cosmwasm`")
    shipped = json.loads(ARTIFACT.read_text())
    if shipped["sourceHash"] != source_hash():
        raise BuildFailed(
            f"{WASM.relative_to(ROOT)} was built from other sources than contracts/cosmwasm has: "
            "run `make cosmwasm` and commit the result"
        )
    if shipped["sha256"] != sha256(WASM):
        raise BuildFailed(
            f"{ARTIFACT.relative_to(ROOT)} has another sha256 than the wasm next to it: "
            "run `make cosmwasm` and commit the result"
        )
    provide(["wasm"])
    check_vm(WASM)
    report(f"the package's wasm is valid for wasmvm 1.0: {WASM.stat().st_size:,} bytes")
    tools = find_toolchain()
    wasm = compile_wasm(tools)
    check_vm(wasm)
    compare(shipped, wasm, tools)


def compare(shipped: dict[str, object], wasm: Path, tools: Toolchain) -> None:
    """Compare the package's wasm with the one built here."""
    if shipped["toolchain"] != tools.versions:
        report("the package's wasm was built with other tools; only the sources' hash was compared")
        report(f"here {tools.versions}, {wasm.stat().st_size:,} bytes, sha256 {sha256(wasm)}")
    elif shipped["sha256"] != sha256(wasm):
        raise BuildFailed(
            "the same tools build other bytes than the package has: "
            f"sha256 {sha256(wasm)} instead of {shipped['sha256']}"
        )
    else:
        report("this machine builds the package's wasm byte for byte")


def write_lock() -> None:
    """Write Cargo.lock from dependencies.lock, adding the registry's address."""
    line = f'source = "{registry()}"'
    text = re.sub(r"^(checksum = )", rf"{line}\n\1", FROZEN.read_text(), flags=re.MULTILINE)
    if not LOCK.exists() or LOCK.read_text() != text:
        LOCK.write_text(text)


def freeze_lock() -> None:
    """Write dependencies.lock from Cargo.lock, removing the registry's address."""
    FROZEN.write_text(LOCK.read_text().replace(f'source = "{registry()}"\n', ""))
    report(f"wrote {FROZEN.relative_to(ROOT)}")


def registry() -> str:
    """Return cargo's default registry, as written in a lock file."""
    if shutil.which("cargo") is None:
        provide(["rust"])
    manifest = ["--manifest-path", str(CRATE / "Cargo.toml")]
    metadata = output("cargo", "metadata", "--no-deps", "--format-version", "1", *manifest)
    source: str = json.loads(metadata)["packages"][0]["dependencies"][0]["source"]
    return source


# ------------------------------------------------------------------------------- tools


def find_toolchain() -> Toolchain:
    """Return rustup's toolchain if it can build for wasm, else Debian's, installing if needed."""
    provide(["wasm"])
    rustc, cargo = shutil.which("rustc"), shutil.which("cargo")
    if rustc and cargo:
        library = sysroot(rustc) / "lib" / "rustlib" / "src" / "rust" / "library"
        target = sysroot(rustc) / "lib" / "rustlib" / TARGET
        linker = rust_lld(rustc)
        if target.exists() and library.exists() and linker:
            return toolchain(rustc, cargo, linker, library)
    missing = [name for name, path in DEBIAN.items() if not Path(path).exists()]
    if rustc and rust_lld(rustc) and "lld-19" in missing:
        missing.remove("lld-19")
    if missing:
        rustup = "by rustup: target wasm32-unknown-unknown, component rust-src"
        install_packages(missing, elsewhere=f"{TOOLS['rust'].elsewhere}, {rustup}")
    rustc_web, cargo_web = "/usr/bin/rustc", "/usr/bin/cargo"
    linker = (rustc and rust_lld(rustc)) or DEBIAN["lld-19"]
    library = sysroot(rustc_web) / "lib" / "rustlib" / "src" / "rust" / "library"
    return toolchain(rustc_web, cargo_web, linker, library)


def toolchain(rustc: str, cargo: str, linker: str, library: Path) -> Toolchain:
    """Return a toolchain with the versions that affect the wasm's bytes."""
    flavor = ["-flavor", "wasm"] if Path(linker).name == "rust-lld" else []
    versions = {
        "rustc": output(rustc, "--version"),
        "linker": output(linker, *flavor, "--version").split(" (")[0],
        "wasm-opt": output("wasm-opt", "--version"),
    }
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


def compile_wasm(tools: Toolchain) -> Path:
    """Build the wasm in the user's cache folder and return its path.

    Reuse the result of an earlier build of the same sources by the same tools and options.
    """
    folder = cache_folder() / "cosmwasm" / "wasm"
    cached = folder / build_hash(tools) / WASM.name  # artifact.json contains the name
    if cached.exists():
        report("the same sources and tools were built before; using that wasm")
        return cached
    write_lock()
    environment = {name: value for name, value in os.environ.items() if "RUSTFLAGS" not in name}
    environment |= {
        "RUSTC": tools.rustc,
        "RUSTC_BOOTSTRAP": "1",  # building the standard library is not stable yet
        "CARGO_TARGET_DIR": str(folder),
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER": tools.linker,
        "CARGO_INCREMENTAL": "0",
    }
    run([tools.cargo, "fetch", "--locked"], environment)
    environment["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(rust_flags(tools))
    report(f"building with {tools.versions['rustc']}, {tools.versions['linker']}")
    command = [tools.cargo, "build", "--release", "--lib", "--locked", "--target", TARGET]
    run([*command, "-Z", "build-std=std,panic_abort"], environment)
    built = folder / TARGET / "release" / "collective_learning.wasm"
    small = folder / "collective_learning.wasm"
    slim = ["--mvp-features", "-Oz", "--strip-debug", "--strip-producers"]
    run(["wasm-opt", *slim, str(built), "-o", str(small)], environment)
    cached.parent.mkdir(exist_ok=True)
    return small.replace(cached)


def rust_flags(tools: Toolchain) -> list[str]:
    """Return compiler options for the first wasm version, without paths of this machine."""
    cargo_home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    folders = dict.fromkeys(sorted((cargo_home / "registry" / "src").glob("*")), "/cargo")
    folders |= {CRATE: "/contract", tools.library: "/library"}
    options = ["-Ctarget-cpu=mvp", "-Clink-arg=-s", "-Clink-arg=--allow-undefined"]
    options += ["-Zlocation-detail=none"]
    return options + [f"--remap-path-prefix={path}={name}" for path, name in folders.items()]


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a command in the crate's folder and report its progress."""
    run_with_progress(command, CRATE, report, environment=environment)


def describe(wasm: Path, tools: Toolchain) -> dict[str, object]:
    """Return the content of artifact.json."""
    return {
        "name": wasm.name,
        "sha256": sha256(wasm),
        "size": wasm.stat().st_size,
        "sourceHash": source_hash(),
        "toolchain": tools.versions,
    }


def source_hash() -> str:
    """Return the sha256 over the names and contents of the wasm's source files."""
    digest = hashlib.sha256()
    for path in [*sorted((CRATE / "src").rglob("*.rs")), CRATE / "Cargo.toml", FROZEN]:
        digest.update(path.relative_to(CRATE).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def build_hash(tools: Toolchain) -> str:
    """Return the sha256 over everything that affects the wasm: sources, tools and this script."""
    parts = [source_hash(), json.dumps(tools.versions, sort_keys=True), sha256(Path(__file__))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Return a file's sha256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ------------------------------------------------------------------------------- the VM


def check_vm(wasm: Path) -> None:
    """Check that the wasm is valid for the oldest VM that the contract must run on."""
    size = wasm.stat().st_size
    if size >= MAX_BYTES:
        raise BuildFailed(f"the wasm has {size:,} bytes; it must be smaller than {MAX_BYTES:,}")
    switched_off = [f"--disable-{feature}" for feature in LATER_FEATURES]
    valid = subprocess.run(
        ["wasm-validate", *switched_off, str(wasm)], capture_output=True, text=True, check=False
    )
    if valid.returncode != 0:
        raise BuildFailed(
            f"the wasm needs more than the first version's instructions:\n{valid.stderr}"
        )
    text = output("wasm2wat", str(wasm))
    if problems := find_problems(text):
        raise BuildFailed(f"the FET network's VM refuses this wasm: {'; '.join(problems)}")


def find_problems(text: str) -> list[str]:
    """Return the problems with the imports, exports and types in a module's text."""
    imported = set(re.findall(r'^ *\(import "([^"]*)" "([^"]*)"', text, re.MULTILINE))
    exported = set(re.findall(r'^ *\(export "([^"]*)"', text, re.MULTILINE))
    code = "\n".join(line for line in text.splitlines() if not line.startswith("  (data "))
    found = {
        "it imports": imported - {("env", name) for name in IMPORTS},
        "it does not export": EXPORTS - exported,
        "it must not export": exported & FORBIDDEN_EXPORTS,
        "it asks for": {n for n in exported if n.startswith("requires_")} - CAPABILITIES,
        "it has floats": set(re.findall(r"\bf(?:32|64)\b.*", code)),
    }
    return [f"{what} {sorted(names)}" for what, names in found.items() if names]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
