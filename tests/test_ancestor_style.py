"""Programs for the ancestor library run with only their import lines changed.

The folder ancestor_style contains such programs in the style of the library's users.
"""

from __future__ import annotations

import copy
import difflib
import importlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from colearn_learner import DiffPrivConfig, ModelFormat, Results, Weights, simulation
from colearn_ledger.weights.codec import encode_weights
from tests.ancestor_style.imports import MODULES, NAMES, rewrite_imports

FOLDER = Path(__file__).resolve().parent / "ancestor_style"
ONLY_IN_PUBLISHED_PROGRAMS = {
    "colearn_grpc.example_grpc_learner_client",
    "colearn_grpc.grpc_server",
    "colearn_grpc.logging",
}
"""Modules that only the programs of test_ancestor_programs.py import."""

PROGRAMS = {path.stem: path for path in sorted(FOLDER.glob("*.py")) if path.stem != "imports"}


@cache
def run_program(name: str) -> dict[str, Any]:
    """Run a program with changed imports, and return its variables."""
    program = rewrite_imports(PROGRAMS[name].read_text())
    variables: dict[str, Any] = {"__name__": f"ancestor_style_{name}"}
    with limit_threads(name):
        exec(compile(program, str(PROGRAMS[name]), "exec"), variables)
    return variables


@contextmanager
def limit_threads(name: str) -> Iterator[None]:
    """Limit torch to one thread, because waiting threads take minutes on a busy machine."""
    if not name.startswith("pytorch"):
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def short_runs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLEARN_EXAMPLES_TEST", "1")


def mean_scores(results: Results) -> list[float]:
    results.process_statistics()
    return results.mean_test_scores


@pytest.mark.parametrize("name", PROGRAMS)
def test_only_import_lines_change_in_program(name: str):
    before = PROGRAMS[name].read_text()
    after = rewrite_imports(before)
    changed = [
        line[2:]
        for line in difflib.ndiff(before.splitlines(), after.splitlines())
        if line[:2] in ("- ", "+ ")
    ]
    assert changed
    assert all(re.match(r"from colearn\S* import ", line) for line in changed), changed
    assert "colearn_learner" not in before
    assert not re.search(r"\bcolearn(_keras|_pytorch|_grpc)?\.", after)


def test_programs_cover_at_least_ten_kinds():
    assert len(PROGRAMS) == 12
    imported = {
        module
        for path in PROGRAMS.values()
        for module in re.findall(r"^from (colearn\S*) import", path.read_text(), re.MULTILINE)
    }
    assert imported == {*MODULES} - ONLY_IN_PUBLISHED_PROGRAMS


def test_documentation_shows_the_import_table():
    page = (FOLDER.parent.parent / "docs" / "from-colearn.md").read_text()
    rows = re.findall(r"^\| `(colearn\S*)` \| `(colearn_learner\S*)` \|$", page, re.MULTILINE)
    assert dict(rows) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imported_names_exist(module: str):
    here = importlib.import_module(MODULES[module])
    assert [name for name in NAMES[module] if not hasattr(here, name)] == []


@pytest.mark.parametrize("indent", ["", "    "])
def test_indented_imports_change_and_other_text_does_not(indent: str):
    program = (
        f"{indent}from colearn.training import (\n    initial_result,\n)\n# colearn.training\n"
    )
    assert rewrite_imports(program) == program.replace(
        "colearn.training import", "colearn_learner import"
    )


# ------------------------------------------------------------------ each kind of learner


@pytest.mark.parametrize(
    ("name", "rounds"),
    [
        ("keras_tf_data", 2),
        ("pytorch_vote_criterion", 4),
        ("pytorch_one_batch", 6),
        ("mli_sgd", 5),
        ("registered", 4),
    ],
)
def test_accuracy_rises_over_the_rounds(name: str, rounds: int):
    results = run_program(name)["results"]
    scores = mean_scores(results)
    assert len(results.data) == 1 + rounds
    assert any(result.vote for result in results.data)
    assert max(scores) > scores[0] + 0.15


def test_factory_passes_parameters_to_registered_functions():
    variables = run_program("registered")
    learners = variables["all_learner_models"]
    assert [len(learner.train) for learner in learners] == [85] * 4
    for learner in learners:
        assert (learner.steps, learner.learning_rate) == (40, 0.002)
        assert learner.diff_priv_config == DiffPrivConfig(**variables["privacy"])


def test_generator_loaders_reduce_the_loss():
    results = run_program("keras_generator")["results"]
    assert [result.block_proposer for result in results.data] == [None, 0, 1]
    assert min(mean_scores(results)) < mean_scores(results)[0]


@pytest.mark.parametrize("name", ["mli_random_forest", "mli_xgboost"])
def test_learners_with_unequal_starts_agree_after_an_accepted_proposal(name: str):
    variables = run_program(name)
    assert len(variables["results"].data) == 5
    last = next(result for result in reversed(variables["results"].data) if result.block_proposer)
    assert last.votes.count(None) == 1
    accepted = [result.vote for result in variables["results"].data]
    assert any(accepted)
    first, *others = variables["all_learner_models"]
    weights = first.mli_get_current_weights()
    scores = [first.mli_test_weights(weights).vote_score for _ in others]
    for other, score in zip(others, scores, strict=True):
        own = other.mli_get_current_weights()
        assert first.mli_test_weights(own).vote_score == score


def test_local_driver_accepts_plain_numbers_as_weights():
    """A learner approves only weights better than its own, so different starts converge."""
    values = {learner.current_value for learner in run_program("duck_typed")["all_learner_models"]}
    assert len(values) == 1
    assert values.pop() > 3


def test_single_rounds_return_the_parts_of_results():
    variables = run_program("driver_one_round")
    results = variables["results"]
    for n, result in enumerate(results.data):
        assert result.votes[n % 4] is None
        assert result.vote == (sum(map(bool, result.votes)) >= 3 * 0.6)
        assert len(result.vote_scores) == len(result.test_scores) == 4
    # Three of four approve values near 2; the fourth learner's distant proposals are rejected.
    assert [result.vote for result in results.data][3::4] == [False, False]
    assert abs(variables["learners"][3].guess[0] - 2) < 0.7
    assert len(results.mean_test_scores) == 8


def test_result_statistics_are_by_round_and_by_learner():
    variables = run_program("driver_results")
    data = variables["results"].data
    assert variables["mean_scores"] == pytest.approx([np.mean(r.test_scores) for r in data])
    assert variables["history_of_the_first"] == [r.test_scores[0] for r in data]
    assert max(variables["mean_scores"]) > variables["mean_scores"][0]


def test_individual_training_moves_learners_apart():
    variables = run_program("individual_training")
    alone, together = variables["alone"], variables["together"]
    assert [result.vote for result in alone.data] == [False] * 5
    assert all(result.votes == [True] * 4 for result in alone.data)
    assert len({*alone.data[-1].test_scores}) == 4
    assert len({*together.data[-1].test_scores}) == 1
    assert mean_scores(alone)[-1] < mean_scores(alone)[0]


def test_training_summaries_have_budget_and_error():
    summaries = run_program("individual_training")["alone"].data[-1].training_summaries
    assert [summary.dp_budget.consumed_epsilon for summary in summaries] == [1.0] * 4
    assert {summary.error_code.name for summary in summaries} == {"DP_BUDGET_EXCEEDED"}


# ------------------------------------------------------------------ beyond the local driver


@pytest.mark.parametrize("name", ["mli_sgd", "mli_random_forest", "mli_xgboost"])
def test_models_are_exported_as_onnx(name: str):
    model = run_program(name)["all_learner_models"][0].mli_get_current_model()
    assert model.model_format == ModelFormat.ONNX
    assert model.model.graph.node


@pytest.mark.parametrize(
    "name", ["mli_sgd", "registered", "keras_tf_data", "pytorch_vote_criterion"]
)
def test_learners_run_as_agents_on_a_ledger(name: str):
    learners = run_program(name)["all_learner_models"]
    with limit_threads(name):
        result = simulation.run(learners, n_rounds=2)
    assert [r.block_proposer for r in result.results.data] == [0, 1]
    assert all(np.isfinite(r.vote_scores).all() for r in result.results.data)


@pytest.mark.parametrize("ledger", ["local", "evm"])
@pytest.mark.parametrize("name", ["mli_sgd", "registered"])
def test_learners_propose_together_in_plural_rounds(name: str, ledger: Literal["local", "evm"]):
    learners = run_program(name)["all_learner_models"]
    reset_weights(learners)
    config = simulation.SimulationConfig(n_proposers=len(learners))
    result = simulation.run(learners, n_rounds=2, ledger=ledger, config=config)
    rounds = [record.round for record in result.history.rounds]
    assert [len(each.contents) for each in rounds] == [len(learners)] * 2
    assert sum(slot.accepted for slot in rounds[0].slots) > 1  # the second round starts at a mean
    assert all(np.isfinite(r.vote_scores).all() for r in result.results.data)
    expected = encode_weights(result.weights)
    for learner in learners:
        assert encode_weights(learner.mli_get_current_weights().weights) == expected


def reset_weights(learners: Sequence[Any]) -> None:
    """Let learners accept weights of zeros, so that every proposal is better."""
    weights = learners[0].mli_get_current_weights().weights
    if isinstance(weights, dict):
        zeros: Any = {name: np.zeros_like(array) for name, array in weights.items()}
    else:
        zeros = np.zeros_like(weights)
    for learner in learners:
        learner.mli_accept_weights(Weights(copy.deepcopy(zeros)))
