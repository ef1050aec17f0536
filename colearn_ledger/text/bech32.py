"""Bech32 (BIP-173): how Cosmos chains write addresses, ``wasm1…``."""

from __future__ import annotations

from collections.abc import Iterable

from colearn_ledger.protocol import LedgerError

__all__ = ["NotBech32", "decoded", "encoded"]

_DIGITS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6  # digits
_LONGEST = 128  # characters; a contract's address has 63
_LARGEST_PREFIX_CHARACTER = 0x7E


class NotBech32(LedgerError):
    """The text is no bech32, or its checksum says that it was mistyped."""


def encoded(prefix: str, data: bytes) -> str:
    """Return bytes as bech32."""
    digits = _regrouped(data, 8, 5)
    checked = (_polymod([*_expanded(prefix), *digits, *(0,) * _CHECKSUM])) ^ 1
    checksum = [checked >> 5 * (5 - i) & 31 for i in range(_CHECKSUM)]
    return prefix + "1" + "".join(_DIGITS[d] for d in [*digits, *checksum])


def decoded(text: str) -> tuple[str, bytes]:
    """Return prefix and bytes of a bech32 in lower case, the one form that a ledger writes.

    Raises:
        NotBech32: it is none.
    """
    prefix, one, data = text.rpartition("1")
    is_shaped = (
        len(text) <= _LONGEST
        and one
        and prefix
        and len(data) > _CHECKSUM
        and text == text.lower()
        and not set(data) - set(_DIGITS)
        and all(ord("!") <= ord(c) <= _LARGEST_PREFIX_CHARACTER for c in prefix)
    )
    digits = [_DIGITS.index(c) for c in data] if is_shaped else []
    if not is_shaped or _polymod([*_expanded(prefix), *digits]) != 1:
        raise NotBech32("not bech32, or mistyped: its checksum does not hold")
    content = digits[:-_CHECKSUM]
    found = bytes(_regrouped(content, 5, 8))
    if _regrouped(found, 8, 5) != content:
        raise NotBech32("not bech32: bits are left over")
    return prefix, found


def _expanded(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(_GENERATOR):
            if top >> i & 1:
                checksum ^= generator
    return checksum


def _regrouped(values: Iterable[int], bits: int, wanted: int) -> list[int]:
    """Return the same bits in other groups; of 8 bits only whole ones, of 5 the last is filled."""
    held = count = 0
    groups = []
    for value in values:
        held, count = held << bits | value, count + bits
        while count >= wanted:
            count -= wanted
            groups.append(held >> count & (1 << wanted) - 1)
    if count and wanted < bits:
        groups.append(held << wanted - count & (1 << wanted) - 1)
    return groups
