"""Several stores combined into one, and stores by name."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colearn_ledger import deadline
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.store import (
    ContentNotStored,
    ContentTooLarge,
    ContentUnavailable,
    LoadCopy,
    RangedStore,
    load_nothing,
)
from colearn_ledger.weights.stores.addresses import StoreNotUsable
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.stores.gateway import GatewayStore
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_ledger.weights.stores.layered import LayeredStore
from colearn_ledger.weights.stores.layers import Layer, Role
from colearn_ledger.weights.stores.open_store import open_store
from colearn_ledger.weights.streams import Patience
from colearn_ledger.weights.unixfs import content_of, verified
from colearn_localnet.kubo import Kubo
from tests.support.faulty_server import Call, run_server
from tests.support.store_contract import ANY_SIZE, random_bytes, read_content
from tests.support.waiting import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = b"weights!" * 100_000
CONTENT = content_of(DATA)


class MemoryStore:
    """A store in a dict that can be down or return wrong data."""

    def __init__(self, *data: bytes) -> None:
        self.files = {content_of(d).cid: d for d in data}
        self.pins: set[str] = set()
        self.down = False
        self.cut = 0
        self.calls: list[str] = []
        self.timeouts: list[float | None] = []

    def _record_call(self, name: str) -> None:
        self.calls.append(name)
        if self.down:
            kind = ContentNotStored if name == "put" else ContentUnavailable
            raise kind("it is down")

    def put(self, chunks: Iterable[bytes]) -> ContentRef:
        self._record_call("put")
        data = b"".join(chunks)
        content = content_of(data)
        self.files[content.cid] = data
        return content

    @contextmanager
    def get(
        self,
        content: ContentRef,
        *,
        max_size: int,
        timeout: float | None = None,
        begun: Path | None = None,
    ) -> Iterator[Iterator[bytes]]:
        self._record_call("get")
        self.timeouts.append(timeout)
        data = self.files.get(content.cid)
        if data is None:
            raise ContentUnavailable("it is not here")

        def pieces() -> Iterator[bytes]:
            for start in range(0, len(data), 100_000):
                if self.cut and start >= self.cut:
                    raise ContentUnavailable("it went away")
                yield data[start : start + 100_000]

        yield verified(pieces(), content)

    def read(
        self, content: ContentRef, start: int, stop: int, *, timeout: float | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        raise NotImplementedError

    def has(self, content: ContentRef) -> bool:
        self._record_call("has")
        return content.cid in self.files

    def pin(self, content: ContentRef, load: LoadCopy = load_nothing) -> None:
        self._record_call("pin")
        if content.cid not in self.files:
            raise ContentUnavailable("it is not here")
        self.pins.add(content.cid)

    def unpin(self, content: ContentRef) -> None:
        self._record_call("unpin")
        self.pins.discard(content.cid)


def make_layered(folder: RangedStore, *others: RangedStore, gateway: RangedStore | None = None):
    layers = [Layer("the folder", folder, Role.FOLDER)]
    layers += [Layer(f"node {n}", store, Role.NODE) for n, store in enumerate(others)]
    if gateway is not None:
        layers.append(Layer("the gateway", gateway, Role.GATEWAY))
    return LayeredStore(layers)


def wrong_data() -> bytes:
    data = bytearray(DATA)
    data[-1] ^= 1
    return bytes(data)


def make_corrupt() -> MemoryStore:
    store = MemoryStore()
    store.files[CONTENT.cid] = wrong_data()
    return store


class TestReading:
    def test_only_the_first_store_with_the_file_is_read(self):
        first, second = MemoryStore(DATA), MemoryStore(DATA)
        assert read_content(make_layered(first, second), CONTENT) == DATA
        assert second.calls == []

    @pytest.mark.parametrize("bad", ["down", "missing", "lying", "short", "cut"])
    @pytest.mark.parametrize("place", [0, 1])
    def test_faulty_layer_does_not_hide_a_good_one(self, bad: str, place: int):
        layer = {"missing": MemoryStore(), "lying": make_corrupt()}.get(bad, MemoryStore(DATA))
        layer.down = bad == "down"
        layer.cut = 300_000 if bad == "cut" else 0
        if bad == "short":
            layer.files[CONTENT.cid] = DATA[:-1]
        layers: list[RangedStore] = [MemoryStore(), MemoryStore(), MemoryStore(DATA)]
        layers[place] = layer
        assert read_content(make_layered(*layers), CONTENT) == DATA

    def test_no_wrong_byte_is_delivered_before_a_fallback(self):
        seen = []
        with make_layered(make_corrupt(), MemoryStore(DATA)).get(
            CONTENT, max_size=ANY_SIZE
        ) as pieces:
            seen.extend(pieces)
        assert b"".join(seen) == DATA

    def test_error_lists_the_failure_of_every_layer(self):
        down = MemoryStore()
        down.down = True
        with pytest.raises(ContentUnavailable) as caught:
            read_content(make_layered(down, make_corrupt(), gateway=MemoryStore()), CONTENT)
        for words in ("the folder: it is down", "node 0: the", "the gateway: it is not here"):
            assert words in str(caught.value)

    def test_layers_with_wrong_bytes_are_named_in_the_log(self, caplog: pytest.LogCaptureFixture):
        with pytest.raises(ContentUnavailable, match="no store delivered"):
            read_content(make_layered(make_corrupt(), make_corrupt()), CONTENT)
        named = [record.getMessage().split(" is damaged")[0] for record in caplog.records]
        assert named == ["the folder", "node 0"]

    def test_layers_share_the_timeout(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(deadline, "time", Clock())
        stores = [MemoryStore(), MemoryStore(), MemoryStore(DATA)]
        assert read_content(make_layered(*stores), CONTENT, timeout=9) == DATA
        shares = [t for store in stores for t in store.timeouts]
        assert shares == [3, 4.5, 9]

    def test_size_limit_is_checked_before_any_layer_is_read(self):
        store = MemoryStore(DATA)
        with pytest.raises(ContentTooLarge):
            read_content(make_layered(store), CONTENT, max_size=5)
        assert store.calls == []

    def test_no_temporary_file_is_left(self, tmp_path: Path):
        layers = [
            Layer("a", make_corrupt(), Role.NODE),
            Layer("b", MemoryStore(DATA), Role.NODE),
        ] * 2
        assert read_content(LayeredStore(layers, scratch=tmp_path), CONTENT) == DATA
        assert list(tmp_path.iterdir()) == []

    def test_last_layer_is_read_without_a_temporary_file(self, tmp_path: Path):
        layers = [
            Layer("a", MemoryStore(DATA), Role.NODE),
            Layer("b", MemoryStore(DATA), Role.NODE),
        ]
        shutil.rmtree(gone := tmp_path / "gone", ignore_errors=True)
        assert read_content(LayeredStore(layers, scratch=gone), CONTENT) == DATA


class TestStoring:
    @pytest.mark.parametrize("chunks", [[DATA[:9], DATA[9:]], iter([DATA[:9], DATA[9:]])])
    def test_file_is_stored_in_the_folder_and_all_nodes(self, chunks: Iterable[bytes]):
        stores = [MemoryStore(), MemoryStore(), MemoryStore()]
        gateway = MemoryStore()
        assert make_layered(*stores, gateway=gateway).put(chunks) == CONTENT
        assert all(store.files[CONTENT.cid] == DATA for store in stores)
        assert gateway.calls == []

    def test_storing_succeeds_if_one_node_stores_the_file(self, caplog):
        folder, down, node = MemoryStore(), MemoryStore(), MemoryStore()
        folder.down = down.down = True
        store = make_layered(folder, down, node)
        assert store.put(iter([DATA])) == CONTENT
        store.pin(CONTENT)
        assert node.pins == {CONTENT.cid}
        assert "the folder could not store the file: it is down" in caplog.text

    def test_storing_fails_if_only_the_folder_stores_the_file(self):
        """No other learner could fetch the file."""
        folder, down = MemoryStore(), MemoryStore()
        down.down = True
        store = make_layered(folder, down)
        with pytest.raises(ContentNotStored, match="node 0: it is down"):
            store.put([DATA])
        with pytest.raises(ContentUnavailable, match="node 0: it is down"):
            store.pin(CONTENT)

    def test_folder_without_nodes_is_enough(self):
        folder = MemoryStore()
        assert make_layered(folder, gateway=MemoryStore()).put([DATA]) == CONTENT

    def test_storing_with_gateways_only_is_refused(self):
        store = LayeredStore([Layer("the gateway", MemoryStore(), Role.GATEWAY)])
        for act in (lambda: store.put([DATA]), lambda: store.pin(CONTENT)):
            with pytest.raises(ContentNotStored, match="add a node"):
                act()

    def test_pinning_copies_the_file_to_layers_without_it(self):
        folder, node, gateway = MemoryStore(), MemoryStore(), MemoryStore(DATA)
        make_layered(folder, node, gateway=gateway).pin(CONTENT)
        for store in (folder, node):
            assert (store.files[CONTENT.cid], store.pins) == (DATA, {CONTENT.cid})

    def test_pinning_takes_the_callers_copy_rather_than_that_of_another_layer(self):
        folder, node = MemoryStore(), MemoryStore(DATA)
        make_layered(folder, node).pin(CONTENT, lambda: [DATA])
        for store in (folder, node):
            assert (store.files[CONTENT.cid], store.pins) == (DATA, {CONTENT.cid})
        assert "get" not in node.calls

    def test_pinning_does_not_copy_corrupt_data(self):
        folder = MemoryStore()
        with pytest.raises(ContentUnavailable):
            make_layered(folder, gateway=make_corrupt()).pin(CONTENT)
        assert folder.files == {}

    def test_unpinning_reaches_all_layers(self, caplog):
        folder, down, node = MemoryStore(DATA), MemoryStore(DATA), MemoryStore(DATA)
        store = make_layered(folder, down, node)
        store.pin(CONTENT)
        down.down = True
        store.unpin(CONTENT)
        assert folder.pins == node.pins == set()
        assert "node 0 could not unpin" in caplog.text
        folder.down = node.down = True
        with pytest.raises(ContentUnavailable, match="stays pinned"):
            store.unpin(CONTENT)

    def test_failing_layer_is_reported_when_it_begins_and_when_it_ends(self, caplog):
        caplog.set_level(logging.INFO)
        down = MemoryStore(DATA)
        store = make_layered(MemoryStore(DATA), down, MemoryStore(DATA))
        for is_down in (True, True, False, False, True):
            down.down = is_down
            store.pin(CONTENT)
        failed = f"node 0 could not pin {CONTENT.cid}: it is down"
        assert caplog.messages == [failed, "node 0 works again", failed]


class TestHas:
    def test_has_is_true_if_any_layer_has_the_file(self):
        down = MemoryStore()
        down.down = True
        assert make_layered(down, MemoryStore(DATA)).has(CONTENT)
        assert not make_layered(MemoryStore(), MemoryStore()).has(CONTENT)

    def test_has_raises_if_a_layer_is_down_and_no_other_has_the_file(self):
        down = MemoryStore()
        down.down = True
        with pytest.raises(ContentUnavailable, match="it is down"):
            make_layered(MemoryStore(), down).has(CONTENT)


def test_store_without_layers_is_refused():
    with pytest.raises(StoreNotUsable):
        LayeredStore([])


class TestOpenStore:
    @pytest.mark.parametrize("form", ["folder:{}", "{}"])
    def test_folder_path_opens_a_directory_store(self, form: str, tmp_path: Path):
        store = open_store(form.format(tmp_path / "s"), owner="ann")
        assert isinstance(store, DirectoryStore)
        content = store.put([DATA])
        store.pin(content)
        assert (tmp_path / "s" / "pins" / "ann" / content.cid).exists()

    @pytest.mark.parametrize(
        "spec",
        [
            "http://127.0.0.1:5001",
            "https://n.example",
            "/ip4/127.0.0.1/tcp/5001/http",
            "/dns/n/tcp/1",
        ],
    )
    def test_node_address_opens_a_kubo_store(self, spec: str):
        assert isinstance(open_store(spec), KuboStore)

    def test_gateway_address_opens_a_gateway_store(self):
        assert isinstance(open_store("gateway:https://ipfs.example/ipfs/"), GatewayStore)

    def test_list_opens_a_layered_store(self, tmp_path: Path):
        spec = f"{tmp_path} , http://ann:s3cret@127.0.0.1:1,gateway:https://g.example,"
        store = open_store(spec)
        assert isinstance(store, LayeredStore)
        text = repr(store)
        assert f"folder {tmp_path}, node 127.0.0.1:1, gateway https://g.example" in text
        assert "s3cret" not in text

    def test_token_is_sent_to_its_host_only(self):
        def refuse(call: Call) -> None:
            call.answer(b"", 403)

        with run_server(refuse) as mine, run_server(refuse) as other:
            spec = f"{mine.url},gateway:{other.url.replace('127.0.0.1', 'localhost')}"
            store = open_store(spec, tokens={"127.0.0.1": "s3cret"})
            with pytest.raises(ContentUnavailable):
                read_content(store, CONTENT)
            assert mine.calls[0].headers["authorization"] == "Bearer s3cret"
            assert "authorization" not in other.calls[0].headers

    @pytest.mark.parametrize(
        "spec", ["", " , ", "weights", "ftp://h", "gateway:h", "gateway:", "folder:", "s3:bucket"]
    )
    def test_error_about_an_unknown_store_lists_the_valid_forms(self, spec: str):
        with pytest.raises(StoreNotUsable, match=r"https?://"):
            open_store(spec)


class TestRealNodes:
    def test_file_stays_available_while_the_own_node_is_down(
        self, swarm: Sequence[Kubo], tmp_path: Path, caplog
    ):
        """The file stays readable through the folder, its node, or another node's gateway."""
        caplog.set_level(logging.INFO)
        patience = Patience(timeout=120, silence=60, retries=1)
        data = random_bytes(20_000_000)
        peers = [node.address for node in swarm]
        with Kubo(tmp_path / "own", swarm=swarm[0].swarm, peers=peers) as own:
            spec = f"{tmp_path / 'folder'},{own.api},gateway:{swarm[0].gateway}"
            store = open_store(spec, patience=patience)
            content = store.put([data])
            assert read_content(open_store(swarm[1].api, patience=patience), content) == data
            assert read_content(open_store(swarm[0].api, patience=patience), content) == data
            own.kill()
            for file in (tmp_path / "folder" / "files").glob("*/*"):
                file.unlink()
            assert read_content(store, content) == data
            own.start()
            store.pin(content)
            assert DirectoryStore(tmp_path / "folder").pinned(content)
            assert KuboStore(own.api).pinned(content)
