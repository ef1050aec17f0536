"""Run the project's checks: what `make lint`, `check`, `test` and `test-long` call.

Usage: .venv/bin/python scripts/check.py lint|check|test|long

Missing tools are installed first, as scripts/tools.py describes. Two stages run at a time; each
prints its output when it ends, and writes it to build/checks as it runs. Every stage runs even if
another one failed. At the end tables show each stage's outcome, the number of tests that passed,
and how to install each missing tool. With CI=true a missing tool, or a skipped test, is a failure.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from forge import share_output
from install_nodes import NODES
from rich.console import Console
from rich.table import Table
from tools import TOOLS, ToolMissing, provide

from colearn_localnet.toolchains import cache_folder

ROOT = Path(__file__).resolve().parent.parent
EVM = ROOT / "contracts" / "evm"
COSMWASM = ROOT / "contracts" / "cosmwasm"
EMBEDDED = ROOT / "contracts" / "embedded"
REPORTS = ROOT / "build" / "checks"
IN_CI = os.environ.get("CI") == "true"
AT_A_TIME = 2
"""Number of stages that run at the same time."""
HEARTBEAT = 60.0
"""Seconds after which the names of the running stages are printed again."""


@dataclass(frozen=True)
class Stage:
    """One command of a check.

    Attributes:
        name: its title in the tables.
        command: the command.
        folder: the working folder.
        needs: tools without which it does not run.
        uses: tools that it uses if they exist.
        after: names of the stages that have to end first, if they run at all.
    """

    name: str
    command: tuple[str, ...]
    folder: Path = ROOT
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def report(self, suffix: str) -> Path:
        """Return the path of a file about this stage."""
        return REPORTS / (re.sub(r"[^a-z]+", "-", self.name.lower()).strip("-") + suffix)


@dataclass(frozen=True)
class Outcome:
    """How a stage ended."""

    stage: Stage
    result: str
    seconds: float


def python(*arguments: str) -> tuple[str, ...]:
    """Return a command of the virtual environment's Python."""
    return (sys.executable, *arguments)


def cargo(command: str, *arguments: str) -> tuple[str, ...]:
    """Return a cargo command that builds in the user's cache folder.

    Each checkout has its own folder there, because cargo compares file times, and would otherwise
    reuse what another checkout with newer files had built.
    """
    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    folder = cache_folder() / "cosmwasm" / "checks" / checkout
    return ("cargo", command, "--locked", "--target-dir", str(folder), *arguments)


def pytest(name: str, *arguments: str, after: tuple[str, ...] = ()) -> Stage:
    """Return a stage that runs tests, spread over several processes."""
    options = ("-q", "--durations=10", "--dist", "loadscope", "--no-loadscope-reorder")
    stage = Stage(name, (), uses=("ip", "c"), after=after)
    report = f"--junitxml={stage.report('.xml')}"
    return replace(stage, command=python("-m", "pytest", *options, report, *arguments))


NPM = "npm packages"
FORGE = "forge build"
LOCK = "cosmwasm lock"

LINT = (
    Stage("ruff", python("-m", "ruff", "check", ".")),
    Stage("ruff format", python("-m", "ruff", "format", "--check", ".")),
    Stage("mypy --strict", python("-m", "mypy")),
    Stage(NPM, python("scripts/install_npm_packages.py"), needs=("node",)),
    Stage(LOCK, python("scripts/build_cosmwasm.py", "--lock"), needs=("rust",)),
    Stage("forge fmt, solhint", ("npm", "run", "--silent", "lint"), EVM, ("node",), after=(NPM,)),
    Stage("cargo fmt", ("cargo", "fmt", "--check"), COSMWASM, ("rust",), after=(LOCK,)),
    Stage("cargo fmt, embedded EVM", ("cargo", "fmt", "--check"), EMBEDDED, ("rust",)),
    Stage(
        "clippy",
        cargo("clippy", "--all-targets", "--", "-D", "warnings"),
        COSMWASM,
        ("rust",),
        after=(LOCK,),
    ),
)

CHECK = (*LINT, pytest("fast tests", "--part", "fast", "-n", "2"))

TEST = (
    *CHECK,
    Stage("pip check", python("-m", "pip", "check")),
    Stage("nodes", python("scripts/install_nodes.py"), needs=("node", "go", "c")),
    pytest("tests on nodes", "--part", "nodes", "-n", "6", after=("nodes",)),
    pytest("heavy tests", "--part", "heavy", "-n", "2", after=("tests on nodes",)),
    Stage(
        "contract artifact",
        python("scripts/build_contract.py", "--check"),
        needs=("node",),
        after=(NPM,),
    ),
    Stage(FORGE, python("scripts/forge.py"), needs=("node",), after=(NPM, "contract artifact")),
    Stage(
        "forge test, gas snapshot",
        ("npm", "run", "--silent", "test"),
        EVM,
        ("node",),
        after=(FORGE,),
    ),
    Stage(
        "cosmwasm artifact",
        python("scripts/build_cosmwasm.py", "--check"),
        needs=("rust", "wasm"),
        after=(LOCK,),
    ),
    Stage(
        "embedded EVM artifact",
        python("scripts/build_embedded.py", "--check"),
        needs=("rust",),
        after=("cosmwasm artifact",),
    ),
    Stage("record traces", python("-m", "tests.traces.record")),
    Stage(
        "cargo test",
        cargo("test", "--quiet"),
        COSMWASM,
        ("rust",),
        after=(LOCK, "clippy", "record traces"),
    ),
)

LONG = (
    Stage(NPM, python("scripts/install_npm_packages.py"), needs=("node",)),
    Stage(
        "nodes",
        python("scripts/install_nodes.py", *NODES),
        needs=("node", "go", "c"),
    ),
    Stage(FORGE, python("scripts/forge.py"), needs=("node",), after=(NPM,)),
    Stage(
        "long forge tests", ("npm", "run", "--silent", "test-long"), EVM, ("node",), after=(FORGE,)
    ),
    pytest("long tests", "--long", "-n", "6", after=("nodes", NPM)),
)

GOALS = {"lint": LINT, "check": CHECK, "test": TEST, "long": LONG}


def main(goal: str) -> int:
    """Run all stages of a goal and return the exit status."""
    began = time.monotonic()
    stages = GOALS[goal]
    share_output()
    missing = provide_tools(stages)
    console = Console()
    REPORTS.mkdir(parents=True, exist_ok=True)
    for old in REPORTS.iterdir():
        old.unlink()
    outcomes = run_all(stages, missing.keys(), console)
    show_tests([outcome.stage for outcome in outcomes], console)
    show_stages(outcomes, missing, console)
    console.print(f"{time.monotonic() - began:.0f} seconds in total")
    failed = any(outcome.result == "FAILED" for outcome in outcomes)
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


def run_all(stages: Sequence[Stage], missing: Collection[str], console: Console) -> list[Outcome]:
    """Run the stages, as many at a time as allowed, in their order; return the outcomes."""
    waiting = list(stages)
    running: dict[Future[Outcome], Stage] = {}
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        while waiting or running:
            unfinished = {stage.name for stage in (*waiting, *running.values())}
            ready = (stage for stage in waiting if not unfinished & set(stage.after))
            while len(running) < AT_A_TIME and (stage := next(ready, None)):
                running[pool.submit(run, stage, missing)] = stage
                console.print(f"[dim]{stage.name} ...")
            waiting = [stage for stage in waiting if stage not in running.values()]
            ended, _ = wait(running, HEARTBEAT, FIRST_COMPLETED)
            for future in ended:
                outcomes.append(future.result())
                del running[future]
                show_output(outcomes[-1], console)
            if not ended:
                console.print(f"[dim]{', '.join(s.name for s in running.values())} ...")
    return sorted(outcomes, key=lambda outcome: stages.index(outcome.stage))


def run(stage: Stage, missing: Collection[str]) -> Outcome:
    """Run one stage, with its output in a file."""
    if set(missing) & set(stage.needs):
        return Outcome(stage, "not run", 0.0)
    began = time.monotonic()
    with stage.report(".log").open("wb") as log:
        done = subprocess.run(
            stage.command, cwd=stage.folder, stdout=log, stderr=subprocess.STDOUT, check=False
        )
    result = "FAILED" if done.returncode else "ok"
    return Outcome(stage, result, time.monotonic() - began)


def show_output(outcome: Outcome, console: Console) -> None:
    """Print the output of a stage."""
    console.rule(f"[bold]{outcome.stage.name}[/]: {outcome.result}", align="left")
    log = outcome.stage.report(".log")
    if log.exists():
        sys.stdout.write(log.read_text(errors="replace"))
        sys.stdout.flush()


# ---------------------------------------------------------------------------- closing tables


def show_tests(stages: Sequence[Stage], console: Console) -> None:
    """Print how many tests passed in each folder, and how many scenarios on each ledger."""
    folders: Counter[str] = Counter()
    ledgers: Counter[str] = Counter()
    for report in (stage.report(".xml") for stage in stages):
        tests = ElementTree.parse(report).iter("testcase") if report.exists() else ()  # noqa: S314
        for test in tests:
            if not any(child.tag in {"failure", "error", "skipped"} for child in test):
                module = test.get("classname", "").split(".")
                folders[module[1] if len(module) > 1 else "tests"] += 1
                if module[1:2] == ["scenarios"] and len(module) == 4:
                    ledgers[f"{module[2].removeprefix('test_')}, {module[3]}"] += 1
    for title, counts in (("Tests that passed", folders), ("Scenarios that passed", ledgers)):
        table = Table("where", "number", title=title, title_justify="left")
        for name, number in sorted(counts.items()):
            table.add_row(name, f"{number:,}")
        if counts:
            table.add_row("all", f"{counts.total():,}")
            console.print(table)
    if len(set(ledgers.values())) > 1:
        console.print(
            "[bold red]The number of scenarios that passed is NOT the same on every ledger"
        )


def show_stages(outcomes: list[Outcome], missing: dict[str, str], console: Console) -> None:
    """Print the outcome of each stage, and the missing tools."""
    console.print()
    stages = Table("stage", "outcome", "seconds", title="Checks", title_justify="left")
    for outcome in outcomes:
        result, needs = outcome.result, ", ".join(outcome.stage.needs)
        colour = {"ok": "green", "FAILED": "bold red"}.get(result, "yellow")
        reason = f" (needs {needs})" if result == "not run" else ""
        seconds = f"{outcome.seconds:.0f}"
        stages.add_row(outcome.stage.name, f"[{colour}]{result}{reason}", seconds)
    console.print(stages)
    if missing:
        tools = Table("tool", "what for", "what to do", title="Missing on this machine")
        for name, advice in sorted(missing.items()):
            tools.add_row(name, TOOLS[name].purpose, advice)
        console.print(tools)
        if IN_CI:
            console.print("[bold red]CI=true: a missing tool is a failure.")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in GOALS:
        print(__doc__)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
