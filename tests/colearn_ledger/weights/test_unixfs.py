"""CIDs equal those of Kubo 0.43.1, ``ipfs add --only-hash --cid-version=1 --raw-leaves``."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.protocol import CODEC_DAG_PB, CODEC_RAW, ContentRef, InvalidParameter
from colearn_ledger.weights.store import ContentMismatch, WrongReference
from colearn_ledger.weights.unixfs import (
    CHUNK_SIZE,
    FileHasher,
    content_of,
    verified,
)

PERIOD = bytes(i * i % 251 for i in range(65_521))
"""Repeated content of the test vectors; its length is prime, so that no two chunks are equal."""

KUBO = {
    0: "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    1: "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu",
    1_000: "bafkreicflt27yw6wy32um5vcauv7tuygixlqg4gtvt63gvfswn4xapmgim",
    262_143: "bafkreiepvuthahw4ltq4x34vtxhuo6s3euhgzm2t65mganmorqyeps6p7m",
    262_144: "bafkreicfqrtk24teav7xsihwge73ukec2suknlpcd4nuxy2ngcosewg6a4",
    262_145: "bafybeiai3m3n63l7tf4fgis2qvnjcme6kgj6esjz3ikyjfzup7jcyfkafa",
    524_288: "bafybeic6lcjlb5bpuoicz7uhby26zizlj3zsofzypohwc4kwk4q3mewa5e",
    524_289: "bafybeihdhs4dj3jgz75kbcel7uspu2qorqe7hisjbxfmmi25c6nnaiuaxi",
    1_048_577: "bafybeibwmvge4zsh6kr6jtxchdkvki3rhcnxjfcglb4rl2rg4hvl7ucr4y",
    5_000_001: "bafybeicutpvptuj257qxh5ds2yexmk3duc5of5detwm3qa2hblwifw4omu",
    45_350_912: "bafybeic2pp6a6mtiar5qfrewdhiayrndbr4qsdjdr6ws5jqpaaxqpskylq",
    45_613_056: "bafybeifgi2afl5slvviwlhhd4q32di7e4vjpwiksywalasa3cmhgmuk67y",
    45_613_057: "bafybeihqw3spjvbban2g5352pknsvoj2ghynlcin4tdhdicqnrjibbgkou",
    45_875_200: "bafybeiah65wmdhgaj2mdhv5hhkrxsohrs6ffe6lotnwadphvmrgzpnh4x4",
    91_226_113: "bafybeibge5k34dellvuenugqsrl4mc4crqant3egkr3yhzqlzi3o43lh3q",
    104_857_600: "bafybeibxxvghczuga2xrizwnvbklbswtcj2u2fdlv6k4enswemxzntt3bi",
}

"""CIDs by size; 174 chunks have 45,613,056 bytes."""

KUBO_SMALL_CHUNKS = {
    (1_392, 8): "bafybeigm2cfpopn6btdnl3wjapzahw3ofupkbi5l2s64svvltbw5clolay",
    (1_393, 8): "bafybeif3xvfqq2rqkpwphgcbwiwm7j4bv2ew4ky6rbxkljlevnmltnfvoy",
    (242_208, 8): "bafybeicc6kdtdlrg26jzab5kjmt222daun6pdkjh6x36pvwfoc3zyhnszm",
    (242_209, 8): "bafybeiar5lpvbre2gyhwjm3lkefk52nzu5nsgyal62adpzgqii4qaiog6u",
    (243_609, 8): "bafybeifmpaofiqzcrgl457ailhlwegzxn4d24boot6o4y6tho3i2ksyrqm",
    (3_000_007, 1000): "bafybeib6bhrkabdzseio5xcoi5e6rbgmun7nsh52r7sv4qw7eway2e6aoa",
}
"""CIDs by size and N of ``--chunker=size-N``; 174 · 174 chunks of 8 bytes have 242,208 bytes."""


def pieces_of(size: int, length: int = 1 << 20) -> Iterator[bytes]:
    """Yield the first `size` bytes of the endless repetition of `PERIOD`."""
    block = PERIOD * (length // len(PERIOD) + 2)
    position = 0
    while position < size:
        start = position % len(PERIOD)
        piece = block[start : start + min(length, size - position)]
        position += len(piece)
        yield piece


def hash_pieces(pieces, **kwargs) -> FileHasher:
    hasher = FileHasher(**kwargs)
    for piece in pieces:
        hasher.update(piece)
    return hasher


@pytest.mark.parametrize(("size", "cid"), KUBO.items(), ids=lambda v: str(v))
def test_cid_matches_kubo(size: int, cid: str):
    assert hash_pieces(pieces_of(size)).cid() == cid


@pytest.mark.parametrize(("case", "cid"), KUBO_SMALL_CHUNKS.items(), ids=lambda v: str(v))
def test_cid_matches_kubo_for_three_level_tree(case: tuple[int, int], cid: str):
    size, chunk_size = case
    assert hash_pieces(pieces_of(size), chunk_size=chunk_size).cid() == cid


@given(st.binary(max_size=300), st.data())
def test_cid_is_independent_of_the_pieces(data: bytes, draw: st.DataObject):
    whole = hash_pieces([data], chunk_size=7, links_per_node=3)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=20)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    split = hash_pieces(pieces, chunk_size=7, links_per_node=3)
    assert (split.cid(), split.sha256(), split.size) == (whole.cid(), whole.sha256(), whole.size)
    assert split.sha256() == hashlib.sha256(data).hexdigest()


class TestDeepTrees:
    """Comparison with trees built from their definition, with small chunks and nodes."""

    @pytest.mark.parametrize("chunks", [1, 2, 3, 4, 8, 9, 10, 26, 27, 28, 81, 82])
    def test_all_leaves_have_the_same_depth(self, chunks: int):
        data = bytes(range(chunks * 2))
        level = [
            (b"\x01\x55\x12\x20" + hashlib.sha256(data[i : i + 2]).digest(), 2, 2)
            for i in range(0, len(data), 2)
        ]
        while len(level) > 1:
            level = [node(level[i : i + 3]) for i in range(0, len(level), 3)]
        hasher = hash_pieces([data], chunk_size=2, links_per_node=3)
        assert hasher.cid() == base32(level[0][0])

    def test_reading_the_cid_early_does_not_change_it(self):
        asked = FileHasher(chunk_size=2, links_per_node=3)
        for i in range(60):
            asked.update(bytes([i]))
            assert (
                asked.cid()
                == hash_pieces([bytes(range(i + 1))], chunk_size=2, links_per_node=3).cid()
            )


def node(links: list[tuple[bytes, int, int]]) -> tuple[bytes, int, int]:
    """Return a dag-pb node's CID, the size of its file, and the size of its tree."""
    size = sum(link[1] for link in links)
    unixfs = b"\x08\x02\x18" + varint(size) + b"".join(b"\x20" + varint(x[1]) for x in links)
    block = b""
    for cid, _, tree in links:
        link = b"\x0a" + varint(len(cid)) + cid + b"\x12\x00\x18" + varint(tree)
        block += b"\x12" + varint(len(link)) + link
    block += b"\x0a" + varint(len(unixfs)) + unixfs
    cid = b"\x01\x70\x12\x20" + hashlib.sha256(block).digest()
    return cid, size, len(block) + sum(link[2] for link in links)


def varint(number: int) -> bytes:
    low, high = number % 128, number // 128
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def base32(cid: bytes) -> str:
    return "b" + base64.b32encode(cid).decode().rstrip("=").lower()


class TestReferences:
    def test_cid_of_one_chunk_contains_the_sha256_of_the_file(self):
        content = content_of(b"a" * CHUNK_SIZE)
        assert content.codec == CODEC_RAW
        assert content.digest.hex() == content.sha256
        assert content.size == CHUNK_SIZE

    def test_longer_file_is_a_tree_with_the_sha256_of_the_file(self):
        content = content_of(b"a" * (CHUNK_SIZE + 1))
        assert content.codec == CODEC_DAG_PB
        assert content.sha256 == hashlib.sha256(b"a" * (CHUNK_SIZE + 1)).hexdigest()

    @pytest.mark.parametrize("size", [1, CHUNK_SIZE, CHUNK_SIZE + 1, 45_613_057])
    def test_file_in_memory_has_the_reference_of_its_pieces(self, size: int):
        pieces = list(pieces_of(size))
        hasher = FileHasher()
        for piece in pieces:
            hasher.update(piece)
        assert hasher.content() == content_of(b"".join(pieces))

    def test_empty_file_is_refused(self):
        with pytest.raises(InvalidParameter):
            FileHasher().content()
        with pytest.raises(InvalidParameter):
            content_of(b"")


class TestVerification:
    DATA = b"0123456789" * 40_000

    def pieces(self, data: bytes) -> list[bytes]:
        return [data[i : i + 65_536] for i in range(0, len(data), 65_536)]

    def test_correct_bytes_pass(self):
        content = content_of(self.DATA)
        assert b"".join(verified(self.pieces(self.DATA), content)) == self.DATA

    def test_empty_pieces_are_ignored(self):
        content = content_of(b"ab")
        assert list(verified([b"", b"a", b"", b"b", b""], content)) == [b"a", b"b"]

    @pytest.mark.parametrize("at", [0, 100_000, 399_999])
    def test_wrong_bit_is_detected_before_the_last_piece(self, at: int):
        wrong = bytearray(self.DATA)
        wrong[at] ^= 1
        received = []
        with pytest.raises(ContentMismatch, match="do not match"):
            received.extend(verified(self.pieces(bytes(wrong)), content_of(self.DATA)))
        assert sum(map(len, received)) < len(self.DATA)

    def test_truncated_file_is_a_mismatch(self):
        content = content_of(self.DATA)
        with pytest.raises(ContentMismatch):
            list(verified(self.pieces(self.DATA)[:-1], content))

    def test_no_bytes_are_a_mismatch(self):
        with pytest.raises(ContentMismatch):
            list(verified([], content_of(b"a")))

    def test_endless_source_is_abandoned_at_the_size_limit(self):
        served = 0

        def endless():
            nonlocal served
            while True:
                served += 1
                yield bytes(65_536)

        with pytest.raises(ContentMismatch, match=r"more than the \d+ bytes of \w+ were received"):
            list(verified(endless(), content_of(self.DATA)))
        assert served == len(self.DATA) // 65_536 + 1

    @pytest.mark.parametrize(("size", "kind"), [(3, ContentMismatch), (5, WrongReference)])
    def test_reference_with_a_wrong_size_is_refused(self, size: int, kind: type[Exception]):
        true = content_of(b"abcd")
        lie = ContentRef(true.cid, true.sha256, size)
        with pytest.raises(kind):
            list(verified([b"abcd"], lie))

    def test_reference_with_a_wrong_sha256_is_refused(self):
        true = content_of(self.DATA)
        lie = ContentRef(true.cid, content_of(b"other").sha256, true.size)
        with pytest.raises(WrongReference, match="belongs to other bytes"):
            list(verified([self.DATA], lie))
