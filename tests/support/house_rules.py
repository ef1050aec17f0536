"""Count the violations of the house rules per file, and compare them with the allowances.

Usage: python -m tests.support.house_rules --write

`tests/house_allowances.json` lists the violations that the files still contain. --write updates it,
for example after a file was moved; this is refused if a total has grown.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

Counts = dict[str, dict[str, int]]

ROOT = Path(__file__).resolve().parents[2]
ALLOWANCES = ROOT / "tests" / "house_allowances.json"
PACKAGES = ("colearn_ledger", "colearn_learner", "localnet/colearn_localnet")

MAX_LINES = 400
MAX_PARAMETERS = 6
ANCESTOR_API = {"colearn_learner/compat"}
"""Folders whose functions have the ancestor's parameters."""

BANNED = re.compile(
    r"\b(can not|is none of|by and by|at hand|held round|told|for ever|brother|could not be had"
    r"|is no (valid|member|learner|file|number|address|key))\b",
    re.IGNORECASE,
)
QUOTING = {"tests/support/house_rules.py", "tests/test_house_rules.py"}
"""Files that name the banned words on purpose."""
SUFFIXES = {".md", ".py", ".rs", ".sol"}


def count_all() -> Counts:
    """Return the number of violations of each rule, by file; files without any are left out."""
    counts: Counts = {"banned words": {}, "lines over 400": {}, "parameters over six": {}}
    counts["import cycles"] = {module: 1 for cycle in find_cycles() for module in cycle}
    for path in _text_files():
        name, text = path.relative_to(ROOT).as_posix(), path.read_text()
        words = len(BANNED.findall(text.replace("_", " ")))
        found = {"banned words": 0 if name in QUOTING else words}
        if path.suffix == ".py" and name.startswith((*PACKAGES, "tests/")):
            found["lines over 400"] = max(0, len(text.splitlines()) - MAX_LINES)
        if path.suffix == ".py" and name.startswith(PACKAGES):
            found["parameters over six"] = len(find_wide_functions(path))
        for rule, number in found.items():
            if number:
                counts[rule][name] = number
    return {rule: dict(sorted(files.items())) for rule, files in counts.items()}


def find_growth(counts: Counts, allowed: Counts) -> list[str]:
    """Return a line for each file that contains more than its allowance."""
    return [
        f"{name}: {rule}: {number}, allowed {allowed.get(rule, {}).get(name, 0)}"
        for rule, files in counts.items()
        for name, number in files.items()
        if number > allowed.get(rule, {}).get(name, 0)
    ]


def read_allowances() -> Counts:
    """Return the allowances of all rules."""
    allowed: Counts = json.loads(ALLOWANCES.read_text())
    return allowed


def find_wide_functions(path: Path) -> list[str]:
    """Return the functions with more parameters than allowed, outside the ancestor's API."""
    if any(path.is_relative_to(ROOT / folder) for folder in ANCESTOR_API):
        return []
    return [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and _count_parameters(node) > MAX_PARAMETERS
    ]


def find_cycles() -> list[list[str]]:
    """Return the groups of modules that import each other when they are loaded."""
    imports = {name: _modules_loaded_by(name) for name in _modules()}
    reached = {name: _reach(name, imports) for name in imports}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in imports
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def _count_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def _text_files() -> Iterator[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in SUFFIXES and path.is_file():
            yield path


@cache
def _modules() -> dict[str, Path]:
    folders = [ROOT / package for package in PACKAGES]
    return {
        ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for folder in folders
        for path in folder.rglob("*.py")
    }


def _modules_loaded_by(name: str) -> set[str]:
    """Return our modules that a module imports at its top level, for more than type checking."""
    modules = _modules()
    found: set[str] = set()
    for node in ast.parse(modules[name].read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
            found |= submodules or {node.module}
    return (found & modules.keys()) - {name}


def _reach(name: str, imports: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    ahead = set(imports[name])
    while ahead:
        module = ahead.pop()
        if module not in reached:
            reached.add(module)
            ahead |= imports[module] - reached
    return reached


def write_allowances() -> int:
    """Write the current counts, unless a total has grown; return the exit status."""
    counts = count_all()
    allowed = read_allowances() if ALLOWANCES.exists() else counts
    for rule, files in counts.items():
        before, now = sum(allowed.get(rule, {}).values()), sum(files.values())
        print(f"{rule}: {before} allowed, {now} found")
        if now > before:
            print(f"{rule}: the total has grown; nothing was written", file=sys.stderr)
            return 1
    ALLOWANCES.write_text(json.dumps(counts, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        print(__doc__)
        sys.exit(2)
    sys.exit(write_allowances())
