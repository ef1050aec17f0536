"""Reads from broken, slow and hostile nodes and gateways end with an error of the port."""

from __future__ import annotations

import logging
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from colearn_ledger.backoff import Backoff
from colearn_ledger.protocol import LedgerError
from colearn_ledger.weights import streams
from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentStore,
    ContentTooLarge,
    ContentUnavailable,
)
from colearn_ledger.weights.stores.gateway import GatewayStore
from colearn_ledger.weights.stores.kubo import KuboStore, ipfshttpclient_rpc
from colearn_ledger.weights.streams import PIECE
from colearn_ledger.weights.unixfs import content_of
from tests.support.faulty_server import Call, run_server
from tests.support.good_answers import CONTENT, DATA, NOTICES_SILENCE, PATIENT, SOON, serve
from tests.support.store_contract import ANY_SIZE, read_content
from tests.support.waiting import BackgroundCall, run_with_limit

KINDS = pytest.mark.parametrize(
    "kind",
    [KuboStore, partial(KuboStore, client=ipfshttpclient_rpc), GatewayStore],
    ids=["kubo", "ipfshttpclient", "gateway"],
)
KUBO = pytest.mark.parametrize(
    "kind",
    [KuboStore, partial(KuboStore, client=ipfshttpclient_rpc)],
    ids=["http", "ipfshttpclient"],
)
Kind = Callable[..., ContentStore]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_BACKOFF", Backoff(first=0.01, longest=0.02))


@KINDS
class TestReading:
    def test_valid_answer_is_read(self, kind: Kind):
        with run_server(serve) as server:
            assert read_content(kind(server.url, patience=PATIENT), CONTENT) == DATA

    @pytest.mark.parametrize("at", [0, 1_000_000, len(DATA) - 1])
    def test_wrong_bit_is_detected_before_the_last_piece(self, kind: Kind, at: int):
        wrong = bytearray(DATA)
        wrong[at] ^= 1
        got: list[bytes] = []
        with (
            run_server(lambda call: serve(call, bytes(wrong))) as server,
            kind(server.url, patience=PATIENT).get(CONTENT, max_size=ANY_SIZE) as pieces,
            pytest.raises(ContentMismatch),
        ):
            got.extend(pieces)
        assert sum(map(len, got)) < len(DATA)

    def test_broken_stream_is_resumed_where_it_broke(self, kind: Kind):
        offsets = []

        def behave(call: Call) -> None:
            offsets.append(call.offset)
            headers = {"Content_Range": f"bytes {call.offset}-"} if call.offset else {}
            call.start(206 if call.offset else 200, len(DATA) - call.offset, **headers)
            call.send(DATA[call.offset : call.offset + 700_000])

        with run_server(behave) as server:
            assert read_content(kind(server.url, patience=PATIENT), CONTENT) == DATA
        steps = [b - a for a, b in pairwise(offsets)]
        assert len(steps) >= 2
        assert all(700_000 - PIECE <= step <= 700_000 for step in steps)

    def test_stalled_stream_is_resumed(self, kind: Kind):
        def behave(call: Call) -> None:
            if call.offset:
                serve(call)
            else:
                call.start(200, len(DATA))
                call.send(DATA[:900_000])
                call.stall()

        with run_server(behave) as server:
            patience = replace(NOTICES_SILENCE, silence=0.5)  # a slow machine answers within this
            store = kind(server.url, patience=patience)
            assert read_content(store, CONTENT) == DATA

    def test_answer_that_never_begins_is_abandoned(self, kind: Kind):
        match = r"sent nothing for 0.2 s|did not answer within 1.2 s"  # the socket's may come first
        self.check_ends(kind, Call.stall, ContentUnavailable, match, NOTICES_SILENCE)

    def test_answer_whose_headers_drip_is_abandoned(self, kind: Kind):
        match = "sent nothing for 0.2 s"
        self.check_ends(kind, lambda call: call.drip(), ContentUnavailable, match, NOTICES_SILENCE)

    def test_stream_that_drips_is_abandoned(self, kind: Kind):
        def behave(call: Call) -> None:
            call.start(200, len(DATA))
            call.drip()

        self.check_ends(kind, behave, ContentUnavailable, "sent nothing for 0.2 s", NOTICES_SILENCE)

    def test_slow_stream_ends_at_the_deadline(self, kind: Kind):
        def behave(call: Call) -> None:
            call.start(200, len(DATA))
            while True:
                call.send(DATA[:270_000])
                time.sleep(0.3)

        data, match = DATA * 9, "did not deliver within 0.6 s"
        self.check_ends(kind, behave, ContentUnavailable, match, SOON, data=data)

    def test_endless_stream_is_refused(self, kind: Kind):
        def behave(call: Call) -> None:
            call.start()
            call.flood()

        self.check_ends(kind, behave, (ContentTooLarge, ContentMismatch), None)

    def test_endless_error_is_not_read_into_memory(self, kind: Kind):
        def behave(call: Call) -> None:
            call.start(500)
            call.flood(b"[[[[" * 10_000)

        tracemalloc.start()
        self.check_ends(kind, behave, ContentUnavailable, "HTTP 500")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
        tracemalloc.stop()

    @pytest.mark.parametrize("status", [429, 502, 503])
    def test_momentary_refusal_is_retried(self, kind: Kind, status: int):
        refusals = [status, status]

        def behave(call: Call) -> None:
            if refusals:
                call.answer(b"later", refusals.pop())
            else:
                serve(call)

        with run_server(behave) as server:
            assert read_content(kind(server.url, patience=PATIENT), CONTENT) == DATA

    def test_lasting_refusal_is_not_retried(self, kind: Kind):
        with run_server(lambda call: call.answer(b"no", 403)) as server:
            with pytest.raises(ContentUnavailable, match="token"):
                read_content(kind(server.url, patience=PATIENT), CONTENT)
            assert len(server.calls) == 1

    def test_retries_are_bounded(self, kind: Kind):
        with run_server(lambda call: call.answer(b"later", 503)) as server:
            with pytest.raises(ContentUnavailable, match="503"):
                read_content(kind(server.url, patience=PATIENT), CONTENT)
            assert len(server.calls) == PATIENT.retries + 1

    def test_answer_that_is_not_http_is_refused(self, kind: Kind):
        def behave(call: Call) -> None:
            call.send(b"SSH-2.0-OpenSSH_9.2p1\r\n" * 5)

        self.check_ends(kind, behave, ContentUnavailable, None)

    def test_token_is_sent_and_never_shown(self, kind: Kind, caplog):
        caplog.set_level(logging.DEBUG)
        with run_server(serve) as server:
            store = kind(server.url, token="s3cret", patience=PATIENT)
            assert read_content(store, CONTENT) == DATA
            assert server.calls[0].headers["authorization"] == "Bearer s3cret"
            server.behave = lambda call: call.answer(b"no", 401)
            with pytest.raises(LedgerError) as caught:
                read_content(store, CONTENT)
        assert "s3cret" not in str(caught.value) + repr(store) + caplog.text

    def test_password_is_sent_and_never_shown(self, kind: Kind, caplog):
        caplog.set_level(logging.DEBUG)
        with run_server(serve) as server:
            store = kind(server.url.replace("//", "//ann:p%40ss@"), patience=PATIENT)
            assert read_content(store, CONTENT) == DATA
            assert server.calls[0].headers["authorization"] == "Basic YW5uOnBAc3M="
            server.behave = lambda call: call.answer(b"no", 401)
            with pytest.raises(LedgerError) as caught:
                read_content(store, CONTENT)
        assert "p%40ss" not in str(caught.value) + repr(store) + caplog.text

    def test_closed_port_is_reported(self, kind: Kind):
        with run_server(serve) as server:
            pass
        with pytest.raises(ContentUnavailable, match=r"cannot be reached.*refused"):
            read_content(kind(server.url, patience=PATIENT), CONTENT)

    def check_ends(
        self, kind, behave, error, match: str | None, patience=PATIENT, *, data: bytes = DATA
    ) -> None:
        with run_server(behave) as server, pytest.raises(error, match=match):
            run_with_limit(read_content, kind(server.url, patience=patience), content_of(data))


@KUBO
class TestKubo:
    def test_redirects_are_refused(self, kind: Kind):
        with run_server(serve) as thief:
            aside = thief.url.replace("127.0.0.1", "localhost")

            def behave(call: Call) -> None:
                call.answer(b"", 307, Location=aside + call.handler.path)

            with run_server(behave) as server, pytest.raises(ContentUnavailable, match="redirects"):
                read_content(kind(server.url, token="s3cret", patience=PATIENT), CONTENT)
            assert thief.calls == []


class TestGateway:
    def test_redirect_to_another_host_does_not_carry_the_token(self):
        with run_server(serve) as thief:
            aside = thief.url.replace("127.0.0.1", "localhost")

            def behave(call: Call) -> None:
                call.answer(b"", 302, Location=aside + call.handler.path)

            with run_server(behave) as server:
                assert (
                    read_content(
                        GatewayStore(server.url, token="s3cret", patience=PATIENT), CONTENT
                    )
                    == DATA
                )
            assert "authorization" not in thief.calls[0].headers

    def test_beginning_is_skipped_where_ranges_are_ignored(self):
        turns = []

        def behave(call: Call) -> None:
            turns.append(call)
            call.start(200, len(DATA))
            call.send(DATA if len(turns) > 1 else DATA[:700_001])

        with run_server(behave) as server:
            assert read_content(GatewayStore(server.url, patience=PATIENT), CONTENT) == DATA

    def test_another_part_than_the_requested_one_is_refused(self):
        def behave(call: Call) -> None:
            if call.offset:
                call.answer(DATA, 206, Content_Range="bytes 5-9/10")
            else:
                call.start(200, len(DATA))
                call.send(DATA[:700_000])

        with run_server(behave) as server, pytest.raises(ContentUnavailable, match="bytes 5-9"):
            read_content(GatewayStore(server.url, patience=PATIENT), CONTENT)

    def test_gateway_that_serves_only_blocks_is_reported(self):
        with (
            run_server(lambda call: call.answer(b"", 406)) as server,
            pytest.raises(ContentUnavailable, match="whole files"),
        ):
            read_content(GatewayStore(server.url, patience=PATIENT), CONTENT)

    def test_redirects_lead_to_http_only(self, tmp_path):
        (tmp_path / "file").write_bytes(DATA)
        behave = lambda call: call.answer(b"", 302, Location=f"file://{tmp_path}/file")  # noqa: E731
        with run_server(behave) as server, pytest.raises(ContentUnavailable):
            read_content(GatewayStore(server.url, patience=PATIENT), CONTENT)


def test_hostile_node_does_not_block_other_stores():
    """Read from a good node while many requests to another one stall."""
    with run_server(Call.stall) as bad, run_server(serve) as good:
        stalled = [
            BackgroundCall(read_content, KuboStore(bad.url, patience=NOTICES_SILENCE), CONTENT)
            for _ in range(20)
        ]
        assert read_content(KuboStore(good.url, patience=PATIENT), CONTENT) == DATA
        for one in stalled:
            with pytest.raises(ContentUnavailable):
                one.result()
