"""Both implementations of the audit agree: on honest experiments, and on the rounds of frauds."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.independent_audit.reading import Unchecked
from tests.support import ROOT
from tests.support.audited import ROUND, SHAPES, play, play_signed
from tests.support.evm_world import FaultyNode
from tests.support.house_rules import find_imports
from tests.support.second_audit import (
    Log,
    audit_again,
    change_answer,
    change_call,
    change_event,
    change_log,
    change_result,
    find_log,
    lie_about_logs,
    list_rounds,
)
from tests.support.toyworld import World

SCRIPTS = ROOT / "scripts"
LAST = 3
STRANGER = "0x" + "11" * 20
OTHER_FILE = (0x70, b"\x01" * 32, b"\x02" * 32, 77)
FAST_SHAPES = ("plural, secret and random",)  # the frauds' tests play two others

Plant = Callable[[FaultyNode], None]


@pytest.fixture(scope="module")
def plural(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("plural"), "evm", "plural mean")


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("secret"), "evm", "secret and random")


def list_rounds_of(world: World, plant: Plant) -> tuple[Any, Any]:
    """Return the rounds of the findings of both implementations, about the same lying node."""
    node = FaultyNode(world.chain.provider)
    plant(node)
    return list_rounds(node, world.ledger.contract, world.experiment)


# ---------------------------------------------------------------------- honest experiments


@pytest.mark.parametrize(
    "shape",
    [s if s in FAST_SHAPES else pytest.param(s, marks=pytest.mark.long) for s in SHAPES],
)
def test_honest_experiment_has_no_finding(shape: str, tmp_path: Path):
    world = play(tmp_path, "evm", shape)
    assert list_rounds_of(world, lambda _: None) == ([], [])
    report = audit_again(world.chain.provider, world.ledger.contract, world.experiment)
    assert report["unchecked"] == ["files and merges: out of scope"]
    assert report["checked"]["events"] == len(world.ledger.events(world.experiment))


def test_second_implementation_shares_no_code_with_the_packages():
    sources = [SCRIPTS / "audit_independently.py", *(SCRIPTS / "independent_audit").glob("*.py")]
    imported = {name.split(".")[0] for path in sources for name in find_imports(path)}
    outside = imported - set(sys.stdlib_module_names) - {path.stem for path in sources}
    assert outside == {"coincurve", "Crypto", "independent_audit"}


# ---------------------------------------------------------------------- planted frauds


def edit_at(name: str, edit: Callable[[list[Log], int], list[Log]]) -> Plant:
    """Return a fraud that edits the logs at the first event of a name in the round."""
    return lambda node: lie_about_logs(node, lambda logs: edit(logs, find_log(logs, name, ROUND)))


def swap_with_next(logs: list[Log], at: int) -> list[Log]:
    """Swap the contents of two events, but not their places."""
    moved = ("topics", "data")
    first = {**logs[at], **{key: logs[at + 1][key] for key in moved}}
    second = {**logs[at + 1], **{key: logs[at][key] for key in moved}}
    return [*logs[:at], first, second, *logs[at + 2 :]]


def double(logs: list[Log], at: int) -> list[Log]:
    again = {**logs[at], "logIndex": hex(int(logs[at]["logIndex"], 16) + 1)}
    return [*logs[: at + 1], again, *logs[at + 1 :]]


def invent_ballot(logs: list[Log], at: int) -> list[Log]:
    invented = change_log(logs[at], "VoteCast", ["learner"], STRANGER)
    moved = {**logs[at], "logIndex": hex(int(logs[at]["logIndex"], 16) + 1)}
    return [*logs[:at], invented, moved, *logs[at + 1 :]]


def move_back(logs: list[Log], at: int) -> list[Log]:
    """Give an event the place of the one before it, but not its transaction."""
    place = {key: logs[at - 1][key] for key in ("blockNumber", "blockHash", "logIndex")}
    return [*logs[:at], {**logs[at], **place}, *logs[at + 1 :]]


def drop(logs: list[Log], at: int) -> list[Log]:
    return [*logs[:at], *logs[at + 1 :]]


def in_state(path: list[Any], change: Any) -> Plant:
    """Return a fraud in the answers about the round."""
    return lambda node: change_answer(node, "rounds", [ROUND, *path], change)


def in_experiment(path: list[Any], change: Any) -> Plant:
    return lambda node: change_answer(node, "experiment", path, change)


def in_ballot(field: str, change: Any) -> Plant:
    """Return a fraud in the ballot of the second learner in the round."""
    return lambda node: change_answer(node, "ballots", [1, field], change, numbers=(1, ROUND))


def in_event(name: str, field: str, change: Any) -> Plant:
    return lambda node: change_event(node, name, [field], change, round_=ROUND)


def flip(value: Any) -> Any:
    return not value


FRAUDS: dict[str, tuple[Plant, int | None]] = {
    "tally": (in_state(["slots", 0, "approvals"], lambda n: n - 1), ROUND),
    "outcome": (in_state(["outcome"], 2), ROUND),
    "accepted slot": (in_state(["slots", 0, "accepted"], flip), ROUND),
    "proposer in the state": (in_state(["slots", 1, "proposer"], STRANGER), ROUND),
    "time of closing": (in_state(["closedAt"], lambda time: time + 1), ROUND),
    "approvals needed": (in_state(["needed"], 1), ROUND),
    "electorate in the state": (in_state(["eligible"], 2), ROUND),
    "reason of closing": (in_state(["byDeadline"], flip), ROUND),
    "ballot": (in_ballot("approvals", lambda n: n ^ 1), ROUND),
    "missing ballot": (in_ballot("state", 0), ROUND),
    "voter": (in_ballot("eligible", flip), ROUND),
    "time of joining": (
        lambda node: change_answer(node, "learners", [2, "fromRound"], ROUND + 1),
        0,
    ),
    "strikes": (lambda node: change_answer(node, "learners", [2, "missedBallots"], 2), LAST),
    "status": (in_experiment(["status"], 3), LAST),
    "answer about the weights": (
        lambda node: change_answer(node, "currentWeights", [0], OTHER_FILE),
        LAST,
    ),
    "event: deadline": (in_event("RoundStarted", "deadline", lambda time: time + 1), ROUND),
    "event: deadline of the vote": (in_event("VotingStarted", "deadline", lambda t: t - 1), ROUND),
    "event: electorate": (in_event("RoundStarted", "eligible", 2), ROUND),
    "event: approvals needed": (in_event("RoundStarted", "needed", 1), ROUND),
    "event: proposers": (in_event("RoundStarted", "proposers", lambda names: names[::-1]), ROUND),
    "event: content": (in_event("WeightsProposed", "content", OTHER_FILE), ROUND),
    "event: slot": (in_event("WeightsProposed", "slot", 2), ROUND),
    "event: a proposer's score": (in_event("WeightsProposed", "voteScore", 1), ROUND),
    "event: digest": (in_event("VotingStarted", "proposals", b"\x07" * 32), ROUND),
    "event: ballot": (in_event("VoteCast", "approvals", 0), ROUND),
    "event: approval of an own proposal": (in_event("VoteCast", "approvals", 7), ROUND),
    "event: a voter's score": (
        in_event("VoteCast", "scores", lambda scores: scores[:-1] + b"\x01"),
        ROUND,
    ),
    "event: tally": (in_event("RoundClosed", "approvals", lambda n: (9, *n[1:])), ROUND),
    "event: outcome": (in_event("RoundClosed", "outcome", 2), ROUND),
    "event: accepted": (in_event("RoundClosed", "accepted", lambda bits: bits ^ 1), ROUND),
    "event: another account joined": (
        lambda node: change_event(node, "LearnerJoined", ["learner"], STRANGER),
        None,
    ),
    "event: rules": (
        lambda node: change_event(node, "ExperimentCreated", ["params", "approvalBps"], 1),
        None,
    ),
    "ballot dropped": (edit_at("VoteCast", drop), ROUND),
    "proposal dropped": (edit_at("WeightsProposed", drop), ROUND),
    "beginning of the vote dropped": (edit_at("VotingStarted", drop), ROUND),
    "closing dropped": (edit_at("RoundClosed", drop), ROUND),
    "ballot doubled": (edit_at("VoteCast", double), ROUND),
    "proposal doubled": (edit_at("WeightsProposed", double), ROUND),
    "events reordered": (edit_at("VotingStarted", swap_with_next), ROUND),
    "place of a ballot": (edit_at("VoteCast", move_back), ROUND),
    "ballot invented": (edit_at("VoteCast", invent_ballot), ROUND),
    "events truncated": (edit_at("RoundClosed", lambda logs, at: logs[: at + 1]), ROUND + 1),
    "end dropped": (
        lambda node: lie_about_logs(
            node, lambda logs: logs[: find_log(logs, "ExperimentCompleted")]
        ),
        LAST,
    ),
    "creation dropped": (lambda node: lie_about_logs(node, lambda logs: logs[1:]), None),
    "scores in the calldata": (
        lambda node: change_call(node, "vote", ["scores"], lambda scores: b"\x01" + scores[1:]),
        0,
    ),
    "another sender": (
        lambda node: change_result(node, "eth_getTransactionByHash", "from", lambda _: STRANGER),
        None,
    ),
}
"""Frauds of a node in an open experiment whose learners propose in threes, each with its round."""

SECRET_FRAUDS: dict[str, tuple[Plant, int | None]] = {
    "seed in the state": (in_experiment(["seed"], b"\x01" * 32), LAST),
    "commitment": (in_event("VoteCommitted", "commitment", b"\x01" * 32), ROUND),
    "salt": (lambda node: change_call(node, "reveal", ["salt"], b"\x01" * 32), 0),
    "deadline of revealing": (in_event("RevealStarted", "deadline", lambda t: t + 1), ROUND),
    "beginning of revealing dropped": (edit_at("RevealStarted", drop), ROUND),
    "number of commitments": (in_state(["commitments"], 1), ROUND),
}
"""Frauds in an experiment with secret ballots and random selection."""


@pytest.mark.parametrize("fraud", FRAUDS)
def test_both_find_the_fraud_in_its_round(fraud: str, plural: World):
    plant, place = FRAUDS[fraud]
    first, second = list_rounds_of(plural, plant)
    assert (first[:1], second[:1]) == ([place], [place])


@pytest.mark.parametrize("fraud", SECRET_FRAUDS)
def test_both_find_the_fraud_in_a_secret_experiment(fraud: str, secret: World):
    plant, place = SECRET_FRAUDS[fraud]
    first, second = list_rounds_of(secret, plant)
    assert (first[:1], second[:1]) == ([place], [place])


def test_both_find_false_entropy(secret: World):
    def plant(node: FaultyNode) -> None:
        change_result(node, "eth_getBlockByNumber", "mixHash", lambda _: "0x" + "01" * 32)

    first, second = list_rounds_of(secret, plant)
    assert first[:1] == second[:1] != []  # in which round is a matter of chance


def hide_transactions(node: FaultyNode) -> None:
    node.answer("eth_getTransactionByHash", None)


CAUSED = {
    *("ExperimentStarted", "RoundStarted", "VotingStarted", "RevealStarted"),
    *("RoundClosed", "ExperimentCompleted"),
}
"""Events that follow from others in the same call, in an experiment without timeouts."""


def test_both_report_what_they_cannot_check_without_transactions(secret: World):
    assert list_rounds_of(secret, hide_transactions) == ([], [])
    node = FaultyNode(secret.chain.provider)
    hide_transactions(node)
    report = audit_again(node, secret.ledger.contract, secret.experiment)
    events = [type(found.event).__name__ for found in secret.ledger.events(secret.experiment)]
    called = [name for name in events if name not in CAUSED]
    assert [sentence.split(":")[0] for sentence in report["unchecked"]] == [
        "files and merges",
        f"the calls behind {len(called)} events",
        "the seeds of random selections",
    ]


def test_both_find_a_learner_drawn_twice_without_transactions(secret: World):
    again = secret.ledger.round(secret.experiment, 0).slots[0].proposer

    def plant(node: FaultyNode) -> None:
        hide_transactions(node)
        change_event(node, "RoundStarted", ["proposers"], (again,), round_=ROUND)

    first, second = list_rounds_of(secret, plant)
    assert (first[:1], second[:1]) == ([ROUND], [ROUND])


def change_ballots(change: Callable[[bytes], bytes]) -> Plant:
    return lambda node: change_call(node, "voteSigned", ["ballots"], change)


def change_reason(node: FaultyNode) -> None:
    """Say that the first ballot, whose signature is wrong, was skipped for its approvals."""
    change_event(node, "BallotSkipped", ["reason"], 4)


def drop_skipped(node: FaultyNode) -> None:
    def edit(logs: list[Log]) -> list[Log]:
        at = find_log(logs, "BallotSkipped")
        return [*logs[:at], *logs[at + 1 :]]

    lie_about_logs(node, edit)


BATCH_FRAUDS: dict[str, Plant] = {
    "signature of a ballot that was skipped": change_ballots(lambda data: data[:-1] + b"\x01"),
    "signature of a ballot that was counted": change_ballots(
        lambda data: data[: 2 * len(data) // 5 - 1] + b"\x01" + data[2 * len(data) // 5 :]
    ),
    "order of ballots": change_ballots(
        lambda data: data[len(data) // 5 :] + data[: len(data) // 5]
    ),
    "reason to skip": change_reason,
    "skipped ballot dropped": drop_skipped,
}
"""Frauds in a batch of five ballots, of which the first and the last were skipped."""


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play_signed(tmp_path_factory.mktemp("signed"), "evm")


@pytest.mark.parametrize("fraud", BATCH_FRAUDS)
def test_both_find_the_fraud_in_a_batch(fraud: str, signed: World):
    first, second = list_rounds_of(signed, BATCH_FRAUDS[fraud])
    assert (first[:1], second[:1]) == ([0], [0])


@pytest.mark.parametrize("world", ["plural", "secret", "signed"])
def test_neither_finds_anything_without_a_fraud(world: str, request: pytest.FixtureRequest):
    assert list_rounds_of(request.getfixturevalue(world), lambda _: None) == ([], [])


def test_unknown_experiment_cannot_be_checked(plural: World):
    with pytest.raises(Unchecked):
        audit_again(plural.chain.provider, plural.ledger.contract, plural.experiment + 1)


# ---------------------------------------------------------------------- the command


@contextmanager
def serve(provider: Any) -> Iterator[str]:
    """Serve a provider of web3.py over HTTP, and yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            ask = provider.request_func(None, None)
            answer = json.dumps(ask(asked["method"], asked["params"])).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "audit_independently.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command_prints_findings_with_their_rounds(plural: World):
    contract, experiment = plural.ledger.contract, plural.experiment
    node = FaultyNode(plural.chain.provider)
    with serve(node) as url:
        honest = run(url, contract, experiment)
        unknown = run(url, contract, experiment + 1)
        FRAUDS["tally"][0](node)
        lying, report = run(url, contract, experiment), run(url, contract, experiment, "--json")
    events = len(plural.ledger.events(experiment))
    assert (honest.returncode, lying.returncode, report.returncode) == (0, 1, 1)
    assert f"checked: {events} events, 4 rounds; findings: 0" in honest.stdout
    assert "round 1: round.slots[0].approvals: expected " in lying.stdout
    [finding] = json.loads(report.stdout)["findings"]
    assert (finding["round"], finding["subject"]) == (ROUND, "round.slots[0].approvals")
    assert unknown.returncode == 2
    assert "refused eth_call" in unknown.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://127.0.0.1:9"])
def test_command_ends_with_2_without_a_node(url: str):
    result = run(url, STRANGER, 1)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
