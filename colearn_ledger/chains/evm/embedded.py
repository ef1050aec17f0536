"""An EVM chain in this process, behind a provider of web3.py.

It is meant for demonstrations, simulations and tests: transactions, signatures, gas and contract
code are real, but no node is needed. The chain is in memory and ends with the process.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint, RPCResponse

from colearn_ledger.chains.evm.answers import hexadecimal
from colearn_ledger.chains.evm.config import EvmConfig, EvmSenderConfig
from colearn_ledger.chains.evm.ledger import EvmLedger
from colearn_ledger.chains.evm.machine import (
    HALTED,
    REFUSED,
    REVERTED,
    SUCCEEDED,
    BlockContext,
    Machine,
    Outcome,
    Transaction,
)
from colearn_ledger.chains.evm.node import Node
from colearn_ledger.chains.evm.raw_transactions import MalformedTransaction, decode_transaction
from colearn_ledger.chains.evm.sender import Sender
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Account

Clock = Callable[[], float]
"""Returns seconds since the epoch."""

Entropy = Callable[[int], bytes]
"""Returns the given number of random bytes."""

_CHAIN_ID = 1337
_COIN = 10**18
_ALLOWANCE = 100 * _COIN
"""Wei that `EmbeddedChain.fund` sends in one payment."""

_BASE_FEE = _TIP = 10**9
"""Wei for a unit of gas; the same in every block."""

_GAS_LIMIT = 30_000_000
_NOBODY = "0x" + "00" * 20  # the sender of a call that names none
"""Gas of a block, and of a call."""


class _Refused(Exception):
    """A request is answered with an error.

    Args:
        message: the message, as of other nodes.
        data: the revert data; ``None`` if it is not a revert.
    """

    def __init__(self, message: str, data: bytes | None = None) -> None:
        self.message = message
        self.data = data
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Block:
    """A block, its hash, and the transaction in it; the first block has none."""

    context: BlockContext
    hash: bytes
    transaction: str | None = None

    @property
    def answer(self) -> dict[str, Any]:
        """Return the fields that nodes report."""
        context = self.context
        return {
            "number": hex(context.number),
            "hash": hexadecimal(self.hash),
            "timestamp": hex(context.time),
            "gasLimit": hex(context.gas_limit),
            "baseFeePerGas": hex(context.base_fee),
            "mixHash": hexadecimal(context.entropy),
            "transactions": [] if self.transaction is None else [self.transaction],
        }


class EmbeddedProvider(BaseProvider):
    """A provider of web3.py for a chain in this process; threads may share it.

    Every transaction makes a block. Requests at the last block are executed in the pending one,
    whose time is that of the clock. A block's hash depends on all earlier blocks and on its
    transaction, but it is not that of a header, and contracts cannot read it.

    Args:
        clock: returns the time, in seconds since the epoch.
        entropy: returns random bytes for each block's ``prevrandao``.
        wealth: the balances of accounts at the start, in wei.
    """

    def __init__(self, clock: Clock, entropy: Entropy, wealth: Mapping[bytes, int]) -> None:
        super().__init__()
        self._clock = clock
        self._entropy = entropy
        self._lock = threading.Lock()
        self._machine = Machine(_CHAIN_ID)
        for address, balance in wealth.items():
            self._machine.set_balance(address, balance)
        first = BlockContext(0, int(clock()), _GAS_LIMIT, _BASE_FEE, entropy(32))
        self._blocks = [_Block(first, keccak(first.entropy))]
        self._receipts: dict[str, dict[str, Any]] = {}
        self._transactions: dict[str, dict[str, Any]] = {}
        self._logs: list[dict[str, Any]] = []
        self._blocks_of_logs: list[int] = []
        self._methods: dict[str, Callable[..., Any]] = {
            "eth_blockNumber": lambda: hex(self._height),
            "eth_call": self._call,
            "eth_chainId": lambda: hex(_CHAIN_ID),
            "eth_estimateGas": self._estimate_gas,
            "eth_getBalance": lambda account, block: hex(self._account(account).balance),
            "eth_getBlockByNumber": self._find_block,
            "eth_getCode": lambda account, block: hexadecimal(self._account(account).code),
            "eth_getLogs": self._find_logs,
            "eth_getTransactionByHash": self._transactions.get,
            "eth_getTransactionCount": lambda account, block: hex(self._account(account).nonce),
            "eth_getTransactionReceipt": self._receipts.get,
            "eth_maxPriorityFeePerGas": lambda: hex(_TIP),
            "eth_sendRawTransaction": self._send,
        }

    def request_func(self, w3: Any, middleware_onion: Any) -> Callable[..., RPCResponse]:
        """Return the function that answers requests; no middleware is used."""
        return self.make_request

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Execute a request and return its response."""
        answer = self._methods.get(method)
        try:
            if answer is None:
                raise _Refused(f"the method {method} is not supported")
            with self._lock:
                return {"jsonrpc": "2.0", "id": 0, "result": answer(*params)}
        except _Refused as refusal:
            error: Any = {"code": -32_000, "message": refusal.message}
            if refusal.data is not None:
                error |= {"code": 3, "data": hexadecimal(refusal.data)}
            return {"jsonrpc": "2.0", "id": 0, "error": error}

    # ------------------------------------------------------------------ blocks and state

    @property
    def _height(self) -> int:
        return len(self._blocks) - 1

    def _next_block(self) -> BlockContext:
        """Return the pending block: its time follows the clock, its entropy is the last one's."""
        last = self._blocks[-1].context
        due = max(last.time + 1, int(self._clock()))
        return replace(last, number=last.number + 1, time=due)

    def _find_block(self, tag: str, full: bool) -> dict[str, Any] | None:
        if tag == "pending":
            return _Block(self._next_block(), b"").answer | {"hash": None}
        number = self._height if tag == "latest" else int(tag, 16)
        return self._blocks[number].answer if number <= self._height else None

    def _account(self, address: str) -> Any:
        return self._machine.account(to_canonical_address(address))

    def _find_logs(self, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        first = bisect_left(self._blocks_of_logs, int(wanted["fromBlock"], 16))
        last = bisect_right(self._blocks_of_logs, int(wanted["toBlock"], 16))
        topics = [(at, topic) for at, topic in enumerate(wanted["topics"]) if topic is not None]
        return [
            log
            for log in self._logs[first:last]
            if log["address"] == wanted["address"]
            and all(log["topics"][at : at + 1] == [topic] for at, topic in topics)
        ]

    # ------------------------------------------------------------------ calls

    def _call(self, call: Mapping[str, Any], tag: str) -> str:
        return hexadecimal(self._execute(call, tag).output)

    def _estimate_gas(self, call: Mapping[str, Any], tag: str = "pending") -> str:
        """Return the gas of one run before refunds.

        It is enough: calls of the contract make no calls. The constructor makes one, but storing
        the contract's code then uses more gas than the one-64th that was kept back.
        """
        return hex(self._execute(call, tag).gas_needed)

    def _execute(self, call: Mapping[str, Any], tag: str) -> Outcome:
        """Execute a call without a fee, and revert its effects."""
        number = self._height if tag in ("latest", "pending") else int(tag, 16)
        if number > self._height:
            raise _Refused(f"there is no block {number}")
        block = self._next_block() if tag in ("latest", "pending") else self._blocks[number].context
        to = call.get("to")
        transaction = Transaction(
            sender=to_canonical_address(call.get("from", _NOBODY)),
            to=to_canonical_address(to) if to else None,
            data=bytes.fromhex(call.get("data", "0x")[2:]),
            gas=_GAS_LIMIT,
            value=int(call.get("value", "0x0"), 16),
        )
        outcome = self._machine.call(transaction, block, number)
        if outcome.status == REVERTED:
            raise _Refused("execution reverted", outcome.output)
        if outcome.status in (HALTED, REFUSED):
            raise _Refused(outcome.output.decode())
        return outcome

    # ------------------------------------------------------------------ transactions

    def _send(self, raw: str) -> str:
        data = bytes.fromhex(raw[2:])
        name = hexadecimal(keccak(data))
        if name in self._receipts:
            raise _Refused("already known")
        try:
            transaction = decode_transaction(data, _CHAIN_ID)
        except MalformedTransaction as error:
            raise _Refused(str(error)) from error
        if transaction.nonce < self._machine.account(transaction.sender).nonce:
            raise _Refused("nonce too low")
        block = replace(self._next_block(), entropy=self._entropy(32))
        outcome = self._machine.transact(transaction, block)
        if outcome.status == REFUSED:
            raise _Refused(outcome.output.decode())
        made = _Block(block, keccak(self._blocks[-1].hash + keccak(data) + block.entropy), name)
        self._blocks.append(made)
        self._record(transaction, outcome, made)
        return name

    def _record(self, transaction: Transaction, outcome: Outcome, block: _Block) -> None:
        """Keep the receipt and the logs of a transaction."""
        place = {
            "transactionHash": block.transaction,
            "transactionIndex": "0x0",
            "blockHash": hexadecimal(block.hash),
            "blockNumber": hex(block.context.number),
        }
        logs = [
            {
                **place,
                "address": to_checksum_address(log.address),
                "topics": [hexadecimal(topic) for topic in log.topics],
                "data": hexadecimal(log.data),
                "logIndex": hex(index),
                "blockTimestamp": hex(block.context.time),
            }
            for index, log in enumerate(outcome.logs)
        ]
        self._logs += logs
        self._blocks_of_logs += [block.context.number] * len(logs)
        self._transactions[str(block.transaction)] = {
            **place,
            "from": to_checksum_address(transaction.sender),
            "to": None if transaction.to is None else to_checksum_address(transaction.to),
            "input": hexadecimal(transaction.data),
        }
        has_made_contract = transaction.to is None and outcome.status == SUCCEEDED
        fee = min(transaction.max_fee, block.context.base_fee + transaction.tip)
        self._receipts[str(block.transaction)] = {
            **place,
            "from": to_checksum_address(transaction.sender),
            "to": None if transaction.to is None else to_checksum_address(transaction.to),
            "status": hex(outcome.status == SUCCEEDED),
            "gasUsed": hex(outcome.gas_used),
            "effectiveGasPrice": hex(fee),
            "contractAddress": to_checksum_address(outcome.contract) if has_made_contract else None,
            "logs": logs,
        }


class EmbeddedChain:
    """A chain in this process, with a rich account that funds wallets.

    Every transaction makes a block. A block's time is that of the clock, but at least a second
    after the previous block: many transactions at once make the chain's time run ahead.

    Args:
        clock: returns the time, in seconds since the epoch.
        entropy: returns random bytes for each block's ``prevrandao``.
    """

    def __init__(self, *, clock: Clock = time.time, entropy: Entropy = os.urandom) -> None:
        self._bank = Wallet.create()
        wealth: dict[bytes, int] = {to_canonical_address(self._bank.address): 10**9 * _COIN}
        self.provider = EmbeddedProvider(clock, entropy, wealth)
        self._config = EvmConfig(
            chain_id=_CHAIN_ID,
            sending=EvmSenderConfig(fee_seconds=3_600),
            poll_seconds=0.02,
            log_range=1_000_000,
        )
        self._sender = Sender(Node(self.provider), _CHAIN_ID, self._config.sending)

    def fund(self, wallet: Wallet) -> None:
        """Send a wallet more coins than an experiment costs."""
        sent = self._sender.send(self._bank, wallet.address, b"", value=_ALLOWANCE)
        self._sender.wait(sent, None)

    def deploy(self, wallet: Wallet) -> EvmLedger:
        """Fund a wallet, deploy the contract with it, and return the ledger."""
        self.fund(wallet)
        return EvmLedger.deploy(self.provider, wallet, config=self._config)

    def ledger(self, contract: Account, wallet: Wallet) -> EvmLedger:
        """Fund a wallet, and return its ledger of a deployed contract."""
        self.fund(wallet)
        return EvmLedger.connect(self.provider, contract, wallet, config=self._config)
