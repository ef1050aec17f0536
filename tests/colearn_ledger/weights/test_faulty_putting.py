"""Uploads and pins at broken, slow and hostile nodes end with an error of the port."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from functools import partial

import pytest

from colearn_ledger.protocol import LedgerError
from colearn_ledger.weights.store import (
    ContentNotStored,
    ContentUnavailable,
)
from colearn_ledger.weights.stores.kubo import KuboStore, ipfshttpclient_rpc
from colearn_ledger.weights.stores.kubo_rpc import HttpKuboRpc
from colearn_ledger.weights.streams import NodeError, Patience, write_in_thread
from colearn_ledger.weights.unixfs import content_of
from tests.support.faulty_server import Call, run_server
from tests.support.good_answers import (
    CONTENT,
    DATA,
    NOTICES_SILENCE,
    PATIENT,
    SOON,
    kubo_error,
    serve,
)
from tests.support.waiting import LIMIT, run_with_limit


@pytest.fixture(params=[HttpKuboRpc, ipfshttpclient_rpc], ids=["http", "ipfshttpclient"])
def make_store(request: pytest.FixtureRequest) -> Callable[..., KuboStore]:
    return partial(KuboStore, client=request.param)


class TestPutting:
    @pytest.fixture(autouse=True)
    def _use(self, make_store: Callable[..., KuboStore]) -> None:
        self.make_store = make_store

    def put(
        self,
        behave: Callable[[Call], None],
        match: str | None,
        data: bytes = DATA,
        patience: Patience = PATIENT,
    ) -> list[Call]:
        with run_server(behave) as server:
            with pytest.raises(ContentNotStored, match=match):
                run_with_limit(self.make_store(server.url, patience=patience).put, [data])
            return server.calls

    def test_every_option_that_the_cid_depends_on_is_sent(self):
        def behave(call: Call) -> None:
            body = call.body()
            assert DATA in body
            call.answer(json.dumps({"Name": "x", "Hash": CONTENT.cid, "Size": "1"}).encode())

        with run_server(behave) as server:
            assert self.make_store(server.url, patience=PATIENT).put([DATA]) == CONTENT
            [call] = server.calls
        wanted = {
            "cid-version": "1",
            "raw-leaves": "true",
            "pin": "true",
            "chunker": "size-262144",
        }
        assert wanted.items() <= call.options.items()

    def test_wrong_cid_is_an_error_and_unpinned(self):
        other = content_of(b"other").cid

        def behave(call: Call) -> None:
            if call.command == "add":
                call.body()
                call.answer(json.dumps({"Hash": other}).encode())
            else:
                call.answer(b"{}")

        calls = self.put(behave, "instead of")
        assert [(c.command, c.options.get("arg")) for c in calls[1:]] == [("pin/rm", other)]

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"not json",
            b"[" * 60_000,
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
    def test_malformed_answers_are_refused(self, answer: bytes):
        def behave(call: Call) -> None:
            call.body()
            call.answer(answer)

        self.put(behave, None)

    def test_endless_answer_is_refused(self):
        def behave(call: Call) -> None:
            call.body()
            call.start()
            call.flood()

        self.put(behave, "an endless answer")

    def test_node_that_accepts_no_byte_is_abandoned(self):
        self.put(Call.stall, "accepted no byte for 0.2 s", DATA * 20, NOTICES_SILENCE)

    def test_node_that_does_not_answer_is_abandoned(self):
        def behave(call: Call) -> None:
            call.body()
            call.stall()

        self.put(behave, "did not answer within 0.6 s", patience=SOON)

    def test_answer_before_the_end_of_the_file_is_refused(self):
        """The node may return the correct CID of the part that it has read."""

        def behave(call: Call) -> None:
            part = content_of(DATA[:262_144]).cid
            call.answer(json.dumps({"Hash": part}).encode())

        self.put(behave, None, DATA * 40)

    def test_nodes_own_message_is_repeated(self):
        def behave(call: Call) -> None:
            call.body()
            kubo_error("no space left on device")(call)

        self.put(behave, "no space left on device")

    def test_hostile_message_is_escaped_and_shortened(self):
        def behave(call: Call) -> None:
            call.body()
            kubo_error("\x1b[31m" + "x" * 9_000)(call)

        with run_server(behave) as server, pytest.raises(ContentNotStored) as caught:
            self.make_store(server.url, patience=PATIENT).put([DATA])
        assert "\x1b" not in str(caught.value)
        assert len(str(caught.value)) < 500

    def test_failing_source_aborts_the_upload(self):
        arrived, left = threading.Event(), threading.Event()
        came: list[str] = []

        def behave(call: Call) -> None:
            arrived.set()
            try:
                call.body()
                came.append("all")
            except (ValueError, OSError):  # the body ended too early
                came.append("a part")
            left.set()

        def failing():
            yield DATA
            arrived.wait(LIMIT)
            raise ConnectionError("gone")

        with run_server(behave) as server:
            with pytest.raises(ConnectionError):
                self.make_store(server.url, patience=PATIENT).put(failing())
            assert left.wait(LIMIT)
        assert came == ["a part"]

    def test_empty_file_is_not_sent(self):
        with run_server(serve) as server:
            with pytest.raises(LedgerError):
                self.make_store(server.url, patience=PATIENT).put([b""])
            assert server.calls == []


@pytest.mark.parametrize(
    ("given", "is_known"),
    [([DATA], True), ((DATA[:9], DATA[9:]), True), (iter([DATA]), False)],
    ids=["list", "tuple", "iterator"],
)
def test_length_is_sent_if_it_is_known(given: Iterable[bytes], is_known: bool):
    def behave(call: Call) -> None:
        body = call.body()
        boundary = body.partition(b"\r\n")[0]
        assert DATA in body
        assert body.endswith(boundary + b"--\r\n")
        call.answer(json.dumps({"Hash": CONTENT.cid}).encode())

    with run_server(behave) as server:
        assert KuboStore(server.url, patience=PATIENT).put(given) == CONTENT
        [call] = server.calls
    framing = "content-length" if is_known else "transfer-encoding"
    assert {"content-length", "transfer-encoding"} & set(call.headers) == {framing}


class TestWriteInThread:
    def test_answer_before_the_whole_file_is_consumed_is_refused(self):
        with pytest.raises(NodeError, match="before it had the whole file"):
            write_in_thread(lambda pieces: next(pieces), [b"piece"] * 1_000, patience=PATIENT)

    def test_failing_upload_is_raised_and_stops_the_source(self):
        served = []

        def source():
            for number in range(1_000_000):
                served.append(number)
                yield b"piece"

        def send(pieces):
            next(pieces)
            raise NodeError("full")

        with pytest.raises(NodeError, match="full"):
            write_in_thread(send, source(), patience=PATIENT)
        assert len(served) < 1_000_000


class TestQueries:
    @pytest.fixture(autouse=True)
    def _use(self, make_store: Callable[..., KuboStore]) -> None:
        self.make_store = make_store

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
    def test_failures_are_raised_in_time(self, use: str, behave: Callable[[Call], None]):
        with run_server(behave) as server:
            store = self.make_store(server.url, patience=NOTICES_SILENCE)
            with pytest.raises((ContentUnavailable, ContentNotStored)):
                run_with_limit(getattr(store, use), CONTENT)

    @pytest.mark.parametrize("answer", [b"null", b"[]", b'{"Local": 1}', b'{"Keys": []}', b"{}"])
    def test_malformed_answers_mean_that_the_file_is_missing(self, answer: bytes):
        with run_server(lambda call: call.answer(answer)) as server:
            store = self.make_store(server.url, patience=PATIENT)
            assert not store.has(CONTENT)
            assert not store.pinned(CONTENT)

    def test_has_does_not_search_the_network(self):
        with run_server(lambda call: call.answer(b"{}")) as server:
            self.make_store(server.url, patience=PATIENT).has(CONTENT)
            assert server.calls[0].options["offline"] == "true"

    def test_pin_of_another_file_is_refused(self):
        answers = {
            "pin/ls": b"{}",
            "files/stat": json.dumps({"Local": True, "Size": CONTENT.size}).encode(),
            "pin/add": b'{"Pins": ["bafkqaaa"]}',
        }
        with (
            run_server(lambda call: call.answer(answers[call.command])) as server,
            pytest.raises(ContentNotStored, match="asked to pin"),
        ):
            self.make_store(server.url, patience=PATIENT).pin(CONTENT)

    @pytest.mark.parametrize("reply", ["not pinned or pinned indirectly", "x is pinned indirectly"])
    def test_unpinning_a_file_without_a_pin_succeeds(self, reply: str):
        with run_server(kubo_error(reply)) as server:
            self.make_store(server.url, patience=PATIENT).unpin(CONTENT)
