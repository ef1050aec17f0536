"""Several stores combined into one, and stores by name."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colearn_ledger import deadline
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentNotStored,
    ContentStore,
    ContentTooLarge,
    ContentUnavailable,
)
from colearn_ledger.weights.stores.addresses import StoreNotUsable
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.stores.gateway import GatewayStore
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_ledger.weights.stores.layered import Layer, LayeredStore, Role
from colearn_ledger.weights.stores.open_store import open_store
from colearn_ledger.weights.streams import Patience
from colearn_ledger.weights.unixfs import content_of, verified
from colearn_localnet.kubo import Kubo
from tests.support.faulty_server import Call, faulty
from tests.support.store_contract import ANY_SIZE, fresh, read
from tests.support.waiting import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = b"weights!" * 100_000
CONTENT = content_of(DATA)


class Memory:
    """A store in a dict that can be down or return wrong data."""

    def __init__(self, *data: bytes) -> None:
        self.files = {content_of(d).cid: d for d in data}
        self.pins: set[str] = set()
        self.down = False
        self.cut = 0
        self.calls: list[str] = []
        self.timeouts: list[float | None] = []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.down:
            kind = ContentNotStored if name == "put" else ContentUnavailable
            raise kind("it is down")

    def put(self, chunks: Iterable[bytes]) -> ContentRef:
        self._called("put")
        data = b"".join(chunks)
        content = content_of(data)
        self.files[content.cid] = data
        return content

    @contextmanager
    def get(self, content: ContentRef, *, max_size: int, timeout: float | None = None):
        self._called("get")
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

    def has(self, content: ContentRef) -> bool:
        self._called("has")
        return content.cid in self.files

    def pin(self, content: ContentRef) -> None:
        self._called("pin")
        if content.cid not in self.files:
            raise ContentUnavailable("it is not here")
        self.pins.add(content.cid)

    def unpin(self, content: ContentRef) -> None:
        self._called("unpin")
        self.pins.discard(content.cid)


def layered(folder: ContentStore, *others: ContentStore, gateway: ContentStore | None = None):
    layers = [Layer("the folder", folder, Role.FOLDER)]
    layers += [Layer(f"node {n}", store, Role.NODE) for n, store in enumerate(others)]
    if gateway is not None:
        layers.append(Layer("the gateway", gateway, Role.GATEWAY))
    return LayeredStore(layers)


def wrong() -> bytes:
    data = bytearray(DATA)
    data[-1] ^= 1
    return bytes(data)


def lying() -> Memory:
    store = Memory()
    store.files[CONTENT.cid] = wrong()
    return store


class TestReading:
    def test_the_first_that_has_it_is_asked_and_no_other(self):
        first, second = Memory(DATA), Memory(DATA)
        assert read(layered(first, second), CONTENT) == DATA
        assert second.calls == []

    @pytest.mark.parametrize("bad", ["down", "missing", "lying", "short", "cut"])
    @pytest.mark.parametrize("place", [0, 1])
    def test_a_bad_layer_never_hides_a_good_one(self, bad: str, place: int):
        layer = {"missing": Memory(), "lying": lying()}.get(bad, Memory(DATA))
        layer.down = bad == "down"
        layer.cut = 300_000 if bad == "cut" else 0
        if bad == "short":
            layer.files[CONTENT.cid] = DATA[:-1]
        layers: list[ContentStore] = [Memory(), Memory(), Memory(DATA)]
        layers[place] = layer
        assert read(layered(*layers), CONTENT) == DATA

    def test_not_one_wrong_byte_is_handed_out_on_the_way(self):
        seen = []
        with layered(lying(), Memory(DATA)).get(CONTENT, max_size=ANY_SIZE) as pieces:
            seen.extend(pieces)
        assert b"".join(seen) == DATA

    def test_the_error_names_every_layer_and_why(self):
        down = Memory()
        down.down = True
        with pytest.raises(ContentUnavailable) as caught:
            read(layered(down, lying(), gateway=Memory()), CONTENT)
        for words in ("the folder: it is down", "node 0: the", "the gateway: it is not here"):
            assert words in str(caught.value)

    def test_when_all_lie_it_is_a_mismatch(self):
        with pytest.raises(ContentMismatch):
            read(layered(lying(), lying()), CONTENT)

    def test_the_time_is_shared(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(deadline, "time", Clock())
        stores = [Memory(), Memory(), Memory(DATA)]
        assert read(layered(*stores), CONTENT, timeout=9) == DATA
        shares = [t for store in stores for t in store.timeouts]
        assert shares == [3, 4.5, 9]

    def test_the_limit_is_kept_before_anyone_is_asked(self):
        store = Memory(DATA)
        with pytest.raises(ContentTooLarge):
            read(layered(store), CONTENT, max_size=5)
        assert store.calls == []

    def test_no_file_is_left_behind(self, tmp_path: Path):
        layers = [Layer("a", lying(), Role.NODE), Layer("b", Memory(DATA), Role.NODE)] * 2
        assert read(LayeredStore(layers, scratch=tmp_path), CONTENT) == DATA
        assert list(tmp_path.iterdir()) == []

    def test_without_room_for_a_file_in_passing_the_last_layer_still_serves(self, tmp_path: Path):
        layers = [Layer("a", Memory(DATA), Role.NODE), Layer("b", Memory(DATA), Role.NODE)]
        shutil.rmtree(gone := tmp_path / "gone", ignore_errors=True)
        assert read(LayeredStore(layers, scratch=gone), CONTENT) == DATA


class TestWriting:
    @pytest.mark.parametrize("chunks", [[DATA[:9], DATA[9:]], iter([DATA[:9], DATA[9:]])])
    def test_all_that_take_files_get_it(self, chunks: Iterable[bytes]):
        stores = [Memory(), Memory(), Memory()]
        gateway = Memory()
        assert layered(*stores, gateway=gateway).put(chunks) == CONTENT
        assert all(store.files[CONTENT.cid] == DATA for store in stores)
        assert gateway.calls == []

    def test_one_node_is_enough(self, caplog):
        folder, down, node = Memory(), Memory(), Memory()
        folder.down = down.down = True
        store = layered(folder, down, node)
        assert store.put(iter([DATA])) == CONTENT
        store.pin(CONTENT)
        assert node.pins == {CONTENT.cid}
        assert "the folder could not store the file: it is down" in caplog.text

    def test_the_folder_alone_is_not_enough_where_there_are_nodes(self):
        """No other learner could fetch the file."""
        folder, down = Memory(), Memory()
        down.down = True
        store = layered(folder, down)
        with pytest.raises(ContentNotStored, match="node 0: it is down"):
            store.put([DATA])
        with pytest.raises(ContentUnavailable, match="node 0: it is down"):
            store.pin(CONTENT)

    def test_it_is_enough_where_there_are_none(self):
        folder = Memory()
        assert layered(folder, gateway=Memory()).put([DATA]) == CONTENT

    def test_gateways_alone_take_nothing(self):
        store = LayeredStore([Layer("the gateway", Memory(), Role.GATEWAY)])
        for act in (lambda: store.put([DATA]), lambda: store.pin(CONTENT)):
            with pytest.raises(ContentNotStored, match="add a node"):
                act()

    def test_pinning_copies_to_where_it_is_missing(self):
        folder, node, gateway = Memory(), Memory(), Memory(DATA)
        layered(folder, node, gateway=gateway).pin(CONTENT)
        for store in (folder, node):
            assert (store.files[CONTENT.cid], store.pins) == (DATA, {CONTENT.cid})

    def test_it_never_copies_a_lie(self):
        folder = Memory()
        with pytest.raises(ContentUnavailable):
            layered(folder, gateway=lying()).pin(CONTENT)
        assert folder.files == {}

    def test_unpinning_goes_to_all(self, caplog):
        folder, down, node = Memory(DATA), Memory(DATA), Memory(DATA)
        store = layered(folder, down, node)
        store.pin(CONTENT)
        down.down = True
        store.unpin(CONTENT)
        assert folder.pins == node.pins == set()
        assert "node 0 could not unpin" in caplog.text
        folder.down = node.down = True
        with pytest.raises(ContentUnavailable, match="stays pinned"):
            store.unpin(CONTENT)


class TestHaving:
    def test_any_layer_will_do(self):
        down = Memory()
        down.down = True
        assert layered(down, Memory(DATA)).has(CONTENT)
        assert not layered(Memory(), Memory()).has(CONTENT)

    def test_not_knowing_is_not_not_having(self):
        down = Memory()
        down.down = True
        with pytest.raises(ContentUnavailable, match="it is down"):
            layered(Memory(), down).has(CONTENT)


def test_a_store_needs_a_layer():
    with pytest.raises(StoreNotUsable):
        LayeredStore([])


class TestNames:
    @pytest.mark.parametrize("form", ["folder:{}", "{}"])
    def test_a_folder(self, form: str, tmp_path: Path):
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
    def test_a_node(self, spec: str):
        assert isinstance(open_store(spec), KuboStore)

    def test_a_gateway(self):
        assert isinstance(open_store("gateway:https://ipfs.example/ipfs/"), GatewayStore)

    def test_a_list(self, tmp_path: Path):
        spec = f"{tmp_path} , http://ann:s3cret@127.0.0.1:1,gateway:https://g.example,"
        store = open_store(spec)
        assert isinstance(store, LayeredStore)
        text = repr(store)
        assert f"folder {tmp_path}, node 127.0.0.1:1, gateway https://g.example" in text
        assert "s3cret" not in text

    def test_a_token_goes_to_its_host_only(self):
        def no(call: Call) -> None:
            call.answer(b"", 403)

        with faulty(no) as mine, faulty(no) as other:
            spec = f"{mine.url},gateway:{other.url.replace('127.0.0.1', 'localhost')}"
            store = open_store(spec, tokens={"127.0.0.1": "s3cret"})
            with pytest.raises(ContentUnavailable):
                read(store, CONTENT)
            assert mine.calls[0].headers["authorization"] == "Bearer s3cret"
            assert "authorization" not in other.calls[0].headers

    @pytest.mark.parametrize(
        "spec", ["", " , ", "weights", "ftp://h", "gateway:h", "gateway:", "folder:", "s3:bucket"]
    )
    def test_others_are_refused_with_what_there_is(self, spec: str):
        with pytest.raises(StoreNotUsable, match=r"https?://"):
            open_store(spec)


class TestRealNodes:
    def test_a_proposers_node_that_dies_is_made_up_for(
        self, swarm: Sequence[Kubo], tmp_path: Path, caplog
    ):
        """The file stays readable through the folder, its node, or another node's gateway."""
        caplog.set_level(logging.INFO)
        patience = Patience(timeout=120, silence=60, retries=1)
        data = fresh(20_000_000)
        peers = [node.address for node in swarm]
        with Kubo(tmp_path / "own", swarm=swarm[0].swarm, peers=peers) as own:
            spec = f"{tmp_path / 'folder'},{own.api},gateway:{swarm[0].gateway}"
            store = open_store(spec, patience=patience)
            content = store.put([data])
            assert read(open_store(swarm[1].api, patience=patience), content) == data
            assert read(open_store(swarm[0].api, patience=patience), content) == data
            own.kill()
            for file in (tmp_path / "folder" / "files").glob("*/*"):
                file.unlink()
            assert read(store, content) == data
            own.start()
            store.pin(content)
            assert DirectoryStore(tmp_path / "folder").pinned(content)
            assert KuboStore(own.api).pinned(content)
