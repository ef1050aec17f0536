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

import re
import subprocess
import sys
from pathlib import Path

from wasm_crates import ROOT, BuildFailed, Crate, output, run_task

CRATE = Crate(
    name="cosmwasm",
    folder=ROOT / "contracts" / "cosmwasm",
    wasm=ROOT / "colearn_ledger" / "chains" / "cosmos" / "contract" / "collective_learning.wasm",
    library="collective_learning",
    flags=("-Ctarget-cpu=mvp", "-Clink-arg=--allow-undefined"),
    slim=("--mvp-features", "-Oz", "--strip-debug", "--strip-producers"),
)

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


def main(arguments: list[str]) -> int:
    """Run the task given on the command line and return the exit status."""
    status = run_task(CRATE, check_vm, arguments)
    if status is None:
        print(__doc__)
        return 2
    return status


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
