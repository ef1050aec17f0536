"""Agents in their own processes, on anvil: how they stop, resume and fail."""

# ruff: noqa: F811 - fixtures are imported, and are parameters
from __future__ import annotations

import signal
from pathlib import Path

from colearn_ledger.chains.evm import EvmConfig, EvmLedger
from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.references import ExperimentReference
from colearn_ledger.protocol import ExperimentParams
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_localnet.anvil import Anvil
from tests.support.blocking_learner import BLOCKING, Pipes
from tests.support.commands import run_json
from tests.support.real_chain import (  # noqa: F401 - fixtures among them
    PASSWORD,
    AgentProcess,
    chain,
    contract,
    create_blocking_experiment,
    create_experiment,
    home,
    share_arguments,
)


def test_second_agent_with_a_key_or_in_a_folder_is_refused(home: Path, contract: str):
    reference = create_experiment(home)
    folder = ("--data-dir", str(home / "data"))
    with AgentProcess(reference, "alice", *share_arguments(0), *folder) as first:
        first.read_until("joined")
        with AgentProcess(reference, "alice", *share_arguments(0), *folder) as second:
            code, error = second.wait()
            assert code == 3
            assert "in this experiment on this machine; stop it first" in error
            assert "Traceback" not in error
        with AgentProcess(reference, "bob", *share_arguments(0), *folder) as third:
            code, error = third.wait()
            assert code == 1
            assert f"another agent uses {home / 'data'}; stop it first" in error
            assert "Traceback" not in error
        first.process.terminate()
        assert first.wait()[0] == 0
        assert [line["event"] for line in first.log][-2:] == ["stopping", "stopped"]
    with AgentProcess(reference, "bob", *share_arguments(0), *folder) as other:
        code, error = other.wait()
        assert code == 1
        assert "give each learner of each experiment its own folder" in error


def test_sigterm_lets_the_current_step_finish_and_a_restart_resumes(
    home: Path, contract: str, pipes: Pipes
):
    reference = create_blocking_experiment(home)
    with AgentProcess(reference, "alice", "--learner", BLOCKING, *pipes.arguments) as alice:
        alice.read_until("joined")
        with AgentProcess(reference, "bob", "--learner", BLOCKING) as bob:
            pipes.wait_for_training()
            alice.process.terminate()
            alice.read_until("stopping")
            assert alice.process.poll() is None
            assert run_json("experiment", "show", reference)["round"] == 0
            pipes.let_training_finish()
            assert alice.wait()[0] == 0
            assert [x["event"] for x in alice.log][-2:] == ["proposed", "stopped"]
            bob.read_until("voted")
            assert bob.wait()[0] == 0
    with AgentProcess(reference, "alice", "--learner", BLOCKING, *pipes.arguments) as again:
        assert again.wait()[0] == 0
        assert [x["event"] for x in again.log] == ["started", "adopted", "over"]


def test_second_sigterm_ends_the_agent_at_once(home: Path, contract: str, pipes: Pipes):
    reference = create_blocking_experiment(home)
    with AgentProcess(
        reference, "alice", "--learner", BLOCKING, *pipes.arguments, "--learner-arg", "busy=true"
    ) as alice:
        alice.read_until("joined")
        run_json("experiment", "join", reference, "--key", "bob")
        pipes.wait_for_training()
        alice.process.terminate()
        alice.read_until("stopping")
        alice.process.terminate()
        assert alice.wait()[0] == 128 + signal.SIGTERM
    assert run_json("history", reference)["rounds"][0]["slots"][0]["content"] is None


def test_ctrl_c_ends_with_code_130(home: Path, contract: str):
    with AgentProcess(create_experiment(home), "alice", *share_arguments(0)) as alice:
        alice.read_until("joined")
        alice.process.send_signal(signal.SIGINT)
        assert alice.wait()[0] == 130


def test_permanent_error_ends_the_agent_with_a_one_line_message(
    home: Path, chain: Anvil, contract: str
):
    store = DirectoryStore(home / "store")
    nonsense = store.put([b"no specification"])
    wallet, config = Wallet.from_key(chain.keys[0]), EvmConfig(chain_id=31337)
    ledger = EvmLedger.connect(chain.url, contract, wallet, config=config)
    params = ExperimentParams("x", nonsense, nonsense, 1, 2, 2)
    number = ledger.create(params).wait().experiment
    reference = str(ExperimentReference("eip155:31337", contract, number))
    with AgentProcess(reference, "alice", *share_arguments(0)) as agent:
        code, error = agent.wait()
        assert code == 1
        (line,) = error.splitlines()
        assert line.startswith("Error: the agent of 0x7099")
        assert "the specification is not strict JSON" in line
        assert agent.log[-1]["level"] == "error"
    Keystore(work=2).save("poor", Wallet.create(), PASSWORD)
    with AgentProcess(create_blocking_experiment(home), "poor", "--learner", BLOCKING) as agent:
        code, error = agent.wait()
        assert code == 1
        assert "holds 0.000000 of the chain's coin" in error


def test_agent_of_an_account_that_cannot_take_part_fails(home: Path, contract: str):
    reference = create_blocking_experiment(home)
    for name in ("alice", "bob"):
        run_json("experiment", "join", reference, "--key", name)
    for message in ("does not accept late learners", "choose another experiment"):
        with AgentProcess(reference, "carol", *share_arguments(0)) as agent:
            code, error = agent.wait()
            assert code == 1
            assert message in error
        if message == "does not accept late learners":
            run_json("experiment", "cancel", reference, "--key", "owner")
