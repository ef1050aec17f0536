"""Build the EVM of the embedded chain and write the wasm to the Python package.

Usage: python scripts/build_embedded.py [--check | --lock | --freeze]

The options, tools and exit status are those of scripts/build_cosmwasm.py, except that binaryen and
wabt are not needed: wasmtime checks the module when it compiles it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wasm_crates import ROOT, BuildFailed, Crate, run_task
from wasmtime import Engine, Module

CRATE = Crate(
    name="embedded",
    folder=ROOT / "contracts" / "embedded",
    wasm=ROOT / "colearn_ledger" / "chains" / "evm" / "machine" / "revm.wasm",
    library="embedded_evm",
)


def check_module(wasm: Path) -> None:
    """Check that the module needs nothing from this machine.

    Raises:
        BuildFailed: it has imports.
    """
    imports = Module(Engine(), wasm.read_bytes()).imports
    if imports:
        names = ", ".join(f"{each.module}.{each.name}" for each in imports)
        raise BuildFailed(f"the module must not import anything, but it imports {names}")


def main(arguments: list[str]) -> int:
    """Run the task given on the command line and return the exit status."""
    status = run_task(CRATE, check_module, arguments)
    if status is None:
        print(__doc__)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
