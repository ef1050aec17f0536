from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from colearn_localnet import processes
from colearn_localnet.errors import NodeFailed
from colearn_localnet.processes import (
    Process,
    free_port,
    free_ports,
    is_free,
    recorded,
    said_since,
    spawn,
    wait_until,
)
from tests.support.waiting import LIMIT

SLEEPER = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ready', flush=True); time.sleep(600)",
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "node.log"


@pytest.fixture
def sleeper(log: Path) -> Iterator[Process]:
    process = spawn(SLEEPER, log=log, environment=os.environ)
    assert wait_until(lambda: said_since(log, 0, "ready"), seconds=LIMIT)
    yield process
    process.kill()


class TestAProcess:
    def test_runs_until_it_is_stopped(self, sleeper: Process):
        assert sleeper.is_running()
        sleeper.stop()
        assert not sleeper.is_running()

    def test_is_killed_when_it_does_not_heed_the_request_to_stop(self, log: Path):
        process = spawn(STUBBORN, log=log, environment=os.environ)
        assert wait_until(lambda: said_since(log, 0, "ready"), seconds=LIMIT)
        process.stop(seconds=0.1)
        assert not process.is_running()

    def test_is_not_in_the_terminals_session_so_that_ctrl_c_passes_it_by(self, sleeper: Process):
        assert os.getsid(sleeper.pid) == sleeper.pid

    def test_is_known_again_from_its_log(self, sleeper: Process, log: Path):
        assert recorded(log) == sleeper

    def test_that_ended_and_whose_id_another_has_is_neither_running_nor_stopped(
        self, sleeper: Process
    ):
        impostor = replace(sleeper, started="another start")
        assert not impostor.is_running()
        impostor.stop()
        impostor.kill()
        assert sleeper.is_running()

    def test_that_can_not_be_run_says_so(self, log: Path):
        with pytest.raises(NodeFailed, match="/no/such/node can not be run: No such file"):
            spawn(["/no/such/node"], log=log, environment={})


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"pid": 1}'])
def test_a_record_that_is_missing_or_torn_is_no_process(log: Path, content: str | None):
    if content is not None:
        log.parent.mkdir()
        log.with_suffix(".pid").write_text(content)
    assert recorded(log) is None


class TestPorts:
    def test_a_port_is_taken_while_somebody_listens(self):
        port = free_port("127.0.0.1")
        with socket.create_server(("127.0.0.1", port)):
            assert not is_free("127.0.0.1", port)
        assert is_free("127.0.0.1", port)

    def test_a_free_port_lies_below_those_of_outgoing_connections(self):
        assert all(20_000 <= free_port("127.0.0.1") < 32_000 for _ in range(20))

    def test_the_ports_of_a_node_differ(self, monkeypatch: pytest.MonkeyPatch):
        drawn = iter([21_001, 21_001, 21_002, 21_001, 21_002, 21_003, 21_004])
        monkeypatch.setattr(processes, "free_port", lambda host: next(drawn))
        monkeypatch.setattr(processes, "is_free", lambda host, port: True)
        had = {"api": 0, "gateway": 0, "swarm": 21_001}
        assert free_ports("127.0.0.1", had, besides=[21_003]) == {
            "api": 21_001,
            "gateway": 21_002,
            "swarm": 21_004,
        }

    def test_a_node_keeps_those_of_its_ports_that_are_free(self):
        had = free_ports("127.0.0.1", {"api": 0, "gateway": 0})
        with socket.create_server(("127.0.0.1", had["api"])):
            chosen = free_ports("127.0.0.1", had)
        assert chosen["gateway"] == had["gateway"]
        assert chosen["api"] not in had.values()


def test_waiting_ends_at_the_deadline_with_false():
    assert not wait_until(lambda: False, seconds=0.05)


def test_a_failure_shows_the_end_of_the_log(tmp_path: Path):
    log = tmp_path / "node.log"
    log.write_text("".join(f"line {n}\n" for n in range(100)))
    said = str(NodeFailed("it ended", log=log))
    assert said.startswith("it ended\n")
    assert "line 99" in said
    assert "line 84" not in said
    assert str(NodeFailed("it ended", log=tmp_path / "none")) == "it ended"
