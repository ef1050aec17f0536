"""The relay that counts what agents ask."""

from __future__ import annotations

from collections import Counter

from bench.calls import Count, Relay
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
