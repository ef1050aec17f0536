"""Compile the Solidity contract and write its artifact to the Python package.

Usage: python scripts/build_contract.py [--check]

With --check, write nothing; the exit status is 1 if the package's artifact differs from the result
of compiling the sources. Run `npm ci` in contracts/evm first; `make contract` does both.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from forge import EVM, FORGE, compile_solidity

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "colearn_ledger" / "chains" / "evm" / "CollectiveLearning.json"


def main(check: bool) -> int:
    """Build the artifact, write or compare it, and return the exit status."""
    if not FORGE.exists():
        print("build_contract: run `npm ci` in contracts/evm first", file=sys.stderr)
        return 1
    built = compile_solidity("src")
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
    core, queries = read_output("CollectiveLearning"), read_output("Queries")
    settings = core["metadata"]["settings"]
    references = core["deployedBytecode"]["immutableReferences"]
    if queries["deployedBytecode"].get("immutableReferences"):
        raise SystemExit("build_contract: Queries has immutables, so its code cannot be compared")
    return {
        "contractName": "CollectiveLearning",
        "abi": read_output("ICollectiveLearning")["abi"],
        "bytecode": core["bytecode"]["object"],
        "deployedBytecode": core["deployedBytecode"]["object"],
        "queriesDeployedBytecode": queries["deployedBytecode"]["object"],
        "immutables": sorted(list_offsets(places) for places in references.values()),
        "queriesAddressAt": list_offsets(references[find_declaration(core["ast"], "_queries")]),
        "compiler": (
            f"solc {core['metadata']['compiler']['version']}, evm {settings['evmVersion']}, "
            f"via-ir, optimizer runs {settings['optimizer']['runs']}"
        ),
        "sourceHash": compute_source_hash(),
    }


def read_output(contract: str) -> dict[str, Any]:
    """Return forge's output for the contract in the source file of the same name."""
    folder = Path(os.environ["FOUNDRY_OUT"])
    output: dict[str, Any] = json.loads(
        (folder / f"{contract}.sol" / f"{contract}.json").read_text()
    )
    return output


def list_offsets(places: list[dict[str, int]]) -> list[int]:
    """Return the offsets in the code at which an immutable's value is stored, ascending."""
    return sorted(place["start"] for place in places)


def find_declaration(tree: Any, name: str) -> str:
    """Return the id of the variable with this name in a syntax tree.

    Raises:
        SystemExit: there is none.
    """
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if node.get("nodeType") == "VariableDeclaration" and node["name"] == name:
                return str(node["id"])
            node = list(node.values())
        if isinstance(node, list):
            todo += node
    raise SystemExit(f"build_contract: CollectiveLearning.sol declares no variable {name}")


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
