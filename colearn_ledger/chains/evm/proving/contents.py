"""Prove the transactions and the logs of a block from the roots in its header."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from colearn_ledger.chains.errors import ProofFailed
from colearn_ledger.chains.evm.abi import Log
from colearn_ledger.chains.evm.answers import hexadecimal, object_of, octets, rows
from colearn_ledger.chains.evm.node import ChainLog
from colearn_ledger.chains.evm.proving.encoding import DEPOSIT, encode_receipt, encode_transaction
from colearn_ledger.chains.evm.proving.headers import Header
from colearn_ledger.chains.evm.proving.tries import compute_root
from colearn_ledger.chains.evm.sent_calls import SentCall


@dataclass(frozen=True, slots=True)
class Contents:
    """The logs of one contract in a block, and the transactions that emitted them, by hash."""

    logs: list[ChainLog]
    calls: dict[str, SentCall]


def prove_contents(header: Header, block: Any, receipts: Any, contract: str) -> Contents:
    """Return the contract's logs of a block and their transactions.

    Args:
        header: the proven header.
        block: the JSON of the block with its transactions.
        receipts: the JSON of all of its receipts.
        contract: the contract's address.

    Raises:
        ProofFailed: transactions or receipts do not have the root in the header.
        BadAnswer: the JSON is malformed.
    """
    answer = object_of(block, "a block")
    transactions = [
        object_of(each, "a transaction")
        for each in rows(answer.get("transactions"), "a block's transactions")
    ]
    encoded = [encode_transaction(each) for each in transactions]
    _check("transactions", header, encoded, header.transactions_root)
    given = [object_of(each, "a receipt") for each in rows(receipts, "a block's receipts")]
    _check("receipts", header, [encode_receipt(each) for each in given], header.receipts_root)
    logs = list(_list_logs(header, encoded, given, contract))
    ours = {log.transaction for log in logs}
    calls = {}
    for raw, fields in zip(encoded, transactions, strict=True):
        name = hexadecimal(keccak(raw))
        if name in ours:
            calls[name] = _read_call(header, raw, fields)
    return Contents(logs, calls)


def _check(what: str, header: Header, items: Sequence[bytes], root: bytes) -> None:
    if compute_root(items) != root:
        raise ProofFailed(
            f"the {len(items)} {what} of block {header.number} that the node returned do not have "
            f"the {what} root in its header; one was changed, left out or invented"
        )


def _list_logs(
    header: Header, encoded: Sequence[bytes], receipts: Sequence[Any], contract: str
) -> Iterator[ChainLog]:
    """Yield the contract's logs; a log's index is its place among all logs of the block."""
    index = 0
    for raw, receipt in zip(encoded, receipts, strict=True):
        for log in receipt["logs"]:
            address = to_checksum_address(log["address"])
            if address == contract:
                topics = tuple(octets(topic, "a topic") for topic in log["topics"])
                content = Log(topics, octets(log["data"], "a log's data"))
                name = hexadecimal(keccak(raw))
                yield ChainLog(header.number, index, name, address, content, header.time)
            index += 1


def _read_call(header: Header, raw: bytes, fields: Any) -> SentCall:
    to = fields.get("to")
    target = None if to is None else to_checksum_address(to)
    data = octets(fields["input"], "a transaction's data")
    return SentCall(_find_sender(raw, fields), target, data, header.number)


def _find_sender(raw: bytes, fields: Any) -> str:
    if raw[0] == DEPOSIT:
        return to_checksum_address(fields["from"])
    try:
        return str(Account.recover_transaction(raw))
    except (ValueError, TypeError, LookupError) as error:
        raise ProofFailed(
            f"the sender of transaction {hexadecimal(keccak(raw))} cannot be computed from its "
            f"signature: {error}"
        ) from error
