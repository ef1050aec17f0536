"""Run the project's checks: what `make lint` and `make test` call.

Usage: .venv/bin/python scripts/check.py lint|test

Missing tools are installed first, as scripts/tools.py describes. Every stage runs even if an
earlier one failed. At the end a table shows each stage's outcome and each tool that could not be
installed, with what to do. With CI=true a missing tool, or a skipped test, is a failure.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tools import TOOLS, ToolMissing, provide

from colearn_localnet.toolchains import cache_folder

ROOT = Path(__file__).resolve().parent.parent
EVM = ROOT / "contracts" / "evm"
COSMWASM = ROOT / "contracts" / "cosmwasm"
IN_CI = os.environ.get("CI") == "true"


@dataclass(frozen=True)
class Stage:
    """One command, the tools that it needs, and those that it can do without."""

    name: str
    command: tuple[str, ...]
    folder: Path = ROOT
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()


def python(*arguments: str) -> tuple[str, ...]:
    """Return a command of the virtual environment's Python."""
    return (sys.executable, *arguments)


def cargo(command: str, *arguments: str) -> tuple[str, ...]:
    """Return a cargo command that builds in the user's cache folder.

    Each checkout has its own folder there: cargo compares file times, and would reuse what another
    checkout with newer files had built.
    """
    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    target = cache_folder() / "cosmwasm" / "checks" / checkout
    return ("cargo", command, "--locked", "--target-dir", str(target), *arguments)


LINT = (
    Stage("ruff", python("-m", "ruff", "check", ".")),
    Stage("ruff format", python("-m", "ruff", "format", "--check", ".")),
    Stage("mypy --strict", python("-m", "mypy")),
    Stage("npm packages", ("npm", "ci", "--no-audit", "--no-fund", "--silent"), EVM, ("node",)),
    Stage("forge fmt, solhint", ("npm", "run", "--silent", "lint"), EVM, ("node",)),
    Stage("cosmwasm lock", python("scripts/build_cosmwasm.py", "--lock"), needs=("rust",)),
    Stage("cargo fmt", ("cargo", "fmt", "--check"), COSMWASM, ("rust",)),
    Stage("clippy", cargo("clippy", "--all-targets", "--", "-D", "warnings"), COSMWASM, ("rust",)),
)

TEST = (
    *LINT,
    Stage("pip check", python("-m", "pip", "check")),
    Stage("contract artifact", python("scripts/build_contract.py", "--check"), needs=("node",)),
    Stage("forge test, gas snapshot", ("npm", "run", "--silent", "test"), EVM, ("node",)),
    Stage(
        "cosmwasm artifact", python("scripts/build_cosmwasm.py", "--check"), needs=("rust", "wasm")
    ),
    Stage("record traces", python("scripts/record_traces.py")),
    Stage("cargo test", cargo("test", "--quiet"), COSMWASM, ("rust",)),
    Stage("nodes", python("scripts/install_nodes.py"), needs=("node", "go", "c")),
    Stage("pytest", python("-m", "pytest", "-q", "--durations=10"), uses=("ip",)),
)


def main(goal: str) -> int:
    """Run all stages of a goal and return the exit status."""
    stages = {"lint": LINT, "test": TEST}[goal]
    missing = provide_tools(stages)
    console = Console()
    outcomes: list[tuple[Stage, str, float]] = []
    for stage in stages:
        if missing.keys() & set(stage.needs):
            outcomes.append((stage, "not run", 0.0))
            continue
        console.rule(f"[bold]{stage.name}", align="left")
        began = time.monotonic()
        status = subprocess.run(stage.command, cwd=stage.folder, check=False).returncode
        outcomes.append((stage, "ok" if status == 0 else "FAILED", time.monotonic() - began))
    report(console, outcomes, missing)
    failed = any(outcome == "FAILED" for _, outcome, _ in outcomes)
    return 1 if failed or (missing and IN_CI) else 0


def provide_tools(stages: tuple[Stage, ...]) -> dict[str, str]:
    """Install the tools of all stages; return those that could not be, with what to do."""
    needed = {name for stage in stages for name in (*stage.needs, *stage.uses)}
    missing: dict[str, str] = {}
    for name in sorted(needed):
        try:
            provide([name])
        except ToolMissing as error:
            missing[name] = str(error)
    return missing


def report(
    console: Console, outcomes: list[tuple[Stage, str, float]], missing: dict[str, str]
) -> None:
    """Print the closing tables."""
    console.print()
    stages = Table("stage", "outcome", "seconds", title="Checks", title_justify="left")
    for stage, outcome, seconds in outcomes:
        colour = {"ok": "green", "FAILED": "bold red"}.get(outcome, "yellow")
        needs = f" (needs {', '.join(stage.needs)})" if outcome == "not run" else ""
        stages.add_row(stage.name, f"[{colour}]{outcome}{needs}", f"{seconds:.0f}")
    console.print(stages)
    if missing:
        tools = Table("tool", "what for", "what to do", title="Missing on this machine")
        for name, advice in sorted(missing.items()):
            tools.add_row(name, TOOLS[name].purpose, advice)
        console.print(tools)
        if IN_CI:
            console.print("[bold red]CI=true: a missing tool is a failure.")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("lint", "test"):
        print(__doc__)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
