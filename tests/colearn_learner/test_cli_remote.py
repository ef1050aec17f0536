"""`colearn learner serve`, and the commands that use a learner behind it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from Crypto.PublicKey import ECC

from colearn_learner.cli import main
from colearn_learner.cli._support.factories import load_learner
from colearn_learner.errors import InvalidArgument
from colearn_learner.interface import Weights
from colearn_learner.remote.client import RemoteConfig, RemoteLearner
from colearn_learner.remote.errors import (
    InvalidToken,
    LearnerFailed,
    LearnerRefused,
    LearnerUnavailable,
    Unprotected,
)
from tests.support.blocking_learner import BLOCKING, Pipes
from tests.support.certificates import make_certificate
from tests.support.remote_servers import (  # noqa: F401
    LONG,
    ServerProcess,
    connect_learner,
    serve_learner,
    unused_address,
)
from tests.support.toyworld import TowardsTarget

TOKEN = "correct-horse-battery-staple"
VARIABLE = "COLEARN_LEARNER_TOKEN"


@dataclass
class Files:
    folder: Path

    def __post_init__(self) -> None:
        pair = make_certificate("localhost", "127.0.0.1")
        self.certificate = self.write("server.pem", pair.certificate)
        self.key = self.write("server.key", pair.key)
        self.token = self.write("token", f"{TOKEN}\n".encode())

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    @property
    def tls(self) -> list[str]:
        return ["--tls-cert", str(self.certificate), "--tls-key", str(self.key)]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.delenv(VARIABLE, raising=False)
    return Files(tmp_path)


# ----------------------------------------------------------------------- server


def test_sigterm_lets_training_finish_and_the_token_never_appears(files: Files, pipes: Pipes):
    secret = [*files.tls, "--token-file", str(files.token), "--verbose"]
    with ServerProcess(BLOCKING, *pipes.arguments, *secret) as server:
        started = server.read_until("listening")
        assert (started["tls"], started["token"]) == (True, True)
        ca, url = files.certificate.read_bytes(), started["url"]
        with pytest.raises(LearnerRefused, match="token is missing or is not"):
            RemoteLearner(url, RemoteConfig(ca=ca, token=TOKEN + "x")).reach()
        with connect_learner(url, ca=ca, token=TOKEN) as there, ThreadPoolExecutor(1) as pool:
            training = pool.submit(there.mli_propose_weights)
            pipes.wait_for_training()
            shown = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
            server.process.terminate()
            server.read_until("stopping")
            pipes.let_training_finish()
            assert training.result(LONG) == Weights([np.ones(3)])
            assert server.wait_end() == 0
    events = [line["event"] for line in server.log]
    assert [e for e in events if e in ("CurrentWeights", "Propose", "stopping", "stopped")] == [
        *("CurrentWeights", "stopping", "Propose", "stopped")
    ]
    for text in (shown.decode(), str(server.log), server.errors):
        assert TOKEN not in text


def test_metrics_count_calls_and_failures():
    arguments = ("--learner-arg=target=4", "--monitor=0")
    with ServerProcess(f"{TowardsTarget.__module__}:TowardsTarget", *arguments) as server:
        shown = server.read_until("monitoring")["url"]
        with connect_learner(server.read_until("listening")["url"]) as there:
            there.mli_propose_weights()
            there.mli_accept_weights(Weights([np.ones(3)]))
            with pytest.raises(LearnerFailed):
                there.mli_get_current_model()
        with urllib.request.urlopen(f"{shown}/metrics", timeout=LONG) as answer:
            lines = answer.read().decode().splitlines()
        figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        with urllib.request.urlopen(f"{shown}/health", timeout=LONG) as answer:
            assert json.load(answer)["healthy"] is True
        assert server.terminate() == 0
    methods = ("Propose", "Accept", "CurrentModel", "Test")
    for name, wanted in (("calls", [1, 1, 1, 0]), ("failures", [0, 0, 1, 0])):
        given = [figures[f'colearn_learner_{name}_total{{method="{m}"}}'] for m in methods]
        assert [float(figure) for figure in given] == wanted
    assert float(figures['colearn_learner_seconds_total{method="Propose"}']) > 0
    names = ("propose_total", "set_total", "get_total", "test_total", "propose_error_total")
    given = [figures[f"contract_learner_grpc_server_{n}"] for n in (*names, "other_error_total")]
    assert [float(figure) for figure in given] == [1, 1, 1, 0, 0, 1]  # the ancestor's figures
    assert float(figures["contract_learner_grpc_server_propose_time_count"]) == 1


@pytest.mark.parametrize("address", ["here", "127.0.0.1:70000"])
def test_malformed_monitor_address_is_refused(address: str):
    code, output = run_serve("--monitor", address)
    assert code == 2
    assert "is not of the form PORT or HOST:PORT" in output


def test_second_sigterm_ends_the_server_immediately(pipes: Pipes):
    with ServerProcess(BLOCKING, *pipes.arguments, **{VARIABLE: TOKEN}) as server:
        started = server.read_until("listening")
        assert (started["tls"], started["token"]) == (False, True)
        there = RemoteLearner(started["url"], RemoteConfig(token=TOKEN, patience=0, deadline=LONG))
        with there, ThreadPoolExecutor(1) as pool:
            training = pool.submit(there.mli_propose_weights)
            pipes.wait_for_training()
            server.process.terminate()
            server.read_until("stopping")
            assert server.terminate() == 128 + 15
            with pytest.raises(LearnerUnavailable):
                training.result(LONG)


def run_serve(*more: str) -> tuple[int, str]:
    """Run `colearn learner serve`, which must fail; return its exit code and output."""
    run = CliRunner().invoke(
        main,
        [
            "learner",
            "serve",
            "--learner",
            BLOCKING,
            "--port",
            "0",
            *more,
        ],
    )
    return run.exit_code, run.output


def test_public_address_without_tls_or_token_is_refused(files: Files):
    token = ("--token-file", str(files.token))
    for more in ((), files.tls, token):
        code, output = run_serve("--host", "0.0.0.0", *more)
        assert code == 1
        assert "0.0.0.0 can be reached from other machines" in output
        assert "listening" not in output


def make_encrypted_key() -> bytes:
    key = ECC.generate(curve="P-256")
    return key.export_key(
        format="PEM", passphrase="secret", use_pkcs8=True, protection="scryptAndAES128-CBC"
    ).encode()


def test_unusable_files_and_arguments_are_reported(files: Files):
    other = files.write("other.key", make_certificate("localhost").key)
    locked = files.write("locked.key", make_encrypted_key())
    certificate = ("--tls-cert", str(files.certificate))
    for more, message in (
        (certificate, "needs both a certificate and its key"),
        ((*certificate, "--tls-key", "nowhere.key"), "--tls-key: cannot read nowhere.key"),
        (
            (*certificate, "--tls-key", str(other)),
            "other.key are not a certificate and its",
        ),
        ((*certificate, "--tls-key", str(locked)), "must not have a password"),
        (
            ("--tls-cert", str(files.token), "--tls-key", str(files.key)),
            "not a certificate and its",
        ),
        (("--token-file", "nowhere"), "cannot read nowhere"),
        (("--token-file", str(files.write("short", b"hunter2"))), "at least 16"),
        (("--learner-arg", "more"), "not of the form name=value"),
        (("--learner-arg", "more=1"), "does not take the argument more"),
    ):
        code, output = run_serve(*more)
        assert code in (1, 2), output
        assert message in " ".join(output.split()), output
        assert "hunter2" not in output
        assert "listening" not in output


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_token_file_that_other_users_can_read_is_refused(
    files: Files,
    unused_address: str,  # noqa: F811
    mode: int,
):
    files.token.chmod(mode)
    code, output = run_serve("--token-file", str(files.token))
    assert code == 2
    assert "other users can read the token in" in " ".join(output.split())
    assert TOKEN not in output
    with pytest.raises(click.UsageError, match=f"chmod 600 {files.token}"):
        load_learner(unused_address, {"patience": 0, "token": f"file:{files.token}"})


def test_taken_port_is_reported(files: Files):
    with serve_learner(TowardsTarget(4)) as address:
        code, output = run_serve("--port", str(address.port))
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{address.port}" in output


# ---------------------------------------------------------------------- client


def test_learner_arguments_set_ca_token_and_limits(files: Files, monkeypatch: pytest.MonkeyPatch):
    pair = {"certificate": files.certificate.read_bytes(), "key": files.key.read_bytes()}
    with serve_learner(TowardsTarget(4), token=TOKEN, **pair) as address:
        ca: dict[str, Any] = {"ca": str(files.certificate), "patience": 0}
        monkeypatch.setenv("ANOTHER", TOKEN)
        for more in ({"token": f"file:{files.token}"}, {"token": "env:ANOTHER"}):
            with load_learner(str(address), {**ca, **more}) as learner:
                assert learner.mli_propose_weights() == Weights([np.ones(3)])
        with pytest.raises(LearnerRefused):
            load_learner(str(address), ca)
        monkeypatch.setenv(VARIABLE, TOKEN)
        with load_learner(str(address), {**ca, "deadline": 60, "max_bytes": 9_999}) as learner:
            assert learner.mli_get_current_weights() == Weights([np.zeros(3)])
        with pytest.raises(LearnerRefused):
            load_learner(str(address), {"patience": 0})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dataset": "wine"}, click.UsageError, "does not apply to a learner's server"),
        ({"token": TOKEN}, click.UsageError, "never pass the secret itself"),
        ({"token": "env:NOT_SET_ANYWHERE"}, click.UsageError, "NOT_SET_ANYWHERE is not set"),
        ({"token": "file:/dev/null"}, click.UsageError, "is empty or not UTF-8 text"),
        ({"ca": "nowhere.pem"}, click.UsageError, "cannot read nowhere.pem"),
        ({"deadline": "soon"}, InvalidArgument, "deadline is 'soon'"),
    ],
)
def test_invalid_connection_arguments_are_refused(
    unused_address: str,  # noqa: F811
    files: Files,
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
):
    with pytest.raises(error, match=message) as refused:
        load_learner(unused_address, {"patience": 0, **arguments})
    assert TOKEN not in str(refused.value)


def test_absent_server_is_logged_and_tried_again_when_needed(
    unused_address: str,  # noqa: F811
    files: Files,
    caplog: pytest.LogCaptureFixture,
):
    learner = load_learner(unused_address, {"patience": 0})
    assert "does not answer" in caplog.text
    with pytest.raises(LearnerUnavailable, match="check that it runs"):
        learner.mli_get_current_weights()
    with serve_learner(TowardsTarget(4)) as address, learner:
        learner.address = address
        assert learner.mli_get_current_weights() == Weights([np.zeros(3)])


def test_short_and_missing_tokens_are_refused(
    unused_address: str,  # noqa: F811
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(VARIABLE, "hunter2")
    with pytest.raises(InvalidToken) as refused:
        load_learner(unused_address, {"patience": 0})
    assert "hunter2" not in str(refused.value)
    with pytest.raises(InvalidToken):
        load_learner("grpcs://gpu.example.org:1", {})
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(Unprotected, match="use grpcs://"):
        load_learner("grpc://gpu.example.org:1", {})


BLOCKED = """
import sys
sys.modules["grpc"] = None
from colearn_learner.cli import main
main(sys.argv[1:], prog_name="colearn")
"""


def test_missing_grpc_is_reported_with_the_extra_to_install(files: Files):
    command = ("learner", "serve", "--learner", BLOCKING)
    run = subprocess.run([sys.executable, "-c", BLOCKED, *command], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.strip().endswith("pip install 'colearn-ledger[remote]'")
    assert len(run.stderr.splitlines()) == 1
