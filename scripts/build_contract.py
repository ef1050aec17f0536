"""Compile the Solidity contract and write its artifact to the Python package.

Usage: python scripts/build_contract.py [--check]

With --check, write nothing; the exit status is 1 if the package's artifact differs from the result
of compiling the sources. Run `npm ci` in contracts/evm first; `make contract` does both.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EVM = ROOT / "contracts" / "evm"
TARGET = ROOT / "colearn_ledger" / "chains" / "evm" / "CollectiveLearning.json"


def main(check: bool) -> int:
    """Build the artifact, write or compare it, and return the exit status."""
    forge = EVM / "node_modules" / ".bin" / "forge"
    if not forge.exists():
        print("build_contract: run `npm ci` in contracts/evm first", file=sys.stderr)
        return 1
    built = subprocess.run(
        [str(forge), "build", "src"],
        cwd=EVM,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        print(built.stdout, built.stderr, sep="\n", file=sys.stderr)
        return 1
    text = json.dumps(read_artifact(), indent=1, sort_keys=True) + "\n"
    if not check:
        TARGET.write_text(text)
        print(f"wrote {TARGET.relative_to(ROOT)}")
        return 0
    if TARGET.read_text() != text:
        print(
            f"{TARGET.relative_to(ROOT)} differs from the compiled contracts/evm/src: "
            "run `make contract` and commit the result",
            file=sys.stderr,
        )
        return 1
    print(f"{TARGET.relative_to(ROOT)} matches the compiled contracts/evm/src")
    return 0


def read_artifact() -> dict[str, object]:
    """Return the content of the package's artifact, from forge's output."""
    folder = EVM / os.environ.get("FOUNDRY_OUT", "out")
    output = folder / "CollectiveLearning.sol" / "CollectiveLearning.json"
    compiled = json.loads(output.read_text())
    settings = compiled["metadata"]["settings"]
    return {
        "contractName": "CollectiveLearning",
        "abi": compiled["abi"],
        "bytecode": compiled["bytecode"]["object"],
        "deployedBytecode": compiled["deployedBytecode"]["object"],
        "compiler": (
            f"solc {compiled['metadata']['compiler']['version']}, evm {settings['evmVersion']}, "
            f"via-ir, optimizer runs {settings['optimizer']['runs']}"
        ),
        "sourceHash": compute_source_hash(),
    }


def compute_source_hash() -> str:
    """Return the sha256 over the names and contents of all sources, in order of name."""
    digest = hashlib.sha256()
    for path in sorted((EVM / "src").rglob("*.sol")):
        digest.update(path.relative_to(EVM).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__)
        sys.exit(2)
    sys.exit(main(check=sys.argv[1:] == ["--check"]))
