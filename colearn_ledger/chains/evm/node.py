"""A client of one EVM node over JSON-RPC; it batches requests and checks every answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from web3 import Web3
from web3.exceptions import Web3Exception
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint

from colearn_ledger.chains.checked_node import CheckedNode
from colearn_ledger.chains.errors import BadAnswer, NodeRefused
from colearn_ledger.chains.evm.abi import Log
from colearn_ledger.chains.evm.answers import (
    address,
    hash32,
    hexadecimal,
    object_of,
    octets,
    quantity,
    reject_answer,
    revert_data,
    rows,
)
from colearn_ledger.chains.evm.errors import Reverted
from colearn_ledger.chains.evm.http_provider import HttpConfig, HttpProvider
from colearn_ledger.chains.evm.sent_calls import SentCall, read_entropy, read_sent_call
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account, LedgerError

T = TypeVar("T")

_log = logging.getLogger(__name__)

_AT_ONCE = 50
"""Number of requests in one batch; providers limit it."""

BlockTag = int | str | Mapping[str, str]
"""A block's number, ``latest``, ``pending``, or its hash (EIP-1898)."""


@dataclass(frozen=True, slots=True)
class Block:
    """The fields of a block that this package reads.

    ``base_fee`` is in wei, 0 if the chain has none; ``hash`` is empty for the pending block.
    """

    number: int
    time: int
    base_fee: int
    hash: str = ""


@dataclass(frozen=True, slots=True)
class ChainLog:
    """A log and its position: its block, its index in the block, its transaction's hash.

    ``time`` is the time of its block, ``None`` if the node does not report it with logs.
    """

    block: int
    index: int
    transaction: str
    address: str
    log: Log
    time: int | None = None


@dataclass(frozen=True, slots=True)
class TransactionReceipt:
    """The outcome and block of a transaction; ``gas_price`` is in wei, if the node reports it.

    ``sender`` is the account that paid for it.
    """

    transaction: str
    succeeded: bool
    block: int
    block_hash: str
    gas_used: int
    contract: str | None
    logs: tuple[ChainLog, ...]
    gas_price: int | None = None
    sender: str | None = None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The position of a transaction; ``block`` is ``None`` while it is not in a block."""

    block: int | None


class Node(CheckedNode):
    """A client of one node.

    Every method raises `LedgerUnavailable` if the node cannot be reached, `NodeRefused` if it
    answers with an error, and `BadAnswer` if the answer is invalid.
    """

    def __init__(self, endpoint: str | BaseProvider, *, http: HttpConfig | None = None) -> None:
        """Connect to the URL of a node, or through a provider of web3.py."""
        provider = HttpProvider(endpoint, http) if isinstance(endpoint, str) else endpoint
        self.name = provider.name if isinstance(provider, HttpProvider) else type(provider).__name__
        self.is_remote = isinstance(provider, HttpProvider)
        # no middleware: answers are checked here
        self._web3 = Web3(provider, middleware=[])
        self._provider = provider

    @property
    def websocket(self) -> str | None:
        """Return the node's WebSocket address, which may not work; ``None`` for other providers."""
        return self._provider.websocket if isinstance(self._provider, HttpProvider) else None

    # ------------------------------------------------------------------ reading

    def chain_id(self) -> int:
        """Return the chain's number."""
        return quantity(self._ask("eth_chainId"), "the chain's id")

    def block(self, number: int | str = "latest") -> Block | None:
        """Return a block by number, ``latest`` or ``pending``; ``None`` if it does not exist."""
        answer = self._ask("eth_getBlockByNumber", _write_tag(number), False)
        return None if answer is None else read_block(answer)

    def blocks(self, numbers: Sequence[int]) -> list[Block | None]:
        """Return blocks by number, in one exchange if the node allows it."""
        wanted = [("eth_getBlockByNumber", (hex(number), False)) for number in numbers]
        return [None if answer is None else read_block(answer) for answer in self._ask_all(wanted)]

    def entropies(self, numbers: Sequence[int]) -> list[bytes | None]:
        """Return ``block.prevrandao`` in blocks by number, ``None`` where it is not known."""
        wanted = [("eth_getBlockByNumber", (hex(number), False)) for number in numbers]
        return [read_entropy(answer) for answer in self._ask_all(wanted)]

    def transactions(self, names: Sequence[str]) -> list[SentCall | None]:
        """Return transactions by hash, ``None`` for those that are not in a block."""
        wanted = [("eth_getTransactionByHash", (name,)) for name in names]
        return [read_sent_call(answer) for answer in self._ask_all(wanted)]

    def upcoming(self) -> Block:
        """Return the pending block, or the last one if the node does not report a pending one."""
        try:
            block = self.block("pending")
        except NodeRefused:
            block = None
        return block or self.latest()

    def latest(self) -> Block:
        """Return the last block."""
        return self.block() or reject_answer("the last block", None)

    def head(self) -> Block:
        """Return the last block; of a node in this process, which has no forks, only its number."""
        return self.latest() if self.is_remote else Block(self.block_number(), 0, 0)

    def block_number(self) -> int:
        """Return the last block's number."""
        return quantity(self._ask("eth_blockNumber"), "the last block's number")

    def code(self, address: str, block: BlockTag = "latest") -> bytes:
        """Return the code at an address as of a block."""
        answer = self._ask("eth_getCode", address, _write_tag(block))
        return octets(answer, "the contract's code")

    def balance(self, account: Account) -> int:
        """Return an account's balance, in wei."""
        return quantity(self._ask("eth_getBalance", account, "latest"), "a balance")

    def nonce(self, account: Account, *, in_flight: bool = True) -> int:
        """Return the nonce of an account's next transaction.

        Args:
            account: the account.
            in_flight: whether to count transactions that are not in a block.
        """
        tag = "pending" if in_flight else "latest"
        return quantity(self._ask("eth_getTransactionCount", account, tag), "a nonce")

    def call(self, transaction: Mapping[str, Any], block: BlockTag = "latest") -> bytes:
        """Return the result of a call at a block.

        Raises:
            Reverted: the contract refuses the call.
        """
        return self.calls([transaction], block, lambda answers: answers[0])

    def calls(
        self,
        transactions: Sequence[Mapping[str, Any]],
        block: BlockTag,
        read: Callable[[Sequence[bytes]], T],
    ) -> T:
        """Return what ``read`` makes of the results of calls at a block.

        The calls are made in one exchange if the node allows it.

        Raises:
            Reverted: the contract refuses a call.
        """
        tag = _write_tag(block)
        wanted = [("eth_call", (_request(call), tag)) for call in transactions]
        return read([octets(answer, "a call's answer") for answer in self._ask_all(wanted)])

    def logs(self, address: str, topics: Sequence[bytes], first: int, last: int) -> list[ChainLog]:
        """Return a contract's logs in a range of blocks, both ends included.

        Args:
            address: the contract.
            topics: the values of the second and later topics; empty for all logs.
            first: the first block.
            last: the last block.
        """
        wanted = {
            "address": address,
            "topics": [None, *(hexadecimal(topic) for topic in topics)],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        answer = self._ask("eth_getLogs", wanted)
        return [_chain_log(item) for item in rows(answer, "the logs")]

    # ------------------------------------------------------------------ sending

    def estimate_gas(self, transaction: Mapping[str, Any], *, in_flight: bool = False) -> int:
        """Estimate the gas of a transaction; ``in_flight`` executes those in the pool first.

        Raises:
            Reverted: the contract would refuse it.
        """
        after = ["pending"] if in_flight else []
        answer = self._ask("eth_estimateGas", _request(transaction), *after)
        return quantity(answer, "a gas estimate")

    def tip(self) -> int:
        """Return the tip above the base fee that the node suggests, in wei."""
        return quantity(self._ask("eth_maxPriorityFeePerGas"), "a priority fee")

    def send(self, raw: bytes) -> str:
        """Send a signed transaction and return its hash."""
        return hash32(self._ask("eth_sendRawTransaction", hexadecimal(raw)), "a transaction's hash")

    def receipt(self, transaction: str) -> TransactionReceipt | None:
        """Return the receipt of a transaction, ``None`` while it is not in a block."""
        return self.receipts([transaction])[0]

    def receipts(self, transactions: Sequence[str]) -> list[TransactionReceipt | None]:
        """Return the receipts of several transactions, in few requests if the node allows it."""
        wanted = [("eth_getTransactionReceipt", [each]) for each in transactions]
        return [
            None if answer is None else _read_receipt(transaction, answer)
            for transaction, answer in zip(transactions, self._ask_all(wanted), strict=True)
        ]

    def whereabouts(self, transaction: str) -> Whereabouts | None:
        """Return the position of a transaction, ``None`` if the node does not have it."""
        answer = self._ask("eth_getTransactionByHash", transaction)
        if answer is None:
            return None
        block = object_of(answer, "a transaction").get("blockNumber")
        return Whereabouts(None if block is None else quantity(block, "a transaction's block"))

    # ------------------------------------------------------------------ the wire

    def _ask(self, method: str, *parameters: Any) -> Any:
        send = self._provider.request_func(self._web3, self._web3.middleware_onion)
        return self._result(method, self._exchange(send, method, list(parameters)))

    def _ask_all(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Return the results of several requests, in order."""
        if len(requests) == 1 or not isinstance(self._provider, HttpProvider):
            return [self._ask(method, *parameters) for method, parameters in requests]
        results: list[Any] = []
        for start in range(0, len(requests), _AT_ONCE):
            some = requests[start : start + _AT_ONCE]
            try:
                responses = self._provider.make_batch_request(
                    [(RPCEndpoint(m), p) for m, p in some]
                )
            except NodeRefused:  # the node does not accept batches, or not of this size
                results += [self._ask(method, *parameters) for method, parameters in some]
                continue
            results += [
                self._result(method, response)
                for (method, _), response in zip(some, responses, strict=True)
            ]
        return results

    def _exchange(self, send: Callable[..., Any], method: str, parameters: list[Any]) -> Any:
        try:
            return send(RPCEndpoint(method), parameters)
        except LedgerError:
            raise
        except OSError as error:
            # the error's text may contain the whole URL, and thus a key
            raise LedgerUnavailable(
                f"{self.name} cannot be reached ({type(error).__name__}); is it running?"
            ) from None
        except (Web3Exception, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadAnswer(f"{self.name} returned a malformed answer to {method}") from error

    def _result(self, method: str, response: Any) -> Any:
        if not isinstance(response, Mapping):
            reject_answer(f"the answer to {method}", response)
        if response.get("error") is not None:
            self._refuse(method, response["error"])
        if "result" not in response:
            reject_answer(f"the answer to {method}", response)
        return response["result"]

    def _refuse(self, method: str, error: Any) -> NoReturn:
        fields = error if isinstance(error, Mapping) else {"message": error}
        message = str(fields.get("message"))[:300]
        _log.debug("%s refused %s: %s", self.name, method, message)
        data = revert_data(fields.get("data"))
        if data or fields.get("code") == 3 or "revert" in message.lower():
            raise Reverted(data)
        raise NodeRefused(f"{self.name} refused {method}: {message}")


def _write_tag(block: BlockTag) -> object:
    return hex(block) if isinstance(block, int) else block


def _request(transaction: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: hexadecimal(value)
        if isinstance(value, bytes)
        else hex(value)
        if type(value) is int
        else value
        for key, value in transaction.items()
    }


def read_block(answer: Any) -> Block:
    """Return a block from its JSON, or from the JSON of its header."""
    fields = object_of(answer, "a block")
    fee, name = fields.get("baseFeePerGas"), fields.get("hash")
    return Block(
        number=quantity(fields.get("number"), "a block's number"),
        time=quantity(fields.get("timestamp"), "a block's time"),
        base_fee=0 if fee is None else quantity(fee, "a block's base fee"),
        hash="" if name is None else hash32(name, "a block's hash"),
    )


def _read_receipt(transaction: str, answer: Any) -> TransactionReceipt:
    fields = object_of(answer, "a receipt")
    contract, number = fields.get("contractAddress"), fields.get("blockNumber")
    price, sender = fields.get("effectiveGasPrice"), fields.get("from")
    return TransactionReceipt(
        transaction=transaction,
        succeeded=quantity(fields.get("status"), "a receipt's status") == 1,
        block=quantity(number, "a receipt's block"),
        block_hash=hash32(fields.get("blockHash"), "a receipt's block's hash"),
        gas_used=quantity(fields.get("gasUsed"), "a receipt's gas"),
        contract=address(contract, "a contract's address") if contract else None,
        logs=tuple(_chain_log(item) for item in rows(fields.get("logs"), "the logs")),
        gas_price=None if price is None else quantity(price, "a receipt's price of gas"),
        sender=address(sender, "a receipt's sender") if sender else None,
    )


def _chain_log(answer: Any) -> ChainLog:
    fields = object_of(answer, "a log")
    topics = rows(fields.get("topics"), "a log's topics")
    time = fields.get("blockTimestamp")
    return ChainLog(
        block=quantity(fields.get("blockNumber"), "a log's block"),
        index=quantity(fields.get("logIndex"), "a log's index"),
        transaction=hash32(fields.get("transactionHash"), "a log's transaction"),
        address=address(fields.get("address"), "a log's address"),
        log=Log(
            topics=tuple(octets(topic, "a topic") for topic in topics),
            data=octets(fields.get("data"), "a log's data"),
        ),
        time=None if time is None else quantity(time, "a log's time"),
    )
