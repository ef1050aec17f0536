"""Putting and pinning at broken, slow and hostile nodes: an error of the port, in time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable

import pytest

from colearn_ledger.protocol import LedgerError
from colearn_ledger.weights.store import (
    ContentNotStored,
    ContentUnavailable,
)
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_ledger.weights.streams import NodeError, Patience, pushed
from colearn_ledger.weights.unixfs import content_ref
from tests.support.faulty_server import Call, faulty
from tests.support.good_answers import (
    CONTENT,
    DATA,
    NOTICES_SILENCE,
    PATIENT,
    SOON,
    kubo_error,
    serve,
)
from tests.support.waiting import LIMIT, ended


class TestPutting:
    def put(
        self,
        behave: Callable[[Call], None],
        match: str | None,
        data: bytes = DATA,
        patience: Patience = PATIENT,
    ) -> list[Call]:
        with faulty(behave) as server:
            with pytest.raises(ContentNotStored, match=match):
                ended(KuboStore(server.url, patience=patience).put, [data])
            return server.calls

    def test_it_asks_for_what_the_cid_depends_on(self):
        def behave(call: Call) -> None:
            body = call.body()
            assert DATA in body
            call.answer(json.dumps({"Name": "x", "Hash": CONTENT.cid, "Size": "1"}).encode())

        with faulty(behave) as server:
            assert KuboStore(server.url, patience=PATIENT).put([DATA]) == CONTENT
            [call] = server.calls
        wanted = {
            "cid-version": "1",
            "raw-leaves": "true",
            "pin": "true",
            "chunker": "size-262144",
        }
        assert wanted.items() <= call.options.items()

    @pytest.mark.parametrize(
        ("given", "told"),
        [([DATA], True), ((DATA[:9], DATA[9:]), True), (iter([DATA]), False)],
        ids=["list", "tuple", "iterator"],
    )
    def test_the_length_is_told_where_it_is_known(self, given: Iterable[bytes], told: bool):
        def behave(call: Call) -> None:
            body = call.body()
            boundary = body.partition(b"\r\n")[0]
            assert DATA in body
            assert body.endswith(boundary + b"--\r\n")
            call.answer(json.dumps({"Hash": CONTENT.cid}).encode())

        with faulty(behave) as server:
            assert KuboStore(server.url, patience=PATIENT).put(given) == CONTENT
            [call] = server.calls
        framing = "content-length" if told else "transfer-encoding"
        assert {"content-length", "transfer-encoding"} & set(call.headers) == {framing}

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
        self.put(Call.stall, "took no byte for 0.5 s", DATA * 20, NOTICES_SILENCE)

    def test_a_node_that_takes_all_and_does_not_answer(self):
        def behave(call: Call) -> None:
            call.body()
            call.stall()

        self.put(behave, "did not answer within 1.5 s", patience=SOON)

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
            KuboStore(server.url, patience=PATIENT).put([DATA])
        assert "\x1b" not in str(caught.value)
        assert len(str(caught.value)) < 500

    def test_a_source_that_fails_breaks_the_upload_off(self):
        arrived, left = threading.Event(), threading.Event()
        came: list[str] = []

        def behave(call: Call) -> None:
            arrived.set()
            try:
                call.body()
                came.append("all")
            except (ValueError, OSError):  # the body ended before its end
                came.append("a part")
            left.set()

        def failing():
            yield DATA
            arrived.wait(LIMIT)
            raise ConnectionError("gone")

        with faulty(behave) as server:
            with pytest.raises(ConnectionError):
                KuboStore(server.url, patience=PATIENT).put(failing())
            assert left.wait(LIMIT)
        assert came == ["a part"]

    def test_nothing_is_sent_for_no_bytes(self):
        with faulty(serve) as server:
            with pytest.raises(LedgerError):
                KuboStore(server.url, patience=PATIENT).put([b""])
            assert server.calls == []


class TestPushing:
    def test_an_answer_before_the_whole_file_was_taken_is_none(self):
        with pytest.raises(NodeError, match="before it had the whole file"):
            pushed(lambda pieces: next(pieces), [b"piece"] * 1_000, patience=PATIENT)

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
            pushed(send, source(), patience=PATIENT)
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
        with faulty(behave) as server:
            store = KuboStore(server.url, patience=NOTICES_SILENCE)
            with pytest.raises((ContentUnavailable, ContentNotStored)):
                ended(getattr(store, use), CONTENT)

    @pytest.mark.parametrize("answer", [b"null", b"[]", b'{"Local": 1}', b'{"Keys": []}', b"{}"])
    def test_strange_answers_are_no(self, answer: bytes):
        with faulty(lambda call: call.answer(answer)) as server:
            store = KuboStore(server.url, patience=PATIENT)
            assert not store.has(CONTENT)
            assert not store.pinned(CONTENT)

    def test_asking_what_is_here_never_reaches_for_the_network(self):
        with faulty(lambda call: call.answer(b"{}")) as server:
            KuboStore(server.url, patience=PATIENT).has(CONTENT)
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
            KuboStore(server.url, patience=PATIENT).pin(CONTENT)

    @pytest.mark.parametrize("said", ["not pinned or pinned indirectly", "x is pinned indirectly"])
    def test_what_is_not_pinned_is_unpinned(self, said: str):
        with faulty(kubo_error(said)) as server:
            KuboStore(server.url, patience=PATIENT).unpin(CONTENT)
