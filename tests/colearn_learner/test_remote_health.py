"""gRPC's health service, queried as by `grpc_health_probe` and Kubernetes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from colearn_learner.remote.addresses import Address, format_target
from tests.support.remote_servers import LONG, Gate, connect_learner, serve_learner
from tests.support.toyworld import TowardsTarget

SERVING = health_pb2.HealthCheckResponse.SERVING


def check_health(address: Address, service: str) -> int:
    direct = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(format_target(address.host, address.port), direct) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        return stub.Check(request, timeout=LONG).status


@pytest.mark.parametrize("service", ["", "colearn.learner.v1.Learner"])
def test_health_is_reported_without_a_token(service: str):
    with serve_learner(TowardsTarget(4), token="correct-horse-battery-staple") as address:
        assert check_health(address, service) == SERVING


def test_training_server_reports_that_it_serves():
    learner = Gate(TowardsTarget(4))
    with (
        serve_learner(learner) as address,
        connect_learner(address) as there,
        ThreadPoolExecutor(1) as pool,
    ):
        learner.closed = True
        training = pool.submit(there.mli_propose_weights)
        assert learner.training.acquire(timeout=LONG)
        assert check_health(address, "") == SERVING
        learner.go.release()
        training.result(LONG)


def test_unknown_service_is_not_found():
    with serve_learner(TowardsTarget(4)) as address, pytest.raises(grpc.RpcError) as refused:
        check_health(address, "another.Service")
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


def test_watching_the_health_is_refused_because_it_would_occupy_a_thread():
    direct = [("grpc.enable_http_proxy", 0)]
    with (
        serve_learner(TowardsTarget(4)) as address,
        grpc.insecure_channel(format_target(address.host, address.port), direct) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        with pytest.raises(grpc.RpcError) as refused:
            next(watch)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
