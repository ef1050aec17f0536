"""Signed transactions that the embedded chain accepts and refuses."""

from __future__ import annotations

from typing import Any

import pytest
import rlp
from eth_utils.address import to_canonical_address

from colearn_ledger.chains.evm.machine import Transaction
from colearn_ledger.chains.evm.raw_transactions import MalformedTransaction, decode_transaction
from colearn_ledger.keys.wallet import Wallet

WALLET = Wallet.from_key(b"\x07" * 32)
TO = "0x" + "ab" * 20
FIELDS = {
    "type": 2,
    "chainId": 5,
    "nonce": 3,
    "gas": 50_000,
    "maxFeePerGas": 9,
    "maxPriorityFeePerGas": 4,
    "to": "0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB",
    "value": 8,
    "data": b"call",
}


def sign(**changes: Any) -> bytes:
    return WALLET.sign_transaction({**FIELDS, **changes})


def test_fields_and_sender_are_those_of_the_signed_transaction():
    expected = Transaction(
        sender=to_canonical_address(WALLET.address),
        to=bytes.fromhex(TO[2:]),
        data=b"call",
        gas=50_000,
        value=8,
        nonce=3,
        max_fee=9,
        tip=4,
    )
    assert decode_transaction(sign(), 5) == expected


def test_changed_transaction_has_another_sender():
    fields = rlp.decode(sign()[1:])
    changed = b"\x02" + rlp.encode([*fields[:6], b"\x09", *fields[7:]])
    assert decode_transaction(changed, 5).sender != to_canonical_address(WALLET.address)


def change(position: int, value: bytes) -> bytes:
    fields = rlp.decode(sign()[1:])
    return b"\x02" + bytes(rlp.encode([*fields[:position], value, *fields[position + 1 :]]))


HIGH = (0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364140).to_bytes(32, "big")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (sign(chainId=6), "another chain"),
        (sign(accessList=[{"address": FIELDS["to"], "storageKeys": []}]), "access list"),
        (b"\x01" + sign()[1:], "type 2"),
        (b"", "type 2"),
        (sign()[:-1], "cannot be decoded"),
        (b"\x02" + bytes(rlp.encode([b"\x05"])), "cannot be decoded"),
        (b"\x02" + bytes(rlp.encode([[]] * 12)), "cannot be decoded"),
        (change(5, b"\x01"), "cannot be decoded"),
        (change(6, b"\x01" * 33), "cannot be decoded"),
        (change(9, b"\x02"), "signature"),
        (change(10, b""), "signature"),
        (change(11, HIGH), "signature"),
        (change(11, b""), "signature"),
    ],
)
def test_malformed_transaction_is_refused(raw: bytes, reason: str):
    with pytest.raises(MalformedTransaction, match=reason):
        decode_transaction(raw, 5)
