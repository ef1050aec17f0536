"""The command without optional packages, and its imports before it has parsed its arguments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from colearn_learner.cli import main

HEAVY = {
    *("tensorflow", "keras", "sklearn", "matplotlib", "onnx", "tf2onnx"),
    *("web3", "wasmtime", "cosmpy", "grpc", "torch", "xgboost", "scipy"),
    *("eth_account", "eth_utils", "coincurve", "pydantic"),
}

# A module that is None in sys.modules can be neither found nor imported.
RUN = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None
from colearn_learner.cli import main
main(sys.argv[1:], prog_name="colearn")
"""

LIST_MODULES = """
import json, sys
from colearn_learner.cli import main
try:
    main(sys.argv[1:], prog_name="colearn")
finally:
    print(json.dumps(sorted(sys.modules)))
"""


def colearn(
    *arguments: str, cwd: Path, blocked: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", RUN.format(blocked=blocked), *arguments]
    return subprocess.run(program, cwd=cwd, capture_output=True, text=True)


DEMO = ("demo", "--n-rounds", "1", "--n-learners", "2")
LOCAL = (*DEMO, "--ledger", "local")


@pytest.mark.parametrize(
    ("arguments", "blocked", "extra"),
    [
        (DEMO, "web3", "evm"),
        (DEMO, "wasmtime", "evm"),
        (LOCAL, "sklearn", "sklearn"),
        (LOCAL, "matplotlib", "plot"),
        ((*LOCAL, "--model", "keras-mlp"), "keras", "keras"),
        ((*LOCAL, "--model", "keras-mlp"), "tensorflow", "keras"),
    ],
)
def test_missing_extra_is_reported_with_the_command_that_installs_it(
    arguments: tuple[str, ...], blocked: str, extra: str, tmp_path: Path
):
    run = colearn(*arguments, cwd=tmp_path, blocked=(blocked,))
    assert run.returncode == 1, run.stderr
    (line,) = run.stderr.splitlines()
    assert line.startswith("Error: ")
    assert f"needs {blocked}, which is not installed" in line
    assert line.endswith(f"pip install 'colearn-ledger[{extra}]'")
    assert not list(tmp_path.iterdir()), "a run folder was left"


def test_local_demo_runs_without_chain_and_keras_packages(tmp_path: Path):
    absent = ("web3", "wasmtime", "keras", "tensorflow", "onnx")
    run = colearn(*LOCAL, "--json", cwd=tmp_path, blocked=absent)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["rounds"] == 1


def test_missing_package_without_an_extra_is_reported(tmp_path: Path):
    run = colearn(*LOCAL, cwd=tmp_path, blocked=("ml_dtypes",))
    assert run.returncode == 1
    assert "Error: the Python package ml_dtypes is not installed" in run.stderr
    assert "Traceback" not in run.stderr


def list_groups() -> list[tuple[str, ...]]:
    """Return the command's subcommands; those of a group have its imports."""
    return [(name, "--help") for name in main.list_commands(click.Context(main))]


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("models",), ("datasets",), ("demoo",), *list_groups()],
    ids=" ".join,
)
def test_commands_that_do_not_train_import_nothing_heavy(
    arguments: tuple[str, ...], tmp_path: Path
):
    program = [sys.executable, "-c", LIST_MODULES, *arguments]
    run = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
    loaded = {name.split(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}
    assert "click" in loaded
    assert not loaded & HEAVY
