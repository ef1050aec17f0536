"""Addresses of both kinds of chains: valid ones are accepted, mistyped ones are refused."""

from __future__ import annotations

import bech32
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.text.address import (
    InvalidAddress,
    address_bytes,
    check_cosmos_address,
    check_evm_address,
    decode_bech32,
    encode_bech32,
)

PREFIXES = st.text(st.characters(min_codepoint=ord("a"), max_codepoint=ord("z")), min_size=1)
EIP_55 = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
ACCOUNT = encode_bech32("wasm", bytes(range(20)))
CONTRACT = encode_bech32("wasm", bytes(range(32)))


class TestBech32:
    @given(PREFIXES.filter(lambda p: len(p) < 20), st.binary(min_size=1, max_size=40))
    def test_encoded_bytes_are_decoded_again(self, prefix: str, data: bytes):
        assert decode_bech32(encode_bech32(prefix, data)) == (prefix, data)

    @given(st.binary(min_size=20, max_size=20), st.integers(0, 43), st.integers(1, 31))
    def test_one_mistyped_character_is_always_detected(self, data: bytes, place: int, off: int):
        written = encode_bech32("wasm", data)
        digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
        place = place % (len(written) - 5) + 5
        other = digits[(digits.index(written[place]) + off) % 32]
        with pytest.raises(InvalidAddress):
            decode_bech32(written[:place] + other + written[place + 1 :])

    @pytest.mark.parametrize(
        "text",
        ["", "1", "a1", "x1b4n0q5v", "pzry9x0s0muk", "1pzry9x0s0muk", "li1dgmt3", "A1G7SGD8",
         "A12UEL5L", "a12uel5l ", "a12uel5L", "\x7f1axkwrx", "é1qqqqqqqq", "de1lg7wt\xff",
         "a12uel5l" * 20, "wasm1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"],
    )  # fmt: skip
    def test_malformed_text_is_refused(self, text: str):
        with pytest.raises(InvalidAddress):
            decode_bech32(text)

    def test_nonzero_padding_bits_are_refused(self):
        digits = bech32.convertbits(bytes(19), 8, 5)
        digits[-1] |= 1
        with pytest.raises(InvalidAddress, match="last bits are not zero"):
            decode_bech32(bech32.bech32_encode("wasm", digits))

    def test_text_longer_than_any_address_is_refused(self):
        with pytest.raises(InvalidAddress):
            decode_bech32(encode_bech32("wasm", bytes(100)))


class TestEvmAddress:
    @pytest.mark.parametrize("text", [EIP_55, EIP_55.lower(), "0x" + EIP_55[2:].upper()])
    def test_every_form_becomes_eip_55(self, text: str):
        assert check_evm_address(text) == EIP_55

    @pytest.mark.parametrize(
        "value", [EIP_55.replace("a", "A", 1), EIP_55[2:], EIP_55[:-1], EIP_55 + "0", "", None, 7]
    )
    def test_mistyped_addresses_and_other_values_are_refused(self, value: object):
        with pytest.raises(InvalidAddress):
            check_evm_address(value)


class TestCosmosAddress:
    @pytest.mark.parametrize("text", [ACCOUNT, CONTRACT])
    def test_accounts_and_contracts_are_accepted(self, text: str):
        assert check_cosmos_address(text) == text

    @pytest.mark.parametrize(
        "value", [encode_bech32("wasm", bytes(21)), ACCOUNT.upper(), EIP_55, "", None, b"wasm1"]
    )
    def test_other_lengths_cases_and_values_are_refused(self, value: object):
        with pytest.raises(InvalidAddress):
            check_cosmos_address(value)


def test_bytes_of_both_kinds_of_addresses():
    assert address_bytes(EIP_55).hex() == EIP_55[2:].lower()
    assert address_bytes(CONTRACT) == bytes(range(32))
    for text in ("0x12", "wasm1qq"):
        with pytest.raises(InvalidAddress):
            address_bytes(text)
