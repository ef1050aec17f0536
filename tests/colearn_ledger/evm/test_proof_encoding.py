"""Headers, transactions and receipts of all forks and types have the hashes that a chain gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.chains.evm.proving.encoding import (
    DEPOSIT,
    encode_header,
    encode_receipt,
    encode_transaction,
)
from colearn_ledger.chains.evm.proving.tries import compute_root
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc

EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
MAINNET_GENESIS = {
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": EMPTY_ROOT,
    "receiptsRoot": EMPTY_ROOT,
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
}
MAINNET_GENESIS_HASH = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
HARDFORKS = ("berlin", "london", "shanghai", "cancun", "prague", "osaka")


class OtherAnvil(Anvil):
    """An anvil with further arguments."""

    def __init__(self, *arguments: str) -> None:
        super().__init__()
        self._more = arguments

    def _arguments(self) -> list[str]:
        return [*super()._arguments(), *self._more]


def test_header_of_mainnet_genesis():
    assert keccak(encode_header(MAINNET_GENESIS)).hex() == MAINNET_GENESIS_HASH


def check_block(url: str, number: str) -> list[Any]:
    """Check the hashes of a block and return its transactions."""
    block = json_rpc(url, "eth_getBlockByNumber", number, True)
    receipts = json_rpc(url, "eth_getBlockReceipts", number)
    encoded = [encode_transaction(each) for each in block["transactions"]]
    assert keccak(encode_header(block)).hex() == block["hash"][2:]
    assert compute_root(encoded).hex() == block["transactionsRoot"][2:]
    assert compute_root(list(map(encode_receipt, receipts))).hex() == block["receiptsRoot"][2:]
    for raw, fields in zip(encoded, block["transactions"], strict=True):
        assert keccak(raw).hex() == fields["hash"][2:]
        if raw[0] != DEPOSIT:
            assert Account.recover_transaction(raw).lower() == fields["from"]
    found: list[Any] = block["transactions"]
    return found


@pytest.mark.parametrize("fork", HARDFORKS)
def test_headers_of_forks(fork: str):
    with OtherAnvil("--hardfork", fork) as anvil:
        json_rpc(anvil.url, "evm_mine")
        assert check_block(anvil.url, "0x1") == []


def list_transactions(key: str) -> Iterator[dict[str, Any]]:
    """Yield a transaction of each type, without its nonce."""
    to, fees = "0x" + "11" * 20, {"maxFeePerGas": 10**11, "maxPriorityFeePerGas": 1}
    basis = {"to": to, "value": 1, "gas": 200_000, "data": b"\x01\x02"}
    access = [{"address": to, "storageKeys": ["0x" + "01" * 32, "0x" + "00" * 32]}]
    yield {**basis, "gasPrice": 10**11}  # without a chain id
    yield {**basis, "gasPrice": 10**11, "chainId": 31337}
    yield {**basis, "gasPrice": 10**11, "chainId": 31337, "accessList": access, "type": 1}
    yield {**basis, **fees, "chainId": 31337, "accessList": access, "type": 2}
    yield {**basis, **fees, "chainId": 31337, "to": "", "data": b"\x60\x00", "type": 2}
    signed = Account.sign_authorization({"chainId": 31337, "address": to, "nonce": 99}, key)
    yield {**basis, **fees, "chainId": 31337, "authorizationList": [signed], "type": 4}


def test_transactions_of_all_types_in_one_block():
    with Anvil() as anvil:
        key = anvil.keys[0]
        json_rpc(anvil.url, "evm_setAutomine", False)
        given = list(list_transactions(key))
        for nonce, fields in enumerate(given):
            raw = Account.sign_transaction({**fields, "nonce": nonce}, key).raw_transaction
            json_rpc(anvil.url, "eth_sendRawTransaction", "0x" + raw.hex())
        json_rpc(anvil.url, "evm_mine")
        found = check_block(anvil.url, "0x1")
    assert [int(each["type"], 16) for each in found] == [0, 0, 1, 2, 2, 4]


def test_transaction_with_blobs():
    """Anvil cannot show this: its root covers the blobs too, unlike that of a real chain."""
    numbers = {
        **{"type": 3, "chainId": 1, "nonce": 7, "value": 1, "gas": 21_000},
        **{"maxFeePerGas": 10, "maxPriorityFeePerGas": 1, "maxFeePerBlobGas": 5},
    }
    others = {"to": "0x" + "11" * 20, "accessList": [], "blobVersionedHashes": ["0x01" + "22" * 31]}
    account = Account.create()
    signed = account.sign_transaction({**numbers, **others, "data": b"\x01"})
    signature = {"yParity": signed.v, "r": signed.r, "s": signed.s}
    fields = {name: hex(value) for name, value in {**numbers, **signature}.items()}
    raw = encode_transaction({**fields, **others, "input": "0x01"})
    assert raw == signed.raw_transaction
    assert Account.recover_transaction(raw) == account.address


def test_deposit_of_a_rollup():
    with OtherAnvil("--network", "optimism") as anvil:
        json_rpc(anvil.url, "evm_setAutomine", False)
        [sender, *_] = json_rpc(anvil.url, "eth_accounts")
        deposit = {"from": sender, "to": "0x" + "11" * 20, "value": "0x5", "gas": "0x30000"}
        deposit |= {"type": "0x7e", "sourceHash": "0x" + "77" * 32, "mint": "0x64"}
        more = {"isSystemTx": False, "input": "0x0102"}
        json_rpc(anvil.url, "eth_sendTransaction", {**deposit, **more})
        json_rpc(anvil.url, "evm_mine")
        [found] = check_block(anvil.url, "0x1")
    assert (found["type"], found["mint"]) == ("0x7e", "0x64")


def test_many_transactions_in_one_block():
    with Anvil() as anvil:
        json_rpc(anvil.url, "evm_setAutomine", False)
        for nonce in range(150):  # the keys of a trie grow by a byte from 128 on
            fields = {"to": "0x" + "11" * 20, "value": 1, "gas": 21_000, "chainId": 31337}
            fields |= {"gasPrice": 10**11, "nonce": nonce}
            raw = Account.sign_transaction(fields, anvil.keys[0]).raw_transaction
            json_rpc(anvil.url, "eth_sendRawTransaction", "0x" + raw.hex())
        json_rpc(anvil.url, "evm_mine")
        assert len(check_block(anvil.url, "0x1")) == 150


def test_unknown_type_of_transaction_cannot_be_proved():
    with pytest.raises(BadAnswer, match="of a type that cannot be proved"):
        encode_transaction({"type": "0x6a"})
