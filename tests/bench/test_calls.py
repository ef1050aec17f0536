"""The relays that count what agents ask."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from bench.relays import Count, GrpcRelay, Relay
from colearn_ledger.http import HttpClient
from tests.support.faulty_server import Call, run_server


def answer(call: Call) -> None:
    call.body()
    call.answer(b'{"method": "eth_subscription"}')


def test_relay_counts_requests_and_bytes_and_changes_nothing():
    with run_server(answer) as server, Relay(server.url) as relay:
        for path in ("/api/v0/pin/ls?arg=x", "/api/v0/cat?arg=x", "/api/v0/cat?arg=y"):
            client = HttpClient(relay.url + path)
            body = b'{"method": "eth_call"}'
            answered = client.request("POST", body=body, headers={}, timeout=30, max_bytes=1_000)
            assert answered.json() == {"method": "eth_subscription"}
        counted = relay.count()
    assert counted.names == {"pin/ls": 1, "cat": 2, "eth_call": 3}
    assert counted.calls == 6
    assert counted.pushed == 3
    assert counted.up > 3 * len(body)


def test_difference_of_counts_is_what_was_asked_in_between():
    early = Count(Counter(a=1), 1, 10, 100)
    late = early + Count(Counter(a=1, b=2), 2, 20, 200)
    assert late - early == Count(Counter(a=1, b=2), 2, 20, 200)


class CosmosNode(grpc.GenericRpcHandler):
    """A node that answers with the request, reversed, and refuses an empty one."""

    def service(self, details: Any) -> Any:
        def respond(request: bytes, context: Any) -> bytes:
            if not request:
                context.abort(grpc.StatusCode.NOT_FOUND, "tx not found")
            context.send_initial_metadata([("x-cosmos-block-height", "7")])
            return request[::-1]

        return grpc.unary_unary_rpc_method_handler(respond)


def test_relay_of_grpc_counts_requests_and_bytes_and_changes_nothing():
    server = grpc.server(ThreadPoolExecutor(2), handlers=[CosmosNode()])
    url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    with GrpcRelay(url) as relay, grpc.insecure_channel(relay.url[len("http://") :]) as channel:
        ask = channel.unary_unary("/cosmos.tx.v1beta1.Service/GetTx")
        answer, call = ask.with_call(b"abcd")
        assert answer == b"dcba"
        assert ("x-cosmos-block-height", "7") in call.initial_metadata()
        with pytest.raises(grpc.RpcError, match="tx not found"):
            ask(b"")
        counted = relay.count()
    server.stop(None)
    assert counted == Count(Counter(GetTx=2), 0, 4, 4)
