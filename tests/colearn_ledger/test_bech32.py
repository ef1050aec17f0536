"""Bech32: BIP-173's own vectors, and that every mistyped character is told."""

from __future__ import annotations

import bech32 as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.text.bech32 import NotBech32, decoded, encoded

PREFIXES = st.text(st.characters(min_codepoint=ord("a"), max_codepoint=ord("z")), min_size=1)


@given(PREFIXES.filter(lambda p: len(p) < 20), st.binary(min_size=1, max_size=40))
def test_what_is_written_is_read_and_is_what_others_write(prefix: str, data: bytes):
    written = encoded(prefix, data)
    assert decoded(written) == (prefix, data)
    assert written == reference.bech32_encode(prefix, reference.convertbits(data, 8, 5))


@given(st.binary(min_size=20, max_size=20), st.integers(0, 43), st.integers(1, 31))
def test_one_mistyped_character_is_always_told(data: bytes, place: int, off: int):
    written = encoded("wasm", data)
    digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    place = place % (len(written) - 5) + 5
    other = digits[(digits.index(written[place]) + off) % 32]
    with pytest.raises(NotBech32):
        decoded(written[:place] + other + written[place + 1 :])


@pytest.mark.parametrize(
    "text",
    ["", "1", "a1", "x1b4n0q5v", "pzry9x0s0muk", "1pzry9x0s0muk", "li1dgmt3", "A1G7SGD8",
     "a12uel5l ", "a12uel5L", "\x7f1axkwrx", "é1qqqqqqqq", "de1lg7wt\xff", "a12uel5l" * 20,
     "wasm1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"],
)  # fmt: skip
def test_what_is_none_is_refused(text: str):
    with pytest.raises(NotBech32):
        decoded(text)


def test_an_address_whose_last_bits_are_not_zero_is_no_other_form_of_one():
    digits = reference.convertbits(bytes(19), 8, 5)
    digits[-1] |= 1
    with pytest.raises(NotBech32, match="left over"):
        decoded(reference.bech32_encode("wasm", digits))
