"""A factory behind a server, and a client that sets up a learner, as in the `colearn` library."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest

from colearn_learner import collective_learning_round, initial_result, set_equal_weights
from colearn_learner.compat.grpc_client import ExampleGRPCLearnerClient, GRPCClientException
from colearn_learner.compat.grpc_server import GRPCServer
from colearn_learner.compat.mli_factory import MliFactory
from colearn_learner.remote.errors import CannotListen, LearnerFailed, Unprotected
from colearn_learner.remote.server import LearnerServer, ServerConfig
from tests.support.remote_servers import LONG
from tests.support.toyworld import TowardsTarget
from tests.support.waiting import wait_until_true


class Targets(MliFactory):
    """A factory of learners that move towards the number that is their location."""

    def get_models(self) -> dict[str, dict[str, Any]]:
        return {"TOY": {"step": 1.0}}

    def get_dataloaders(self) -> dict[str, dict[str, Any]]:
        return {"NUMBERS": {"location": None, "of": 2}}

    def get_compatibilities(self) -> dict[str, set[str]]:
        return {"TOY": {"NUMBERS", "DIGITS"}}

    def get_mli(
        self, model_name: str, model_params: Any, dataloader_name: str, dataset_params: Any
    ) -> Any:
        assert (model_name, dataloader_name, model_params) == ("TOY", "NUMBERS", "{}")
        return TowardsTarget(float(json.loads(dataset_params)["location"]))


@contextmanager
def serve_factory() -> Iterator[GRPCServer]:
    server = GRPCServer(Targets(), port=0)
    server.run(wait_for_termination=False)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def connect(port: int) -> Iterator[ExampleGRPCLearnerClient]:
    client = ExampleGRPCLearnerClient("client", f"127.0.0.1:{port}")
    client.start()
    try:
        yield client
    finally:
        client.stop()


def set_up(client: ExampleGRPCLearnerClient, location: Any) -> bool:
    return client.setup_ml(
        dataset_loader_name="NUMBERS",
        dataset_loader_parameters=json.dumps({"location": location}),
        model_arch_name="TOY",
        model_parameters=json.dumps({}),
    )


def test_client_lists_what_the_factory_can_make():
    with serve_factory() as server, connect(server.port) as client:
        assert client.get_version() == Targets().get_version()
        supported = client.get_supported_system()
    assert json.loads(supported["data_loaders"]["NUMBERS"]) == {"location": None, "of": 2}
    assert json.loads(supported["model_architectures"]["TOY"]) == {"step": 1.0}
    assert supported["compatibilities"] == {"TOY": ["DIGITS", "NUMBERS"]}
    assert len(supported) == 3


def test_clients_learn_together():
    with ExitStack() as running:
        servers = [running.enter_context(serve_factory()) for _ in range(2)]
        clients = [running.enter_context(connect(server.port)) for server in servers]
        assert all(set_up(client, 4) for client in clients)
        set_equal_weights(clients)
        before = initial_result(clients).vote_scores
        results = [collective_learning_round(clients, 0.5, n) for n in range(4)]
        weights = [client.mli_get_current_weights().weights for client in clients]
    assert [result.block_proposer for result in results] == [0, 1, 0, 1]
    assert all(result.vote for result in results)
    assert min(results[-1].vote_scores) > max(before)
    assert np.array_equal(weights[0][0], weights[1][0])


def test_learner_set_up_again_starts_anew():
    with serve_factory() as server, connect(server.port) as client:
        assert set_up(client, 4)
        accepted = client.mli_propose_weights()
        client.mli_accept_weights(accepted)
        assert set_up(client, -8)
        assert client.mli_get_current_weights().weights[0].tolist() == [0, 0, 0]
        assert client.mli_propose_weights().weights[0].tolist() == [-2, -2, -2]
        client.mli_accept_weights(accepted)  # the same as before, which the new learner lacks
        assert client.mli_get_current_weights().weights[0].tolist() == [1, 1, 1]


def test_failed_set_up_is_reported_and_logged(caplog: pytest.LogCaptureFixture):
    with serve_factory() as server, connect(server.port) as client:
        assert set_up(client, "a word") is False
        assert "could not convert string to float: 'a word'" in caplog.text
        assert set_up(client, 4) is True


def test_calls_before_the_set_up_name_the_missing_step():
    with (
        serve_factory() as server,
        connect(server.port) as client,
        pytest.raises(LearnerFailed, match="call setup_ml first"),
    ):
        client.mli_propose_weights()


def test_server_can_be_stopped_and_run_again():
    server = GRPCServer(Targets(), port=0)
    for _ in range(2):
        server.run(wait_for_termination=False)
        with pytest.raises(CannotListen, match="runs already"):
            server.run()
        with connect(server.port) as client:
            assert set_up(client, 4)
        server.stop()


def test_stop_ends_a_server_that_waits():
    server = GRPCServer(Targets(), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until_true(lambda: server.port != 0)
    server.stop()
    thread.join(LONG)
    assert not thread.is_alive()


def test_another_kind_of_server_is_refused():
    server = LearnerServer(TowardsTarget(1.0), ServerConfig(port=0))
    client = ExampleGRPCLearnerClient("client", f"127.0.0.1:{server.start().port}")
    try:
        with pytest.raises(
            GRPCClientException, match=r"client cannot connect: .*check the address"
        ):
            client.start()
    finally:
        client.stop()
        server.stop()


@pytest.mark.parametrize(
    "make",
    [
        lambda: GRPCServer(Targets(), enable_encryption=True),
        lambda: GRPCServer(Targets(), server_key="server.key", server_crt="server.crt"),
        lambda: ExampleGRPCLearnerClient("client", "127.0.0.1:9995", enable_encryption=True),
    ],
)
def test_encryption_without_a_trusted_certificate_is_refused(make: Any):
    with pytest.raises(Unprotected, match="use LearnerServer and RemoteLearner"):
        make()


def test_servers_of_other_machines_are_refused():
    with pytest.raises(Unprotected, match="is on another machine"):
        ExampleGRPCLearnerClient("client", "gpu.example.org:9995")
