"""The input file of `colearn experiment create`, and learners given as `module:factory`."""

from __future__ import annotations

import io
import json
import logging
import sys
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from colearn_learner.cli import main
from colearn_learner.cli._support.experiment_file import (
    TEMPLATE,
    BadExperimentFile,
    Overrides,
    read_experiment_file,
)
from colearn_learner.cli._support.factories import FactoryFailed, load_learner, parse_arguments
from colearn_learner.cli._support.options import VOTE_RULES
from colearn_learner.cli.logs import log_event, start_logging
from colearn_learner.errors import InvalidArgument, LearnerError
from colearn_ledger.protocol import Admission, ContentRef, Merge, Selection
from colearn_ledger.spec import ExperimentSpec, VoteRule
from colearn_ledger.weights.codec import encode_weights
from colearn_ledger.weights.schema import WeightsSchema

CONTENT = ContentRef.from_digest(0x55, b"\1" * 32, "01" * 32, 1)


def test_template_is_valid_and_contains_every_parameter(tmp_path: Path):
    printed = CliRunner().invoke(main, ["experiment", "template"]).output
    assert printed == TEMPLATE
    (tmp_path / "experiment.toml").write_text(printed)
    params = read_experiment_file(tmp_path / "experiment.toml").params(CONTENT, CONTENT)
    named = set(tomllib.loads(TEMPLATE)["terms"]) | {"name", "spec", "initial", "approval_bps"}
    assert named == set(params.__dataclass_fields__)
    assert "# approval = 0.4 " in TEMPLATE


def test_terms_become_parameters(tmp_path: Path):
    text = TEMPLATE.replace('"round_robin"', '"random"').replace('"open"', '"allowlist"')
    text = text.replace("# approval = 0.4", "approval = 1").replace(
        "late_join = false", "late_join = true"
    )
    text = text.replace("proposers = 1 ", "proposers = 5 ").replace('"mean"', '"best"')
    text = text.replace('# rule = "track-record"', 'rule = "better-alone"')
    (tmp_path / "e.toml").write_text(text)
    read = read_experiment_file(tmp_path / "e.toml")
    params = read.params(CONTENT, CONTENT)
    assert (params.selection, params.admission) == (Selection.RANDOM, Admission.ALLOWLIST)
    assert (params.approval_bps, params.late_join) == (10_000, True)
    assert (params.proposers, params.merge) == (5, Merge.BEST)
    assert read.voting["vote_rule"] == VoteRule.BETTER_ALONE


@pytest.mark.parametrize(
    ("admission", "approval", "rule"),
    [("open", 4_000, VoteRule.TRACK_RECORD), ("allowlist", 2_500, VoteRule.LEAVE_ONE_OUT)],
)
def test_approval_and_vote_rule_depend_on_admission(tmp_path: Path, admission, approval, rule):
    text = TEMPLATE.replace('admission = "open"', f'admission = "{admission}"')
    for content in (text, text[: text.index("\n[vote]")]):
        (tmp_path / "e.toml").write_text(content)
        read = read_experiment_file(tmp_path / "e.toml")
        assert read.params(CONTENT, CONTENT).approval_bps == approval
        assert read.voting["vote_rule"] == rule


def test_open_is_the_default_admission_and_has_its_defaults(tmp_path: Path):
    (tmp_path / "e.toml").write_text(TEMPLATE.replace('admission = "open"', "# "))
    read = read_experiment_file(tmp_path / "e.toml")
    assert read.params(CONTENT, CONTENT).approval_bps == 4_000
    assert read.voting["vote_rule"] == VoteRule.TRACK_RECORD


def test_table_about_voting_has_the_defaults_of_the_specification(tmp_path: Path):
    (tmp_path / "e.toml").write_text(TEMPLATE)
    schema = WeightsSchema.of([np.zeros(1)])
    implied = ExperimentSpec("", schema, "score", higher_is_better=True)
    voting = read_experiment_file(tmp_path / "e.toml").voting
    assert set(voting) == {"vote_rule", "tolerance", "max_distance"}
    assert voting["tolerance"] == implied.tolerance
    assert voting["max_distance"] == implied.max_distance


def test_options_replace_fields_of_the_file(tmp_path: Path):
    weights = TEMPLATE.index("\n[weights]")
    terms = TEMPLATE.index("\n[terms]")
    (tmp_path / "e.toml").write_text(TEMPLATE[:weights] + TEMPLATE[terms:])
    overrides = Overrides(
        terms={"proposers": 16, "merge": "best", "patience": 3},
        vote={"rule": "leave-one-out", "tolerance": 0.5},
        weights_given=True,
    )
    read = read_experiment_file(tmp_path / "e.toml", overrides)
    params = read.params(CONTENT, CONTENT)
    assert (params.proposers, params.merge, params.patience) == (16, Merge.BEST, 3)
    assert read.voting == {
        "vote_rule": VoteRule.LEAVE_ONE_OUT,
        "tolerance": 0.5,
        "max_distance": 5.0,
    }


def test_options_offer_each_vote_rule():
    assert [rule.value for rule in VoteRule] == list(VOTE_RULES)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[terms]", "[terms", "is not valid TOML"),
        ("[terms]", "[temrs]", "did you mean terms"),
        ("rounds = 15", "round = 15", "did you mean rounds"),
        ("rounds = 15", "", r"\[terms\] has no rounds"),
        ("rounds = 15", "rounds = 0", "rounds is out of its bounds"),
        ("rounds = 15", "rounds = true", "wrong type"),
        ("rounds = 15", 'rounds = "15"', "wrong type"),
        ("min_learners = 5", "min_learners = 1", "min_learners is out of its bounds"),
        ("max_learners = 5", "max_learners = 4", "max_learners is out of its bounds"),
        ("# approval = 0.4", "approval = 0", "above 0 and at most 1"),
        ("# approval = 0.4", "approval = 50", "above 0 and at most 1"),
        ("# approval = 0.4", "approval = nan", "above 0 and at most 1"),
        ('"round_robin"', '"roundrobin"', "did you mean round_robin"),
        ("proposers = 1 ", "proposers = 17 ", "proposers is out of its bounds"),
        ('"mean"', '"men"', "did you mean mean"),
        ('# rule = "track-record"', 'rule = "alone"', "did you mean better-alone"),
        ("tolerance = 0.0", 'tolerance = "0"', "wrong type"),
        ('name = "tumours"', f'name = "{"x" * 65}"', "name is out of its bounds"),
        ("higher_is_better = false", 'higher_is_better = "no"', "wrong type"),
        ('score_name = "log loss"', 'score_name = ""', "score_name is empty"),
        ("# file =", "file =", "either learner or file"),
        ("learner = \"", "# \"", "either learner or file"),
        ("learner = \"", "file = \"", "arguments, which only a learner takes"),
    ],
)  # fmt: skip
def test_error_in_the_file_is_located(tmp_path: Path, old: str, new: str, message: str):
    path = tmp_path / "experiment.toml"
    assert old in TEMPLATE
    path.write_text(TEMPLATE.replace(old, new))
    with pytest.raises(BadExperimentFile, match=message) as caught:
        read_experiment_file(path)
    assert str(path) in str(caught.value)


# ------------------------------------------------------------------ factories


def test_arguments_are_parsed_as_json_if_possible():
    given = ("a=1", "b=breast-cancer", "c=true", 'd="7"', "e=", "f=[1, 2]", "g=x=y")
    assert parse_arguments(given) == {
        "a": 1,
        "b": "breast-cancer",
        "c": True,
        "d": "7",
        "e": "",
        "f": [1, 2],
        "g": "x=y",
    }
    for wrong in (("a",), ("1a=2",), ("=2",), ("a=1", "a=2")):
        with pytest.raises(click.UsageError):
            parse_arguments(wrong)


def test_catalogue_learners_start_with_the_same_weights():
    make = "colearn_learner.catalogue:share"
    made = [load_learner(make, {"dataset": "wine", "learner": i, "of": 3}) for i in range(3)]
    starts = {encode_weights(one.mli_get_current_weights().weights) for one in made}
    assert len(starts) == 1
    with pytest.raises(LearnerError, match="from 0 to of - 1"):
        load_learner(make, {"dataset": "wine", "learner": 3, "of": 3})


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(name: str, text: str) -> str:
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


def test_module_in_the_working_folder_is_found(own_module):
    own_module("mine_found", "from colearn_learner.catalogue.factories import share as make\n")
    learner = load_learner("mine_found:make", {"dataset": "wine", "learner": 0, "of": 3})
    assert callable(learner.mli_propose_weights)


@pytest.mark.parametrize(
    ("factory", "error", "message"),
    [
        ("nothing", click.UsageError, "module:factory"),
        ("no_such_module_here:make", click.UsageError, "no module no_such_module_here"),
        ("mine_bad:absent", click.UsageError, "has no function absent"),
        ("here/mine_bad.py:make", click.UsageError, "with mine_bad:make"),
        ("mine_bad:make", FactoryFailed, "make failed at mine_bad.py:1 in make: ZeroDivisionError"),
        ("mine_bad:nothing", FactoryFailed, "returned None, which is not a learner: it lacks mli_"),
        ("mine_bad:no_arguments", InvalidArgument, "not take the argument a: it takes no argum"),
        ("mine_bad:others", InvalidArgument, "argument a: it takes ab, c=3; did you mean ab"),
        ("mine_broken:make", FactoryFailed, "cannot be imported at mine_broken.py:1 .*NameError"),
        ("mine_needy:make", ModuleNotFoundError, "a_package_that_is_not_there"),
    ],
)
def test_factory_that_makes_no_learner_is_refused(own_module, factory, error, message):
    text = "def make(**_): 1 / 0\ndef nothing(**_): pass\ndef no_arguments(): pass\n"
    text += "def others(ab, c=3): pass\n"
    own_module("mine_bad", text)
    own_module("mine_broken", "nonsense\n")
    own_module("mine_needy", "import a_package_that_is_not_there\n")
    with pytest.raises(error, match=message) as caught:
        load_learner(factory, {"a": 1})
    assert "Traceback" not in str(caught.value)


# ------------------------------------------------------------------ logs


@pytest.fixture
def root_logger():
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield root
    root.handlers[:], level = before
    root.setLevel(level)


@pytest.mark.parametrize("as_json", [True, False])
def test_each_event_is_escaped_text(root_logger, as_json: bool):
    stream = io.StringIO()
    start_logging(as_json=as_json, verbose=False, stream=stream)
    logger = logging.getLogger("test")
    log_event(logger, "voted", round=3, reason="two\nlines \x1b[31m", gas=None)
    try:
        raise ValueError("a\nb")
    except ValueError:
        logger.exception("it\nfailed")
    voted, failed, *trace = stream.getvalue().splitlines()
    assert "\x1b" not in voted
    if as_json:
        assert json.loads(voted)["reason"] == "two\nlines \x1b[31m"
        assert "gas" not in json.loads(voted)
        assert "ValueError" in json.loads(failed)["traceback"]
        assert not trace
    else:
        assert " voted round=3 " in voted
        assert failed.endswith(" ERROR: it\\nfailed")
        assert trace[-2:] == ["  ValueError: a", "  b"]


def test_repeated_lines_are_logged_once(root_logger):
    stream = io.StringIO()
    start_logging(as_json=True, verbose=False, stream=stream)
    logger = logging.getLogger("test")
    for _ in range(5):
        logger.info("overtaken")
    log_event(logger, "voted", round=1)
    log_event(logger, "voted", round=2)
    assert len(stream.getvalue().splitlines()) == 3
