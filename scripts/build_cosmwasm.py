"""Build the CosmWasm contract and put the wasm into the Python package.

Usage: python scripts/build_cosmwasm.py [--check | --lock | --freeze]

Without an option it builds, checks and writes colearn_ledger/chains/cosmos/contract. With --check
nothing is written: the wasm in the package must come from these sources, pass the checks of the
oldest VM it has to run on (wasmvm 1.0, the FET network's), and be what this machine builds, byte
for byte when the tools are the same. Exit status: 0 all is well, 1 it is not, 3 a tool is missing.

--lock writes contracts/cosmwasm/Cargo.lock from dependencies.lock, which is the same without the
registry's address; cargo needs it for `--locked`. --freeze goes the other way, after an update.

Tools: a rustup toolchain with the wasm32 target and rust-src, or Debian's rustc-web, cargo-web and
rust-web-src (installed when this runs as root); wasm-opt (binaryen), wasm2wat and wasm-validate
(wabt). The standard library is built along, for the instruction set of the first wasm version.
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
"""What wasmvm 1.0 offers, all in the module `env`."""
EXPORTS = {"memory", "allocate", "deallocate", "interface_version_8", "instantiate", "execute"}
EXPORTS |= {"query"}
FORBIDDEN_EXPORTS = {"migrate", "sudo", "reply"}
"""Nobody is to have more say than the protocol gives."""
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


class Trouble(Exception):
    """Something does not hold, or is missing; the text says what to do. ``status``: of the exit."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Toolchain:
    """Commands that compile and link, and their versions."""

    rustc: str
    cargo: str
    linker: str
    library: Path
    versions: dict[str, str]


def main(arguments: list[str]) -> int:
    """Do what the arguments ask for and return the exit status."""
    tasks = {(): build, ("--check",): check, ("--lock",): thaw, ("--freeze",): freeze}
    task = tasks.get(tuple(arguments))
    if task is None:
        print(__doc__)
        return 2
    try:
        task()
    except Trouble as trouble:
        print(f"build_cosmwasm: {trouble}", file=sys.stderr)
        return trouble.status
    return 0


def say(line: str) -> None:
    """Tell how it goes."""
    print(f"build_cosmwasm: {line}", flush=True)


# ------------------------------------------------------------------------------- tasks


def build() -> None:
    """Build, check, and write the package's files."""
    tools = find_toolchain()
    wasm = compile_wasm(tools)
    check_vm(wasm)
    PACKAGE.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(wasm, WASM)
    text = json.dumps(describe(wasm, tools), indent=1, sort_keys=True)
    ARTIFACT.write_text(text + "\n")
    say(f"wrote {WASM.relative_to(ROOT)}, {wasm.stat().st_size:,} bytes")


def check() -> None:
    """Compare the package's wasm with the sources, the VM's limits and a build of this machine."""
    if not (WASM.exists() and ARTIFACT.exists()):
        raise Trouble(
            f"there is no {WASM.relative_to(ROOT)}: run `python scripts/build_cosmwasm.py`"
        )
    shipped = json.loads(ARTIFACT.read_text())
    if shipped["sourceHash"] != source_hash():
        raise Trouble(
            f"{WASM.relative_to(ROOT)} was built from other sources than contracts/cosmwasm has: "
            "run `python scripts/build_cosmwasm.py` and commit the result"
        )
    if shipped["sha256"] != sha256(WASM):
        raise Trouble(f"{ARTIFACT.relative_to(ROOT)} is not that of the wasm beside it")
    find_binaryen_and_wabt()
    check_vm(WASM)
    say(f"the package's wasm is one that wasmvm 1.0 takes: {WASM.stat().st_size:,} bytes")
    tools = find_toolchain()
    wasm = compile_wasm(tools)
    check_vm(wasm)
    compare(shipped, wasm, tools)


def compare(shipped: dict[str, object], wasm: Path, tools: Toolchain) -> None:
    """Hold the package's wasm against the one built just now."""
    if shipped["toolchain"] != tools.versions:
        say("other tools than those of the package's wasm: the sources' hash is the same")
        say(f"here {tools.versions}, {wasm.stat().st_size:,} bytes, sha256 {sha256(wasm)}")
    elif shipped["sha256"] != sha256(wasm):
        raise Trouble(
            "the same tools build other bytes than the package has: "
            f"{sha256(wasm)} and not {shipped['sha256']}"
        )
    else:
        say("this machine builds the package's wasm byte for byte")


def thaw() -> None:
    """Write Cargo.lock: dependencies.lock with the registry put back."""
    line = f'source = "{registry()}"'
    text = re.sub(r"^(checksum = )", rf"{line}\n\1", FROZEN.read_text(), flags=re.MULTILINE)
    if not LOCK.exists() or LOCK.read_text() != text:
        LOCK.write_text(text)


def freeze() -> None:
    """Write dependencies.lock: Cargo.lock without the registry."""
    FROZEN.write_text(LOCK.read_text().replace(f'source = "{registry()}"\n', ""))
    say(f"wrote {FROZEN.relative_to(ROOT)}")


def registry() -> str:
    """Return how cargo writes its default registry in a lock file."""
    cargo = shutil.which("cargo")
    if cargo is None:
        raise Trouble("there is no cargo; on Debian: apt-get install cargo-web", status=3)
    manifest = ["--manifest-path", str(CRATE / "Cargo.toml")]
    told = output(cargo, "metadata", "--no-deps", "--format-version", "1", *manifest)
    source: str = json.loads(told)["packages"][0]["dependencies"][0]["source"]
    return source


# ------------------------------------------------------------------------------- tools


def find_toolchain() -> Toolchain:
    """Return rustup's toolchain when it can do it, else Debian's."""
    find_binaryen_and_wabt()
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
    install(missing)
    rustc_web, cargo_web = "/usr/bin/rustc", "/usr/bin/cargo"
    linker = (rustc and rust_lld(rustc)) or DEBIAN["lld-19"]
    library = sysroot(rustc_web) / "lib" / "rustlib" / "src" / "rust" / "library"
    return toolchain(rustc_web, cargo_web, linker, library)


def find_binaryen_and_wabt() -> None:
    """Install what optimises and checks wasm, where it is missing."""
    binaryen = [] if shutil.which("wasm-opt") else ["binaryen"]
    wabt = [] if shutil.which("wasm-validate") and shutil.which("wasm2wat") else ["wabt"]
    install([*binaryen, *wabt])


def install(packages: list[str]) -> None:
    """Install Debian packages as root; anybody else is told how."""
    if not packages:
        return
    command = "apt-get install " + " ".join(packages)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Trouble(f"tools are missing; on Debian, as root: {command}", status=3)
    say(f"installing {' '.join(packages)}")
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "--quiet=2", *step],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            check=False,
        )
        if done.returncode != 0:
            raise Trouble(f"apt-get {step[0]} failed; by hand: {command}", status=3)


def toolchain(rustc: str, cargo: str, linker: str, library: Path) -> Toolchain:
    """Describe a toolchain by the versions that decide about the bytes."""
    flavor = ["-flavor", "wasm"] if Path(linker).name == "rust-lld" else []
    versions = {
        "rustc": output(rustc, "--version"),
        "linker": output(linker, *flavor, "--version").split(" (")[0],
        "wasm-opt": output("wasm-opt", "--version"),
    }
    return Toolchain(rustc, cargo, linker, library, versions)


def sysroot(rustc: str) -> Path:
    """Return where a compiler keeps its libraries."""
    return Path(output(rustc, "--print", "sysroot"))


def rust_lld(rustc: str) -> str | None:
    """Return the linker that comes with a rustup toolchain."""
    found = sorted(sysroot(rustc).glob("lib/rustlib/*/bin/rust-lld"))
    return str(found[0]) if found else None


def output(*command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


# ------------------------------------------------------------------------------- building


def compile_wasm(tools: Toolchain) -> Path:
    """Return the wasm that these tools build, in the user's cache folder."""
    thaw()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "colearn" / "cosmwasm" / "wasm"
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
    say(f"building with {tools.versions['rustc']}, {tools.versions['linker']}")
    command = [tools.cargo, "build", "--release", "--lib", "--locked", "--target", TARGET]
    run([*command, "-Z", "build-std=std,panic_abort"], environment)
    built = folder / TARGET / "release" / "collective_learning.wasm"
    small = folder / "collective_learning.wasm"
    slim = ["--mvp-features", "-Oz", "--strip-debug", "--strip-producers"]
    run(["wasm-opt", *slim, str(built), "-o", str(small)], environment)
    return small


def rust_flags(tools: Toolchain) -> list[str]:
    """Return the compiler's options: only what wasm had at first, and no path of this machine."""
    cargo_home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    folders = dict.fromkeys(sorted((cargo_home / "registry" / "src").glob("*")), "/cargo")
    folders |= {CRATE: "/contract", tools.library: "/library"}
    options = ["-Ctarget-cpu=mvp", "-Clink-arg=-s", "-Clink-arg=--allow-undefined"]
    options += ["-Zlocation-detail=none"]
    return options + [f"--remap-path-prefix={path}={name}" for path, name in folders.items()]


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a command in the crate's folder; what it says is shown when it fails."""
    done = subprocess.run(
        command, cwd=CRATE, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Trouble(f"{' '.join(command[:3])} failed:\n{done.stdout}{done.stderr}")


def describe(wasm: Path, tools: Toolchain) -> dict[str, object]:
    """Return what the package says of its wasm."""
    return {
        "name": wasm.name,
        "sha256": sha256(wasm),
        "size": wasm.stat().st_size,
        "sourceHash": source_hash(),
        "toolchain": tools.versions,
    }


def source_hash() -> str:
    """Return sha256 over the names and contents of all that the wasm is built from."""
    digest = hashlib.sha256()
    for path in [*sorted((CRATE / "src").rglob("*.rs")), CRATE / "Cargo.toml", FROZEN]:
        digest.update(path.relative_to(CRATE).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """Return a file's sha256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ------------------------------------------------------------------------------- the VM


def check_vm(wasm: Path) -> None:
    """Raise unless the oldest VM that the contract has to run on takes this wasm."""
    size = wasm.stat().st_size
    if size >= MAX_BYTES:
        raise Trouble(f"the wasm has {size:,} bytes; it must be smaller than {MAX_BYTES:,}")
    switched_off = [f"--disable-{feature}" for feature in LATER_FEATURES]
    valid = subprocess.run(
        ["wasm-validate", *switched_off, str(wasm)], capture_output=True, text=True, check=False
    )
    if valid.returncode != 0:
        raise Trouble(f"the wasm needs more than the first version's instructions:\n{valid.stderr}")
    text = output("wasm2wat", str(wasm))
    for complaint in complaints(text):
        raise Trouble(f"the FET network's VM refuses this wasm: {complaint}")


def complaints(text: str) -> list[str]:
    """Return what is wrong with a module's text: its imports, its exports, its types."""
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
