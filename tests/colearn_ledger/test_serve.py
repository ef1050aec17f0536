"""The HTTP server: start, stop, and limits for clients."""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import suppress

import pytest

from colearn_ledger.http import BrokenOff, HttpClient, HttpError
from colearn_ledger.serve import (
    AddressNotUsable,
    Limits,
    RateLimit,
    ServerNotInstalled,
    serve,
)
from tests.support.waiting import LIMIT, run_with_limit


def echo_app():
    async def app(scope, receive, send) -> None:
        message = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message["body"]})

    return app


def post(url: str, body: bytes = b"") -> tuple[int, bytes]:
    answer = HttpClient(url).request("POST", "/", body=body, timeout=LIMIT, max_bytes=10_000)
    return answer.status, answer.content


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(1_000):
        data += piece
    return data


def test_requests_are_answered_until_the_end_of_the_block():
    with serve(echo_app, "127.0.0.1", 0) as url:
        for _ in range(3):
            assert post(url, b"hello") == (200, b"hello")
    with pytest.raises(HttpError):
        post(url)


def test_nothing_is_logged_about_start_requests_and_stop(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    with serve(echo_app, "127.0.0.1", 0) as url:
        post(url, b"hello")
    assert caplog.records == []


def test_port_can_be_used_again_after_the_end():
    with serve(echo_app, "127.0.0.1", 0) as url:
        pass
    with serve(echo_app, "127.0.0.1", int(url.rpartition(":")[2])) as again:
        assert again == url


def test_port_in_use_is_reported():
    with (
        serve(echo_app, "127.0.0.1", 0) as url,
        pytest.raises(AddressNotUsable, match="choose another port"),
        serve(echo_app, "127.0.0.1", int(url.rpartition(":")[2])),
    ):
        pass


def test_missing_packages_are_reported_with_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with (
        pytest.raises(ServerNotInstalled, match=r"pip install 'colearn-ledger\[serve\]'"),
        serve(echo_app, "127.0.0.1", 0),
    ):
        pass


def test_request_that_is_too_large_is_refused():
    with serve(echo_app, "127.0.0.1", 0, limits=Limits(max_bytes=10)) as url:
        assert post(url, b"x" * 10)[0] == 200
        assert post(url, b"x" * 11)[0] == 413


@pytest.mark.parametrize(
    "start", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"]
)
def test_request_that_never_ends_is_cut_off(start: bytes):
    with serve(echo_app, "127.0.0.1", 0, limits=Limits(seconds=0.3)) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
            connection.sendall(start)
            with suppress(ConnectionResetError):
                assert b"200" not in run_with_limit(read_all, connection)


def test_peer_above_its_rate_gets_429():
    with serve(echo_app, "127.0.0.1", 0, limits=Limits(per_second=0.001, burst=2)) as url:
        assert [post(url)[0] for _ in range(4)] == [200, 200, 429, 429]


class TestRateLimit:
    def test_peer_may_act_again_after_a_while(self):
        now = [0.0]
        rates = RateLimit(2.0, 1, clock=lambda: now[0])
        assert [rates.allow("a"), rates.allow("a"), rates.allow("b")] == [True, False, True]
        now[0] = 0.5
        assert rates.allow("a")

    def test_memory_is_bounded(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("colearn_ledger.serve._MOST_PEERS", 3)
        rates = RateLimit(1.0, 1)
        for number in range(100):
            rates.allow(str(number))
        assert len(rates._peers) == 3


def test_application_that_fails_does_not_end_the_server():
    def failing_app():
        async def app(*_: object) -> None:
            raise ValueError("a bug")

        return app

    with serve(failing_app, "127.0.0.1", 0) as url:
        for _ in range(2):
            with suppress(BrokenOff):
                assert post(url)[0] == 500
