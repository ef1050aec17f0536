"""`colearn quickstart` on real nodes, as `make localnet-demo` runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from colearn_learner.catalogue.baselines import Comparison
from colearn_learner.catalogue.settings import Score
from colearn_learner.cli._support.quickstart_end import Conclusion
from colearn_learner.datasets import dataset, split
from colearn_ledger.weights.codec import decode_weights
from colearn_ledger.weights.unixfs import content_of
from colearn_localnet.install import find_binary
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, RELEASES
from tests.support import ROOT
from tests.support.derived import check_derived
from tests.support.installing import skip_if_not_installable

pytestmark = pytest.mark.usefixtures("kubo_swarm")  # also installs what is missing

READERS = ROOT / "tests" / "support"
ABI = ROOT / "colearn_ledger" / "chains" / "evm" / "CollectiveLearning.json"


def colearn(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "colearn_learner.cli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("evm",), id="evm"),
        pytest.param(("cosmos",), id="cosmos"),
        pytest.param(("cosmos", "--wasmd", "0.61"), id="wasmd 0.61", marks=pytest.mark.long),
        pytest.param(("cosmos", "--wasmd", "0.27"), id="wasmd 0.27", marks=pytest.mark.long),
    ],
)
def chain(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Return the value of ``--chain`` and further options; the chain's nodes are installed."""
    kind, *options = request.param
    if kind == "cosmos":
        with skip_if_not_installable():
            find_binary(RELEASES[options[-1] if options else DEFAULT_RELEASE].recipe)
    return (kind, *options)


@pytest.fixture(scope="module")
def quickstart(
    chain: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], str]:
    """Run three learners for three rounds; return the folder, the result, and the output."""
    folder = tmp_path_factory.mktemp("quickstart")
    done = colearn(
        *("quickstart", "--chain", *chain, "--n-learners", 3, "--n-rounds", 3),
        *("--ipfs", 2, "--dataset", "wine", "--out", folder / "walk", "--json"),
        cwd=folder,
        # the user's own settings, which must not affect the quickstart
        COLEARN_NETWORK="mine",
        COLEARN_STORE="folder:/nowhere",
    )
    assert done.returncode == 0, done.stderr
    return folder / "walk", json.loads(done.stdout), done.stderr


def test_all_learners_end_with_the_weights_on_the_chain(quickstart):
    folder, result, _ = quickstart
    history = json.loads((folder / "history.json").read_text())
    assert history["experiment"]["status"] == "completed"
    assert [len(round_["slots"]) for round_ in history["rounds"]] == [3] * 3
    assert set(result["adopted"]) == {"alice", "bob", "carol"}
    current = history["experiment"]["current"]
    assert set(result["adopted"].values()) == {",".join(each["cid"] for each in current)}
    weights = Path(result["weights"]).read_bytes()
    merged = decode_weights(weights).merged
    accepted = (content_of(weights),) if merged is None else merged.contents
    assert [each["sha256"] for each in current] == [each.sha256 for each in accepted]


def test_rounds_are_drawn(quickstart):
    folder, result, shown = quickstart
    page = (folder / "rounds.html").read_text()
    assert result["page"] == str(folder / "rounds.html")
    assert "<svg" in page
    assert "alice" in page
    assert "log loss, lower is better" in page
    rows = [line for line in shown.splitlines() if re.match(r" +[012] +\d of 3 accepted ", line)]
    assert len(rows) == 3, "each round has one line"


def test_result_compares_the_shared_model_with_learning_alone(quickstart):
    _, result, _ = quickstart
    assert result["score"] == {"name": "accuracy", "higher_is_better": True}
    assert len(result["alone"]) == 3
    parts = split(
        dataset("wine").load(), task="classification", n_learners=3, train_ratio=0.6, seed=1
    )
    hits = result["collective"] * len(parts.common_test)
    assert hits == pytest.approx(round(hits))
    assert result["mean_alone"] == pytest.approx(sum(result["alone"]) / 3)


@pytest.mark.parametrize(
    ("collective", "higher", "words"),
    [
        (0.95, True, "0.950 together, 0.800 alone on average.\nLearning together is 0.150 better;"),
        (0.75, True, "together is 0.050 worse; the best learner alone has 0.900."),
        (0.75, False, "together is 0.050 better; the best learner alone has 0.700."),
        (0.8, True, "Learning together is as good; "),
    ],
)
def test_gain_over_learning_alone_is_described(collective: float, higher: bool, words: str):
    comparison = Comparison(collective, (0.7, 0.9), 0.99, collective, higher)
    shown = Conclusion(Score("accuracy", higher_is_better=higher), comparison).describe()
    assert words in shown


def test_commands_are_shown_without_secrets(quickstart):
    folder, _, shown = quickstart
    for command in ("localnet up", "key new alice", "deploy", "experiment create", "agent run"):
        assert f"$ colearn {command}" in shown
    password = (folder / "home" / "password").read_text()
    assert password not in shown
    assert not any(password in log.read_text() for log in folder.glob("agents/*/log.jsonl"))


def test_nothing_is_left_running(quickstart, chain: tuple[str, ...]):
    (folder, *_), kind = quickstart, chain[0]
    status = colearn(
        "localnet", "status", "--json", cwd=folder, COLEARN_LOCALNET=str(folder / "localnet")
    )
    nodes = json.loads(status.stdout)
    assert [nodes["chains"][kind]["pid"], *(node["pid"] for node in nodes["ipfs"])] == [None] * 3


def read_independently(kind: str, node: dict[str, Any], reference: str) -> Any:
    contract, experiment = reference.rpartition(":")[2].split("/")
    reader: list[object] = [READERS / "read_contract.py", ABI, node["url"], contract, experiment]
    if kind == "cosmos":
        reader = [READERS / "read_cosmos_contract.py", node["grpc"], node["chain_id"]]
        reader += [contract, experiment]
    command = [sys.executable, *map(str, reader)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    return json.loads(done.stdout)


@contextmanager
def start_again(folder: Path) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Start the nodes of a quickstart again; yield them, and the environment to use them."""
    by_hand = {
        "COLEARN_HOME": str(folder / "home"),
        "COLEARN_LOCALNET": str(folder / "localnet"),
        "COLEARN_PASSWORD": (folder / "home" / "password").read_text(),
    }
    up = colearn("localnet", "up", "--json", cwd=folder, **by_hand)
    try:
        assert up.returncode == 0, up.stderr
        yield json.loads(up.stdout), by_hand
    finally:
        colearn("localnet", "down", cwd=folder, **by_hand)


def test_experiment_can_be_continued_by_hand_and_read_independently(
    quickstart, chain: tuple[str, ...]
):
    folder, result, _ = quickstart
    with start_again(folder) as (nodes, by_hand):
        shown = colearn("history", result["experiment"], "--format", "json", cwd=folder, **by_hand)
        history = json.loads(shown.stdout)
        assert history == json.loads((folder / "history.json").read_text())
        independent = read_independently(chain[0], nodes["chains"][chain[0]], result["experiment"])
        assert check_derived(history) == independent


def test_audit_checks_everything_and_finds_nothing(quickstart):
    folder, result, _ = quickstart
    with start_again(folder) as (_, by_hand):
        done = colearn("audit", result["experiment"], "--json", cwd=folder, **by_hand)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["findings"], report["unchecked"]) == ([], [])
    history = json.loads((folder / "history.json").read_text())
    rounds = history["rounds"]
    proposals = [slot for round_ in rounds for slot in round_["slots"] if slot["content"]]
    accepted = [sum(slot["accepted"] for slot in round_["slots"]) for round_ in rounds]
    checked = report["checked"]
    assert checked["rounds"] == 3
    assert checked["files"] == 2 + len(proposals)  # the specification and the initial weights
    assert checked["merges"] == sum(number > 1 for number in accepted)
    assert checked["ballots"] == 3 * len(rounds)  # a record for each learner
    cast = sum(round_["counted"] for round_ in rounds)
    announced = len(history["announcements"])
    assert checked["transactions"] == 1 + 3 + len(proposals) + cast + announced  # create, join


def test_folder_that_is_not_empty_is_refused(tmp_path: Path):
    (tmp_path / "mine").write_text("precious")
    refused = colearn("quickstart", "--out", tmp_path, cwd=tmp_path)
    assert refused.returncode == 2
    assert "not empty" in refused.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine"]


def test_wasmd_is_refused_for_an_evm_chain(tmp_path: Path):
    refused = colearn("quickstart", "--wasmd", "0.27", "--out", tmp_path / "x", cwd=tmp_path)
    assert refused.returncode == 2
    assert "use --wasmd with --chain cosmos" in refused.stderr
    assert not (tmp_path / "x").exists()


def test_unknown_data_set_starts_nothing(tmp_path: Path):
    refused = colearn("quickstart", "--dataset", "wien", "--out", tmp_path / "x", cwd=tmp_path)
    assert refused.returncode == 2
    assert "wine" in refused.stderr
    assert not (tmp_path / "x").exists()
