"""`colearn experiment create` refuses unusable first weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from click.testing import CliRunner

from colearn_learner.cli import main
from colearn_learner.cli._support.experiment_file import TEMPLATE, fill_template
from colearn_ledger.weights.codec import encode_weights

CONTRACT = "0x" + "11" * 20


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (None, "weights are None"),
        ([], "weights are an empty list"),
        ([pickle.dumps({"slopes": 1.0})], "contain a pickle"),
    ],
)
def test_unusable_first_weights_are_refused(tmp_path: Path, weights: object, message: str):
    (tmp_path / "initial.safetensors").write_bytes(encode_weights(weights))
    text = TEMPLATE.replace("# file =", "file =")
    file = tmp_path / "experiment.toml"
    file.write_text(
        text.replace("learner =", "# learner =").replace("arguments =", "# arguments =")
    )
    place = f"--network local-evm --key nobody --contract {CONTRACT} --store folder:{tmp_path}"
    run = CliRunner().invoke(
        main,
        ["experiment", "create", "--spec", str(file), *place.split()],
        env={"COLEARN_HOME": str(tmp_path / "home")},
    )
    assert run.exit_code == 1, run.output
    assert message in run.output


@pytest.mark.parametrize(
    ("shares", "learners", "warning"),
    [
        (5, 3, "has of = 5, but max_learners is 3, so records of 2 shares are not used"),
        (3, 5, "has of = 3, but max_learners is 5, so there is no share for 2 learners"),
        (3, 3, None),
    ],
)
def test_number_of_shares_that_differs_from_the_learners_is_reported(
    tmp_path: Path, shares: int, learners: int, warning: str | None
):
    file = tmp_path / "experiment.toml"
    arguments = f"{{ learner = 0, of = {shares} }}"
    terms = {"min_learners": "2", "max_learners": str(learners)}
    file.write_text(fill_template({"arguments": arguments, **terms}))
    run = CliRunner().invoke(
        main,
        ["experiment", "create", "--spec", str(file), "--key", "nobody", "--network", "nowhere"],
        env={"COLEARN_HOME": str(tmp_path / "home")},
    )
    found = "warning: [weights] arguments" in run.output
    assert found == (warning is not None)
    assert (warning or "") in run.output
