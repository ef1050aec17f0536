from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from colearn_learner import simulation
from colearn_learner.agent.folder import AgentFolder
from colearn_learner.agent.observation import Action, Observation
from colearn_learner.cli import main
from colearn_learner.interface import Weights
from colearn_learner.simulation import SimulationConfig, SimulationInterrupted
from colearn_ledger.protocol import Outcome, Status
from colearn_ledger.weights.codec import decode_weights
from colearn_ledger.weights.unixfs import content_of
from tests.support.toyworld import TowardsTarget

COLEARN = [sys.executable, "-u", "-c", "from colearn_learner.cli import main; main()"]
DEADLINE = 300


def interrupt_demo(wait_for: str, *arguments: str) -> tuple[int, str, str]:
    """Run a demo, interrupt it after a line of output, and return exit code, output and errors."""
    process = subprocess.Popen(
        [*COLEARN, "demo", "--n-learners", "3", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(DEADLINE, process.kill)
    watchdog.start()
    try:
        seen = ""
        while wait_for not in seen:
            line = process.stdout.readline()
            assert line, seen + process.stderr.read()
            seen += line
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    return process.returncode, seen + output, errors


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("ledger", ["local", "evm"])
def test_interrupted_demo_exits_with_130_and_saves_partial_results(tmp_path: Path, ledger: str):
    out = tmp_path / "run"
    code, output, errors = interrupt_demo(
        "round 3:",
        *("--ledger", ledger, "--n-proposers", "1", "--n-rounds", "1000", "--out", str(out)),
    )
    assert code == 130, output + errors
    assert "Traceback" not in output + errors
    completed = int(re.search(r"(\d+) of 1000 rounds were completed", errors)[1])
    history = json.loads((out / "history.json").read_text())
    closed = [r for r in history["rounds"] if r["outcome"] != "none"]
    assert completed == len(closed) >= 3
    rows = list(csv.DictReader((out / "history.csv").open()))
    assert len(rows) == 3 * len(history["rounds"])  # a row for each learner
    assert (out / "rounds.png").read_bytes().startswith(b"\x89PNG")
    weights = (out / "weights.safetensors").read_bytes()
    decode_weights(weights)
    accepted = [r["slots"][0]["content"]["cid"] for r in closed if r["outcome"] == "accepted"]
    assert content_of(weights).cid == accepted[-1]
    for name in ("history.json", "history.csv", "rounds.png", "rounds.html", "weights.safetensors"):
        assert str(out / name) in errors


@pytest.mark.usefixtures("ctrl_c")
def test_interrupted_simulation_stops_its_agents_and_keeps_its_partial_result(tmp_path: Path):
    once = threading.Lock()

    def interrupt(observation: Observation) -> None:
        due = observation.action == Action.ADOPTED and observation.round == 3
        if due and once.acquire(blocking=False):
            signal.raise_signal(signal.SIGINT)

    config = SimulationConfig(on_event=interrupt)
    learners = [TowardsTarget(n) for n in (1, 2, 3)]
    with pytest.raises(SimulationInterrupted) as interrupted:
        simulation.run(learners, 100_000, folder=tmp_path, config=config)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("agents-")]
    for index in range(3):
        journal = tmp_path / "agents" / str(index) / "journal.jsonl"
        owner = json.loads(journal.read_text().splitlines()[0])["owner"]
        AgentFolder(journal.parent, owner).close()  # fails if the folder is still locked
    result = interrupted.value.result
    assert result.history.experiment.status == Status.RUNNING
    rounds = [r.round for r in result.history.rounds]
    accepted = [r.contents[0] for r in rounds if r.outcome == Outcome.ACCEPTED]
    assert len(accepted) >= 3
    assert result.content == accepted[-1] == content_of(result.weights_file)


class InterruptedInTraining(TowardsTarget):
    """A learner that is interrupted in training; records whether the simulation returned early."""

    def __init__(self, returned: threading.Event) -> None:
        super().__init__(4)
        self._returned = returned
        self.abandoned: bool | None = None

    def mli_propose_weights(self) -> Weights:
        if self.abandoned is None:
            signal.raise_signal(signal.SIGINT)
            self.abandoned = self._returned.wait(timeout=1)
        return super().mli_propose_weights()


@pytest.mark.usefixtures("ctrl_c")
def test_interrupted_simulation_waits_for_an_agent_that_is_training():
    returned = threading.Event()
    learner = InterruptedInTraining(returned)
    with pytest.raises(SimulationInterrupted):
        simulation.run([learner, TowardsTarget(5)], 10)
    returned.set()
    assert learner.abandoned is False


class RecordsTraining(TowardsTarget):
    """A learner that records that it is asked to train."""

    def __init__(self) -> None:
        super().__init__(4)
        self.training = threading.Event()

    def mli_propose_weights(self) -> Weights:
        self.training.set()
        return super().mli_propose_weights()


@pytest.mark.usefixtures("ctrl_c")
def test_simulation_interrupted_while_it_starts_agents_lets_none_train(
    monkeypatch: pytest.MonkeyPatch,
):
    learner = RecordsTraining()
    start = threading.Thread.start

    def start_and_interrupt(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "agents-0":
            learner.training.wait(timeout=1)  # an agent at work now would not be waited for
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
    with pytest.raises(SimulationInterrupted):
        simulation.run([learner, TowardsTarget(5)], 10)
    assert not learner.training.is_set()


@pytest.mark.parametrize(
    ("where", "message", "files"),
    [
        ("colearn_learner.catalogue.baselines.compare", "2 of 2 rounds", 5),
        ("colearn_learner.simulation.run", "no results", 0),
    ],
    ids=["during the comparison", "before the first round"],
)
def test_interruption_outside_the_rounds_also_exits_with_130(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, message: str, files: int
):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupt)
    out = tmp_path / "run"
    few = ("--n-rounds", "2", "--n-proposers", "1")  # one proposer, so that agents warn of nothing
    arguments = ["demo", "--ledger", "local", *few, "--json", "--out", str(out)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 130, result.output
    assert message in result.stderr
    assert result.stdout == ""
    assert len([p for p in out.iterdir() if p.is_file()]) == files
