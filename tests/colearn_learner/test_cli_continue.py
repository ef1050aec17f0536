"""`colearn experiment create` with several proposers, or with another experiment's weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from colearn_learner.cli._support.experiment_file import TEMPLATE
from colearn_ledger.protocol import ContentRef, Merge, experiment_hash
from colearn_ledger.spec import ExperimentSpec, VoteRule
from colearn_ledger.weights.unixfs import content_of
from tests.support.commands import colearn, run_json
from tests.support.local_network import LocalNetwork, open_network

LEARNER = '{ dataset = "breast-cancer", learner = 0, of = 5 }'


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalNetwork:
    """Open a network with a running experiment of one round and three proposers."""
    return open_network(tmp_path, monkeypatch, 3, proposers=3, rounds=1)


def finish(network: LocalNetwork) -> None:
    network.made.play(lambda _, slot: slot != 1)


def describe(network: LocalNetwork, *, model: str = "logistic") -> Path:
    path = network.folder / "experiment.toml"
    share = LEARNER.replace(" }", f', model = "{model}" }}')
    path.write_text(TEMPLATE.replace(LEARNER, share))
    return path


def read_spec(network: LocalNetwork, spec: ContentRef) -> ExperimentSpec:
    return ExperimentSpec.read(network.store, spec)


def test_options_become_parameters_and_parts_of_the_specification(network: LocalNetwork):
    created = run_json(
        *("experiment", "create", "--spec", describe(network), "--key", "0"),
        *("--proposers", 5, "--merge", "best", "--patience", 4),
        *("--vote-rule", "leave-one-out", "--tolerance", 0.25, "--max-distance", 3),
    )
    made = network.made.ledger.experiment(created["experiment"])
    assert (made.params.proposers, made.params.merge) == (5, Merge.BEST)
    assert made.params.patience == 4
    assert created["hash"] == made.hash.hex()
    assert made.hash == experiment_hash(made.creator, made.params)
    spec = read_spec(network, made.params.spec)
    assert (spec.vote_rule, spec.tolerance) == (VoteRule.LEAVE_ONE_OUT, 0.25)
    assert (spec.max_distance, spec.continues) == (3, None)


def test_hash_is_printed_beside_the_reference(network: LocalNetwork):
    result = colearn("experiment", "create", "--spec", describe(network), "--key", "0")
    assert result.stdout.strip().endswith("/2")
    assert network.made.ledger.experiment(2).hash.hex() in result.stderr


def test_mean_of_trees_is_refused_before_anything_is_uploaded(network: LocalNetwork):
    before = list((network.folder / "store" / "files").rglob("*"))
    create = ("experiment", "create", "--key", "0", "--spec", describe(network, model="forest"))
    result = colearn(*create, "--proposers", 2, "--merge", "mean")
    assert result.exit_code == 1
    assert "use --merge best" in result.stderr
    assert list((network.folder / "store" / "files").rglob("*")) == before
    assert len(network.made.ledger.experiments()) == 1
    assert run_json(*create, "--proposers", 2, "--merge", "best")
    assert run_json(*create), "a single proposer needs no mean"


def test_experiment_continues_with_the_mean_of_the_finished_one(network: LocalNetwork):
    finish(network)
    created = run_json(
        *("experiment", "create", "--spec", describe(network), "--key", "1"),
        *("--continue-from", network.reference),
    )
    made = network.made.ledger.experiment(created["experiment"])
    mean = network.folder / "mean.safetensors"
    run_json("weights", "get", network.reference, "--out", mean)
    assert made.params.initial == content_of(mean.read_bytes())
    spec = read_spec(network, made.params.spec)
    assert spec.continues == created["continues"] == network.reference
    assert spec.model == "logistic regression on 30 measurements of cell nuclei"
    out = network.folder / "first.safetensors"
    run_json("weights", "get", created["reference"], "--out", out)
    assert out.read_bytes() == mean.read_bytes()


def test_running_experiment_cannot_be_continued(network: LocalNetwork):
    create = ("experiment", "create", "--spec", describe(network), "--key", "0")
    result = colearn(*create, "--continue-from", network.reference)
    assert result.exit_code == 1
    assert "its weights may still change; continue it when it is over" in result.stderr


def test_missing_file_of_the_finished_experiment_is_named(network: LocalNetwork):
    finish(network)
    _, missing = network.made.ledger.current_weights(network.made.id)
    network.file_of(missing).unlink()
    create = ("experiment", "create", "--spec", describe(network), "--key", "0")
    result = colearn(*create, "--continue-from", network.reference)
    assert result.exit_code == 1
    assert missing.cid in result.stderr
