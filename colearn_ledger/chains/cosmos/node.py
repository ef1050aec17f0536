"""A client of one Cosmos node over gRPC: every request has a deadline, every answer is checked."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc
from cosmpy.protos.cosmos.auth.v1beta1.auth_pb2 import BaseAccount
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2 import QueryAccountRequest
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2_grpc import QueryStub as AuthStub
from cosmpy.protos.cosmos.bank.v1beta1.query_pb2 import QueryBalanceRequest
from cosmpy.protos.cosmos.bank.v1beta1.query_pb2_grpc import QueryStub as BankStub
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import (
    GetBlockByHeightRequest,
    GetLatestBlockRequest,
)
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2_grpc import ServiceStub as BlockStub
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import (
    BroadcastTxRequest,
    GetTxRequest,
    GetTxsEventRequest,
    SimulateRequest,
)
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2_grpc import ServiceStub as TxStub
from cosmpy.protos.cosmwasm.wasm.v1.query_pb2 import (
    QueryCodeRequest,
    QueryContractInfoRequest,
    QuerySmartContractStateRequest,
)
from cosmpy.protos.cosmwasm.wasm.v1.query_pb2_grpc import QueryStub as WasmStub
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from colearn_ledger.chains.cosmos.errors import find_contract_error
from colearn_ledger.chains.errors import BadAnswer, NodeRefused
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account
from colearn_ledger.text.strict_json import InvalidJson, load
from colearn_ledger.text.urls import masked

_log = logging.getLogger(__name__)

T = TypeVar("T")

_ASCENDING = 1  # OrderBy.ORDER_BY_ASC
_SYNC = 2  # BroadcastMode.BROADCAST_MODE_SYNC
_LARGEST_ANSWER = 32_000_000  # bytes
_LONGEST_QUERY = 4_000_000
_PAGE = 50
"""Number of transactions in one request; nodes return at most 100."""

_PAUSE = 0.1

_TRY_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
}

_STARTING = "context did not contain latest block height"
"""Part of a node's error between its start and its first block; no code identifies the error."""

Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class GrpcConfig:
    """Timeouts and retries of requests.

    Args:
        timeout: seconds to wait for an answer.
        patience: seconds during which a request to an unreachable or silent node is repeated.
    """

    timeout: float = 10.0
    patience: float = 10.0


@dataclass(frozen=True, slots=True)
class Block:
    """A block's height, hash (hexadecimal) and time (seconds since the epoch)."""

    height: int
    hash: str
    time: int


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """An event as a chain records it."""

    type: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Executed:
    """A transaction in a block.

    Args:
        hash: upper-case hexadecimal.
        height: the height of the block.
        time: the time of the block, seconds since the epoch.
        code: 0 if the transaction took effect.
        codespace: the module that defines the code.
        log: the chain's explanation of a failure.
        gas_used: the gas that the transaction used.
        events: the events, in order.
    """

    hash: str
    height: int
    time: int
    code: int
    codespace: str
    log: str
    gas_used: int
    events: tuple[ChainEvent, ...]


@dataclass(frozen=True, slots=True)
class ContractInfo:
    """A contract on the chain. ``created`` is a height; ``admin`` is empty without an admin."""

    checksum: bytes
    admin: str
    created: int


class Node:
    """A client of one node over gRPC. It connects when it is first used.

    Args:
        url: ``http://host:port`` or ``https://host``.
        config: timeouts and retries.
    """

    def __init__(self, url: str, config: GrpcConfig | None = None) -> None:
        self.name = masked(url)
        self._config = config or GrpcConfig()
        channel = _channel(url)
        self._blocks = BlockStub(channel)
        self._transactions = TxStub(channel)
        self._accounts = AuthStub(channel)
        self._bank = BankStub(channel)
        self._wasm = WasmStub(channel)
        # parsed by `_fields`: the answer has changed since cosmpy generated its description
        self._contract_info = channel.unary_unary(
            "/cosmwasm.wasm.v1.Query/ContractInfo",
            request_serializer=QueryContractInfoRequest.SerializeToString,
            response_deserializer=bytes,
        )
        self._shutting = channel.close

    def close(self) -> None:
        """End the connection."""
        self._shutting()

    # ------------------------------------------------------------------ blocks

    def latest(self) -> tuple[str, Block]:
        """Return the chain's id and the last block whose state the node has.

        A node has a block slightly before its state. Until then it answers queries and simulations
        from the state of the previous block.
        """
        answer, call = self._ask(self._blocks.GetLatestBlock.with_call, GetLatestBlockRequest())
        block, reached = _block(answer), _read_height(call)
        if reached is not None and reached < block.height:
            block = self.block(reached) or block
        return str(answer.block.header.chain_id), block

    def block(self, height: int) -> Block | None:
        """Return a block, ``None`` if the node does not have it."""
        request = GetBlockByHeightRequest(height=height)
        try:
            found = _block(self._ask(self._blocks.GetBlockByHeight, request))
        except NodeRefused:  # pruned, or not yet created
            return None
        if found.height != height:
            raise BadAnswer(f"{self.name} gave block {found.height} for block {height}")
        return found

    # ------------------------------------------------------------------ accounts

    def account(self, address: Account) -> tuple[int, int]:
        """Return an account's number and sequence; 0 and 0 for an account that was never funded."""
        try:
            answer = self._ask(self._accounts.Account, QueryAccountRequest(address=address))
        except NodeRefused as error:
            if "not found" in str(error).lower():
                return 0, 0
            raise
        found = BaseAccount()
        if not answer.account.Unpack(found) or found.address != address:
            raise BadAnswer(f"{self.name} gave no plain account for {address}")
        return found.account_number, found.sequence

    def balance(self, address: Account, denomination: str) -> int:
        """Return an account's balance."""
        request = QueryBalanceRequest(address=address, denom=denomination)
        amount = str(self._ask(self._bank.Balance, request).balance.amount) or "0"
        return _number(amount, "a balance")

    # ------------------------------------------------------------------ contracts

    def query(self, contract: Account, message: Mapping[str, Any]) -> Any:
        """Return a contract's answer, decoded from JSON.

        Raises:
            Refused: the contract refuses to answer.
        """
        data = json.dumps(message).encode()
        request = QuerySmartContractStateRequest(address=contract, query_data=data)
        answer = bytes(self._ask(self._wasm.SmartContractState, request).data)
        if len(answer) > _LONGEST_QUERY:
            raise BadAnswer(f"{self.name} answered with {len(answer):,} bytes")
        try:
            return load(answer)
        except InvalidJson as error:
            raise BadAnswer(f"{self.name} answered with what is not JSON") from error

    def contract(self, address: Account) -> ContractInfo | None:
        """Return a contract's checksum and origin, ``None`` if the contract does not exist."""
        try:
            answer = self._ask(self._contract_info, QueryContractInfoRequest(address=address))
            info = _fields(_fields(answer).get(2, b""))
            code_id = info.get(1, 0)
            request = QueryCodeRequest(code_id=code_id)
            code = self._ask(self._wasm.Code, request).code_info
        except NodeRefused as error:
            text = str(error).lower()
            if "not found" in text or "no such contract" in text:
                return None
            raise
        admin = info.get(3, b"").decode(errors="replace")
        return ContractInfo(bytes(code.data_hash), admin, _fields(info.get(5, b"")).get(1, 1))

    # ------------------------------------------------------------------ transactions

    def simulate(self, raw: bytes) -> int:
        """Return the gas that a transaction would use.

        Raises:
            Refused: the contract would refuse it.
            NodeRefused: the chain would refuse it for another reason.
        """
        answer = self._ask(self._transactions.Simulate, SimulateRequest(tx_bytes=raw))
        return int(answer.gas_info.gas_used)

    def broadcast(self, raw: bytes) -> tuple[int, str, str]:
        """Broadcast a transaction; return CheckTx code, codespace and log."""
        request = BroadcastTxRequest(tx_bytes=raw, mode=_SYNC)
        answer = self._ask(self._transactions.BroadcastTx, request).tx_response
        return answer.code, str(answer.codespace), str(answer.raw_log)

    def transaction(self, name: str) -> Executed | None:
        """Return a transaction by its hash, ``None`` while it is not in a block."""
        try:
            answer = self._ask(self._transactions.GetTx, GetTxRequest(hash=name))
        except NodeRefused as error:
            if "not found" in str(error).lower():
                return None
            raise
        found = _executed(answer.tx_response)
        if found.hash != name:
            raise BadAnswer(f"{self.name} gave another transaction than {name}")
        return found

    def executions(self, contract: Account, first: int, last: int) -> list[Executed]:
        """Return the transactions that executed a contract in a range of blocks, in order."""
        query = (
            f"execute._contract_address='{contract}' AND tx.height>={first} AND tx.height<={last}"
        )
        found: list[Executed] = []
        for page in range(1, 1_000_000):
            # SDK versions before 0.50 read `events` and `pagination`, later ones `query` and `page`
            request = GetTxsEventRequest(
                query=query,
                events=query.split(" AND "),
                order_by=_ASCENDING,
                page=page,
                limit=_PAGE,
            )
            answer = self._ask(self._transactions.GetTxsEvent, request)
            found += (_executed(response) for response in answer.tx_responses)
            if len(answer.tx_responses) < _PAGE or len(found) >= answer.total:
                break
        if any(not first <= item.height <= last for item in found):
            raise BadAnswer(f"{self.name} gave transactions that were not asked for")
        return found

    # ------------------------------------------------------------------ asking

    def _ask(self, call: Callable[..., T], request: Any) -> T:
        """Send a request; repeat it while the node is unreachable, but not after a refusal."""
        ends = time.monotonic() + self._config.patience
        pause = _PAUSE
        while True:
            try:
                return call(request, timeout=self._config.timeout)
            except grpc.RpcError as error:
                code, details = error.code(), str(error.details() or "")
                if code not in _TRY_AGAIN and _STARTING not in details:
                    if refusal := find_contract_error(details):
                        raise refusal from None
                    raise NodeRefused(f"{self.name} refuses: {_cut(details)}") from None
                if time.monotonic() + pause > ends:
                    raise LedgerUnavailable(
                        f"the node {self.name} does not answer ({_cut(details) or code.name})"
                    ) from error
            _log.info("%s does not answer: it is asked again", self.name)
            time.sleep(pause)
            pause = min(pause * 2, 1.0)


def _channel(url: str) -> grpc.Channel:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    place = f"{parts.hostname}:{parts.port or (443 if secure else 80)}"
    options = [
        ("grpc.max_receive_message_length", _LARGEST_ANSWER),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if secure:
        return grpc.secure_channel(place, grpc.ssl_channel_credentials(), options)
    return grpc.insecure_channel(place, [*options, ("grpc.enable_http_proxy", 0)])


def _cut(text: str) -> str:
    """Return a node's text, shortened and without control characters."""
    return "".join(c if c.isprintable() else " " for c in text)[:400]


def _fields(data: object) -> dict[int, Any]:
    """Parse a protobuf message; return its fields by number, as integers or bytes."""
    message = Empty()
    try:
        message.ParseFromString(data if isinstance(data, bytes) else b"")
    except DecodeError as error:
        raise BadAnswer("the node gave a message that cannot be read") from error
    return {field.field_number: field.data for field in UnknownFieldSet(message)}


def _read_height(call: Any) -> int | None:
    """Return the height of the state that a node answered from, if the node reports it."""
    height = dict(call.initial_metadata() or ()).get("x-cosmos-block-height", "")
    return int(height) if height.isdecimal() and 0 < len(height) < 19 else None


def _number(text: str, what: str) -> int:
    if not text.isdecimal() or len(text) > 60:
        raise BadAnswer(f"the node gave {text[:60]!r} as {what}")
    return int(text)


def _block(answer: Any) -> Block:
    header = answer.block.header
    if header.height < 1 or header.time.seconds < 0:
        raise BadAnswer("the node gave a block of no height")
    return Block(header.height, answer.block_id.hash.hex(), header.time.seconds)


def _executed(response: Any) -> Executed:
    try:
        time = int(datetime.fromisoformat(str(response.timestamp)).timestamp())
    except ValueError as error:
        raise BadAnswer(f"the node gave {response.timestamp[:60]!r} as a block's time") from error
    return Executed(
        hash=str(response.txhash).upper(),
        height=response.height,
        time=time,
        code=response.code,
        codespace=str(response.codespace),
        log=str(response.raw_log),
        gas_used=response.gas_used,
        events=tuple(
            ChainEvent(
                str(event.type),
                tuple((_text(a.key), _text(a.value)) for a in event.attributes),
            )
            for event in response.events
        ),
    )


def _text(value: Any) -> str:
    """Return an attribute's text, which chains before CometBFT 0.37 write as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
