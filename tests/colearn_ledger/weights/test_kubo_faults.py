"""Broken, slow and hostile nodes and gateways: each becomes an error of the port, in time."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest
from contract import ANY_SIZE, read
from faulty import Call, faulty

from colearn_ledger.protocol import LedgerError
from colearn_ledger.weights.addresses import NodeAddress, StoreNotUsable
from colearn_ledger.weights.gateway import GatewayStore
from colearn_ledger.weights.kubo import KuboStore
from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentNotStored,
    ContentStore,
    ContentTooLarge,
    ContentUnavailable,
)
from colearn_ledger.weights.streams import PIECE, NodeError, Patience, pushed
from colearn_ledger.weights.unixfs import content_ref

DATA = bytes(range(256)) * 8_000
CONTENT = content_ref([DATA])
QUICK = Patience(timeout=1.5, silence=0.5, retries=2)

KINDS = pytest.mark.parametrize("kind", [KuboStore, GatewayStore])
Kind = Callable[..., ContentStore]


def kubo_error(message: str) -> Callable[[Call], None]:
    answer = json.dumps({"Message": message, "Code": 0, "Type": "error"}).encode()
    return lambda call: call.answer(answer, 500)


def serve(call: Call, data: bytes = DATA) -> None:
    """Answer as a node or gateway does."""
    rest = data[call.offset :]
    if "range" in call.headers:
        span = f"bytes {call.offset}-{len(data) - 1}/{len(data)}"
        call.answer(rest, 206, Content_Range=span)
    else:
        call.answer(rest)


@KINDS
class TestReading:
    def test_the_faultless_answer_is_read(self, kind: Kind):
        with faulty(serve) as server:
            assert read(kind(server.url, patience=QUICK), CONTENT) == DATA

    @pytest.mark.parametrize("at", [0, 1_000_000, len(DATA) - 1])
    def test_one_wrong_bit_is_a_mismatch_before_the_last_piece(self, kind: Kind, at: int):
        wrong = bytearray(DATA)
        wrong[at] ^= 1
        got: list[bytes] = []
        with (
            faulty(lambda call: serve(call, bytes(wrong))) as server,
            kind(server.url, patience=QUICK).get(CONTENT, max_size=ANY_SIZE) as pieces,
            pytest.raises(ContentMismatch),
        ):
            got.extend(pieces)
        assert sum(map(len, got)) < len(DATA)

    def test_a_broken_stream_is_taken_up_where_it_broke(self, kind: Kind):
        offsets = []

        def behave(call: Call) -> None:
            offsets.append(call.offset)
            headers = {"Content_Range": f"bytes {call.offset}-"} if call.offset else {}
            call.start(206 if call.offset else 200, len(DATA) - call.offset, **headers)
            call.send(DATA[call.offset : call.offset + 700_000])

        with faulty(behave) as server:
            assert read(kind(server.url, patience=QUICK), CONTENT) == DATA
        steps = [b - a for a, b in pairwise(offsets)]
        assert len(steps) >= 2
        assert all(700_000 - PIECE <= step <= 700_000 for step in steps)

    def test_so_is_one_that_stalls(self, kind: Kind):
        def behave(call: Call) -> None:
            if call.offset:
                serve(call)
            else:
                call.start(200, len(DATA))
                call.send(DATA[:900_000])
                call.stall()

        with faulty(behave) as server:
            store = kind(server.url, patience=Patience(timeout=10, silence=0.5, retries=2))
            assert read(store, CONTENT) == DATA

    def test_an_answer_that_never_begins(self, kind: Kind):
        self.ends_in_time(kind, Call.stall, ContentUnavailable, "sent nothing for 0.5 s")

    def test_an_answer_whose_headers_drip(self, kind: Kind):
        self.ends_in_time(kind, lambda call: call.drip(), ContentUnavailable, "sent nothing")

    def test_a_stream_that_drips(self, kind: Kind):
        def behave(call: Call) -> None:
            call.start(200, len(DATA))
            call.drip()

        self.ends_in_time(kind, behave, ContentUnavailable, "sent nothing|did not deliver")

    def test_a_stream_that_is_slower_than_the_deadline(self, kind: Kind):
        def behave(call: Call) -> None:
            call.start(200, len(DATA))
            while True:
                call.send(DATA[:270_000])
                time.sleep(0.3)

        self.ends_in_time(
            kind, behave, ContentUnavailable, "did not deliver within 1.5 s", DATA * 9
        )

    def test_a_stream_without_end(self, kind: Kind):
        def behave(call: Call) -> None:
            call.start()
            call.flood()

        self.ends_in_time(kind, behave, (ContentTooLarge, ContentMismatch), None)

    def test_an_error_without_end(self, kind: Kind):
        def behave(call: Call) -> None:
            call.start(500)
            call.flood(b"[[[[" * 10_000)

        tracemalloc.start()
        self.ends_in_time(kind, behave, ContentUnavailable, "HTTP 500")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
        tracemalloc.stop()

    @pytest.mark.parametrize("status", [429, 502, 503])
    def test_a_momentary_refusal_is_asked_again(self, kind: Kind, status: int):
        refusals = [status, status]

        def behave(call: Call) -> None:
            if refusals:
                call.answer(b"later", refusals.pop())
            else:
                serve(call)

        with faulty(behave) as server:
            assert read(kind(server.url, patience=QUICK), CONTENT) == DATA

    def test_a_lasting_one_is_not(self, kind: Kind):
        with faulty(lambda call: call.answer(b"no", 403)) as server:
            with pytest.raises(ContentUnavailable, match="token"):
                read(kind(server.url, patience=QUICK), CONTENT)
            assert len(server.calls) == 1

    def test_retries_are_bounded(self, kind: Kind):
        with faulty(lambda call: call.answer(b"later", 503)) as server:
            with pytest.raises(ContentUnavailable, match="503"):
                read(kind(server.url, patience=QUICK), CONTENT)
            assert len(server.calls) == QUICK.retries + 1

    def test_garbage_in_place_of_http(self, kind: Kind):
        def behave(call: Call) -> None:
            call.send(b"SSH-2.0-OpenSSH_9.2p1\r\n" * 5)

        self.ends_in_time(kind, behave, ContentUnavailable, None)

    def test_the_token_is_sent_and_never_shown(self, kind: Kind, caplog):
        caplog.set_level(logging.DEBUG)
        with faulty(serve) as server:
            store = kind(server.url, token="s3cret", patience=QUICK)
            assert read(store, CONTENT) == DATA
            assert server.calls[0].headers["authorization"] == "Bearer s3cret"
            server.behave = lambda call: call.answer(b"no", 401)
            with pytest.raises(LedgerError) as caught:
                read(store, CONTENT)
        assert "s3cret" not in str(caught.value) + repr(store) + caplog.text

    def test_so_is_a_password(self, kind: Kind, caplog):
        caplog.set_level(logging.DEBUG)
        with faulty(serve) as server:
            store = kind(server.url.replace("//", "//ann:p%40ss@"), patience=QUICK)
            assert read(store, CONTENT) == DATA
            assert server.calls[0].headers["authorization"] == "Basic YW5uOnBAc3M="
            server.behave = lambda call: call.answer(b"no", 401)
            with pytest.raises(LedgerError) as caught:
                read(store, CONTENT)
        assert "p%40ss" not in str(caught.value) + repr(store) + caplog.text

    def test_a_redirect_does_not_carry_the_token_away(self, kind: Kind):
        with faulty(serve) as thief:
            aside = thief.url.replace("127.0.0.1", "localhost")

            def behave(call: Call) -> None:
                call.answer(b"", 302, Location=aside + call.handler.path)

            with faulty(behave) as server:
                assert read(kind(server.url, token="s3cret", patience=QUICK), CONTENT) == DATA
            assert "authorization" not in thief.calls[0].headers

    def test_nobody_there(self, kind: Kind):
        with faulty(serve) as server:
            pass
        with pytest.raises(ContentUnavailable, match=r"can not be reached.*refused"):
            read(kind(server.url, patience=QUICK), CONTENT)

    def ends_in_time(self, kind, behave, error, match: str | None, data: bytes = DATA) -> None:
        began = time.monotonic()
        with faulty(behave) as server:
            with pytest.raises(error, match=match):
                read(kind(server.url, patience=QUICK), content_ref([data]))
            assert time.monotonic() - began < 4


class TestGatewayOnly:
    def test_without_ranges_the_beginning_is_left_out(self):
        turns = []

        def behave(call: Call) -> None:
            turns.append(call)
            call.start(200, len(DATA))
            call.send(DATA if len(turns) > 1 else DATA[:700_001])

        with faulty(behave) as server:
            assert read(GatewayStore(server.url, patience=QUICK), CONTENT) == DATA

    def test_another_part_than_asked_for_is_refused(self):
        def behave(call: Call) -> None:
            if call.offset:
                call.answer(DATA, 206, Content_Range="bytes 5-9/10")
            else:
                call.start(200, len(DATA))
                call.send(DATA[:700_000])

        with faulty(behave) as server, pytest.raises(ContentUnavailable, match="bytes 5-9"):
            read(GatewayStore(server.url, patience=QUICK), CONTENT)

    def test_one_that_serves_blocks_only_says_so(self):
        with (
            faulty(lambda call: call.answer(b"", 406)) as server,
            pytest.raises(ContentUnavailable, match="whole files"),
        ):
            read(GatewayStore(server.url, patience=QUICK), CONTENT)

    def test_a_redirect_leads_nowhere_but_to_http(self, tmp_path):
        (tmp_path / "file").write_bytes(DATA)
        behave = lambda call: call.answer(b"", 302, Location=f"file://{tmp_path}/file")  # noqa: E731
        with faulty(behave) as server, pytest.raises(ContentUnavailable):
            read(GatewayStore(server.url, patience=QUICK), CONTENT)


class TestPutting:
    def put(
        self, behave: Callable[[Call], None], match: str | None, data: bytes = DATA
    ) -> list[Call]:
        began = time.monotonic()
        with faulty(behave) as server:
            with pytest.raises(ContentNotStored, match=match):
                KuboStore(server.url, patience=QUICK).put([data])
            assert time.monotonic() - began < 5
            return server.calls

    def test_it_asks_for_what_the_cid_depends_on(self):
        def behave(call: Call) -> None:
            body = call.body()
            assert DATA in body
            call.answer(json.dumps({"Name": "x", "Hash": CONTENT.cid, "Size": "1"}).encode())

        with faulty(behave) as server:
            assert KuboStore(server.url, patience=QUICK).put([DATA]) == CONTENT
            [call] = server.calls
        wanted = {
            "cid-version": "1",
            "raw-leaves": "true",
            "pin": "true",
            "chunker": "size-262144",
        }
        assert wanted.items() <= call.options.items()

    def test_another_cid_is_an_error_and_unpinned(self):
        other = content_ref([b"other"]).cid

        def behave(call: Call) -> None:
            if call.command == "add":
                call.body()
                call.answer(json.dumps({"Hash": other}).encode())
            else:
                call.answer(b"{}")

        calls = self.put(behave, "other bytes")
        assert [(c.command, c.options.get("arg")) for c in calls[1:]] == [("pin/rm", other)]

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"not json",
            b"[" * 50_000,
            b"null",
            b"[]",
            b'{"Hash": 5}',
            b'{"Hash": null}',
            b'{"Hash": "../../x"}',
            b'{"Hash"',
            b"\xff\xfe",
            b'{"Message": "disk full", "Code": 0, "Type": "error"}',
            b'{"Bytes": 1}\n{"Hash": "x"}',
        ],
    )
    def test_answers_that_are_none(self, answer: bytes):
        def behave(call: Call) -> None:
            call.body()
            call.answer(answer)

        self.put(behave, None)

    def test_an_answer_without_end(self):
        def behave(call: Call) -> None:
            call.body()
            call.start()
            call.flood()

        self.put(behave, "without end")

    def test_a_node_that_takes_nothing(self):
        self.put(Call.stall, "took no byte|did not answer", DATA * 20)

    def test_a_node_that_takes_all_and_does_not_answer(self):
        def behave(call: Call) -> None:
            call.body()
            call.stall()

        self.put(behave, "did not answer within 1.5 s")

    def test_a_node_that_answers_in_the_middle(self):
        """With the right CID of the part that it read, say."""

        def behave(call: Call) -> None:
            part = content_ref([DATA[:262_144]]).cid
            call.answer(json.dumps({"Hash": part}).encode())

        self.put(behave, None, DATA * 40)

    def test_its_own_words_are_kept(self):
        def behave(call: Call) -> None:
            call.body()
            kubo_error("no space left on device")(call)

        self.put(behave, "no space left on device")

    def test_hostile_words_are_escaped_and_cut(self):
        def behave(call: Call) -> None:
            call.body()
            kubo_error("\x1b[31m" + "x" * 9_000)(call)

        with faulty(behave) as server, pytest.raises(ContentNotStored) as caught:
            KuboStore(server.url, patience=QUICK).put([DATA])
        assert "\x1b" not in str(caught.value)
        assert len(str(caught.value)) < 500

    def test_a_source_that_fails_breaks_the_upload_off(self):
        arrived, ended = threading.Event(), threading.Event()

        def behave(call: Call) -> None:
            arrived.set()
            with suppress(ValueError):  # the body ended before its end
                call.body()
                ended.set()

        def failing():
            yield DATA
            arrived.wait(5)
            raise ConnectionError("gone")

        with faulty(behave) as server:
            with pytest.raises(ConnectionError):
                KuboStore(server.url, patience=QUICK).put(failing())
            assert not ended.wait(0.5)

    def test_nothing_is_sent_for_no_bytes(self):
        with faulty(serve) as server:
            with pytest.raises(LedgerError):
                KuboStore(server.url, patience=QUICK).put([b""])
            assert server.calls == []


class TestPushing:
    def test_an_answer_before_the_whole_file_was_taken_is_none(self):
        with pytest.raises(NodeError, match="before it had the whole file"):
            pushed(lambda pieces: next(pieces), [b"piece"] * 1_000, patience=QUICK)

    def test_a_failure_in_the_middle_is_raised_here_and_the_source_left(self):
        served = []

        def source():
            for number in range(1_000_000):
                served.append(number)
                yield b"piece"

        def send(pieces):
            next(pieces)
            raise NodeError("full")

        with pytest.raises(NodeError, match="full"):
            pushed(send, source(), patience=QUICK)
        assert len(served) < 1_000_000


class TestSmallQuestions:
    USES = pytest.mark.parametrize("use", ["has", "pinned", "pin", "unpin"])

    @USES
    @pytest.mark.parametrize(
        "behave",
        [
            Call.stall,
            lambda call: call.drip(),
            lambda call: call.answer(b"oops", 500),
            lambda call: call.answer(b"<html>", 404),
            lambda call: call.answer(b"not json"),
            kubo_error("something else"),
        ],
        ids=["stall", "drip", "500", "404", "no json", "kubo"],
    )
    def test_failures_are_errors_in_time(self, use: str, behave: Callable[[Call], None]):
        began = time.monotonic()
        with faulty(behave) as server:
            store = KuboStore(server.url, patience=QUICK)
            with pytest.raises((ContentUnavailable, ContentNotStored)):
                getattr(store, use)(CONTENT)
            assert time.monotonic() - began < 4

    @pytest.mark.parametrize("answer", [b"null", b"[]", b'{"Local": 1}', b'{"Keys": []}', b"{}"])
    def test_strange_answers_are_no(self, answer: bytes):
        with faulty(lambda call: call.answer(answer)) as server:
            store = KuboStore(server.url, patience=QUICK)
            assert not store.has(CONTENT)
            assert not store.pinned(CONTENT)

    def test_asking_what_is_here_never_reaches_for_the_network(self):
        with faulty(lambda call: call.answer(b"{}")) as server:
            KuboStore(server.url, patience=QUICK).has(CONTENT)
            assert server.calls[0].options["offline"] == "true"

    def test_a_pin_of_something_else_is_no_pin(self):
        answers = {
            "pin/ls": b"{}",
            "files/stat": json.dumps({"Local": True, "Size": CONTENT.size}).encode(),
            "pin/add": b'{"Pins": ["bafkqaaa"]}',
        }
        with (
            faulty(lambda call: call.answer(answers[call.command])) as server,
            pytest.raises(ContentNotStored, match="asked to pin"),
        ):
            KuboStore(server.url, patience=QUICK).pin(CONTENT)

    @pytest.mark.parametrize("said", ["not pinned or pinned indirectly", "x is pinned indirectly"])
    def test_what_is_not_pinned_is_unpinned(self, said: str):
        with faulty(kubo_error(said)) as server:
            KuboStore(server.url, patience=QUICK).unpin(CONTENT)


class TestAddresses:
    @pytest.mark.parametrize(
        ("api", "host"),
        [
            ("http://127.0.0.1:{port}", "127.0.0.1:{port}"),
            ("http://localhost:{port}/", "localhost:{port}"),
            ("http://localhost:{port}/behind/a/proxy/", "localhost:{port}"),
            ("/ip4/127.0.0.1/tcp/{port}", "127.0.0.1:{port}"),
            ("/ip4/127.0.0.1/tcp/{port}/http", "127.0.0.1:{port}"),
            ("/dns/localhost/tcp/{port}/http", "localhost:{port}"),
        ],
    )
    def test_urls_and_multiaddrs(self, api: str, host: str):
        with faulty(serve) as server:
            port = server.url.rpartition(":")[2]
            store = KuboStore(api.format(port=port), patience=QUICK)
            assert read(store, CONTENT) == DATA
            [call] = server.calls
        assert call.headers["host"] == host.format(port=port)
        assert call.handler.path.startswith("/behind/a/proxy/api/v0/cat" if "proxy" in api else "/")

    @pytest.mark.parametrize(
        "api",
        [
            "", "127.0.0.1:5001", "ftp://host", "http://", "http://host:99999", "http://[::1",
            "/ip4/1.2.3.4/udp/5001", "/ip4/nonsense/tcp/1", "/ip4/1.2.3.4", "/dns/h/tcp/70000",
            "http://host?x=y",
        ],
    )  # fmt: skip
    def test_others_are_refused_at_once(self, api: str):
        with pytest.raises(StoreNotUsable, match="no address of"):
            KuboStore(api)

    def test_what_is_parsed_does_not_show_its_secrets(self):
        for api, token in (("http://127.0.0.1:1", "s3cret"), ("http://ann:s3cret@127.0.0.1", None)):
            address = NodeAddress.parse(api, token=token)
            assert address.authorization
            assert "s3cret" not in repr(address)
            assert address.authorization not in repr(address)

    def test_a_secret_in_a_malformed_address_is_not_shown(self):
        with pytest.raises(StoreNotUsable) as caught:
            KuboStore("htp://ann:s3cret@host")
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize("token", ["", "a\nb", "ü", "a\r\nX: y"])
    def test_tokens_that_are_none(self, token: str):
        with pytest.raises(StoreNotUsable, match="token"):
            KuboStore("http://127.0.0.1:5001", token=token)

    def test_a_token_and_a_password_are_too_much(self):
        with pytest.raises(StoreNotUsable, match="one of them"):
            KuboStore("http://ann:pw@127.0.0.1:5001", token="t")

    def test_a_token_over_plain_http_is_warned_of(self, caplog):
        KuboStore("http://192.0.2.1:5001", token="s3cret")
        assert "use https" in caplog.text
        assert "s3cret" not in caplog.text

    def test_netrc_does_not_replace_the_token(self, tmp_path, monkeypatch):
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        with faulty(serve) as server:
            read(KuboStore(server.url, token="mine", patience=QUICK), CONTENT)
            assert server.calls[0].headers["authorization"] == "Bearer mine"

    def test_without_the_package_the_error_says_how_to_get_it(self, monkeypatch):
        monkeypatch.delitem(sys.modules, "colearn_ledger.weights.kubo_rpc", raising=False)
        monkeypatch.setitem(sys.modules, "ipfshttpclient", None)
        with pytest.raises(StoreNotUsable, match=r"pip install 'colearn-ledger\[ipfs\]'"):
            KuboStore("http://127.0.0.1:5001")

    def test_the_package_loads_only_for_a_node(self, tmp_path):
        program = (
            f"import sys, colearn_ledger.weights.opening as o; o.open_store('{tmp_path}');"
            "print('ipfshttpclient' in sys.modules, 'requests' in sys.modules)"
        )
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert run.stdout.split() == ["False", "False"]


def test_a_hostile_node_holds_up_nobody_else():
    """Many stalled requests at once, and a good node beside them."""
    with faulty(Call.stall) as bad, faulty(serve) as good:
        stalled = [
            threading.Thread(target=fails, args=(KuboStore(bad.url, patience=QUICK),))
            for _ in range(20)
        ]
        for thread in stalled:
            thread.start()
        assert read(KuboStore(good.url, patience=QUICK), CONTENT) == DATA
        for thread in stalled:
            thread.join(5)
            assert not thread.is_alive()


def fails(store: KuboStore) -> None:
    with pytest.raises(ContentUnavailable):
        read(store, CONTENT)
