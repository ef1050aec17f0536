"""`colearn demo` with a Keras model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from colearn_learner.cli import main


def test_keras_demo_with_the_same_seed_ends_with_the_same_weights(tmp_path: Path):
    few = ("--dataset", "wine", "--model", "keras-mlp", "--n-learners", "2", "--n-rounds", "3")

    def summary(name: str) -> dict[str, Any]:
        out = str(tmp_path / name)
        result = CliRunner().invoke(
            main, ["demo", "--ledger", "local", *few, "--json", "--out", out]
        )
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.output))

    one, other = summary("a"), summary("b")
    assert one["model"] == "keras-mlp"
    assert one["accepted"] > 0
    assert one["weights"] == other["weights"]
    assert one["alone"] == other["alone"]
