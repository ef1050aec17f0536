"""`KuboStore` and `GatewayStore` on real nodes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentNotStored,
    ContentTooLarge,
    ContentUnavailable,
)
from colearn_ledger.weights.stores.addresses import NodeAddress
from colearn_ledger.weights.stores.gateway import GatewayStore
from colearn_ledger.weights.stores.kubo import KuboStore, ipfshttpclient_rpc
from colearn_ledger.weights.stores.kubo_rpc import HttpKuboRpc, KuboRpc
from colearn_ledger.weights.streams import Patience
from colearn_ledger.weights.unixfs import content_of
from colearn_localnet.kubo import Kubo
from tests.support.store_contract import ANY_SIZE, random_bytes, read_content
from tests.support.waiting import run_with_limit, wait_until_true

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENT = Patience(timeout=120, silence=60, retries=3)


@pytest.fixture(params=[HttpKuboRpc, ipfshttpclient_rpc], ids=["http", "ipfshttpclient"])
def client(request: pytest.FixtureRequest) -> Callable[[NodeAddress], KuboRpc]:
    return request.param


@pytest.fixture
def one(swarm: Sequence[Kubo], client: Callable[[NodeAddress], KuboRpc]) -> KuboStore:
    return KuboStore(swarm[0].api, patience=PATIENT, client=client)


@pytest.fixture
def two(swarm: Sequence[Kubo], client: Callable[[NodeAddress], KuboRpc]) -> KuboStore:
    return KuboStore(swarm[1].api_url, patience=PATIENT, client=client)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Kubo]:
    """Start a node that a test may stop."""
    with Kubo(tmp_path / "own") as running:
        yield running


class TestOneNode:
    @pytest.mark.parametrize("size", [45_613_057, 60_000_000])
    def test_large_files_are_stored_under_our_own_cid(self, one: KuboStore, size: int):
        data = random_bytes(size)
        content = one.put(data[i : i + 999_999] for i in range(0, size, 999_999))
        assert content == content_of(data)
        assert read_content(one, content) == data

    def test_stored_file_is_pinned_until_unpinned(self, one: KuboStore):
        content = one.put([random_bytes(300_000)])
        assert one.pinned(content)
        one.unpin(content)
        assert not one.pinned(content)
        assert one.has(content)
        one.pin(content)
        assert one.pinned(content)

    def test_settings_of_the_node_do_not_change_the_cid(self, tmp_path: Path):
        node = Kubo(tmp_path / "other")
        with node:
            pass
        for setting in (
            "Import.UnixFSChunker=size-1048576",
            "Import.CidVersion=0",
            "Import.UnixFSRawLeaves=false",
            "Import.UnixFSFileMaxLinks=30",
            "Import.HashFunction=blake3",
        ):
            change(tmp_path / "other", *setting.split("="))
        with node:
            data = random_bytes(60_000_000)
            assert KuboStore(node.api).put([data]) == content_of(data)

    def test_bytes_that_differ_from_their_reference_are_not_pinned(self, one: KuboStore):
        data, other = random_bytes(600_000), content_of(random_bytes(600_000))

        class Mistaken(list[bytes]):
            content = other

        with pytest.raises(
            ContentNotStored, match=f"stored '{content_of(data).cid}' instead of {other.cid}"
        ):
            one.put(Mistaken([data]))
        assert not one.pinned(content_of(data))

    def test_failing_source_leaves_no_pin(self, one: KuboStore):
        data = random_bytes(600_000)

        def failing():
            yield data
            raise ConnectionError("gone")

        with pytest.raises(ConnectionError):
            one.put(failing())
        assert not one.pinned(content_of(data))

    def test_missing_content_is_unavailable_in_time(self, one: KuboStore):
        with pytest.raises(ContentUnavailable, match=r"0\.5 s"):
            run_with_limit(read_content, one, content_of(random_bytes(500_000)), ANY_SIZE, 0.5)

    def test_has_does_not_search_other_nodes(self, one: KuboStore, two: KuboStore):
        content = one.put([random_bytes(600_000)])
        assert not two.has(content)
        assert read_content(two, content)
        assert two.has(content)

    def test_has_is_false_for_a_part_of_a_file(self, one: KuboStore, two: KuboStore):
        content = one.put([random_bytes(60_000_000)])
        with two.get(content, max_size=ANY_SIZE) as pieces:
            next(pieces)
        assert not two.has(content)


class TestTwoNodes:
    def test_file_of_one_node_is_read_through_another(self, one: KuboStore, two: KuboStore):
        data = random_bytes(5_000_000)
        content = one.put([data])
        assert read_content(two, content) == data

    def test_pinning_fetches_a_missing_file(self, one: KuboStore, two: KuboStore):
        content = one.put([random_bytes(5_000_000)])
        assert not two.has(content)
        two.pin(content)
        assert (two.has(content), two.pinned(content)) == (True, True)

    def test_pinning_a_file_that_no_node_has_ends_in_time(self, swarm: Sequence[Kubo]):
        store = KuboStore(swarm[0].api, patience=Patience(timeout=0.5))
        with pytest.raises(ContentUnavailable, match="did not deliver"):
            store.pin(content_of(random_bytes(9)))

    @pytest.mark.parametrize("claimed", [1_000, 5_000_001])
    def test_pinning_refuses_a_file_of_another_size(
        self, one: KuboStore, two: KuboStore, claimed: int
    ):
        content = one.put([random_bytes(5_000_000)])
        lie = type(content)(content.cid, content.sha256, claimed)
        with pytest.raises((ContentTooLarge, ContentMismatch, ContentUnavailable)):
            two.pin(lie)
        assert not two.pinned(content)


class TestInterruptions:
    def test_reading_continues_after_the_node_was_killed_and_restarted(self, node: Kubo):
        store = KuboStore(node.api, patience=Patience(timeout=120, silence=60, retries=50))
        data = random_bytes(60_000_000)
        content = store.put([data])
        got = bytearray()
        with store.get(content, max_size=ANY_SIZE) as pieces:
            got += next(pieces)
            node.kill()
            back = threading.Timer(0.5, node.start)
            back.start()
            for piece in pieces:
                got += piece
            back.join()
        assert got == data

    def test_node_that_stays_down_is_reported(self, node: Kubo):
        store = KuboStore(node.api, patience=Patience(timeout=120, silence=60, retries=1))
        content = store.put([random_bytes(60_000_000)])
        with store.get(content, max_size=ANY_SIZE) as pieces:
            next(pieces)
            node.kill()
            with pytest.raises(ContentUnavailable, match="check that the node runs"):
                list(pieces)

    def test_restarted_node_still_has_its_files(self, node: Kubo):
        store = KuboStore(node.api, patience=PATIENT)
        data = random_bytes(1_000_000)
        content = store.put([data])
        node.kill()
        with pytest.raises(ContentNotStored, match="cannot be reached"):
            store.put([data])
        uses = (store.has, store.pin, store.unpin, store.pinned, lambda c: read_content(store, c))
        for use in uses:
            with pytest.raises(ContentUnavailable, match="cannot be reached"):
                use(content)
        node.start()
        assert store.pinned(content)
        assert read_content(store, content) == data

    def test_node_killed_during_an_upload_is_reported(self, node: Kubo):
        store = KuboStore(node.api, patience=PATIENT)

        def pieces():
            for number in range(200):
                if number == 100:
                    node.kill()
                yield random_bytes(100_000)

        with pytest.raises(ContentNotStored, match="check that the node runs"):
            store.put(pieces())

    def test_no_thread_is_left_running(self, one: KuboStore):
        content = one.put([random_bytes(5_000_000)])
        for _ in range(5):
            with one.get(content, max_size=ANY_SIZE) as pieces:
                next(pieces)
        with pytest.raises(ContentUnavailable):
            read_content(one, content_of(random_bytes(9)), timeout=0.1)

        def none_is_left() -> bool:
            gc.collect()
            return not [t for t in threading.enumerate() if t.name.startswith("colearn-")]

        wait_until_true(none_is_left)


class TestMemory:
    @pytest.mark.parametrize("what", ["put", "get", "pin"])
    def test_file_is_not_copied_in_memory(self, swarm: Sequence[Kubo], what: str):
        size = 100_000_000
        reference: list[str] = []
        if what != "put":
            content = KuboStore(swarm[0].api).put(os.urandom(1_000_000) for _ in range(100))
            reference = [content.cid, content.sha256]
        run = subprocess.run(
            [sys.executable, "-c", MEASURE, swarm[what == "pin"].api, str(size), what, *reference],
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(run.stdout) < 20_000_000


MEASURE = """
import sys
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.stores.kubo import KuboStore

def memory(name):
    return next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if name in l)

api, size, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
store = KuboStore(api)
store.put([b"warm"])
data = b"weights " * (size // 8) if what == "put" else bytearray()
open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
before = memory("VmRSS")
if what == "put":
    store.pin(store.put([data]))
    print(memory("VmHWM") - before)
else:
    content = ContentRef(*sys.argv[4:6], size)
    if what == "pin":
        store.pin(content)
    else:
        with store.get(content, max_size=size) as pieces:
            for piece in pieces:
                data += piece
    print(memory("VmHWM") - before - len(data))
"""


class TestGateway:
    @pytest.fixture
    def gateway(self, swarm: Sequence[Kubo]) -> GatewayStore:
        return GatewayStore(swarm[0].gateway, patience=PATIENT)

    @pytest.mark.parametrize("size", [1, 262_145, 50_000_000])
    def test_gateway_serves_files_of_its_node(
        self, one: KuboStore, gateway: GatewayStore, size: int
    ):
        data = random_bytes(size)
        content = one.put([data])
        assert read_content(gateway, content) == data
        assert not gateway.has(content)  # a gateway guarantees nothing

    def test_gateway_serves_files_of_other_nodes(self, two: KuboStore, gateway: GatewayStore):
        data = random_bytes(1_000_000)
        content = two.put([data])
        assert read_content(gateway, content) == data

    def test_missing_content_is_unavailable_in_time(self, gateway: GatewayStore):
        content = content_of(random_bytes(9))
        with pytest.raises(ContentUnavailable, match="try another gateway"):
            read_content(gateway, content, timeout=0.5)

    def test_size_limit_of_the_caller_is_enforced(self, one: KuboStore, gateway: GatewayStore):
        content = one.put([random_bytes(1_000)])
        with pytest.raises(ContentTooLarge):
            read_content(gateway, content, max_size=999)

    def test_gateway_is_read_only(self, gateway: GatewayStore):
        content = content_of(b"x")
        with pytest.raises(ContentNotStored, match="read-only"):
            gateway.put([b"x"])
        with pytest.raises(ContentNotStored, match="read-only"):
            gateway.pin(content)
        gateway.unpin(content)


def change(repo: Path, name: str, value: str) -> None:
    """Change a setting of a stopped node."""
    import json

    path = repo / "config"
    config = json.loads(path.read_text())
    section, key = name.split(".")
    with_type = json.loads(value) if value.isdigit() or value in ("true", "false") else value
    config.setdefault(section, {})[key] = with_type
    path.write_text(json.dumps(config))
