"""The published MNIST: all 70,000 records, and learners with parts of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from colearn_learner import collective_learning_round, set_equal_weights
from colearn_learner.catalogue.factories import prepared
from colearn_learner.cli import main
from colearn_learner.datasets import load
from tests.support import load_script

TRAINING = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
"""Number of records of each digit among the 60,000 for training, as published."""


@pytest.fixture(scope="module")
def folder() -> Path:
    path: Path = load_script("fetch_mnist").mnist_folder()
    return path


def test_all_records_are_read_in_order(folder: Path):
    data = load("mnist", folder).data
    assert (data.inputs.shape, data.inputs.dtype) == ((70_000, 28, 28, 1), np.uint8)
    assert np.bincount(data.targets[:60_000]).tolist() == TRAINING
    assert data.inputs[:60_000].mean() / 255 == pytest.approx(0.1307, abs=5e-5)  # as published
    assert data.targets[:5].tolist() == [5, 0, 4, 1, 9]


def test_learners_with_prepared_folders_learn_mnist(folder: Path, tmp_path: Path):
    command = ["data", "prepare", "mnist", "--from", str(folder), "--into", str(tmp_path / "m")]
    sizes = ["--n-learners", "3", "--how", "by-size", "--fractions", "0.05,0.04,0.03"]
    result = CliRunner().invoke(main, [*command, *sizes, "--drop-rest"])
    assert result.exit_code == 0, result.output
    learners = [prepared(str(tmp_path / "m" / f"learner-{n}"), model="mlp") for n in range(3)]
    set_equal_weights(learners)
    results = [collective_learning_round(learners, 0.5, n) for n in range(6)]
    assert max(results[-1].test_scores) < 1  # log loss; a uniform guess has 2.3
