"""The commands on anvil, with agents in processes of their own."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from colearn_learner.cli import main
from colearn_learner.cli._support.experiment_file import TEMPLATE
from colearn_ledger.chains.evm import EvmLedger
from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import EvmNetwork
from colearn_ledger.networks.references import ExperimentReference
from colearn_ledger.protocol import ExperimentParams
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_localnet.anvil import Anvil
from tests.support import ROOT
from tests.support.blocking_learner import BLOCKING

READER = ROOT / "tests" / "support" / "read_contract.py"
ABI = ROOT / "colearn_ledger" / "chains" / "evm" / "CollectiveLearning.json"
COLEARN = [sys.executable, "-c", "from colearn_learner.cli import main; main(prog_name='colearn')"]
PASSWORD = "a password"
NAMES = ("owner", "alice", "bob", "carol")
PATIENCE = 240
"""Seconds after which something hangs, on a machine however busy."""


@pytest.fixture(scope="module")
def chain() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


@pytest.fixture(autouse=True)
def home(chain: Anvil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a home with four funded keys and a network."""
    for name in ("COLEARN_NETWORK", "COLEARN_STORE", "COLEARN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLEARN_PASSWORD", PASSWORD)
    keys = Keystore(work=2)
    for name, key in zip(NAMES, chain.keys, strict=False):
        keys.save(name, Wallet.from_key(key), PASSWORD)
    Networks().save(EvmNetwork("local-evm", chain.url, 31337, store=f"folder:{tmp_path / 'store'}"))
    return tmp_path


@pytest.fixture
def contract(home: Path) -> str:
    return str(done("deploy", "--network", "local-evm", "--key", "owner")["contract"])


def colearn(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def done(*arguments: str) -> Any:
    """Run a command that has to work, and return its JSON."""
    result = colearn(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def created(home: Path, text: str = TEMPLATE, **terms: object) -> str:
    """Create an experiment of the template, with other terms, and return its reference."""
    for name, value in {"rounds": 3, "min_learners": 3, "max_learners": 3, **terms}.items():
        lines = [f"{name} = {value}" if x.startswith(f"{name} = ") else x for x in text.split("\n")]
        text = "\n".join(lines)
    (home / "experiment.toml").write_text(text.replace("of = 5", "of = 3"))
    spec = ("--spec", str(home / "experiment.toml"))
    return str(done("experiment", "create", *spec, "--key", "owner")["reference"])


def blocking(home: Path, **terms: object) -> str:
    learner = TEMPLATE.replace("colearn_learner.catalogue:share", BLOCKING)
    learner = learner.replace('{ dataset = "breast-cancer", learner = 0, of = 5 }', "{}")
    return created(home, learner, rounds=1, min_learners=2, max_learners=2, **terms)


class AgentProcess:
    """An agent in a process of its own, whose log is read as it comes."""

    def __init__(self, reference: str, key: str, *more: str) -> None:
        command = ("agent", "run", "--experiment", reference, "--key", key, "--json")
        self.process = subprocess.Popen(
            [*COLEARN, *command, "--poll", "0.05", *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[dict[str, Any]] = []
        self._watchdog = threading.Timer(PATIENCE, self.process.kill)
        self._watchdog.start()

    def until(self, event: str) -> dict[str, Any]:
        """Read the log until an event is in it."""
        for line in self.process.stdout or ():
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == event:
                return self.log[-1]
        raise AssertionError(f"{event} never came: {self.log}, {self.ended()}")

    def ended(self) -> tuple[int, str]:
        """Return exit code and standard error, once it has ended."""
        out, err = self.process.communicate(timeout=PATIENCE)
        self.log += [json.loads(line) for line in out.splitlines()]
        return self.process.returncode, err

    def __enter__(self) -> AgentProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self.process.kill()
        self.process.communicate()


def share(index: int) -> list[str]:
    arguments = ("dataset=breast-cancer", f"learner={index}", "of=3")
    given = [part for argument in arguments for part in ("--learner-arg", argument)]
    return ["--learner", "colearn_learner.catalogue:share", *given]


class Pipes:
    """Tells when a blocking learner trains, and lets it go on."""

    def __init__(self, home: Path) -> None:
        self._ends = []
        for name in ("said", "told"):
            os.mkfifo(home / name)
            self._ends.append(os.open(home / name, os.O_RDWR | os.O_NONBLOCK))
        arguments = (f"said={home / 'said'}", f"told={home / 'told'}")
        given = [part for argument in arguments for part in ("--learner-arg", argument)]
        self.learner = ["--learner", BLOCKING, *given]

    def until_it_trains(self) -> None:
        ready, _, _ = select.select(self._ends[:1], [], [], PATIENCE)
        assert ready, "the learner never trained"
        assert os.read(self._ends[0], 100) == b"training"

    def go_on(self) -> None:
        os.write(self._ends[1], b".")

    def close(self) -> None:
        for end in self._ends:
            os.close(end)


@pytest.fixture
def pipes(home: Path) -> Iterator[Pipes]:
    made = Pipes(home)
    yield made
    made.close()


# ------------------------------------------------------------------ the whole walk


def test_three_agent_processes_hold_an_experiment_and_the_history_is_the_contracts(
    home: Path, chain: Anvil, contract: str
):
    reference = created(home)
    assert reference == f"eip155:31337:{contract}/1"
    agents = [AgentProcess(reference, NAMES[i + 1], *share(i)) for i in range(3)]
    with agents[0], agents[1], agents[2]:
        ends = [agent.ended() for agent in agents]
    assert [code for code, _ in ends] == [0, 0, 0], ends
    assert all(agent.log[-1]["event"] == "over" for agent in agents)

    written = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    everything = json.dumps([agent.log for agent in agents]).encode() + b"".join(written)
    for secret in (*chain.keys[:4], PASSWORD):
        assert secret.removeprefix("0x").encode() not in everything

    history = done("history", reference)
    reader = [sys.executable, str(READER), str(ABI), chain.url, contract, "1"]
    independent = subprocess.run(reader, capture_output=True, text=True, check=True, cwd="/")
    assert history == json.loads(independent.stdout)
    assert history["experiment"]["status"] == "completed"
    assert len(history["rounds"]) == 3
    scores = [b["vote_score"] for held in history["rounds"] for b in held["ballots"]]
    assert len(scores) == 6
    assert None not in scores

    one = done("history", "1", "--network", "local-evm", "--round", "1")
    assert one == {**history, "rounds": history["rounds"][1:2]}
    assert colearn("history", reference, "--format", "csv").output.count("\n") == 1 + 9
    table = colearn("history", reference).output
    assert all(held["content"]["cid"][:20] in table for held in history["rounds"])

    out = home / "model.safetensors"
    for more, content in (
        ((), history["experiment"]["current"]),
        (("--round", "1"), history["rounds"][1]["content"]),
    ):
        got = done("weights", "get", reference, *more, "--out", str(out))
        assert got["sha256"] == content["sha256"]
        assert hashlib.sha256(out.read_bytes()).hexdigest() == content["sha256"]
    kept = {
        path.name.removesuffix(".safetensors")
        for path in (home / "home" / "agents").glob("*/weights/*")
    }
    assert history["experiment"]["current"]["sha256"] in kept


# ------------------------------------------------------------------ deploying


def test_nothing_is_deployed_to_another_chain_or_by_an_empty_wallet(home: Path, chain: Anvil):
    Networks().save(EvmNetwork("wrong", chain.url, 5))
    result = colearn("deploy", "--network", "wrong", "--key", "owner")
    assert result.exit_code == 1
    assert "is on chain 31337 and chain 5 is wanted" in result.output
    Keystore(work=2).save("poor", poor := Wallet.create(), PASSWORD)
    result = colearn("deploy", "--network", "local-evm", "--key", "poor")
    assert result.exit_code == 1
    assert f"{poor.address} holds 0.000000" in result.output
    assert "sent transaction" not in result.output
    Networks().save(EvmNetwork("nowhere", "http://127.0.0.1:9", 31337))
    result = colearn("deploy", "--network", "nowhere", "--key", "owner")
    assert result.exit_code == 1
    assert "cannot be reached" in result.output
    assert not any(n.contracts for n in Networks().all().values())


def test_a_reference_to_no_contract_is_told(home: Path):
    for contract in ("0x" + "11" * 20, Wallet.create().address):
        result = colearn("history", f"eip155:31337:{contract}/1")
        assert result.exit_code == 1
        assert "there is no contract at" in result.output


# ------------------------------------------------------------------ what people do


def test_people_admit_join_leave_start_and_cancel(home: Path, contract: str):
    reference = created(home, admission='"allowlist"', min_learners=2)
    alice = Keystore().key("alice").address

    def refused(*arguments: str) -> str:
        result = colearn("experiment", *arguments)
        assert result.exit_code == 1, result.output
        return result.output

    assert "ask for: colearn experiment admit" in refused("join", reference, "--key", "alice")
    assert "only the experiment's creator" in refused("admit", reference, "bob", "--key", "bob")
    done("experiment", "admit", reference, str(alice), "bob", "--key", "owner")
    joined = done("experiment", "join", reference, "--key", "alice")
    assert joined["account"] == alice
    assert joined["events"] == ["LearnerJoined"]
    assert "an account joins once" in refused("join", reference, "--key", "alice")
    assert "too few learners" in refused("start", reference, "--key", "owner")
    done("experiment", "join", "1", "--key", "bob")
    assert "is no learner of it" in refused("leave", reference, "--key", "carol")
    done("experiment", "start", reference, "--key", "owner")
    shown = done("experiment", "show", reference)
    assert (shown["status"], shown["round"]) == ("running", 0)
    assert shown["learners"][0]["account"] == alice
    assert alice in colearn("experiment", "show", reference).output
    assert "the experiment is running" in refused("start", reference, "--key", "owner")
    done("experiment", "cancel", reference, "--key", "owner")
    (listed,) = done("experiment", "list")
    assert (listed["reference"], listed["status"]) == (reference, "cancelled")
    assert reference in colearn("experiment", "list").output
    assert "has no experiment 9" in refused("show", "9")


def test_what_is_not_there_is_told(home: Path, contract: str):
    reference = created(home)
    for arguments, message in (
        (("history", reference, "--round", "0"), "no round has begun yet"),
        (("weights", "get", reference, "--round", "0", "--out", "x"), "no round has begun yet"),
        (("weights", "get", reference, "--store", "./none", "--out", "x"), "there is no store in"),
    ):
        result = colearn(*arguments)
        assert result.exit_code in (1, 2)
        assert message in result.output
    assert colearn("history", reference).exit_code == 0


def test_weights_that_were_changed_in_the_store_are_not_written(home: Path, contract: str):
    reference = created(home)
    current = done("experiment", "show", reference)["current"]
    (file,) = (home / "store" / "files").rglob(current["cid"])
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    out = home / "model.safetensors"
    out.write_text("what was there")
    result = colearn("weights", "get", reference, "--out", str(out))
    assert result.exit_code == 1
    assert out.read_text() == "what was there"
    assert [p.name for p in home.glob("*model*")] == ["model.safetensors"]
    file.unlink()
    result = colearn("weights", "get", reference, "--out", str(out))
    assert result.exit_code == 1
    assert "is not in this store" in result.output


# ------------------------------------------------------------------ agents end


def test_two_agents_do_not_share_a_folder(home: Path, contract: str):
    reference = created(home)
    folder = ("--data-dir", str(home / "data"))
    with AgentProcess(reference, "alice", *share(0), *folder) as first:
        first.until("joined")
        with AgentProcess(reference, "alice", *share(0), *folder) as second:
            code, error = second.ended()
            assert code == 1
            assert f"another agent works in {home / 'data'}; stop it first" in error
            assert "Traceback" not in error
        first.process.terminate()
        assert first.ended()[0] == 0
        assert [line["event"] for line in first.log][-2:] == ["stopping", "stopped"]
    with AgentProcess(reference, "bob", *share(0), *folder) as other:
        code, error = other.ended()
        assert code == 1
        assert "give each learner of each experiment a folder of its own" in error


def test_a_sigterm_lets_the_step_at_hand_finish_and_a_restart_goes_on(
    home: Path, contract: str, pipes: Pipes
):
    reference = blocking(home)
    with AgentProcess(reference, "alice", *pipes.learner) as alice:
        alice.until("joined")
        with AgentProcess(reference, "bob", "--learner", BLOCKING) as bob:
            pipes.until_it_trains()
            alice.process.terminate()
            alice.until("stopping")
            assert alice.process.poll() is None
            assert done("experiment", "show", reference)["round"] == 0
            pipes.go_on()
            assert alice.ended()[0] == 0
            assert [x["event"] for x in alice.log][-2:] == ["proposed", "stopped"]
            bob.until("voted")
            assert bob.ended()[0] == 0
    with AgentProcess(reference, "alice", *pipes.learner) as again:
        assert again.ended()[0] == 0
        assert [x["event"] for x in again.log] == ["started", "adopted", "over"]


def test_a_second_sigterm_ends_at_once(home: Path, contract: str, pipes: Pipes):
    reference = blocking(home)
    with AgentProcess(reference, "alice", *pipes.learner, "--learner-arg", "busy=true") as alice:
        alice.until("joined")
        done("experiment", "join", reference, "--key", "bob")
        pipes.until_it_trains()
        alice.process.terminate()
        alice.until("stopping")
        alice.process.terminate()
        assert alice.ended()[0] == 128 + signal.SIGTERM
    assert done("history", reference)["rounds"][0]["content"] is None


def test_ctrl_c_ends_with_its_own_code(home: Path, contract: str):
    with AgentProcess(created(home), "alice", *share(0)) as alice:
        alice.until("joined")
        alice.process.send_signal(signal.SIGINT)
        assert alice.ended()[0] == 130


def test_an_error_that_lasts_ends_the_agent_with_a_line(home: Path, chain: Anvil, contract: str):
    store = DirectoryStore(home / "store")
    nonsense = store.put([b"no specification"])
    ledger = EvmLedger.connect(chain.url, contract, Wallet.from_key(chain.keys[0]))
    params = ExperimentParams("x", nonsense, nonsense, 1, 2, 2)
    number = ledger.create(params).wait().experiment
    reference = str(ExperimentReference("eip155:31337", contract, number))
    with AgentProcess(reference, "alice", *share(0)) as agent:
        code, error = agent.ended()
        assert code == 1
        (line,) = error.splitlines()
        assert line.startswith("Error: the agent of 0x7099")
        assert "the specification is not strict JSON" in line
        assert agent.log[-1]["level"] == "error"
    Keystore(work=2).save("poor", Wallet.create(), PASSWORD)
    with AgentProcess(blocking(home), "poor", "--learner", BLOCKING) as agent:
        code, error = agent.ended()
        assert code == 1
        assert "holds 0.000000 of the chain's coin" in error


def test_an_agent_that_can_never_take_part_does_not_wait(home: Path, contract: str):
    reference = blocking(home)
    for name in ("alice", "bob"):
        done("experiment", "join", reference, "--key", name)
    for message in ("takes no late learners", "there is nothing to do"):
        with AgentProcess(reference, "carol", *share(0)) as agent:
            code, error = agent.ended()
            assert code == 1
            assert message in error
        if message == "takes no late learners":
            done("experiment", "cancel", reference, "--key", "owner")
