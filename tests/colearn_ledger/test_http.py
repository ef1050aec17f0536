"""The shared HTTP client against slow, broken and hostile servers."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from colearn_ledger.deadline import Deadline
from colearn_ledger.http import (
    AnswerTooLarge,
    BrokenOff,
    HttpClient,
    HttpError,
    InvalidUrl,
    NotJson,
    TimedOut,
    Unreachable,
)
from tests.support.faulty_server import Call, run_server
from tests.support.waiting import LIMIT, run_with_limit

SECRET = "s3cret"


def clock_of_ticks(seconds: float) -> Deadline:
    """Return a deadline whose clock advances by one second at each reading."""
    ticks = count()
    return Deadline(seconds, clock=lambda: float(next(ticks)))


def get(url: str, *, max_bytes: int = 1_000_000, timeout: float = LIMIT) -> bytes:
    return HttpClient(url).request("GET", "/", timeout=timeout, max_bytes=max_bytes).content


def read_by(deadline: Deadline, url: str) -> None:
    with HttpClient(url).open("GET", "/", deadline=deadline) as stream:
        stream.read(1_000_000)


@contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one connection with a function that receives its socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def work() -> None:
            connection, _ = listener.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(LIMIT)


class TestAnswers:
    def test_status_headers_and_body_are_returned(self):
        with run_server(lambda call: call.answer(b"no", 404, X_Why="gone")) as server:
            answer = HttpClient(server.url).request("GET", "/", timeout=LIMIT, max_bytes=2)
        assert (answer.status, answer.headers["x-why"], answer.content) == (404, "gone", b"no")

    def test_path_is_appended_to_the_path_of_the_url(self):
        with run_server(lambda call: call.answer(b"")) as server:
            for url, path in ((server.url, ""), (server.url + "/a/", "/b?c=d"), (server.url, "/")):
                HttpClient(url).request("GET", path, timeout=LIMIT, max_bytes=0)
            HttpClient(server.url + "/v3/key?x=y").request("POST", timeout=LIMIT, max_bytes=0)
            assert [c.handler.path for c in server.calls] == ["/", "/a/b?c=d", "/", "/v3/key?x=y"]

    def test_body_of_pieces_is_sent_in_chunks_or_with_its_length(self):
        bodies = []

        def behave(call: Call) -> None:
            bodies.append((call.headers.get("content-length"), call.body()))
            call.answer(b"")

        with run_server(behave) as server:
            client = HttpClient(server.url)
            for headers in ({}, {"Content-Length": "6"}):
                deadline = Deadline(LIMIT)
                pieces = iter([b"abc", memoryview(b"def")])
                with client.open("POST", "/", body=pieces, headers=headers, deadline=deadline):
                    pass
        assert bodies == [(None, b"abcdef"), ("6", b"abcdef")]

    def test_early_answer_is_read_although_the_request_was_not_read(self):
        with run_server(lambda call: call.answer(b"full", 507)) as server:
            client = HttpClient(server.url)
            answer = client.request(
                "POST", "/", body=bytes(10_000_000), timeout=LIMIT, max_bytes=10
            )
        assert answer.status == 507

    def test_error_of_the_source_of_a_body_is_raised(self):
        def source() -> Iterator[bytes]:
            yield b"first"
            raise ZeroDivisionError

        def use(url: str) -> None:
            with HttpClient(url).open("POST", "/", body=source(), deadline=Deadline(LIMIT)):
                pass

        with (
            run_server(lambda call: call.answer(call.body())) as server,
            pytest.raises(ZeroDivisionError),
        ):
            use(server.url)

    def test_connection_is_reused_after_a_whole_answer(self):
        def serve(connection: socket.socket) -> None:
            for _ in range(3):
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        with raw_server(serve) as url:
            client = HttpClient(url)
            for _ in range(3):
                answer = client.request("GET", "/", timeout=LIMIT, max_bytes=2)
                assert answer.content == b"ok"

    def test_connection_that_the_server_closed_is_replaced(self):
        with run_server(lambda call: call.answer(b"ok")) as server:  # closes after each answer
            client = HttpClient(server.url)
            for _ in range(3):
                assert client.request("GET", "/", timeout=LIMIT, max_bytes=2).content == b"ok"


class TestTime:
    def test_answer_that_drips_ends_at_the_deadline(self):
        def behave(call: Call) -> None:
            call.start(200, 1_000_000)
            call.drip(every=0.05)

        with (
            run_server(behave) as server,
            pytest.raises(TimedOut, match="did not finish its answer"),
        ):
            run_with_limit(read_by, clock_of_ticks(20), server.url)

    def test_chunked_answer_that_drips_ends_at_the_deadline(self):
        def behave(call: Call) -> None:
            call.start(200, Transfer_Encoding="chunked")
            call.drip(b"1\r\nx\r\n", every=0.05)

        with (
            run_server(behave) as server,
            pytest.raises(TimedOut, match="did not finish its answer"),
        ):
            run_with_limit(read_by, clock_of_ticks(30), server.url)

    def test_headers_that_drip_end_at_the_deadline(self):
        def behave(call: Call) -> None:
            call.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
            call.drip(every=0.05)

        with (
            run_server(behave) as server,
            pytest.raises(TimedOut, match="did not answer within 20 s"),
        ):
            run_with_limit(read_by, clock_of_ticks(20), server.url)

    def test_silent_server_is_abandoned_at_the_deadline(self):
        with run_server(Call.stall) as server, pytest.raises(TimedOut, match=r"within 0\.3 s"):
            get(server.url, timeout=0.3)

    def test_server_that_does_not_read_is_abandoned_at_the_deadline(self):
        def use(url: str) -> None:
            body = iter([bytes(1_000_000)] * 100)
            with HttpClient(url).open("POST", "/", body=body, deadline=Deadline(0.3)):
                pass

        with run_server(Call.stall) as server, pytest.raises(TimedOut):
            run_with_limit(use, server.url)

    def test_handshake_of_tls_that_drips_ends_at_the_deadline(self):
        stop = threading.Event()

        def serve(connection: socket.socket) -> None:
            while not stop.wait(0.05):
                connection.sendall(b"\x16")

        with raw_server(serve) as url:
            with pytest.raises((Unreachable, TimedOut)):
                run_with_limit(get, url.replace("http", "https"))
            stop.set()

    def test_reused_connection_has_the_deadline_of_each_request(self):
        def serve(connection: socket.socket) -> None:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            connection.recv(65_536)
            connection.recv(1)  # returns once the client gives up

        with raw_server(serve) as url:
            client = HttpClient(url)
            client.request("GET", "/", timeout=LIMIT, max_bytes=2)
            with pytest.raises(TimedOut, match=r"0\.2 s"):
                client.request("GET", "/", timeout=0.2, max_bytes=2)


class TestSize:
    def test_endless_body_is_cut_off_at_the_limit(self):
        def behave(call: Call) -> None:
            call.start()
            call.flood()

        with (
            run_server(behave) as server,
            pytest.raises(AnswerTooLarge, match="more than 1,000,000"),
        ):
            run_with_limit(get, server.url)

    def test_endless_header_is_refused(self):
        def behave(call: Call) -> None:
            call.send(b"HTTP/1.1 200 OK\r\nX: ")
            call.flood()

        with run_server(behave) as server, pytest.raises(BrokenOff):
            run_with_limit(get, server.url)

    @pytest.mark.parametrize(
        "start", [b"SSH-2.0-OpenSSH_9.2p1\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00" * 100, b""]
    )
    def test_answer_that_is_not_http_is_refused(self, start: bytes):
        with run_server(lambda call: call.send(start)) as server, pytest.raises(BrokenOff):
            get(server.url)

    def test_incomplete_answer_is_refused(self):
        def behave(call: Call) -> None:
            call.start(200, 1_000)
            call.send(b"x" * 999)

        with run_server(behave) as server, pytest.raises(BrokenOff):
            get(server.url)

    def test_incomplete_chunked_answer_is_refused(self):
        def behave(call: Call) -> None:
            call.start(200, Transfer_Encoding="chunked")
            call.send(b"3\r\nabc\r\n")

        with run_server(behave) as server, pytest.raises(BrokenOff):
            get(server.url)


class TestJson:
    def json_of(self, content: bytes) -> object:
        with run_server(lambda call: call.answer(content)) as server:
            client = HttpClient(server.url)
            return client.request("GET", "/", timeout=LIMIT, max_bytes=1_000_000).json()

    def test_json_is_parsed(self):
        assert self.json_of(json.dumps({"a": [1, "ü"]}).encode()) == {"a": [1, "ü"]}

    @pytest.mark.parametrize(
        "content",
        [b"[" * 70_000, b'{"a":' * 70_000, b"[" * 70_000 + b"]" * 70_000, b"", b"<html>", b"\xff"],
        ids=["brackets", "braces", "closed brackets", "nothing", "html", "not utf-8"],
    )
    def test_hostile_json_is_refused_before_it_is_parsed(
        self, content: bytes, monkeypatch: pytest.MonkeyPatch
    ):
        if len(content) > 70_000 - 1:

            def parse(*_: object, **__: object) -> None:
                raise AssertionError("deeply nested JSON was given to the parser")

            monkeypatch.setattr("colearn_ledger.text.strict_json.json.loads", parse)
        with pytest.raises(NotJson, match="not valid JSON"):
            self.json_of(content)


class TestSecrets:
    def test_no_error_or_log_repeats_the_path_query_or_user(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ):
        caplog.set_level(logging.DEBUG)
        behaviours: list[Callable[[Call], None]] = [
            lambda call: call.send(b"garbage\r\n"),
            lambda call: call.start(200, 10),
            Call.stall,
        ]
        errors = []
        for behave in behaviours:
            with run_server(behave) as server:
                url = server.url.replace("//", f"//ann:{SECRET}@") + f"/{SECRET}?key={SECRET}"
                client = HttpClient(url)
                with pytest.raises(HttpError) as caught:
                    client.request("POST", timeout=0.3, max_bytes=1_000)
            errors.append(caught.value)
        with pytest.raises(Unreachable) as caught:
            client.request("POST", timeout=LIMIT, max_bytes=1_000)
        for error in (*errors, caught.value):
            assert SECRET not in str(error)
            assert error.__cause__ is None
            assert error.__suppress_context__
        assert SECRET not in caplog.text

    def test_warning_about_malformed_headers_masks_the_url(self, caplog: pytest.LogCaptureFixture):
        with run_server(lambda call: call.send(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n")) as server:
            get(f"{server.url}/{SECRET}?key={SECRET}")
        assert "Failed to parse headers" in caplog.text
        assert SECRET not in caplog.text

    def test_password_of_a_url_is_sent_as_basic_authentication(self):
        with run_server(lambda call: call.answer(b"")) as server:
            get(server.url.replace("//", "//ann:p%40ss@"))
            assert server.calls[0].headers["authorization"] == "Basic YW5uOnBAc3M="

    def test_netrc_is_not_read(self, tmp_path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        with run_server(lambda call: call.answer(b"")) as server:
            get(server.url)
            assert "authorization" not in server.calls[0].headers

    @pytest.mark.parametrize(
        "url",
        ["", "host:1", "ftp://host", "http://", "http://h:99999", "http://h/a b", "http://[::1"],
    )
    def test_malformed_url_is_refused(self, url: str):
        with pytest.raises(InvalidUrl, match="not the URL of a server"):
            HttpClient(url)

    def test_secret_in_a_malformed_url_is_not_repeated(self):
        with pytest.raises(InvalidUrl) as caught:
            HttpClient(f"ftp://ann:{SECRET}@host/{SECRET}")
        assert SECRET not in str(caught.value)


class TestRedirects:
    def follow(self, url: str, times: int = 3) -> int:
        client = HttpClient(url, authorization=f"Bearer {SECRET}")
        with client.open("GET", "/", deadline=Deadline(LIMIT), redirects=times) as stream:
            stream.read(1_000)
            return stream.status

    def test_redirects_are_followed_only_on_request(self):
        with run_server(lambda call: call.answer(b"", 302, Location="/x")) as server:
            assert self.follow(server.url, 0) == 302
            assert len(server.calls) == 1

    def test_endless_chain_of_redirects_ends(self):
        with run_server(lambda call: call.answer(b"", 302, Location="/x")) as server:
            assert self.follow(server.url) == 302
            assert len(server.calls) == 4

    def test_credentials_go_to_the_same_server_only(self):
        with run_server(lambda call: call.answer(b"")) as other:
            targets = iter(["/next", other.url + "/there"])

            def behave(call: Call) -> None:
                call.answer(b"", 307, Location=next(targets))

            with run_server(behave) as server:
                assert self.follow(server.url) == 200
                assert all("authorization" in call.headers for call in server.calls)
            assert "authorization" not in other.calls[0].headers

    @pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/", "http://h:99999/"])
    def test_redirects_lead_to_http_only(self, target: str):
        with (
            run_server(lambda call: call.answer(b"", 302, Location=target)) as server,
            pytest.raises(BrokenOff, match="redirects to something"),
        ):
            self.follow(server.url)


class TestProxies:
    @pytest.fixture
    def proxy(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Call]]:
        for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with run_server(lambda call: call.answer(b"by proxy")) as server:
            url = server.url.replace("//", "//ann:pw@")
            monkeypatch.setenv("http_proxy", url)
            monkeypatch.setenv("https_proxy", url)
            yield server.calls

    def test_proxy_of_the_environment_is_used(self, proxy: list[Call]):
        assert get("http://node.example/a") == b"by proxy"
        assert proxy[0].handler.path == "http://node.example/a/"
        assert proxy[0].headers["host"] == "node.example"
        assert proxy[0].headers["proxy-authorization"].startswith("Basic ")

    def test_server_on_this_machine_is_reached_directly(self, proxy: list[Call]):
        with run_server(lambda call: call.answer(b"directly")) as server:
            assert get(server.url) == b"directly"
        assert proxy == []

    def test_https_goes_through_a_tunnel(self, proxy: list[Call]):
        with pytest.raises(Unreachable):  # this proxy does not support CONNECT
            get("https://node.example")
        assert proxy == []
