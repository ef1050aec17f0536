"""Start, recognize and stop processes, and choose ports."""

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
    log_contains,
    read_process,
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
    assert wait_until(lambda: log_contains(log, 0, "ready"), seconds=LIMIT)
    yield process
    process.kill()


class TestProcess:
    def test_process_runs_until_it_is_stopped(self, sleeper: Process):
        assert sleeper.is_running()
        sleeper.stop()
        assert not sleeper.is_running()

    def test_process_that_ignores_sigterm_is_killed(self, log: Path):
        process = spawn(STUBBORN, log=log, environment=os.environ)
        assert wait_until(lambda: log_contains(log, 0, "ready"), seconds=LIMIT)
        process.stop(seconds=0.1)
        assert not process.is_running()

    def test_process_has_its_own_session_and_survives_ctrl_c(self, sleeper: Process):
        assert os.getsid(sleeper.pid) == sleeper.pid

    def test_process_is_recognized_from_its_log(self, sleeper: Process, log: Path):
        assert read_process(log) == sleeper

    def test_reused_pid_is_not_mistaken_for_our_process(self, sleeper: Process):
        impostor = replace(sleeper, started=sleeper.started + 10)
        assert not impostor.is_running()
        impostor.stop()
        impostor.kill()
        assert sleeper.is_running()

    def test_missing_program_is_reported(self, log: Path):
        with pytest.raises(NodeFailed, match="/no/such/node cannot be started: No such file"):
            spawn(["/no/such/node"], log=log, environment={})


@pytest.mark.parametrize(
    "content", [None, "", "{", "[]", '{"pid": 1}', '{"pid": 1, "started": "boot:5"}']
)
def test_missing_or_torn_record_is_not_a_process(log: Path, content: str | None):
    if content is not None:
        log.parent.mkdir()
        log.with_suffix(".pid").write_text(content)
    assert read_process(log) is None


class TestPortAllocation:
    def test_port_is_taken_while_a_server_listens(self):
        port = free_port("127.0.0.1")
        with socket.create_server(("127.0.0.1", port)):
            assert not is_free("127.0.0.1", port)
        assert is_free("127.0.0.1", port)

    def test_free_port_is_below_those_of_outgoing_connections(self):
        assert all(20_000 <= free_port("127.0.0.1") < 32_000 for _ in range(20))

    def test_ports_of_a_node_differ(self, monkeypatch: pytest.MonkeyPatch):
        drawn = iter([21_001, 21_001, 21_002, 21_001, 21_002, 21_003, 21_004])
        monkeypatch.setattr(processes, "free_port", lambda host: next(drawn))
        monkeypatch.setattr(processes, "is_free", lambda host, port: True)
        previous = {"api": 0, "gateway": 0, "swarm": 21_001}
        assert free_ports("127.0.0.1", previous, reserved=[21_003]) == {
            "api": 21_001,
            "gateway": 21_002,
            "swarm": 21_004,
        }

    def test_free_ports_are_kept(self):
        previous = free_ports("127.0.0.1", {"api": 0, "gateway": 0})
        with socket.create_server(("127.0.0.1", previous["api"])):
            chosen = free_ports("127.0.0.1", previous)
        assert chosen["gateway"] == previous["gateway"]
        assert chosen["api"] not in previous.values()


def test_wait_until_returns_false_at_the_deadline():
    assert not wait_until(lambda: False, seconds=0.05)


def test_error_shows_the_end_of_the_log(tmp_path: Path):
    log = tmp_path / "node.log"
    log.write_text("".join(f"line {n}\n" for n in range(100)))
    message = str(NodeFailed("it ended", log=log))
    assert message.startswith("it ended\n")
    assert "line 99" in message
    assert "line 84" not in message
    assert str(NodeFailed("it ended", log=tmp_path / "none")) == "it ended"
