"""Tests that every content store passes; subclass them and supply the fixture ``store``."""

from __future__ import annotations

import os
import threading
from itertools import pairwise

import pytest

from colearn_ledger.protocol import ContentRef, InvalidParameter
from colearn_ledger.weights.store import (
    ContentStore,
    ContentTooLarge,
    ContentUnavailable,
    WrongReference,
)
from colearn_ledger.weights.unixfs import CHUNK_SIZE, content_of

ANY_SIZE = 2**40


def read_content(
    store: ContentStore,
    content: ContentRef,
    max_size: int = ANY_SIZE,
    timeout: float | None = None,
) -> bytes:
    with store.get(content, max_size=max_size, timeout=timeout) as pieces:
        return b"".join(pieces)


def random_bytes(size: int) -> bytes:
    """Return bytes that no store contains yet."""
    return os.urandom(size)


class StoreContract:
    @pytest.mark.parametrize("size", [1, 1_000, CHUNK_SIZE, CHUNK_SIZE + 1, 3_000_000])
    def test_stored_bytes_are_read_back_under_our_own_cid(self, store: ContentStore, size: int):
        data = random_bytes(size)
        content = store.put([data])
        assert content == content_of(data)
        assert store.has(content)
        assert read_content(store, content) == data

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_pieces_may_be_of_any_size_and_kind(self, store: ContentStore, kind: type):
        data = random_bytes(700_000)
        cuts = [0, 0, 1, 2, 300_000, 300_000, 699_999, 700_000]
        pieces = [kind(data[a:b]) for a, b in pairwise(cuts)]
        content = store.put(iter(pieces))
        assert content == content_of(data)
        assert read_content(store, content) == data

    def test_source_may_reuse_one_buffer_for_all_pieces(self, store: ContentStore):
        data = random_bytes(2_000_000)

        def pieces():
            buffer = bytearray(100_000)
            for start in range(0, len(data), len(buffer)):
                buffer[:] = data[start : start + len(buffer)]
                yield buffer

        content = store.put(pieces())
        assert content == content_of(data)
        assert read_content(store, content) == data

    def test_empty_content_is_refused(self, store: ContentStore):
        for nothing in ([], [b"", b""], iter([])):
            with pytest.raises(InvalidParameter):
                store.put(nothing)

    def test_content_above_the_callers_limit_is_refused(self, store: ContentStore):
        data = random_bytes(1_000)
        content = store.put([data])
        assert read_content(store, content, max_size=1_000) == data
        with pytest.raises(ContentTooLarge, match="999"):
            read_content(store, content, max_size=999)

    def test_reference_with_a_wrong_field_is_refused(self, store: ContentStore):
        content = store.put([random_bytes(700_000)])
        other = content_of(random_bytes(5))
        wrong = [
            ContentRef(content.cid, other.sha256, content.size),
            ContentRef(content.cid, content.sha256, content.size - 1),
        ]
        for reference, kind in zip(wrong, (WrongReference, ContentUnavailable), strict=True):
            with pytest.raises(kind):
                read_content(store, reference)
        assert not store.has(wrong[1])

    def test_error_of_the_source_is_raised_unchanged(self, store: ContentStore):
        data = random_bytes(3_000_000)

        def failing():
            yield data
            raise ConnectionError("the peer disconnected")

        with pytest.raises(ConnectionError, match="disconnected"):
            store.put(failing())
        assert not store.has(content_of(data))

    def test_reader_may_stop_early(self, store: ContentStore):
        data = random_bytes(3_000_000)
        content = store.put([data])
        with store.get(content, max_size=ANY_SIZE) as pieces:
            assert data.startswith(next(pieces))
        assert read_content(store, content) == data

    def test_error_of_the_reader_is_raised_unchanged(self, store: ContentStore):
        content = store.put([random_bytes(1_000)])

        def use() -> None:
            with store.get(content, max_size=ANY_SIZE) as pieces:
                next(pieces)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            use()

    def test_pinning_and_unpinning_may_be_repeated(self, store: ContentStore):
        content = store.put([random_bytes(300_000)])
        for act in (store.pin, store.pin, store.unpin, store.unpin):
            act(content)

    def test_pinning_a_missing_file_stores_the_callers_copy(self, store: ContentStore):
        data = random_bytes(300_000)
        content = content_of(data)
        store.pin(content, lambda: [data])
        assert store.has(content)
        assert read_content(store, content) == data

    def test_hostile_cids_are_refused(self, store: ContentStore):
        for cid in ("../../etc/passwd", "", "b" * 59 + "\n", "bafk?arg=x"):
            content = content_of(b"x")
            object.__setattr__(content, "cid", cid)  # no `ContentRef` has this CID
            for use in (
                store.has,
                store.unpin,
                store.pin,
                lambda c: read_content(store, c, timeout=2),
            ):
                with pytest.raises(ContentUnavailable):
                    use(content)

    def test_threads_may_share_a_store(self, store: ContentStore):
        failures: list[BaseException] = []

        def use() -> None:
            try:
                for _ in range(4):
                    data = random_bytes(900_000)
                    content = store.put([data])
                    store.pin(content)
                    if not store.has(content) or read_content(store, content) != data:
                        raise ValueError("the store returned other bytes")
                    store.unpin(content)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=use) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
