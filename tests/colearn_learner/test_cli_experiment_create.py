"""`colearn experiment create` refuses unusable first weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from click.testing import CliRunner

from colearn_learner.cli import main
from colearn_learner.cli._support.experiment_file import TEMPLATE
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
