"""The commands on anvil: an experiment from start to end, deployment, and single calls."""

# ruff: noqa: F811 - fixtures are imported, and are parameters
from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import EvmNetwork
from colearn_ledger.text.shortening import shorten
from colearn_localnet.anvil import Anvil
from tests.support.commands import colearn, run_json
from tests.support.derived import check_derived
from tests.support.real_chain import (  # noqa: F401 - fixtures among them
    ABI,
    NAMES,
    PASSWORD,
    READER,
    AgentProcess,
    chain,
    contract,
    create_experiment,
    home,
    share_arguments,
)

# --------------------------------------------------------------- experiment


def test_three_agents_complete_an_experiment_and_history_matches_the_contract(
    home: Path, chain: Anvil, contract: str
):
    reference = create_experiment(home)
    assert reference == f"eip155:31337:{contract}/1"
    agents = [AgentProcess(reference, NAMES[i + 1], *share_arguments(i)) for i in range(3)]
    with agents[0], agents[1], agents[2]:
        ends = [agent.wait() for agent in agents]
    assert [code for code, _ in ends] == [0, 0, 0], ends
    assert all(agent.log[-1]["event"] == "over" for agent in agents)

    written = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    written_text = json.dumps([agent.log for agent in agents]).encode() + b"".join(written)
    for secret in (*chain.keys[:4], PASSWORD):
        assert secret.removeprefix("0x").encode() not in written_text

    history = run_json("history", reference)
    reader = [sys.executable, str(READER), str(ABI), chain.url, contract, "1"]
    independent = subprocess.run(reader, capture_output=True, text=True, check=True, cwd="/")
    assert check_derived(history) == json.loads(independent.stdout)
    assert history["experiment"]["status"] == "completed"
    assert len(history["rounds"]) == 3
    cast = [b for r in history["rounds"] for b in r["ballots"] if b["ballot"] == "cast"]
    assert len(cast) == 6
    scores = [s["vote_score"] for b in cast for s in (b["current"], *b["scores"])]
    assert len(scores) == 12
    assert None not in scores

    fees = run_json("history", reference, "--fees")["fees"]
    assert {each["round"] for each in fees} == {None, 0, 1, 2}
    assert {each["account"] for each in fees} >= {each["account"] for each in history["learners"]}
    assert min(each["fee"] for each in fees) > 0

    one = run_json("history", "1", "--network", "local-evm", "--round", "1")
    assert one == {**history, "rounds": history["rounds"][1:2]}
    assert colearn("history", reference, "--format", "csv").output.count("\n") == 1 + 9
    with pytest.MonkeyPatch.context() as terminal:
        terminal.setenv("COLUMNS", "120")
        table = colearn("history", reference).output
    contents = [round_["slots"][0]["content"] for round_ in history["rounds"]]
    assert all(shorten(content["cid"]) in table for content in contents)

    out = home / "model.safetensors"
    for more, content in (
        ((), history["experiment"]["current"][0]),
        (("--round", "1"), contents[1]),
    ):
        got = run_json("weights", "get", reference, *more, "--out", str(out))
        assert got["sha256"] == content["sha256"]
        assert hashlib.sha256(out.read_bytes()).hexdigest() == content["sha256"]
    kept = {
        path.name.removesuffix(".safetensors")
        for path in (home / "home" / "agents").glob("*/weights/*")
    }
    assert history["experiment"]["current"][0]["sha256"] in kept


# --------------------------------------------------------------- deployment


def test_deploying_to_another_chain_or_without_money_is_refused(home: Path, chain: Anvil):
    Networks().save(EvmNetwork("wrong", chain.url, 5))
    result = colearn("deploy", "--network", "wrong", "--key", "owner")
    assert result.exit_code == 1
    assert "is on chain 31337, not on chain 5" in result.output
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


def test_second_deployment_names_the_contract_it_replaces(home: Path, chain: Anvil):
    deploy = ("deploy", "--network", "local-evm", "--key", "owner")
    first = run_json(*deploy)["contract"]
    second = colearn(*deploy)
    switch = f"colearn network use-contract local-evm {first}"
    assert f"It replaces {first}" in second.stderr
    assert switch in second.stderr
    missing = colearn("weights", "get", "1", "--store", str(home), "--out", "x")
    assert missing.exit_code == 1
    assert switch in missing.output
    assert switch in colearn("experiment", "list").output
    assert colearn(*switch.split()[1:]).exit_code == 0
    assert Networks().get("local-evm").contract == first


def test_reference_to_missing_contract_is_refused(home: Path):
    for missing in ("0x" + "11" * 20, Wallet.create().address):
        result = colearn("history", f"eip155:31337:{missing}/1")
        assert result.exit_code == 1
        assert "there is no contract at" in result.output


# -------------------------------------------------------------------- calls


def test_admit_join_leave_start_and_cancel_follow_the_rules(home: Path, contract: str):
    reference = create_experiment(home, admission='"allowlist"', min_learners=2)
    alice = Keystore().key("alice").address

    def refused(*arguments: str) -> str:
        result = colearn("experiment", *arguments)
        assert result.exit_code == 1, result.output
        return result.output

    assert "ask the creator to run colearn experiment admit" in refused(
        "join", reference, "--key", "alice"
    )
    assert "only the experiment's creator" in refused("admit", reference, "bob", "--key", "bob")
    run_json("experiment", "admit", reference, str(alice), "bob", "--key", "owner")
    wrong = refused("join", reference, "--hash", "11" * 32, "--key", "alice")
    assert "its creator or its rules are not the expected ones" in wrong
    shown_hash = run_json("experiment", "show", reference)["hash"]
    joined = run_json("experiment", "join", reference, "--hash", shown_hash, "--key", "alice")
    assert joined["account"] == alice
    assert joined["events"] == ["LearnerJoined"]
    assert "an account can join only once" in refused("join", reference, "--key", "alice")
    assert "too few learners" in refused("start", reference, "--key", "owner")
    run_json("experiment", "join", "1", "--key", "bob")
    assert "is not a learner in this experiment" in refused("leave", reference, "--key", "carol")
    run_json("experiment", "start", reference, "--key", "owner")
    shown = run_json("experiment", "show", reference)
    assert (shown["status"], shown["round"]) == ("running", 0)
    assert shown["learners"][0]["account"] == alice
    assert alice in colearn("experiment", "show", reference).output
    assert "the experiment is running" in refused("start", reference, "--key", "owner")
    run_json("experiment", "cancel", reference, "--key", "owner")
    (listed,) = run_json("experiment", "list")
    assert (listed["reference"], listed["status"]) == (reference, "cancelled")
    contract = reference.removesuffix("/1")
    assert f"reference  {contract}/ID" in colearn("experiment", "list").output
    assert "has no experiment 9" in refused("show", "9")


def test_missing_rounds_and_stores_are_reported(home: Path, contract: str):
    reference = create_experiment(home)
    for arguments, message in (
        (("history", reference, "--round", "0"), "no round has begun yet"),
        (("weights", "get", reference, "--round", "0", "--out", "x"), "no round has begun yet"),
        (
            ("weights", "get", reference, "--store", "./none", "--out", "x"),
            "does not exist; check --store",
        ),
    ):
        result = colearn(*arguments)
        assert result.exit_code in (1, 2)
        assert message in result.output
    assert colearn("history", reference).exit_code == 0


def test_weights_changed_in_the_store_are_not_written(home: Path, contract: str):
    reference = create_experiment(home)
    [current] = run_json("experiment", "show", reference)["current"]
    (file,) = (home / "store" / "files").rglob(current["cid"])
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    out = home / "model.safetensors"
    out.write_text("earlier content")
    result = colearn("weights", "get", reference, "--out", str(out))
    assert result.exit_code == 1
    assert out.read_text() == "earlier content"
    assert [p.name for p in home.glob("*model*")] == ["model.safetensors"]
    file.unlink()
    result = colearn("weights", "get", reference, "--out", str(out))
    assert result.exit_code == 1
    assert "is not in this store" in result.output
