"""Decode signed transactions of type 2 (EIP-1559)."""

from __future__ import annotations

from typing import Any

import rlp
from coincurve import PublicKey
from eth_utils.crypto import keccak

from colearn_ledger.chains.evm.machine import Transaction

_TYPE = b"\x02"
_TO, _DATA, _ACCESS_LIST, _SIGNATURE = 5, 7, 8, 9
"""Positions of fields; the signature has three."""

_LONGEST = (8, 8, 16, 16, 8, 20, 32, 2**24, 0, 1, 32, 32)
"""Most bytes of each field."""

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Number of points of the curve; ``s`` is at most half of it (EIP-2)."""


class MalformedTransaction(ValueError):
    """Raised if bytes are not a signed transaction that the embedded chain accepts."""


def decode_transaction(raw: bytes, chain_id: int) -> Transaction:
    """Decode a transaction and recover its sender.

    Raises:
        MalformedTransaction: it is of another type or for another chain, has an access list, or its
            signature is not valid.
    """
    if raw[:1] != _TYPE:
        raise MalformedTransaction("only transactions of type 2 are accepted")
    fields = _read_fields(raw[1:])
    numbers = [int.from_bytes(fields[i], "big") for i in (0, 1, 2, 3, 4, 6, 9, 10, 11)]
    chain, nonce, tip, max_fee, gas, value, parity, r, s = numbers
    if chain != chain_id or fields[_ACCESS_LIST]:
        raise MalformedTransaction("it is for another chain, or has an access list")
    sender = _recover(keccak(_TYPE + rlp.encode(fields[:_SIGNATURE])), parity, r, s)
    return Transaction(sender, fields[_TO] or None, fields[_DATA], gas, value, nonce, max_fee, tip)


def _read_fields(body: bytes) -> list[Any]:
    """Return the twelve fields of a transaction; all but the access list are bytes."""
    try:
        fields = rlp.decode(body)
    except rlp.exceptions.RLPException as error:
        raise MalformedTransaction(f"the transaction cannot be decoded: {error}") from error
    if (
        not isinstance(fields, list)
        or len(fields) != len(_LONGEST)
        or not all(
            isinstance(field, bytes) and len(field) <= longest
            for at, (field, longest) in enumerate(zip(fields, _LONGEST, strict=True))
            if at != _ACCESS_LIST
        )
        or len(fields[_TO]) not in (0, 20)
    ):
        raise MalformedTransaction("the transaction cannot be decoded: a field is malformed")
    return fields


def _recover(digest: bytes, parity: int, r: int, s: int) -> bytes:
    """Return the address that signed a digest."""
    if parity > 1 or not 0 < s <= _ORDER // 2:
        raise MalformedTransaction("the signature is not valid")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except ValueError as error:
        raise MalformedTransaction(f"the signature is not valid: {error}") from error
    return keccak(key.format(compressed=False)[1:])[-20:]
