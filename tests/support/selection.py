"""Decide for each test file whether it is fast, starts nodes, or trains with a framework.

A file's folder, imports and fixture names decide, so that no test needs a mark. Files of other
parts are not imported, because loading TensorFlow takes longer than most fast tests.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from functools import cache
from pathlib import Path
from zlib import crc32

TESTS = Path(__file__).resolve().parents[1]
PARTS = ("fast", "nodes", "heavy")

NODES = {
    *("anvil", "Anvil", "CosmosChain", "cosmos_place", "Kubo", "kubo_swarm", "swarm"),
    *("Localnet", "node_binaries", "toxiproxy_binary", "wasmd_binary", "real_chain"),
}
"""Fixtures and classes that start nodes, and the module with fixtures that other files import."""

FAULT_FOLDERS = {"faults", "faults_cosmos"}
NODE_FOLDERS = {*FAULT_FOLDERS, "localnet"}

FRAMEWORKS = {
    *("dp_accounting", "keras", "onnx", "onnxruntime", "opacus", "tensorflow", "torch", "xgboost"),
    *("pytorch", "privacy"),
}
"""Parts of the names of modules that load a framework."""

EMBEDDED = {"EmbeddedChain", "any_world"}
"""A class and a fixture that run the compiled contract in this process."""

HEAVY_FOLDERS = {"docs", "statemachine"}
HEAVY_FILES = {
    "test_agent_kills.py",
    "test_ancestor_programs.py",
    "test_ancestor_style.py",
    "test_checking.py",
    "test_cli_demo_keras.py",
    "test_cli_startup.py",
    "test_examples.py",
    "test_interrupt.py",
    "test_readme.py",
    "test_real_mnist.py",
    "test_skew.py",
    "test_starters.py",
    "test_triton_guard.py",
}
"""Files that start many processes, or train for a long time."""


@cache
def part_of(path: Path) -> str:
    """Return the part of the test run that a test file belongs to."""
    inside = path.relative_to(TESTS)
    names, modules = _names_in(path)
    if NODE_FOLDERS & set(inside.parts) or NODES & names:
        return "nodes"
    if HEAVY_FOLDERS & set(inside.parts) or inside.name in HEAVY_FILES:
        return "heavy"
    if FRAMEWORKS & modules or EMBEDDED & names:
        return "heavy"
    return "fast"


def is_in_long_run(path: Path, fixtures: Collection[str]) -> bool:
    """Return whether a test runs under `make test-long`: reduced ones in full, and all faults."""
    return "is_long" in fixtures or bool(FAULT_FOLDERS & set(path.relative_to(TESTS).parts))


def node_group_of(path: Path, test: str = "") -> tuple[int, str]:
    """Return the order and the name of the group of tests that one worker runs sequentially.

    Long groups come first. The tests of a file share its fixtures. The tests of several files share
    a wasmd. The stories on wasmd wait for its clock most of the time: four groups, each with
    its own chain, wait at the same time. Each test of the model is a group of its own.

    Args:
        path: the test's file.
        test: the test's id in that file.
    """
    inside = path.relative_to(TESTS)
    if "cosmos_place" in _names_in(path)[0] or inside.parts[0] == "faults_cosmos":
        if inside.parts[0] == "scenarios":
            return 0, f"stories on wasmd {crc32(test.encode()) % 4}"
        return 1, "wasmd"
    if inside.parts[0] == "model":
        return 2, f"{inside}::{test}"
    return (2 if inside.parts[0] in NODE_FOLDERS else 3), str(inside)


@cache
def _names_in(path: Path) -> tuple[set[str], set[str]]:
    """Return the names that a file uses, and the parts of the names of the modules it imports."""
    names: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "usefixtures":
            names |= {
                argument.value for argument in node.args if isinstance(argument, ast.Constant)
            }
        elif isinstance(node, ast.Import):
            modules |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= set(node.module.split("."))
            names |= {alias.name for alias in node.names}
    return names | modules, modules
