"""The conformance kit passes sound learners and names the defects of others."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits

from colearn_learner.checks.kit import CheckReport, Verdict, check_learner, checks
from colearn_learner.checks.watchdog import Blocked, SlowCheck, Watchdog
from colearn_learner.cli import main
from colearn_learner.errors import InvalidArgument
from colearn_learner.names import UnknownName
from tests.support import defective_learners
from tests.support.waiting_learner import Waits

DEFECTIVE = defective_learners.__name__
IN_PROCESS = "another-process-agrees"
MEAN = "mean-can-be-tested"


@pytest.fixture(autouse=True)
def file_cleanup() -> Iterator[None]:
    yield
    for file in defective_learners.FILES:
        file.unlink(missing_ok=True)


def failures(report: CheckReport) -> dict[str, str]:
    return {check.name: check.reason for check in report.failures}


def verdicts(report: CheckReport) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in report.checks}


def test_sound_learner_passes_and_each_check_has_a_line():
    report = check_learner(defective_learners.Sound)
    assert report.passed, str(report)
    skipped = {c.name for c in report.checks if c.verdict is Verdict.SKIPPED}
    assert skipped == {"privacy-is-accounted"}
    assert [c.name for c in report.checks] == list(checks())
    lines = str(report).splitlines()
    assert len(lines) == len(checks())
    assert lines[0] == "passed  makes-learners"


DEFECTS: dict[str, dict[str, str]] = {
    "TrainsInPlace": {"proposing-changes-nothing": "train a copy"},
    "ReturnsViews": {"returned-weights-are-copies": "the model's own arrays"},
    "KeepsAcceptedArrays": {"accepted-weights-are-copied": "copy them"},
    "ReturnsTheProposalsArrays": {"returned-weights-are-copies": "a proposal that was returned"},
    "LeavesTestedWeights": {"testing-changes-nothing": "testing changed the current weights"},
    "DividesSumsOfMeans": {"batch-size-does-not-matter": "weight each batch's mean"},
    "CountsOneBatchTooMany": {"one-batch-is-enough": "No batches in loader"},
    "ScoresNoRecordsAsZero": {"empty-loaders-are-refused": "scored 0.0 and voted True"},
    "StaysInTrainingMode": {"proposing-changes-nothing": "training mode"},
    "SendsPickles": {"weights-travel": "a pickle"},
    "SendsFileNames": {"weights-travel": "a file on this machine"},
    "SendsObjects": {"weights-travel": "SendsObjects; weights are lists"},
    "WrapsTwice": {"weights-travel": "a Weights within a Weights"},
    "RenamesTrainedArrays": {"weights-keep-their-schema": "'slopes' is missing"},
    "SendsItsNorm": {MEAN: "ValueError: the weights are corrupt; a round with"},
    "ScoresMeansAsNaN": {MEAN: "of the mean of two proposals is nan"},
    "AcceptsOtherNorms": {MEAN: "its current weights were others"},
    "ApprovesNaN": {"not-a-number-gets-no-vote": "were approved"},
    "HasNoSeed": {"seed-decides": "trained differently"},
    "ScoresOtherRecordsEachTime": {"testing-changes-nothing": "on the same records"},
    "ExportsNothing": {"model-is-exported": "NotImplementedError: not yet supported"},
    "SpendsTooMuch": {"privacy-is-accounted": "epsilon 1.5 was spent of 1"},
    "SpendsInSecret": {"privacy-is-accounted": "spent nothing"},
    "Crashes": {"testing-changes-nothing": "MemoryError: no memory", IN_PROCESS: "no memory"},
    "ScoresAsText": {"scores-are-numbers": "'good', not a number"},
    "ScoresNaN": {"scores-are-numbers": "is nan"},
    "NeverTrains": {"training-changes-weights": "three proposals in a row were equal"},
    "NeverVotes": {"votes-on-proposals": "counts as a rejection"},
    "HasNoWeights": {"weights-travel": "are None"},
    "HasAnEmptyList": {"weights-travel": "an empty list"},
    "SetsAnAlarm": {"works-in-a-thread": "signal only works in main thread"},
    "return_shared_learner": {"makes-learners": "the same learner"},
    "return_object": {"makes-learners": "lacks mli_propose_weights, mli_test_weights"},
    "raise_error": {"makes-learners": "FileNotFoundError: no data here"},
}


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_is_found_with_its_reason(name: str):
    factory = getattr(defective_learners, name)
    in_process = IN_PROCESS in DEFECTS[name]
    found = failures(check_learner(factory, skip=() if in_process else (IN_PROCESS,)))
    for check, reason in DEFECTS[name].items():
        assert reason in found[check]


ISOLATED = [
    *("KeepsAcceptedArrays", "DividesSumsOfMeans", "ScoresNoRecordsAsZero", "StaysInTrainingMode"),
    *("SendsItsNorm", "ScoresMeansAsNaN", "AcceptsOtherNorms"),
    *("ApprovesNaN", "HasNoSeed", "ExportsNothing", "SpendsTooMuch", "SpendsInSecret"),
    *("NeverVotes", "SetsAnAlarm"),
]


@pytest.mark.parametrize("name", ISOLATED)
def test_isolated_defect_fails_no_other_check(name: str):
    report = check_learner(getattr(defective_learners, name), skip=[IN_PROCESS])
    assert failures(report).keys() == DEFECTS[name].keys()


def test_other_checks_are_skipped_if_the_factory_returns_no_learner():
    report = check_learner(defective_learners.raise_error)
    assert len(report.failures) == 1
    assert {c.reason for c in report.checks[1:]} == {"the factory returned no usable learner"}


def test_failures_of_one_cause_are_grouped_with_the_line_that_raised():
    report = check_learner(defective_learners.Crashes, skip=["one-batch-is-enough"])
    (crash,) = (group for group in report.group() if group[0].verdict is Verdict.FAILED)
    names = {check.name for check in crash}
    assert names >= {"testing-changes-nothing", "works-in-a-thread", MEAN, IN_PROCESS}
    lines, start = inspect.getsourcelines(defective_learners.Crashes.mli_test_weights)
    line = f"defective_learners.py:{start + len(lines) - 1} in mli_test_weights"
    assert all(check.where.endswith(line) for check in crash)


@pytest.mark.usefixtures("ctrl_c")
def test_learner_that_blocks_is_reported_with_its_line_and_ends_the_checks():
    noticed: list[SlowCheck] = []
    dog = Watchdog(limit=0.3, report_after=0.1, on_slow=noticed.append)
    with pytest.raises(Blocked, match=r"within 0\.3 seconds") as caught, dog.watch("check"):
        Waits().mli_propose_weights()
    assert caught.value.where.endswith(" in train")
    assert {(slow.name, slow.where) for slow in noticed} == {("check", caught.value.where)}

    report = check_learner(Waits, limit=0.3)
    (blocked,) = report.failures
    assert (blocked.name, blocked.where) == ("weights-travel", caught.value.where)
    assert report.group() == [(check,) for check in report.checks[:2]]


def test_ctrl_c_still_ends_a_check():
    with pytest.raises(KeyboardInterrupt), Watchdog(limit=60).watch("check"):
        raise KeyboardInterrupt


def test_learner_that_accounts_for_privacy_passes():
    report = check_learner(defective_learners.Private, skip=[IN_PROCESS])
    assert report.passed, str(report)
    assert verdicts(report)["privacy-is-accounted"] is Verdict.PASSED


class TestFactories:
    def test_arguments_reach_the_factory_in_both_processes(self):
        report = check_learner(f"{DEFECTIVE}:make_with_offset", {"offset": 0.5})
        assert verdicts(report)[IN_PROCESS] is Verdict.PASSED
        assert report.passed, str(report)

    def test_local_factory_skips_the_check_in_another_process(self):
        report = check_learner(lambda: defective_learners.Sound(seed=2))
        assert report.passed, str(report)
        assert verdicts(report)[IN_PROCESS] is Verdict.SKIPPED

    def test_argument_that_the_factory_does_not_take_is_refused(self):
        with pytest.raises(InvalidArgument, match="takes offset; did you mean offset"):
            check_learner(f"{DEFECTIVE}:make_with_offset", {"ofset": 0.5})

    @pytest.mark.parametrize("name", ["no_module:f", f"{DEFECTIVE}:none", "json:__doc__", ":"])
    def test_missing_factory_is_refused(self, name: str):
        with pytest.raises(InvalidArgument):
            check_learner(name)

    def test_skipping_an_unknown_check_suggests_the_right_name(self):
        with pytest.raises(UnknownName, match="seed-decides"):
            check_learner(defective_learners.Sound, skip=["seed-decide"])


# ------------------------------------------------------------------ the project's own learners

INPUTS, TARGETS = load_digits(return_X_y=True)
INPUTS = (INPUTS / 16).astype("float32")


def share(start: int, stop: int) -> tuple[Any, Any]:
    return INPUTS[start:stop], TARGETS[start:stop]


SHARES = (share(0, 300), share(300, 400), share(400, 500))


def pytorch() -> Any:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from colearn_learner.learners.pytorch import PytorchLearner

    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Linear(16, 10)
    )
    loaders = [
        DataLoader(TensorDataset(*map(torch.tensor, records)), 32, shuffle=n == 0)
        for n, records in enumerate(SHARES)
    ]
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    return PytorchLearner(model, optimizer, *loaders, criterion=torch.nn.CrossEntropyLoss())


def keras_learner() -> Any:
    import keras
    import tensorflow as tf

    from colearn_learner.learners.keras import KerasLearner

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, activation="softmax")])
    # Run eagerly to avoid tracing for each of twenty learners.
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    loaders = [tf.data.Dataset.from_tensor_slices(records).batch(32) for records in SHARES]
    return KerasLearner(model, *loaders)


def linear() -> Any:
    from sklearn.linear_model import SGDClassifier

    from colearn_learner.learners.sklearn import SklearnLearner

    return SklearnLearner(SGDClassifier(random_state=1), *SHARES, classes=range(10))


def forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    from colearn_learner.learners.forest import ForestLearner

    return ForestLearner(RandomForestClassifier(max_depth=3), *SHARES, classes=range(10))


def boosted() -> Any:
    from colearn_learner.learners.xgboost import XGBoostLearner

    params = {"objective": "multi:softprob", "num_class": 10, "max_depth": 2, "nthread": 1}
    return XGBoostLearner(params, *SHARES)


LOADERS = {"one-batch-is-enough", "empty-loaders-are-refused"}


@pytest.mark.parametrize(
    ("make", "checked"),
    [
        (pytorch, {*LOADERS, "batch-size-does-not-matter", MEAN}),
        (keras_learner, {*LOADERS, MEAN}),
        (linear, {MEAN}),
        (forest, set()),
        (boosted, set()),
    ],
)
def test_learners_of_this_package_pass(make: Callable[[], Any], checked: set[str]):
    report = check_learner(make)
    assert report.passed, str(report)
    made = {c.name for c in report.checks if c.verdict is Verdict.PASSED}
    assert made >= {*checked, IN_PROCESS, "model-is-exported"}
    (mean,) = (c for c in report.checks if c.name == MEAN)
    assert (mean.verdict is Verdict.PASSED) == (MEAN in checked)
    assert MEAN in checked or "such as those of trees, have no mean" in mean.reason


# ------------------------------------------------------------------ the command


def run_check(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["learner", "check", *arguments])


class TestCommand:
    def test_report_has_a_line_for_each_check(self):
        ran = run_check(f"{DEFECTIVE}:Sound")
        assert ran.exit_code == 0, ran.output
        lines = ran.output.splitlines()
        assert lines[0].startswith("passed   makes-learners")
        assert "19 passed, 0 failed, 1 skipped" in lines[-1]

    def test_failed_check_gives_exit_code_1_and_a_reason(self):
        ran = run_check(f"{DEFECTIVE}:ExportsNothing", "--skip", IN_PROCESS)
        assert ran.exit_code == 1
        assert "not yet supported" in ran.output
        assert "1 failed" in ran.output

    def test_only_the_first_cause_is_shown_if_the_factory_fails(self):
        ran = run_check(f"{DEFECTIVE}:return_object")
        assert ran.exit_code == 1
        lines = ran.output.splitlines()
        assert lines[0] == "failed   makes-learners"
        assert "lacks mli_propose_weights, mli_test_weights" in lines[1]
        assert "19 not made" in lines[-1]
        assert len(lines) == 3

    def test_causes_are_shown_once_with_the_line(self):
        ran = run_check(f"{DEFECTIVE}:Crashes", "--skip", IN_PROCESS)
        assert ran.output.count("no memory") == 1
        assert "in mli_test_weights" in ran.output
        assert "scores-are-numbers, votes-on-proposals" in ran.output

    def test_json_report_lists_all_checks(self):
        ran = run_check(
            *(f"{DEFECTIVE}:make_with_offset", "--learner-arg", "offset=0.5"),
            *("--skip", IN_PROCESS, "--json"),
        )
        document = json.loads(ran.output)
        assert (ran.exit_code, document["passed"]) == (0, True)
        assert {c["verdict"] for c in document["checks"]} == {"passed", "skipped"}
        assert [c["name"] for c in document["checks"]] == list(checks())

    def test_checks_command_lists_all_names(self):
        ran = CliRunner().invoke(main, ["learner", "checks"])
        assert ran.exit_code == 0
        for name in checks():
            assert name in ran.output

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((DEFECTIVE,), "not of the form"),
            ((f"{DEFECTIVE}:nobody",), "no function nobody"),
            (("grpc://127.0.0.1:9995",), "run them with the learner's factory"),
            (
                (f"{DEFECTIVE}:Sound", "--skip", "all"),
                "there is no check 'all'",
            ),
            ((f"{DEFECTIVE}:Sound", "--learner-arg", "x"), "name=value"),
        ],
    )
    def test_wrong_usage_gives_exit_code_2_and_a_hint(
        self, arguments: tuple[str, ...], message: str
    ):
        ran = run_check(*arguments)
        assert ran.exit_code == 2
        assert message in ran.output


def test_each_rule_is_one_sentence_on_one_line():
    for name, line in checks().items():
        assert line.endswith("."), name
        assert "\n" not in line, name
    assert np.unique(list(checks())).size == len(checks())
