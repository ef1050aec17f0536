"""Connections to a learner's server: TLS, tokens, versions, and servers that start or stop."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from colearn_learner.errors import InvalidArgument
from colearn_learner.interface import Weights
from colearn_learner.remote import server as server_module
from colearn_learner.remote.client import RemoteConfig, RemoteLearner
from colearn_learner.remote.errors import (
    CannotListen,
    InvalidAddress,
    InvalidToken,
    LearnerRefused,
    LearnerUnavailable,
    Unprotected,
)
from colearn_learner.remote.server import LearnerServer, ServerConfig
from tests.support.certificates import make_certificate
from tests.support.defective_learners import Sound
from tests.support.remote_servers import (  # noqa: F401
    LONG,
    Gate,
    connect_learner,
    serve_learner,
    unused_address,
)
from tests.support.toyworld import TowardsTarget

TOKEN = "correct-horse-battery-staple"


# ------------------------------------------------------------------ permissions


def test_caller_without_the_token_is_refused(caplog):
    with caplog.at_level(logging.DEBUG), serve_learner(Sound(), token=TOKEN) as address:
        with connect_learner(address, token=TOKEN) as there:
            assert there.mli_propose_weights()
        for token in (None, TOKEN[:-1], TOKEN + "x", TOKEN.upper()):
            with pytest.raises(LearnerRefused, match="token is missing or is not"):
                RemoteLearner(str(address), RemoteConfig(token=token)).reach()
    assert "refused a caller" in caplog.text
    assert TOKEN not in caplog.text


def test_repr_hides_token_and_key():
    server = ServerConfig(token=TOKEN, certificate=b"c", key=b"hunter2")
    for shown in (repr(server), repr(RemoteConfig(token=TOKEN))):
        assert TOKEN not in shown
        assert "hunter2" not in shown
    with pytest.raises(InvalidToken):
        ServerConfig(token="short")
    with pytest.raises(InvalidToken):
        RemoteConfig(token="short")


def fetch_weights(address: Any, **config: Any) -> Weights:
    with RemoteLearner(str(address), RemoteConfig(patience=0, **config)) as learner:
        learner.reach()
        return learner.mli_get_current_weights()


def test_tls_connection_requires_the_right_certificate_and_token():
    pair, other = make_certificate("127.0.0.1"), make_certificate("127.0.0.1")
    secret = {"certificate": pair.certificate, "key": pair.key, "token": TOKEN}
    with serve_learner(TowardsTarget(4), **secret) as address:
        assert address.tls
        assert fetch_weights(address, ca=pair.certificate, token=TOKEN) == Weights([np.zeros(3)])
        for ca in (other.certificate, None):
            with pytest.raises(LearnerRefused, match="certificate that is not trusted"):
                fetch_weights(address, ca=ca, token=TOKEN)
        with pytest.raises(LearnerRefused, match="token is missing"):
            fetch_weights(address, ca=pair.certificate)
        with pytest.raises(LearnerUnavailable):  # plain text to a server that speaks TLS
            fetch_weights(replace(address, tls=False), token=TOKEN)


def test_certificate_for_another_name_requires_server_name():
    pair = make_certificate("gpu.example.org")
    with serve_learner(TowardsTarget(4), certificate=pair.certificate, key=pair.key) as address:
        with pytest.raises(LearnerRefused, match="certificate that is not trusted"):
            fetch_weights(address, ca=pair.certificate)
        assert fetch_weights(address, ca=pair.certificate, server_name="gpu.example.org")


def test_tls_client_does_not_connect_to_a_server_without_tls():
    learner = TowardsTarget(4)
    with (
        serve_learner(learner) as address,
        pytest.raises(LearnerUnavailable, match="does not answer"),
    ):
        fetch_weights(replace(address, tls=True), token=TOKEN)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gpu.example.org"])
def test_serving_other_machines_requires_tls_and_a_token(host: str):
    pair = {"certificate": b"c", "key": b"k"}
    for config in ({}, pair, {"token": TOKEN}):
        with pytest.raises(Unprotected, match="only with TLS and a token"):
            ServerConfig(host, **config)
    assert ServerConfig(host, token=TOKEN, **pair)
    for half in ({"certificate": b"c"}, {"key": b"k"}):
        with pytest.raises(Unprotected, match="both a certificate and its key"):
            ServerConfig(**half)


def test_connecting_to_another_machine_requires_tls():
    with pytest.raises(Unprotected, match=r"use grpcs://gpu\.example\.org:9995"):
        RemoteLearner("grpc://gpu.example.org:9995", RemoteConfig(token=TOKEN))
    with pytest.raises(InvalidArgument, match="does not use TLS"):
        RemoteLearner("grpc://127.0.0.1:9995", RemoteConfig(ca=b"x"))
    with pytest.raises(InvalidAddress):
        RemoteLearner("http://127.0.0.1:9995")


@pytest.mark.parametrize(
    "wrong",
    [
        *({"deadline": 0}, {"deadline": "soon"}, {"deadline": 1e300}, {"max_bytes": 0}),
        *({"patience": -1}, {"patience": True}, {"patience": float("nan")}),
    ],
)
def test_configuration_numbers_out_of_range_are_refused(wrong: dict[str, Any]):
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        RemoteConfig(**wrong)


# ------------------------------------------------------------------ missing servers


def test_error_for_a_missing_server_contains_a_remedy(unused_address: str):  # noqa: F811
    with pytest.raises(LearnerUnavailable, match=r"refused.*check that it runs"):
        fetch_weights(unused_address)


def test_client_waits_for_a_server_that_starts_later(unused_address: str):  # noqa: F811
    learner = RemoteLearner(unused_address, RemoteConfig(patience=LONG))
    failing = threading.Event()
    close_channel = learner._close_channel

    def close_and_notify() -> None:
        failing.set()
        close_channel()

    learner._close_channel = close_and_notify
    with ThreadPoolExecutor(1) as pool:
        reaching = pool.submit(learner.mli_get_current_weights)
        assert failing.wait(LONG)
        with serve_learner(TowardsTarget(4)) as address:
            learner.address = address
            assert reaching.result() == Weights([np.zeros(3)])
            learner.close()


def test_other_protocol_version_is_refused(monkeypatch):
    monkeypatch.setattr(server_module, "VERSION", 2)
    with (
        serve_learner(TowardsTarget(4)) as address,
        pytest.raises(LearnerRefused, match="uses version 2"),
    ):
        fetch_weights(address)


def test_grpc_server_without_a_learner_is_refused(monkeypatch):
    monkeypatch.setattr(server_module, "METHODS", ())
    with (
        serve_learner(TowardsTarget(4)) as address,
        pytest.raises(LearnerRefused, match="is not a learner's server"),
    ):
        fetch_weights(address)


def test_taken_port_is_reported():
    with (
        serve_learner(TowardsTarget(4)) as address,
        pytest.raises(CannotListen, match="the port is taken"),
    ):
        LearnerServer(TowardsTarget(4), ServerConfig(port=address.port)).start()


def call_until_refused(address: Any) -> None:
    """Call a server until it refuses all calls, even those that need no learner."""
    with RemoteLearner(str(address), RemoteConfig(patience=0)) as learner:
        while True:
            try:
                learner._hello(0)
            except LearnerUnavailable:
                return


def test_stopping_server_finishes_its_current_call_and_refuses_new_ones():
    learner = Gate(TowardsTarget(4))
    server = LearnerServer(learner, ServerConfig(port=0))
    address = server.start()
    with connect_learner(address, patience=0) as there, ThreadPoolExecutor(3) as pool:
        learner.closed = True
        training = pool.submit(there.mli_propose_weights)
        assert learner.training.acquire(timeout=LONG)
        ending = pool.submit(server.stop)
        call_until_refused(address)
        learner.go.release()
        assert training.result(LONG).weights[0][0] == 1.0
        ending.result(LONG)
        with pytest.raises(LearnerUnavailable):
            there.mli_propose_weights()
    assert learner.trainings == 1
