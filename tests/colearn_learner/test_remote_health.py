"""gRPC's health service, asked as `grpc_health_probe` and Kubernetes ask it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from colearn_learner.remote.addresses import Address, target_of
from colearn_learner.remote.health import Health
from tests.support.remote_servers import LONG, Gate, connected, served
from tests.support.toyworld import TowardsTarget

SERVING, NOT_SERVING = 1, 2


def messages() -> tuple[Any, Any]:
    """Return request and response of grpc.health.v1 as protobuf itself makes them."""
    file = descriptor_pb2.FileDescriptorProto(
        name="health_of_the_tests.proto", package="tests.health", syntax="proto3"
    )
    request = file.message_type.add(name="HealthCheckRequest")
    request.field.add(name="service", number=1, type=9, label=1)  # string
    response = file.message_type.add(name="HealthCheckResponse")
    response.field.add(name="status", number=1, type=5, label=1)  # as an enum: a varint
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    of = pool.FindMessageTypeByName
    made = (of("tests.health.HealthCheckRequest"), of("tests.health.HealthCheckResponse"))
    return tuple(map(message_factory.GetMessageClass, made))


REQUEST, RESPONSE = messages()


def health(address: Address, service: str) -> int:
    direct = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(target_of(address.host, address.port), direct) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=REQUEST.SerializeToString,
            response_deserializer=RESPONSE.FromString,
        )
        return check(REQUEST(service=service), timeout=LONG).status


@pytest.mark.parametrize("service", ["", "colearn.learner.v1.Learner"])
def test_a_server_says_that_it_serves_to_who_has_no_token(service: str):
    with served(TowardsTarget(4), token="correct-horse-battery-staple") as address:
        assert health(address, service) == SERVING


def test_a_server_that_trains_serves():
    learner = Gate(TowardsTarget(4))
    with (
        served(learner) as address,
        connected(address) as there,
        ThreadPoolExecutor(1) as pool,
    ):
        learner.closed = True
        training = pool.submit(there.mli_propose_weights)
        assert learner.training.acquire(timeout=LONG)
        assert health(address, "") == SERVING
        learner.go.release()
        training.result(LONG)


def test_a_service_that_is_not_there_is_not_found():
    with served(TowardsTarget(4)) as address, pytest.raises(grpc.RpcError) as refused:
        health(address, "another.Service")
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_server_that_ends_says_so():
    stopping = threading.Event()
    answering = Health(("a.Service",), stopping)
    request = REQUEST(service="a.Service").SerializeToString()
    for status in (SERVING, NOT_SERVING):
        assert RESPONSE.FromString(answering._answer(request, None)).status == status
        stopping.set()
