"""`colearn demo`, the catalogue, and the usage errors of both."""

from __future__ import annotations

import csv
import json
import logging

import pytest

from colearn_learner.agent.judge import Judge, Judgement
from colearn_learner.cli.demo import demo
from colearn_ledger.protocol import Admission
from colearn_ledger.spec import DEFAULT_VOTING
from tests.support.commands import colearn

QUICK = ("demo", "--ledger", "local", "--n-rounds", "5", "--n-learners", "3")


def test_demo_writes_its_files_and_prints_the_results(tmp_path):
    out = tmp_path / "run"
    result = colearn(*QUICK, "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "learning together" in result.output
    assert "best learner alone" in result.output
    assert "best model after any round" in result.output
    assert "round 4:" in result.output
    assert (out / "rounds.png").read_bytes().startswith(b"\x89PNG")
    assert "learner 2" in (out / "rounds.html").read_text()
    assert len(json.loads((out / "history.json").read_text())["rounds"]) == 5
    assert "round 0: proposers 0-2," in result.output
    assert len(list(csv.DictReader((out / "history.csv").open()))) == 5 * 3 * 3
    assert (out / "weights.safetensors").stat().st_size > 100


def test_demo_votes_like_parties_that_know_each_other():
    """The option's default is a number, because importing the specification loads numpy."""
    option = next(each for each in demo.params if each.name == "vote_threshold")
    assert option.default == DEFAULT_VOTING[Admission.ALLOWLIST].approval


def test_all_learners_propose_by_default(tmp_path):
    few = ("--ledger", "local", "--n-rounds", "1", "--out", str(tmp_path / "run"), "--json")
    assert json.loads(colearn("demo", "--n-learners", "3", *few).stdout)["proposers"] == 3


def test_demo_lets_several_learners_propose(tmp_path):
    out = tmp_path / "run"
    result = colearn(*QUICK, "--n-proposers", "2", "--out", str(out), "--json")
    summary = json.loads(result.output)
    assert (summary["proposers"], summary["proposed"]) == (2, 10)
    assert 0 < summary["accepted"] <= 10
    assert (out / "rounds.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(csv.DictReader((out / "history.csv").open()))) == 5 * 3 * 2


def test_warnings_of_agents_are_written_to_a_file(tmp_path, monkeypatch):
    def refuse(self, *_: object) -> Judgement:
        logging.getLogger("colearn_learner.agent").warning("refused, for a test")
        return Judgement(())

    monkeypatch.setattr(Judge, "judge", refuse)
    monkeypatch.setattr(logging.root, "handlers", [])  # those of pytest
    result = colearn(*QUICK, "--n-rounds", "1", "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert "refused" not in result.output
    lines = (tmp_path / "run" / "agents.log").read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].endswith("Z WARNING: refused, for a test")
    assert str(tmp_path / "run" / "agents.log") in result.output
    assert logging.root.handlers == []


def test_same_seed_gives_the_same_weights(tmp_path):
    def weights(name: str, *more: str) -> str:
        result = colearn(*QUICK, "--n-rounds", "2", "--json", "--out", str(tmp_path / name), *more)
        return json.loads(result.output)["weights"]["sha256"]

    first = weights("first")
    assert weights("secret", "--secret-ballots") == first
    assert weights("other", "--seed", "7") != first


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("demoo",), 2, "did you mean demo"),
        (("demo", "--dataset", "brest-cancer"), 2, "did you mean breast-cancer"),
        (("demo", "--ledger", "local", "--model", "logistik"), 2, "did you mean logistic"),
        (("demo", "--ledger", "local", "--model", "linear"), 2, "choose from: logistic, mlp"),
        (("demo", "--n-learners", "1"), 2, "--n-learners"),
        (("demo", "--vote-threshold", "1.5"), 2, "--vote-threshold"),
        (("demo", "--ledger", "local", "--dataset", "wine", "--n-learners", "50"), 2, "at most"),
        (("demo", "--ledger", "local", "--out", "."), 2, "already exists"),
        (("demo", "--ledger", "local", "--out", "/dev/null/x"), 1, "cannot create"),
    ],
)
def test_wrong_usage_is_reported_without_a_traceback(arguments, code, message):
    result = colearn(*arguments)
    assert result.exit_code == code, result.output
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["datasets", "models"])
def test_catalogue_is_listed_as_table_and_json(name):
    assert colearn(name).exit_code == 0
    rows = json.loads(colearn(name, "--json").output)
    assert {"name"} <= set(rows[0])


def test_help_and_version_are_printed():
    assert "demo" in colearn("--help").output
    assert "0.1.0" in colearn("--version").output
    assert "--secret-ballots" in colearn("demo", "--help").output
