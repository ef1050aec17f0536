"""One chain node over JSON-RPC: few requests, and every answer checked before it is believed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

from requests.exceptions import RequestException
from web3 import HTTPProvider, Web3
from web3.exceptions import Web3Exception
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint

from colearn_ledger.evm.abi import Log
from colearn_ledger.evm.errors import BadAnswer, NodeRefused, Reverted
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account

__all__ = ["Block", "ChainLog", "Node", "TransactionReceipt"]

_log = logging.getLogger(__name__)

_MAX_ANSWER = 8_000_000
"""Bytes of one piece of data that a node may answer with."""

_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Block:
    """What this package reads of a block; ``base_fee`` in wei, 0 where there is none."""

    number: int
    time: int
    base_fee: int


@dataclass(frozen=True, slots=True)
class ChainLog:
    """A log and where it stands: its block, its index within it, its transaction's hash."""

    block: int
    index: int
    transaction: str
    address: str
    log: Log


@dataclass(frozen=True, slots=True)
class TransactionReceipt:
    """What became of a transaction."""

    succeeded: bool
    block: int
    gas_used: int
    contract: str | None
    logs: tuple[ChainLog, ...]


class Node:
    """A chain's node.

    Every method raises `LedgerUnavailable` when the node can not be reached, `NodeRefused` when
    it answers with an error, and `BadAnswer` when the answer makes no sense.
    """

    def __init__(self, endpoint: str | BaseProvider) -> None:
        """Take the URL of a node, or a provider of web3.py."""
        if isinstance(endpoint, str):
            self.name = _masked(endpoint)
            provider: BaseProvider = HTTPProvider(
                endpoint, request_kwargs={"timeout": _TIMEOUT_SECONDS}
            )
        else:
            self.name = type(endpoint).__name__
            provider = endpoint
        # no middleware but the provider's own: answers are checked here, and kept small
        self._web3 = Web3(provider, middleware=[])
        self._provider = provider

    # ------------------------------------------------------------------ reading

    def chain_id(self) -> int:
        """Return the chain's number."""
        return _quantity(self._ask("eth_chainId"), "the chain's id")

    def block(self, number: int | str = "latest") -> Block | None:
        """Return a block by number, or by ``latest`` or ``pending``; ``None`` if there is none."""
        tag = number if isinstance(number, str) else hex(number)
        answer = self._ask("eth_getBlockByNumber", tag, False)
        if answer is None:
            return None
        fields = _object(answer, "a block")
        fee = fields.get("baseFeePerGas")
        return Block(
            number=_quantity(fields.get("number"), "a block's number"),
            time=_quantity(fields.get("timestamp"), "a block's time"),
            base_fee=0 if fee is None else _quantity(fee, "a block's base fee"),
        )

    def latest(self) -> Block:
        """Return the last block."""
        return self.block() or _nonsense("the last block", None)

    def block_number(self) -> int:
        """Return the last block's number."""
        return _quantity(self._ask("eth_blockNumber"), "the last block's number")

    def code(self, address: str) -> bytes:
        """Return the code at an address."""
        return _data(self._ask("eth_getCode", address, "latest"), "the contract's code")

    def balance(self, account: Account) -> int:
        """Return what an account holds, in wei."""
        return _quantity(self._ask("eth_getBalance", account, "latest"), "a balance")

    def nonce(self, account: Account) -> int:
        """Return the number of an account's next transaction, those in flight counted."""
        return _quantity(self._ask("eth_getTransactionCount", account, "pending"), "a nonce")

    def call(self, transaction: Mapping[str, Any], block: int | str = "latest") -> bytes:
        """Return what a call would answer.

        Raises:
            Reverted: it would be refused.
        """
        tag = block if isinstance(block, str) else hex(block)
        return _data(self._ask("eth_call", _request(transaction), tag), "a call's answer")

    def logs(self, address: str, topics: Sequence[bytes], first: int, last: int) -> list[ChainLog]:
        """Return a contract's logs in a range of blocks, both ends included.

        Args:
            address: the contract's.
            topics: the one that the second topic must be, or nothing for all logs.
            first: the first block.
            last: the last block.
        """
        wanted = {
            "address": address,
            "topics": [None, *(_hex(topic) for topic in topics)],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        answer = self._ask("eth_getLogs", wanted)
        return [_chain_log(item) for item in _list(answer, "the logs")]

    # ------------------------------------------------------------------ sending

    def estimate_gas(self, transaction: Mapping[str, Any]) -> int:
        """Return the gas that a transaction would need.

        Raises:
            Reverted: it would be refused.
        """
        return _quantity(self._ask("eth_estimateGas", _request(transaction)), "a gas estimate")

    def tip(self) -> int:
        """Return the fee above the base fee that gets a transaction included, in wei."""
        return _quantity(self._ask("eth_maxPriorityFeePerGas"), "a priority fee")

    def send(self, raw: bytes) -> str:
        """Send a signed transaction and return its hash."""
        return _hash(self._ask("eth_sendRawTransaction", _hex(raw)), "a transaction's hash")

    def receipt(self, transaction: str) -> TransactionReceipt | None:
        """Return what became of a transaction, ``None`` while it is not in a block."""
        answer = self._ask("eth_getTransactionReceipt", transaction)
        if answer is None:
            return None
        fields = _object(answer, "a receipt")
        contract = fields.get("contractAddress")
        return TransactionReceipt(
            succeeded=_quantity(fields.get("status"), "a receipt's status") == 1,
            block=_quantity(fields.get("blockNumber"), "a receipt's block"),
            gas_used=_quantity(fields.get("gasUsed"), "a receipt's gas"),
            contract=_address(contract, "a contract's address") if contract else None,
            logs=tuple(_chain_log(item) for item in _list(fields.get("logs"), "the logs")),
        )

    # ------------------------------------------------------------------ the wire

    def _ask(self, method: str, *parameters: Any) -> Any:
        send = self._provider.request_func(self._web3, self._web3.middleware_onion)
        try:
            response: Any = send(RPCEndpoint(method), list(parameters))
        except (RequestException, OSError) as error:
            # the error's own text may repeat the whole URL, and that its key
            raise LedgerUnavailable(
                f"{self.name} can not be reached ({type(error).__name__}); is it running?"
            ) from error
        except (Web3Exception, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadAnswer(f"{self.name} answered {method} with nonsense") from error
        if not isinstance(response, Mapping):
            _nonsense(f"the answer to {method}", response)
        if response.get("error") is not None:
            self._refuse(method, response["error"])
        if "result" not in response:
            _nonsense(f"the answer to {method}", response)
        return response["result"]

    def _refuse(self, method: str, error: Any) -> NoReturn:
        fields = error if isinstance(error, Mapping) else {"message": error}
        message = str(fields.get("message"))[:300]
        _log.debug("%s refused %s: %s", self.name, method, message)
        data = _revert_data(fields.get("data"))
        if data or fields.get("code") == 3 or "revert" in message.lower():
            raise Reverted(data)
        raise NodeRefused(f"{self.name} refused {method}: {message}")


def _masked(url: str) -> str:
    """Return where a URL leads, without the keys that its path, query or user part may hold."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or '?'}{f':{parts.port}' if parts.port else ''}"


def _request(transaction: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _hex(value)
        if isinstance(value, bytes)
        else hex(value)
        if type(value) is int
        else value
        for key, value in transaction.items()
    }


def _revert_data(data: Any) -> bytes:
    """Return the revert data of an error; some nodes wrap it once more."""
    if isinstance(data, Mapping):
        data = data.get("data")
    if not isinstance(data, str) or not data.startswith("0x"):
        return b""
    return _data(data, "the revert data")


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _nonsense(what: str, answer: object) -> NoReturn:
    raise BadAnswer(f"the node gave {str(answer)[:100]!r} as {what}")


def _quantity(answer: Any, what: str) -> int:
    """Return an unsigned number of at most 256 bits; in-process nodes give plain integers."""
    value = answer
    if isinstance(answer, str) and answer.startswith("0x") and len(answer) <= 66:
        try:
            value = int(answer, 16)
        except ValueError:
            _nonsense(what, answer)
    if type(value) is not int or not 0 <= value < 2**256:
        _nonsense(what, answer)
    return value


def _data(answer: Any, what: str) -> bytes:
    if not isinstance(answer, str) or not answer.startswith("0x") or len(answer) > _MAX_ANSWER:
        _nonsense(what, answer)
    try:
        return bytes.fromhex(answer[2:])
    except ValueError:
        _nonsense(what, answer)


def _hash(answer: Any, what: str) -> str:
    if len(_data(answer, what)) != 32:
        _nonsense(what, answer)
    return str(answer).lower()


def _address(answer: Any, what: str) -> str:
    if len(_data(answer, what)) != 20:
        _nonsense(what, answer)
    return Web3.to_checksum_address(answer)


def _object(answer: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(answer, Mapping):
        _nonsense(what, answer)
    return answer


def _list(answer: Any, what: str) -> Sequence[Any]:
    if not isinstance(answer, list | tuple):
        _nonsense(what, answer)
    return answer


def _chain_log(answer: Any) -> ChainLog:
    fields = _object(answer, "a log")
    topics = _list(fields.get("topics"), "a log's topics")
    return ChainLog(
        block=_quantity(fields.get("blockNumber"), "a log's block"),
        index=_quantity(fields.get("logIndex"), "a log's index"),
        transaction=_hash(fields.get("transactionHash"), "a log's transaction"),
        address=_address(fields.get("address"), "a log's address"),
        log=Log(
            topics=tuple(_data(topic, "a topic") for topic in topics),
            data=_data(fields.get("data"), "a log's data"),
        ),
    )
