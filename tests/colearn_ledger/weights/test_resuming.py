"""Files that arrive in several attempts or from several stores, over links that break."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from colearn_ledger.backoff import Backoff
from colearn_ledger.protocol import ContentRef, LedgerError
from colearn_ledger.weights import streams
from colearn_ledger.weights.fetching import fetch_files, file_name
from colearn_ledger.weights.store import ContentStore, ContentUnavailable, RangedStore
from colearn_ledger.weights.stores import parallel
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.stores.gateway import GatewayStore
from colearn_ledger.weights.stores.kubo import KuboStore, ipfshttpclient_rpc
from colearn_ledger.weights.stores.layered import LayeredStore
from colearn_ledger.weights.stores.layers import Layer, Role
from colearn_ledger.weights.stores.parallel import PART
from colearn_ledger.weights.streams import PIECE, Patience
from colearn_ledger.weights.unixfs import content_of
from tests.support.faulty_server import Call, run_server
from tests.support.store_contract import random_bytes

DATA = random_bytes(10 * PART + 1_000)
CONTENT = content_of(DATA)
SMALL = DATA[: PART - 5]
ONE_TRY = Patience(timeout=120, silence=120, retries=0)
KINDS = pytest.mark.parametrize(
    "kind",
    [KuboStore, partial(KuboStore, client=ipfshttpclient_rpc), GatewayStore],
    ids=["kubo", "ipfshttpclient", "gateway"],
)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (streams, parallel):
        monkeypatch.setattr(module, "_BACKOFF", Backoff(first=0.01, longest=0.02))


@dataclass
class Node:
    """A node that counts what it sends, and that may drop connections, lie, hang or be down.

    Args:
        data: the file.
        drop: bytes after which each connection is closed; 0: never.
        down_after: bytes after which it refuses every request; -1: never.
        lies: positions of wrong bytes.
        gate: what a request waits for.
    """

    data: bytes = DATA
    drop: int = 0
    down_after: int = -1
    lies: tuple[int, ...] = ()
    gate: threading.Event | None = None
    sent: int = 0
    calls: list[tuple[int, int]] = field(default_factory=list)
    url: str = ""

    def serve_in(self, stack: ExitStack) -> Self:
        self.url = stack.enter_context(run_server(self._answer)).url
        return self

    def _answer(self, call: Call) -> None:
        start = call.offset
        stop = min(call.stop or len(self.data), len(self.data))
        self.calls.append((start, stop))
        if self.gate is not None:
            self.gate.wait(60)
        if 0 <= self.down_after <= self.sent:
            call.answer(b"", 500)
            return
        wrong = bytearray(self.data[start:stop])
        for position in self.lies:
            if start <= position < stop:
                wrong[position - start] ^= 1
        span = {"Content_Range": f"bytes {start}-{stop - 1}/*"} if "range" in call.headers else {}
        call.start(206 if span else 200, stop - start, **span)
        limit = self.drop or len(wrong)
        for position in range(0, min(limit, len(wrong)), PIECE):
            if 0 <= self.down_after <= self.sent:
                return
            piece = bytes(wrong[position : min(limit, position + PIECE)])
            call.send(piece)
            self.sent += len(piece)


Serve = Callable[[Node], Node]


@pytest.fixture
def serve():
    with ExitStack() as stack:
        yield lambda node: node.serve_in(stack)


def make_layered(*nodes: Node, folder: DirectoryStore | None = None) -> LayeredStore:
    stores: list[tuple[RangedStore, Role]] = [
        (KuboStore(node.url, patience=ONE_TRY), Role.NODE) for node in nodes
    ]
    if folder is not None:
        stores.insert(0, (folder, Role.FOLDER))
    return LayeredStore([Layer(f"store {n}", s, role) for n, (s, role) in enumerate(stores)])


def fetch(store: ContentStore, folder: Path, content: ContentRef = CONTENT) -> LedgerError | None:
    """Fetch the file, and return why it failed."""
    return fetch_files(store, [content], folder, max_size=content.size).get(content)


def read(folder: Path, content: ContentRef = CONTENT) -> bytes:
    [path] = folder.iterdir()
    assert path.name == file_name(content)
    return path.read_bytes()


@KINDS
class TestOneStore:
    def test_link_that_drops_often_delivers_each_byte_about_once(
        self, kind, serve: Serve, tmp_path
    ):
        node = serve(Node(drop=2_000_000))
        assert fetch(kind(node.url, patience=Patience(retries=2)), tmp_path) is None
        assert read(tmp_path) == DATA
        assert len(DATA) <= node.sent < 1.05 * len(DATA) + PIECE * len(node.calls)

    def test_next_attempt_continues_at_the_byte_reached(self, kind, serve: Serve, tmp_path):
        node = serve(Node(drop=5_000_000))
        store = kind(node.url, patience=ONE_TRY)
        attempts = 1
        while (error := fetch(store, tmp_path)) is not None:
            assert isinstance(error, ContentUnavailable)
            attempts += 1
            store = kind(node.url, patience=ONE_TRY)  # nothing is kept in memory
        assert attempts > len(DATA) // 5_000_000
        assert read(tmp_path) == DATA
        assert node.sent < len(DATA) + 2 * PIECE * attempts

    def test_wrong_beginning_of_an_earlier_attempt_is_fetched_again(
        self, kind, serve: Serve, tmp_path, caplog
    ):
        node = serve(Node(drop=5_000_000, lies=(100,)))
        store = kind(node.url, patience=ONE_TRY)
        assert isinstance(fetch(store, tmp_path), ContentUnavailable)
        node.lies, node.drop = (), 0
        assert fetch(store, tmp_path) is None
        assert read(tmp_path) == DATA
        assert node.url.removeprefix("http://") in caplog.text
        assert "and an earlier attempt do not match" in caplog.text

    def test_store_that_lies_is_not_asked_twice_at_once(self, kind, serve: Serve, tmp_path):
        node = serve(Node(data=SMALL, lies=(100,)))
        content = content_of(SMALL)
        assert isinstance(
            fetch(kind(node.url, patience=ONE_TRY), tmp_path, content), ContentUnavailable
        )
        assert len(node.calls) == 1
        assert list(tmp_path.iterdir()) == []


def test_gateway_that_ignores_ranges_sends_the_rest_again(serve: Serve, tmp_path):
    sent = []

    def answer(call: Call) -> None:
        limit = 3_000_000 if not sent else len(DATA)
        sent.append(limit)
        call.start(200, len(DATA))
        call.send(DATA[:limit])

    with run_server(answer) as server:
        store = GatewayStore(server.url, patience=ONE_TRY)
        assert isinstance(fetch(store, tmp_path), ContentUnavailable)
        assert fetch(store, tmp_path) is None
    assert read(tmp_path) == DATA


class TestSeveralStores:
    def test_next_store_continues_where_the_first_one_broke_off(self, serve: Serve, tmp_path):
        first = serve(Node(data=SMALL, down_after=2 * PIECE))
        second = serve(Node(data=SMALL))
        content = content_of(SMALL)
        assert fetch(make_layered(first, second), tmp_path, content) is None
        assert read(tmp_path, content) == SMALL
        assert [start for start, _ in second.calls] == [2 * PIECE]

    def test_large_file_comes_from_all_stores_at_once(self, serve: Serve, tmp_path):
        nodes = [serve(Node()) for _ in range(3)]
        meeting = threading.Barrier(3, action=(gate := threading.Event()).set)

        class Meeting(KuboStore):
            def read(self, *args, **how):
                if not gate.is_set():
                    meeting.wait(60)
                return super().read(*args, **how)

        layers = [Layer(n.url, Meeting(n.url, patience=ONE_TRY), Role.NODE) for n in nodes]
        assert fetch(LayeredStore(layers), tmp_path) is None
        assert read(tmp_path) == DATA
        assert all(node.sent >= PART for node in nodes)

    def test_hanging_store_loses_its_part_to_another(self, serve: Serve, tmp_path):
        hanging, good = serve(Node(gate=threading.Event())), serve(Node())
        try:
            assert fetch(make_layered(hanging, good), tmp_path) is None
        finally:
            hanging.gate.set()
        assert read(tmp_path) == DATA
        assert good.sent == len(DATA)

    def test_failing_store_loses_its_parts_to_another(self, serve: Serve, tmp_path):
        failing, good = serve(Node(down_after=PART + 5)), serve(Node())
        assert fetch(make_layered(failing, good), tmp_path) is None
        assert read(tmp_path) == DATA

    def test_file_in_the_folder_is_read_from_there(self, serve: Serve, tmp_path):
        node = serve(Node())
        folder = DirectoryStore(tmp_path / "store")
        folder.put([DATA])
        (tmp_path / "copies").mkdir()
        assert fetch(make_layered(node, folder=folder), tmp_path / "copies") is None
        assert read(tmp_path / "copies") == DATA
        assert node.calls == []

    def test_error_names_each_store(self, serve: Serve, tmp_path):
        nodes = [serve(Node(down_after=0)) for _ in range(2)]
        error = fetch(make_layered(*nodes), tmp_path)
        assert isinstance(error, ContentUnavailable)
        assert "store 0: " in str(error)
        assert "store 1: " in str(error)
        assert list(tmp_path.iterdir()) == []

    def test_lying_store_costs_time_only_and_is_asked_last_then(
        self, serve: Serve, tmp_path, caplog
    ):
        caplog.set_level(logging.WARNING)
        lying = serve(Node(lies=tuple(range(0, len(DATA), 1_000_000))))
        good = serve(Node())
        store = make_layered(lying, good)
        assert fetch(store, tmp_path) is None
        assert read(tmp_path) == DATA
        assert "store 0 is damaged, or lies" in caplog.text
        before = lying.sent
        (tmp_path / file_name(CONTENT)).unlink()
        assert fetch(store, tmp_path) is None
        assert read(tmp_path) == DATA
        assert lying.sent == before

    def test_mistrusted_store_is_asked_if_no_other_delivers(self, serve: Serve, tmp_path):
        lying, good = serve(Node(lies=(5,))), serve(Node())
        store = make_layered(lying, good)
        assert fetch(store, tmp_path) is None
        (tmp_path / file_name(CONTENT)).unlink()
        lying.lies, good.down_after = (), 0
        assert fetch(store, tmp_path) is None
        assert read(tmp_path) == DATA


class TestProgress:
    def test_bytes_of_earlier_attempts_count(self, serve: Serve, tmp_path):
        node = serve(Node(drop=5_000_000))
        store = KuboStore(node.url, patience=ONE_TRY)
        reports: list[int] = []
        for _ in range(2):
            fetch_files(store, [CONTENT], tmp_path, max_size=len(DATA), report_done=reports.append)
        assert reports[-1] > 9_000_000
