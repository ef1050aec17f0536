"""Addresses as text: EIP-55 hexadecimal on EVM chains, bech32 (BIP-173) on Cosmos chains.

Every command imports this module, so the functions import `eth_utils`, which takes long.
"""

from __future__ import annotations

from functools import lru_cache

from bech32 import bech32_decode, bech32_encode, convertbits

_LONGEST_BECH32 = 128
"""Most characters of an address; the address of a contract has 63."""

_COSMOS_BYTES = (20, 32)
"""Lengths in bytes of an account's and a contract's address."""


class InvalidAddress(ValueError):
    """The text is not an address, or its checksum does not match."""


def check_evm_address(value: object) -> str:
    """Return a 20-byte hexadecimal address in its EIP-55 form.

    Raises:
        InvalidAddress: it is not an address, or its mixed-case checksum does not match.
    """
    if not isinstance(value, str):
        raise InvalidAddress(f"{_excerpt(value)} is not an address: 0x and 40 hexadecimal digits")
    return _check_evm_text(value)


@lru_cache(maxsize=4_096)  # the same few accounts are checked again and again
def _check_evm_text(value: str) -> str:
    from eth_utils.address import is_checksum_address, is_hex_address, to_checksum_address

    if not value.startswith("0x") or not is_hex_address(value):
        raise InvalidAddress(f"{_excerpt(value)} is not an address: 0x and 40 hexadecimal digits")
    digits = value[2:]
    if digits not in (digits.lower(), digits.upper()) and not is_checksum_address(value):
        raise InvalidAddress(f"{value} is mistyped: its EIP-55 checksum does not match")
    return to_checksum_address(value)


def check_cosmos_address(value: object) -> str:
    """Return a bech32 address of 20 or 32 bytes, in lower case; any prefix is accepted.

    Raises:
        InvalidAddress: it is not an address, or its checksum does not match.
    """
    if not isinstance(value, str):
        raise InvalidAddress(f"{_excerpt(value)} is not an address in bech32")
    length = len(decode_bech32(value)[1])
    if length not in _COSMOS_BYTES:
        raise InvalidAddress(f"{_excerpt(value)} is not an address: it has {length} bytes")
    return value


def address_bytes(address: str) -> bytes:
    """Return the bytes of an address: 32 for a contract on a Cosmos chain, 20 otherwise.

    Raises:
        InvalidAddress: it is not an address.
    """
    if address.startswith("0x"):
        return bytes.fromhex(check_evm_address(address)[2:])
    return decode_bech32(address)[1]


def encode_bech32(prefix: str, data: bytes) -> str:
    """Return bytes as bech32."""
    return bech32_encode(prefix, convertbits(data, 8, 5) or [])


def decode_bech32(text: str) -> tuple[str, bytes]:
    """Return the prefix and the bytes of a lower-case bech32 text, the form that ledgers return.

    Raises:
        InvalidAddress: it is not bech32, is too long, or its checksum does not match.
    """
    prefix, digits = None, None
    if len(text) <= _LONGEST_BECH32 and text == text.lower():
        prefix, digits = bech32_decode(text)
    if prefix is None or digits is None:
        raise InvalidAddress(
            f"{_excerpt(text)} is not an address in bech32: its checksum does not match"
        )
    data = convertbits(digits, 5, 8, False)
    if data is None:
        raise InvalidAddress(
            f"{_excerpt(text)} is not an address in bech32: its last bits are not zero"
        )
    return prefix, bytes(data)


def _excerpt(value: object) -> str:
    return ascii(value)[:80]
