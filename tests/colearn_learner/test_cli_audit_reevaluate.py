"""The command `colearn audit --reevaluate`: scores on the auditor's own records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.support.audit_commands import REFERENCE, Connected, connect_commands
from tests.support.audited import play
from tests.support.commands import colearn
from tests.support.toyworld import World

LEARNERS = "tests.support.auditing_learners"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("world"), "local", "plural mean")


@pytest.fixture(autouse=True)
def connected(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connected:
    return connect_commands(world, tmp_path / "home", monkeypatch)


def reevaluate(*options: object, make: str = "make") -> Result:
    return colearn("audit", REFERENCE, "--reevaluate", "--learner", f"{LEARNERS}:{make}", *options)


def one_line(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def test_each_version_is_scored():
    result = reevaluate("--learner-arg", "target=1.25")
    assert result.exit_code == 0, result.output
    assert "No findings." in result.stdout
    assert "Scores on the auditor's own records: score, higher is better" in result.stdout
    assert result.stdout.count("mean of 3") == 4
    assert "slot" not in result.stdout
    assert result.stderr == ""


def test_scores_are_those_of_the_learner():
    document = json.loads(reevaluate("--learner-arg", "target=1.25", "--json").stdout)
    assert document["findings"] == []
    scored = document["reevaluation"]["weights"]
    assert [each["round"] for each in scored] == [None, 0, 1, 2, 3]
    assert scored[0]["vote_score"] == -3.75
    other = json.loads(reevaluate("--learner-arg", "target=9", "--json").stdout)
    assert other["reevaluation"]["weights"][0]["vote_score"] == -27


def test_all_scores_every_proposal():
    document = json.loads(reevaluate("--all", "--json").stdout)
    slots = [each["slots"] for each in document["reevaluation"]["weights"]]
    assert slots == [[], *([[0], [1], [2], [0, 1, 2]] * 4)]


@pytest.mark.parametrize("name", ["gains.png", "gains.svg", "gains.html"])
def test_plot_is_written(name: str, tmp_path: Path):
    result = reevaluate("--plot", tmp_path / name)
    assert result.exit_code == 0, result.output
    assert f"The scores are drawn in {tmp_path / name}." in result.stderr
    assert (tmp_path / name).stat().st_size > 5_000


def test_terminal_shows_which_weights_are_scored(monkeypatch: pytest.MonkeyPatch):
    shown: list[str] = []

    class Steps:
        def __enter__(self) -> Any:
            return shown.append

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("colearn_learner.cli.audit.show_steps", lambda _: Steps())
    assert reevaluate("--all").exit_code == 0
    assert "scoring the initial weights" in shown
    assert "scoring slot 1 of round 2" in shown
    assert "scoring the mean of the slots 0, 1, 2 of round 3" in shown


class TestFailures:
    def test_weights_that_the_learner_fails_on_are_reported(self):
        result = reevaluate("--learner-arg", "limit=0.3", make="make_failing")
        assert result.exit_code == 0
        assert (
            "The learner could not score the mean of the slots 0, 1, 2 of round 1: "
            "ArithmeticError: these weights are too large" in result.stderr
        )
        rows = [line for line in result.stdout.splitlines() if "mean of 3" in line]
        assert [row.split()[-1] == "-" for row in rows] == [False, True, True, True]

    def test_learner_that_always_fails_ends_with_another_code(self):
        result = reevaluate("--all", make="make_failing")
        assert result.exit_code == 2
        assert "14 further weights could not be scored" in result.stderr
        assert "could not score any of the 17 weights" in result.stderr
        assert "No findings." in result.stdout

    def test_findings_count_more_than_a_learner_that_fails(self, connected: Connected):
        connected.ledger.rewrites["current_weights"] = lambda found: found[:1]
        result = reevaluate(make="make_failing")
        assert result.exit_code == 1
        assert "The learner could not score the initial weights" in result.stderr

    def test_nan_is_no_score(self):
        result = reevaluate(make="make_undecided")
        assert result.exit_code == 2
        assert "initial weights: it returned NaN or no number as the vote score" in result.stderr

    def test_learner_of_another_model_is_refused_before_the_audit(self, connected: Connected):
        def refuse(_: object) -> Any:
            raise AssertionError("the events were read")

        connected.ledger.rewrite_events = refuse
        result = reevaluate(make="make_misfit")
        assert result.exit_code == 2
        assert "the learner's weights do not match the experiment" in result.stderr

    def test_missing_factory_is_named(self):
        result = reevaluate(make="missing")
        assert result.exit_code == 2
        assert "has no function missing" in one_line(result.stderr)

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            (("--reevaluate",), "add --learner"),
            (("--learner", "x:y"), "--learner: only for --reevaluate"),
            (("--all", "--plot", "x.png"), "--all, --plot: only for --reevaluate"),
            (("--reevaluate", "--learner", "x:y", "--no-files"), "leave out --no-files"),
            (("--reevaluate", "--learner", "x:y", "--plot", "x.pdf"), "does not end with .png"),
            (("--reevaluate", "--learner", "x:y", "--learner-arg", "z"), "form name=value"),
            (("--reevaluate", "--learner", "x:y", "--plot", "no/x.png"), "does not exist"),
        ],
    )
    def test_impossible_options_are_refused_before_anything_is_read(
        self, options: tuple[str, ...], reason: str, connected: Connected
    ):
        result = colearn("audit", REFERENCE, *options)
        assert result.exit_code == 2
        assert reason in one_line(result.stderr)
        assert connected.confirmations == []
