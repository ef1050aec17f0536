"""CIDs as text."""

from __future__ import annotations

import random

import pytest

from colearn_ledger.text.cid import InvalidCid, decode_cid, encode_cid

EMPTY_FILE = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def test_text_and_parts_are_equivalent():
    codec, digest = decode_cid(EMPTY_FILE)
    assert (codec, digest.hex()[:8]) == (0x55, "e3b0c442")
    assert encode_cid(codec, digest) == EMPTY_FILE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "b" + 58 * "a",
        "b" + 58 * "7",
        "not a CID",
        "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
        "z" + EMPTY_FILE[1:],
        EMPTY_FILE[:-2],
        "\udcff",
    ],
)
def test_other_texts_and_kinds_of_cids_are_refused(text: str):
    with pytest.raises(InvalidCid):
        decode_cid(text)


def test_digests_and_codecs_survive_the_round_trip():
    numbers = random.Random(1)
    for codec in (0, 0x55, 0x70, 127):
        digest = numbers.randbytes(32)
        assert decode_cid(encode_cid(codec, digest)) == (codec, digest)


@pytest.mark.parametrize(("codec", "size"), [(128, 32), (-1, 32), (0x55, 31), (0x55, 33)])
def test_other_codecs_and_digests_have_no_cid_here(codec: int, size: int):
    with pytest.raises(ValueError, match="below 128 and a digest of 32 bytes"):
        encode_cid(codec, bytes(size))


def test_each_cid_has_one_text():
    last = EMPTY_FILE[-1]
    others = [letter for letter in "abcdefghijklmnopqrstuvwxyz234567" if letter != last]
    for letter in others:  # 58 letters hold two bits more than 36 bytes
        text = EMPTY_FILE[:-1] + letter
        try:
            digest = decode_cid(text)[1]
        except InvalidCid:
            continue
        assert encode_cid(0x55, digest) == text
