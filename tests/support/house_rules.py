"""Find violations of the house rules."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("colearn_ledger", "colearn_learner", "localnet/colearn_localnet")

MAX_LINES = 400
MAX_PARAMETERS = 6
ANCESTOR_API = ("colearn_learner/compat", "colearn_learner/learners")
"""Folders whose classes take the ancestor's parameters."""

BANNED = re.compile(
    r"\b(can not|is none of|by and by|at hand|held (rounds?|experiments?)|told|for ever|brothers?"
    r"|could not be had|says? (what|whether|how|which)"
    r"|is no (valid|member|learner|file|number|address|key))\b",
    re.IGNORECASE,
)
QUOTING = {"tests/support/house_rules.py", "tests/test_house_rules.py"}
"""Files that name the banned words on purpose."""
SUFFIXES = {".md", ".py", ".rs", ".sol"}

_CONNECTING = {"aiohttp", "grpc", "socket", "socketserver", "websockets"}
_CONNECTING_CALLS = {"create_connection", "create_server", "open_connection", "start_server"}


def find_banned_words() -> list[str]:
    """Return the places in all texts of the repository that contain banned words."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in text_files()
        for number, line in enumerate(path.read_text().replace("_", " ").splitlines(), 1)
        for match in BANNED.finditer(line)
        if path.relative_to(ROOT).as_posix() not in QUOTING
    ]


def find_long_files() -> list[str]:
    """Return the Python files that are too long."""
    return [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in text_files()
        if path.suffix == ".py" and (lines := len(path.read_text().splitlines())) > MAX_LINES
    ]


def find_wide_functions(path: Path) -> list[str]:
    """Return the functions with more parameters than allowed, outside the ancestor's API."""
    has_ancestor_api = any(path.is_relative_to(ROOT / folder) for folder in ANCESTOR_API)
    return [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and _count_parameters(node) > MAX_PARAMETERS
        and not (has_ancestor_api and node.name == "__init__")
    ]


def find_cycles() -> list[list[str]]:
    """Return the groups of modules that import each other, when they are loaded or later."""
    imports = {name: _modules_loaded_by(name) for name in _modules()}
    reached = {name: _reach(name, imports) for name in imports}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in imports
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def find_imports(path: Path) -> set[str]:
    """Return the modules that a file imports, also in functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def find_json_parsing(path: Path) -> list[int]:
    """Return the lines that parse JSON with the module ``json``, or rename that module."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        parses = isinstance(node, ast.Attribute) and (
            node.attr in ("load", "loads", "JSONDecoder") and ast.unparse(node.value) == "json"
        )
        renames = isinstance(node, ast.Import) and any(
            alias.name == "json" and alias.asname for alias in node.names
        )
        if parses or renames or (isinstance(node, ast.ImportFrom) and node.module == "json"):
            found.append(node.lineno)
    return found


def find_connections(path: Path) -> set[str]:
    """Return the modules and functions of a file that can open connections or listen for them."""
    used = {name for name in find_imports(path) if name.split(".")[0] in _CONNECTING}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in _CONNECTING_CALLS:
            used.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and node.module == "asyncio":
            used |= {alias.name for alias in node.names} & _CONNECTING_CALLS
    return used


def _count_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def text_files() -> Iterator[Path]:
    """Yield the repository's texts."""
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
    """Return our modules that a module imports, also in functions, for more than type checking."""
    modules = _modules()
    found: set[str] = set()
    for node in _walk_running(ast.parse(modules[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
            found |= submodules or {node.module}
    return (found & modules.keys()) - {name}


def _walk_running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a syntax tree, except for what is only for type checking."""
    yield node
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    for child in ast.iter_child_nodes(node):
        yield from _walk_running(child)


def _reach(name: str, imports: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    ahead = set(imports[name])
    while ahead:
        module = ahead.pop()
        if module not in reached:
            reached.add(module)
            ahead |= imports[module] - reached
    return reached
