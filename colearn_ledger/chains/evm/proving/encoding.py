"""Encode the JSON of headers, transactions and receipts to the bytes that a chain's hashes cover.

The tables have the fields in the order of the forks that added them, up to Osaka, and the deposits
of rollups of the OP stack. A hash that matches proves each field; what is encoded wrongly cannot
match.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rlp

from colearn_ledger.chains.evm.answers import object_of, octets, quantity, reject_answer, rows

Fields = Mapping[str, Any]

_NUMBER, _BYTES = quantity, octets
"""How a field is encoded: without leading zeros, or as it is."""

_HEADER = (
    *(("parentHash", _BYTES), ("sha3Uncles", _BYTES), ("miner", _BYTES), ("stateRoot", _BYTES)),
    *(("transactionsRoot", _BYTES), ("receiptsRoot", _BYTES), ("logsBloom", _BYTES)),
    *(("difficulty", _NUMBER), ("number", _NUMBER), ("gasLimit", _NUMBER), ("gasUsed", _NUMBER)),
    *(("timestamp", _NUMBER), ("extraData", _BYTES), ("mixHash", _BYTES), ("nonce", _BYTES)),
)
_HEADER_OF_FORKS = (
    ("baseFeePerGas", _NUMBER),  # London
    ("withdrawalsRoot", _BYTES),  # Shanghai
    *(("blobGasUsed", _NUMBER), ("excessBlobGas", _NUMBER)),  # Cancun
    ("parentBeaconBlockRoot", _BYTES),  # Cancun
    ("requestsHash", _BYTES),  # Prague
)

_LEGACY, _BLOB, _SETTING_CODE = 0, 3, 4
DEPOSIT = 0x7E
"""The type of transactions without a signature, on rollups of the OP stack."""

_TRANSACTIONS: dict[int, tuple[str, ...]] = {
    _LEGACY: ("nonce", "gasPrice", "gas"),
    1: ("chainId", "nonce", "gasPrice", "gas"),
    2: ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas"),
    _BLOB: ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas"),
    _SETTING_CODE: ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas"),
}
"""The numbers at the beginning of a transaction, by its type."""


def encode_header(fields: Fields) -> bytes:
    """Return the bytes of a block's header, whose keccak is the block's hash.

    Raises:
        BadAnswer: a field is malformed or missing.
    """
    values = [_encode(fields, name, kind) for name, kind in _HEADER]
    for name, kind in _HEADER_OF_FORKS:
        if fields.get(name) is None:
            break
        values.append(_encode(fields, name, kind))
    return bytes(rlp.encode(values))


def encode_transaction(fields: Fields) -> bytes:
    """Return the bytes of a signed transaction, whose keccak is its hash.

    Raises:
        BadAnswer: a field is malformed or missing, or the transaction is of an unknown type.
    """
    kind = _read_type(fields, "a transaction")
    if kind == DEPOSIT:
        return _write_type(kind) + _encode_deposit(fields)
    values: list[Any] = [_number(fields, name) for name in _TRANSACTIONS[kind]]
    values.append(_read_target(fields))
    values += [_number(fields, "value"), octets(fields.get("input"), "a transaction's data")]
    if kind != _LEGACY:
        values.append(_list_accesses(fields))
    if kind == _BLOB:
        hashes = rows(fields.get("blobVersionedHashes"), "a transaction's blobs")
        blobs = [octets(each, "a blob's hash") for each in hashes]
        values += [_number(fields, "maxFeePerBlobGas"), blobs]
    if kind == _SETTING_CODE:
        values.append(_list_authorizations(fields))
    parity = "v" if kind == _LEGACY or fields.get("yParity") is None else "yParity"
    values += [_number(fields, name) for name in (parity, "r", "s")]
    return _write_type(kind) + bytes(rlp.encode(values))


def encode_receipt(fields: Fields) -> bytes:
    """Return the bytes of a receipt, as they are in the trie of a block's receipts.

    Raises:
        BadAnswer: a field is malformed or missing, or the receipt is of an unknown type.
    """
    kind = _read_type(fields, "a receipt")
    if fields.get("status") is None:  # before Byzantium
        first: int | bytes = octets(fields.get("root"), "a receipt's root")
    else:
        first = quantity(fields.get("status"), "a receipt's status")
    logs = [_encode_log(log) for log in rows(fields.get("logs"), "a receipt's logs")]
    bloom = octets(fields.get("logsBloom"), "a receipt's bloom")
    values = [first, quantity(fields.get("cumulativeGasUsed"), "a receipt's gas"), bloom, logs]
    if kind == DEPOSIT and fields.get("depositReceiptVersion") is not None:  # since Canyon
        names = ("depositNonce", "depositReceiptVersion")
        values += [quantity(fields.get(name), f"a receipt's {name}") for name in names]
    return _write_type(kind) + bytes(rlp.encode(values))


def _encode_deposit(fields: Fields) -> bytes:
    """Encode a transaction that the chain below a rollup made; it has no signature."""
    values = [
        octets(fields.get("sourceHash"), "a deposit's source"),
        octets(fields.get("from"), "a deposit's sender"),
        _read_target(fields),
        quantity(fields.get("mint") or 0, "a deposit's mint"),
        _number(fields, "value"),
        _number(fields, "gas"),
        int(fields.get("isSystemTx") is True),
        octets(fields.get("input"), "a deposit's data"),
    ]
    return bytes(rlp.encode(values))


def _read_target(fields: Fields) -> bytes:
    to = fields.get("to")
    return b"" if to is None else octets(to, "a transaction's target")


def _encode_log(answer: Any) -> list[Any]:
    fields = object_of(answer, "a log")
    topics = [octets(topic, "a topic") for topic in rows(fields.get("topics"), "a log's topics")]
    emitter = octets(fields.get("address"), "a log's address")
    return [emitter, topics, octets(fields.get("data"), "a log's data")]


def _list_accesses(fields: Fields) -> list[Any]:
    entries = rows(fields.get("accessList") or (), "an access list")
    found = []
    for entry in (object_of(each, "an access list") for each in entries):
        keys = [octets(key, "a slot") for key in rows(entry.get("storageKeys"), "slots")]
        found.append([octets(entry.get("address"), "an account"), keys])
    return found


def _list_authorizations(fields: Fields) -> list[Any]:
    entries = rows(fields.get("authorizationList"), "authorizations")
    return [
        [
            _number(entry, "chainId"),
            octets(entry.get("address"), "an account"),
            *(_number(entry, name) for name in ("nonce", "yParity", "r", "s")),
        ]
        for entry in (object_of(each, "an authorization") for each in entries)
    ]


def _read_type(fields: Fields, what: str) -> int:
    kind = quantity(fields.get("type", 0), f"the type of {what}")
    if kind not in _TRANSACTIONS and kind != DEPOSIT:
        reject_answer(f"{what} of a type that cannot be proved", kind)
    return kind


def _write_type(kind: int) -> bytes:
    return b"" if kind == _LEGACY else bytes([kind])


def _encode(fields: Fields, name: str, kind: Any) -> Any:
    return kind(fields.get(name), f"a block's {name}")


def _number(fields: Fields, name: str) -> int:
    return quantity(fields.get(name), f"a transaction's {name}")
