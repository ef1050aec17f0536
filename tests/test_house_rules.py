"""The house rules that a program can check (docs/architecture.md)."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.support.house_rules import (
    BANNED,
    find_banned_words,
    find_connections,
    find_cycles,
    find_imports,
    find_json_parsing,
    find_long_files,
    find_wide_functions,
)
from tests.support.selection import HEAVY_FILES

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("colearn_ledger", "colearn_learner", "localnet/colearn_localnet")
SOURCES = sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))
HEAVY = {
    *("tensorflow", "keras", "sklearn", "matplotlib", "onnx"),
    *(
        "web3",
        "wasmtime",
        "ipfshttpclient",
        "requests",
        "prometheus_client",
        "uvicorn",
        "starlette",
    ),
    *("cosmpy", "grpc", "torch", "xgboost", "scipy", "PIL", "grpc_health", "uvicorn", "starlette"),
}
BARE = {"Exception", "BaseException", "RuntimeError", "AssertionError"}


def find_loaded_packages(statement: str) -> set[str]:
    program = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return {name.split(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
class TestEveryModule:
    def test_module_does_not_use_assert(self, path: Path):
        tree = ast.parse(path.read_text())
        assert not [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Assert)]

    def test_module_raises_no_bare_builtin_error(self, path: Path):
        raised = [n.exc for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Raise)]
        calls = [e.func if isinstance(e, ast.Call) else e for e in raised]
        assert not [c.lineno for c in calls if isinstance(c, ast.Name) and c.id in BARE]

    def test_module_does_not_import_a_pickle_library(self, path: Path):
        names = {name.split(".")[0] for name in find_imports(path)}
        assert not names & {"pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve"}


def test_ledger_does_not_import_machine_learning():
    importing = {
        str(path.relative_to(ROOT)): find_imports(path)
        for path in (ROOT / "colearn_ledger").rglob("*.py")
        if any(
            n.split(".")[0] in {"colearn_learner", "sklearn", "keras", "tensorflow"}
            for n in find_imports(path)
        )
    }
    assert importing == {}


def test_protocol_does_not_import_a_chain_library():
    imports = find_imports(ROOT / "colearn_ledger" / "protocol" / "values.py")
    assert not {n.split(".")[0] for n in imports} & {"web3", "eth_account", "eth_abi", "cosmpy"}


@pytest.mark.parametrize(
    "statement",
    [
        "import colearn_learner",
        "import colearn_ledger",
        "import colearn_learner.cli",
        "import colearn_learner.agent.loop",
    ],
)
def test_import_does_not_load_heavy_packages(statement: str):
    assert not find_loaded_packages(statement) & HEAVY


@pytest.mark.parametrize(
    "name",
    [
        *("constraints.txt", "contracts/evm/package-lock.json"),
        *("localnet/pins/anvil/package-lock.json", "localnet/pins/readers/package-lock.json"),
    ],
)
def test_lock_file_contains_no_download_address(name: str):
    text = (ROOT / name).read_text()
    assert '"resolved"' not in text
    assert "index-url" not in text
    assert "://" not in "".join(line for line in text.splitlines() if '"url"' not in line)


MAY_READ_A_CLOCK = {
    "support/waiting.py",  # limits waits
    "support/faults/learner.py",  # limits a stop if the test has ended
    "scenarios/test_cosmos.py",  # adapts windows to the speed of the machine
    "support/duel/comparison.py",  # records how long a duel took
    "support/duel/record.py",
}


def test_installed_packages_support_the_oldest_python():
    """Check that a pinned version does not exclude an older release of Python 3.11.

    Debian 12 has 3.11.2, and a package that requires 3.11.5 makes the set-up fail there.
    """
    needed = {d.name: d.metadata.get("Requires-Python") or "" for d in distributions()}
    too_new = {name for name, pythons in needed.items() if "3.11.0" not in SpecifierSet(pythons)}
    assert too_new == set()


def test_tests_do_not_measure_durations():
    clocks = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time"}
    tests = ROOT / "tests"
    reading = {
        str(path.relative_to(tests))
        for path in tests.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in clocks
        and isinstance(node.value, ast.Name)
        and node.value.id == "time"
    }
    assert reading <= MAY_READ_A_CLOCK


MAY_PRINT = {"_support/output.py", "_support/console.py"}


def is_print(call: ast.Call) -> bool:
    called = call.func
    if isinstance(called, ast.Name):
        return called.id in ("print", "Console")
    of_click = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name)
    return of_click and called.value.id == "click" and called.attr in ("echo", "secho", "style")


def test_commands_print_only_through_the_output_module():
    folder = ROOT / "colearn_learner" / "cli"
    printing = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and is_print(node)
    }
    assert printing <= MAY_PRINT


class TestEnglish:
    def test_no_text_contains_banned_words(self):
        assert find_banned_words() == []

    @pytest.mark.parametrize(
        "text",
        [
            *("the node is told", "test_what_can_not_be_read", "is no valid key", "For ever"),
            *("held rounds", "it says how many"),
        ],
    )
    def test_banned_words_are_found_in_text_and_names(self, text: str):
        assert BANNED.search(text.replace("_", " "))

    @pytest.mark.parametrize("text", ["it cannot", "no valid key was found", "he withheld rounds"])
    def test_other_words_are_allowed(self, text: str):
        assert not BANNED.search(text)


class TestSize:
    def test_no_file_is_too_long(self):
        assert find_long_files() == []

    @pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
    def test_no_function_has_too_many_parameters(self, path: Path):
        assert find_wide_functions(path) == []

    def test_function_with_seven_parameters_is_found(self, tmp_path: Path):
        source = tmp_path / "wide.py"
        source.write_text("def wide(self, a, b, c, *, d, e, f, g): ...\ndef narrow(a, b): ...\n")
        assert find_wide_functions(source) == ["wide"]


MAY_USE_HTTP = {
    "colearn_ledger/http.py",
    "colearn_ledger/http_connections.py",
    "colearn_ledger/weights/stores/kubo_ipfshttpclient.py",
}
MAY_PARSE_JSON = {  # they parse only the user's own files and arguments, or are the strict parser
    "colearn_learner/checks/process.py",
    "colearn_learner/cli/_support/experiment_views.py",
    "colearn_learner/cli/_support/factories.py",
    "colearn_learner/cli/_support/walk.py",
    "colearn_learner/cli/history.py",
    "colearn_learner/compat/mli_factory.py",
    "colearn_learner/learners/privacy/account.py",
    "colearn_ledger/chains/budget.py",
    "colearn_ledger/chains/cosmos/gas.py",
    "colearn_ledger/chains/evm/abi.py",
    "colearn_ledger/text/strict_json.py",
    "localnet/colearn_localnet/anvil.py",
    "localnet/colearn_localnet/cosmos_genesis.py",
    "localnet/colearn_localnet/processes.py",
    "localnet/colearn_localnet/records.py",
    "localnet/colearn_localnet/wasmd.py",
}


MAY_OPEN_CONNECTIONS = {  # with limits on time and size, or to processes of this machine
    "colearn_learner/compat/grpc_client.py",
    "colearn_learner/compat/grpc_server.py",
    "colearn_learner/remote/client.py",
    "colearn_learner/remote/limits.py",
    "colearn_learner/remote/server.py",
    "colearn_ledger/chains/cosmos/node.py",
    "colearn_ledger/chains/subscription.py",
    "colearn_ledger/http_connections.py",
    "colearn_ledger/serve.py",
    "localnet/colearn_localnet/processes.py",
    "localnet/colearn_localnet/wasmd.py",
}


def select_sources(is_selected: Callable[[Path], object]) -> set[str]:
    """Return the names of the packages' modules that a function selects."""
    return {str(path.relative_to(ROOT)) for path in SOURCES if is_selected(path)}


def test_only_the_shared_client_uses_http():
    clients = {"requests", "urllib3", "httpx", "urllib.request", "http.client", "ipfshttpclient"}
    using = select_sources(
        lambda path: any(n in clients or n.split(".")[0] in clients for n in find_imports(path))
    )
    assert using <= MAY_USE_HTTP


def test_json_from_outside_is_parsed_strictly():
    assert select_sources(find_json_parsing) == MAY_PARSE_JSON


def test_only_listed_modules_open_connections():
    assert select_sources(find_connections) == MAY_OPEN_CONNECTIONS


@pytest.mark.parametrize(
    "source",
    [
        *("json.loads(text)", "json.load(file)", "json.JSONDecoder()", "from json import loads"),
        *("import json as j", "def f():\n    from json import load as read"),
    ],
)
def test_json_parsing_is_found(tmp_path: Path, source: str):
    (tmp_path / "module.py").write_text(source)
    assert find_json_parsing(tmp_path / "module.py")


@pytest.mark.parametrize(
    "source",
    [
        *("import socket", "from socket import create_connection", "import socketserver"),
        *("from websockets.sync.client import connect", "def f():\n    import grpc"),
        *("asyncio.open_connection(host)", "asyncio.start_server(f)"),
        *("from asyncio import open_connection", "loop.create_connection(f)"),
    ],
)
def test_connection_is_found(tmp_path: Path, source: str):
    (tmp_path / "module.py").write_text(source)
    assert find_connections(tmp_path / "module.py")


def test_harmless_module_is_not_found(tmp_path: Path):
    path = tmp_path / "module.py"
    path.write_text("import asyncio, json\njson.dumps({})\nasyncio.run(f())\n")
    assert not find_json_parsing(path)
    assert not find_connections(path)


def test_modules_have_no_import_cycles():
    assert find_cycles() == []


def test_learner_package_has_at_most_twelve_files_at_its_top():
    assert len([p for p in (ROOT / "colearn_learner").iterdir() if p.is_file()]) <= 12


def test_no_test_changes_the_import_path():
    changing = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if re.search(r"^\s*sys\.path(\.insert|\.append|\[)", path.read_text(), re.MULTILINE)
    ]
    assert changing == ["tests/support/example_runs.py"]  # it imitates how Python runs a program


def test_files_selected_as_heavy_exist():
    assert {path.name for path in (ROOT / "tests").rglob("*.py")} >= HEAVY_FILES
