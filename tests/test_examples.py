"""Each example runs with the local driver, with agents on a ledger, and as an agent's factory."""

from __future__ import annotations

import ast
import json
import math
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from colearn_learner.datasets import SOURCES
from tests.support import example_data

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples"
SHARED = {"__init__", "common"}

EXPECTED = {
    *("run_demo", "keras_mnist", "keras_mnist_diffpriv", "keras_cifar", "keras_fraud"),
    *("keras_scania", "keras_xray", "pytorch_mnist", "pytorch_mnist_diffpriv", "pytorch_cifar"),
    *("pytorch_xray", "pytorch_covid", "mli_fraud", "mli_random_forest_iris", "mli_numpy"),
    *("xgb_regression", "hospitals_on_a_chain", "byzantine_learner", "late_joiner"),
    "container_grpc",
}

KERAS = [
    "keras_mnist --ledger evm",
    "keras_mnist_diffpriv",
    "keras_cifar",
    "keras_fraud",
    "keras_scania",
    "keras_xray --data XRAYS",
    "run_demo -m KERAS_MNIST_RESNET -n 2 -p 1",
    "run_demo -m KERAS_SCANIA_RESNET -d TRUCKS -n 2 -p 1",
    "run_demo -m KERAS_MNIST -d MNIST -e MNIST -n 2 -p 1",
]
PYTORCH = [
    "pytorch_mnist",
    "pytorch_mnist_diffpriv",
    "pytorch_cifar --data CIFAR",
    "pytorch_xray --ledger evm",
    "pytorch_covid --data COVID",
    "run_demo -m PYTORCH_XRAY -n 3 -p 2 -v 0.6 -r 0.7 -s 4 -l 0.002 -b 4 --ledger local",
]
OTHERS = [
    "run_demo",
    "mli_fraud",
    "mli_fraud --ledger evm",
    "mli_fraud --data PAYMENTS",
    "mli_random_forest_iris",
    "mli_random_forest_iris --ledger evm",
    "xgb_regression",
    "xgb_regression --ledger local",
    "xgb_regression --data HOUSES",
    "mli_numpy",
    "mli_numpy --ledger evm",
    "mli_numpy --ledger local --plot rounds.png",
    "mli_numpy --ledger local --proposers 3",
    "mli_random_forest_iris --ledger local --proposers 2",
    "hospitals_on_a_chain",
    "hospitals_on_a_chain --ledger local",
    "byzantine_learner",
    "byzantine_learner --ledger evm",
    "late_joiner",
    "late_joiner --ledger evm",
    "container_grpc",
    "container_grpc --ledger local",
]
GROUPS = {"keras": KERAS, "pytorch": PYTORCH, "others": OTHERS}
"""Groups that run in one process each: importing TensorFlow takes longer than an example."""

WRITERS = {
    "MNIST": example_data.write_mnist,
    "CIFAR": example_data.write_cifar,
    "TRUCKS": example_data.write_scania,
    "XRAYS": example_data.write_xrays,
    "PAYMENTS": example_data.write_payments,
    "COVID": example_data.write_covid,
    "HOUSES": example_data.write_houses,
}


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory):
    """Return a function that returns the outcomes of a group's runs; a group runs only once."""

    @cache
    def run_group(group: str) -> dict[str, dict[str, str]]:
        place = tmp_path_factory.mktemp(group)
        report = place / "report.json"
        data = {}
        for name in {word for run in GROUPS[group] for word in run.split() if word in WRITERS}:
            (place / name).mkdir()
            data[name] = str(WRITERS[name](place / name))
        runs = [[data.get(word, word) for word in run.split()] for run in GROUPS[group]]
        process = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "support" / "example_runs.py"), str(report)],
            input=json.dumps(runs),
            cwd=place,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert process.returncode == 0, process.stderr
        return dict(zip(GROUPS[group], json.loads(report.read_text()), strict=True))

    return run_group


def environment() -> dict[str, str]:
    # Each run uses one thread: the models are small, and on a busy machine threads that wait for
    # each other take many times as long.
    shortened = {"COLEARN_EXAMPLES_TEST": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    return os.environ | shortened


def scores(printed: str) -> tuple[float, float]:
    """Return the scores that an example printed at its start and at its end."""
    found = {
        when: float(score)
        for when, score in re.findall(r"^(start|end): \D*?(-?[\d.]+|nan)\b", printed, re.MULTILINE)
    }
    return found["start"], found["end"]


@pytest.mark.parametrize(
    ("group", "run"),
    [(group, run) for group, runs in GROUPS.items() for run in runs],
    ids=[run for runs in GROUPS.values() for run in runs],
)
def test_example_runs(outcomes, group: str, run: str):
    outcome = outcomes(group)[run]
    assert not outcome["failed"], f"{outcome['failed']}\nIt printed:\n{outcome['printed']}"
    assert all(map(math.isfinite, scores(outcome["printed"])))
    assert "\nround 0: " in outcome["printed"]


@pytest.mark.parametrize(
    ("run", "least_gain"),
    [
        ("mli_fraud", 0.3),
        ("mli_fraud --ledger evm", 0.3),
        ("mli_random_forest_iris", 0.3),
        ("mli_random_forest_iris --ledger evm", 0.3),
        ("mli_numpy", -0.3),
        ("mli_numpy --ledger evm", -0.3),
        ("xgb_regression", -0.1),
        ("hospitals_on_a_chain", -0.1),
        ("late_joiner", 0.3),
        ("byzantine_learner", 0.3),
    ],
)
def test_example_improves_its_score(outcomes, run: str, least_gain: float):
    start, end = scores(outcomes("others")[run]["printed"])
    assert (end - start) / least_gain >= 1


@pytest.mark.parametrize("run", ["mli_fraud", "mli_numpy", "byzantine_learner"])
def test_ledger_gives_the_same_results_as_the_local_driver(outcomes, run: str):
    local, chain = (outcomes("others")[name]["printed"] for name in (run, f"{run} --ledger evm"))
    assert scores(local) == scores(chain)
    assert " gas" in chain


@pytest.mark.parametrize(
    ("group", "run"),
    [
        ("keras", "keras_mnist_diffpriv"),
        ("pytorch", "pytorch_mnist_diffpriv"),
    ],
)
def test_only_proposers_spend_their_privacy_budget(outcomes, group, run):
    spent = re.findall(
        r"^learner (\d) has spent epsilon ([\d.]+) of ([\d.]+) at delta 1e-05$",
        outcomes(group)[run]["printed"],
        re.MULTILINE,
    )
    assert [learner for learner, *_ in spent] == ["0", "1", "2"]
    assert all(float(epsilon) < float(target) for _, epsilon, target in spent)
    assert [float(epsilon) > 0 for _, epsilon, _ in spent] == [True, True, False]


def test_remote_learner_gives_the_same_results(outcomes):
    here, there = (outcomes("others")[f"container_grpc{how}"] for how in ("", " --ledger local"))
    assert scores(here["printed"]) == scores(there["printed"])
    assert "learner 0 is served at grpc://127.0.0.1:" in here["printed"]
    assert scores(here["printed"]) == scores(outcomes("others")["mli_numpy"]["printed"])


def test_byzantine_proposal_is_rejected(outcomes):
    printed = outcomes("others")["byzantine_learner"]["printed"]
    assert re.findall(r"proposal of learner (\d) (\w+)", printed) == [
        ("0", "accepted"),
        ("1", "rejected"),
    ]


def test_several_learners_propose_in_a_round(outcomes):
    for run, approvals in (
        ("mli_numpy --ledger local --proposers 3", r"\d \d \d"),
        ("mli_random_forest_iris --ledger local --proposers 2", r"\d \d"),
    ):
        printed = outcomes("others")[run]["printed"]
        assert len(re.findall(rf"^round \d: .*, {approvals} of 2 approve$", printed, re.M)) == 2


def test_local_driver_refuses_several_proposers():
    run = subprocess.run(
        [sys.executable, FOLDER / "mli_numpy.py", "--proposers", "2"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "the local driver has one proposer in a round" in run.stderr


@pytest.mark.parametrize("ledger", ["", " --ledger evm"])
def test_late_joiner_votes_from_the_next_round(outcomes, ledger: str):
    printed = outcomes("others")[f"late_joiner{ledger}"]["printed"]
    assert "learner 3 joins in round 1\n" in printed
    assert "learner 3 votes and proposes from round 2 on\n" in printed
    assert re.findall(r"^round \d: \w+, \d of (\d) approve$", printed, re.M) == list("2233")


@pytest.mark.parametrize(
    ("group", "run", "message"),
    [
        ("keras", "keras_mnist --ledger evm", "mnist was not found: scikit-learn's digits"),
        ("keras", "keras_cifar", "cifar-10 was not found: scikit-learn's digits"),
        ("keras", "keras_scania", "scania-aps was not found: scikit-learn's breast-cancer"),
        ("others", "mli_fraud", "fraud-ieee was not found: scikit-learn's breast-cancer"),
        ("pytorch", "pytorch_xray --ledger evm", "chest-xray was not found: scikit-learn's digits"),
    ],
)
def test_substitute_data_is_announced(outcomes, group, run, message):
    assert f"{message} records are used instead.\nTo use it" in outcomes(group)[run]["printed"]


def test_data_of_the_user_is_used(outcomes):
    for group, runs in GROUPS.items():
        for run in runs:
            if set(run.split()) & {*WRITERS}:
                assert "was not found" not in outcomes(group)[run]["printed"]


def test_missing_data_is_reported_in_one_line(tmp_path: Path):
    run = subprocess.run(
        [sys.executable, FOLDER / "xgb_regression.py", "--data", str(tmp_path / "nowhere")],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "nowhere does not exist. To get california-housing: " in run.stderr


# ------------------------------------------------------------------ the list of examples


def list_examples() -> set[str]:
    return {path.stem for path in FOLDER.glob("*.py")} - SHARED


def test_examples_folder_has_exactly_the_expected_files():
    assert list_examples() == EXPECTED


def test_each_example_has_a_run():
    assert {run.split()[0] for runs in GROUPS.values() for run in runs} == list_examples()


def test_readme_lists_each_example():
    lines = re.findall(r"^\| \[(\w+)\]\((\w+)\.py\)", (FOLDER / "README.md").read_text(), re.M)
    assert [name for name, file in lines if name != file] == []
    assert sorted(name for name, _ in lines) == sorted(list_examples())


@pytest.mark.parametrize("name", sorted(list_examples()))
def test_example_documents_how_to_run_it(name: str):
    text = (FOLDER / f"{name}.py").read_text()
    assert f"python examples/{name}.py" in text.split('"""')[1]
    assert len(text.splitlines()) <= 130


def test_run_demo_offers_each_model_of_the_ancestor():
    program = ast.parse((FOLDER / "run_demo.py").read_text())
    [models] = [
        ast.literal_eval(node.value)
        for node in program.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets) == "MODELS"
    ]
    assert models.keys() >= {
        *("KERAS_MNIST", "KERAS_MNIST_RESNET", "KERAS_CIFAR10", "KERAS_SCANIA"),
        *("KERAS_SCANIA_RESNET", "PYTORCH_XRAY", "PYTORCH_COVID_XRAY", "FRAUD"),
    }
    for example, data, _ in models.values():
        name, _, function = example.partition(":")
        assert re.search(
            rf"^(def )?{function or 'learner_of'}\b", (FOLDER / f"{name}.py").read_text(), re.M
        )
        assert data in SOURCES


# ------------------------------------------------------------------ as an agent's learner


@pytest.mark.parametrize("name", ["mli_numpy", "mli_fraud"])
def test_handwritten_learners_pass_the_conformance_kit(name: str):
    check = subprocess.run(
        [
            *(sys.executable, "-m", "colearn_learner.cli", "learner", "check"),
            *(f"examples.{name}:make_learner", "--learner-arg", "learner=0", "--json"),
        ],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert check.returncode == 0, check.stdout + check.stderr
    assert json.loads(check.stdout)["passed"]
