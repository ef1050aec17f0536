"""A client of one Cosmos node over gRPC, with a deadline on requests and checks of answers."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc
from cosmpy.protos.cosmos.auth.v1beta1.auth_pb2 import BaseAccount
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2 import QueryAccountRequest
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2_grpc import QueryStub as AuthStub
from cosmpy.protos.cosmos.bank.v1beta1.query_pb2 import QueryBalanceRequest
from cosmpy.protos.cosmos.bank.v1beta1.query_pb2_grpc import QueryStub as BankStub
from cosmpy.protos.cosmos.base.query.v1beta1.pagination_pb2 import PageRequest
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

from colearn_ledger.chains.checked_node import CheckedNode
from colearn_ledger.chains.cosmos.errors import find_contract_error
from colearn_ledger.chains.cosmos.records import (
    Block,
    ContractInfo,
    Executed,
    FullBlock,
    decode_block,
    decode_fields,
    decode_full_block,
    decode_number,
    decode_transaction,
)
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

_NOT_RUNNING = "Connection refused"
_RESTARTS_WITHIN = 2.0
"""Seconds during which a request is repeated if nothing listens at the node's address."""

_HEIGHT = "x-cosmos-block-height"
"""The header with the height of the state to answer from, or that the node answered from."""

_TRY_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
}

_STARTING = "context did not contain latest block height"
"""Part of a node's error between its start and its first block; no code identifies the error."""


@dataclass(frozen=True, slots=True)
class GrpcConfig:
    """Timeouts and retries of requests.

    Args:
        timeout: seconds to wait for an answer.
        patience: seconds during which a request to an unreachable or silent node is repeated.
    """

    timeout: float = 10.0
    patience: float = 10.0


class Node(CheckedNode):
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
        # parsed by `decode_fields`: the answer has changed since cosmpy generated its description
        self._contract_info = channel.unary_unary(
            "/cosmwasm.wasm.v1.Query/ContractInfo",
            request_serializer=QueryContractInfoRequest.SerializeToString,
            response_deserializer=bytes,
        )
        self._close = channel.close

    def close(self) -> None:
        """End the connection."""
        self._close()

    # ------------------------------------------------------------------ blocks

    def chain_id(self) -> str:
        """Return the chain's id."""
        return self.latest()[0]

    def head(self) -> Block:
        """Return the last block whose state the node has."""
        return self.latest()[1]

    def latest(self) -> tuple[str, Block]:
        """Return the chain's id and the last block whose state the node has.

        A node has a block slightly before its state. Until then it answers queries and simulations
        from the state of the previous block.
        """
        answer, call = self._ask(self._blocks.GetLatestBlock.with_call, GetLatestBlockRequest())
        block, reached = decode_block(answer), _read_height(call)
        if reached is not None and reached < block.height:
            block = self.block(reached) or block
        return str(answer.block.header.chain_id), block

    def block(self, height: int) -> Block | None:
        """Return a block, ``None`` if the node does not have it."""
        found = self.full_block(height)
        return None if found is None else found.block

    def full_block(self, height: int) -> FullBlock | None:
        """Return a block with its transactions, ``None`` if the node does not have it."""
        request = GetBlockByHeightRequest(height=height)
        try:
            found = decode_full_block(self._ask(self._blocks.GetBlockByHeight, request))
        except NodeRefused:  # pruned, or not yet created
            return None
        if (given := found.block.height) != height:
            raise BadAnswer(f"{self.name} returned block {given} instead of block {height}")
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
            raise BadAnswer(f"{self.name} did not return a basic account for {address}")
        return found.account_number, found.sequence

    def balance(self, address: Account, denomination: str) -> int:
        """Return an account's balance."""
        request = QueryBalanceRequest(address=address, denom=denomination)
        amount = str(self._ask(self._bank.Balance, request).balance.amount) or "0"
        return decode_number(amount, "a balance")

    # ------------------------------------------------------------------ contracts

    def query(
        self,
        contract: Account,
        message: Mapping[str, Any],
        read: Callable[[Any], T],
        height: int | None = None,
    ) -> T:
        """Return what ``read`` makes of a contract's answer.

        Args:
            contract: the contract's address.
            message: the query.
            read: decodes the answer, given as a JSON value.
            height: the height of the block to answer from; the last one if ``None``.

        Raises:
            Refused: the contract refuses to answer.
        """
        data = json.dumps(message).encode()
        request = QuerySmartContractStateRequest(address=contract, query_data=data)
        if height is None:
            found = self._ask(self._wasm.SmartContractState, request)
        else:
            found = self._ask_at(height, self._wasm.SmartContractState.with_call, request)
        answer = bytes(found.data)
        if len(answer) > _LONGEST_QUERY:
            raise BadAnswer(
                f"{self.name} returned {len(answer):,} bytes, more than {_LONGEST_QUERY:,}"
            )
        try:
            return read(load(answer))
        except InvalidJson as error:
            raise BadAnswer(f"{self.name} returned an answer that is not valid JSON") from error

    def contract(self, address: Account) -> ContractInfo | None:
        """Return a contract's checksum and origin, ``None`` if the contract does not exist."""
        try:
            answer = self._ask(self._contract_info, QueryContractInfoRequest(address=address))
            info = decode_fields(decode_fields(answer).get(2, b""))
            code_id = info.get(1, 0)
            request = QueryCodeRequest(code_id=code_id)
            code = self._ask(self._wasm.Code, request).code_info
        except NodeRefused as error:
            text = str(error).lower()
            if "not found" in text or "no such contract" in text:
                return None
            raise
        admin = info.get(3, b"").decode(errors="replace")
        return ContractInfo(bytes(code.data_hash), admin, decode_fields(info.get(5, b"")).get(1, 1))

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
        found = decode_transaction(answer.tx_response)
        if found.hash != name:
            raise BadAnswer(f"{self.name} returned another transaction than {name}")
        return found

    def executions(self, contract: Account, first: int, last: int) -> list[Executed]:
        """Return the transactions that executed a contract in a range of blocks, in order."""
        found = self._find_transactions(
            f"execute._contract_address='{contract}' AND tx.height>={first} AND tx.height<={last}"
        )
        if any(not first <= item.height <= last for item in found):
            raise BadAnswer(f"{self.name} returned transactions outside of the requested blocks")
        return found

    def executed_in(self, height: int) -> list[Executed]:
        """Return the transactions of a block, including those that failed."""
        return self._find_transactions(f"tx.height={height}")

    def _find_transactions(self, query: str) -> list[Executed]:
        return [decode_transaction(response) for response in self._ask_responses(query)]

    def _ask_responses(self, query: str) -> list[Any]:
        found: list[Any] = []
        for page in range(1, 1_000_000):
            answer = self._ask(self._transactions.GetTxsEvent, _request_page(query, page))
            found += answer.tx_responses
            total = answer.total or answer.pagination.total
            if len(answer.tx_responses) < _PAGE or len(found) >= total:
                break
        return found

    # ------------------------------------------------------------------ requests

    def _ask_at(self, height: int, call: Callable[..., tuple[T, Any]], request: Any) -> T:
        """Return the answer to a request from the state of a block, as the node confirms."""
        metadata = ((_HEIGHT, str(height)),)
        answer, done = self._ask(partial(call, metadata=metadata), request)
        if (reached := _read_height(done)) not in (None, height):
            raise BadAnswer(f"{self.name} answered from block {reached} instead of block {height}")
        return answer

    def _ask(self, call: Callable[..., T], request: Any) -> T:
        """Send a request; repeat it while the node is unreachable, but not after a refusal."""
        began = time.monotonic()
        pause = _PAUSE
        while True:
            try:
                return call(request, timeout=self._config.timeout)
            except grpc.RpcError as error:
                code, details = error.code(), str(error.details() or "")
                if code not in _TRY_AGAIN and _STARTING not in details:
                    if refusal := find_contract_error(details):
                        raise refusal from None
                    raise NodeRefused(f"{self.name} refused the request: {_cut(details)}") from None
                patience = self._config.patience
                if _NOT_RUNNING in details:
                    patience = min(patience, _RESTARTS_WITHIN)
                if time.monotonic() + pause > began + patience:
                    why = details.rpartition(": ")[2]  # gRPC puts the cause last
                    raise LedgerUnavailable(
                        f"the node {self.name} does not answer ({_cut(why) or code.name}); is it "
                        "running?"
                    ) from error
            _log.info("%s does not answer; the request is repeated", self.name)
            time.sleep(pause)
            pause = min(pause * 2, 1.0)


def _request_page(query: str, page: int) -> GetTxsEventRequest:
    """Return the request for a page of the transactions that match a query, oldest first.

    SDK 0.45 reads `events` and `pagination`, 0.46 to 0.49 `events` and `page`, and later ones
    `query` and `page`.
    """
    return GetTxsEventRequest(
        query=query,
        events=query.split(" AND "),
        pagination=PageRequest(offset=(page - 1) * _PAGE, limit=_PAGE),
        order_by=_ASCENDING,
        page=page,
        limit=_PAGE,
    )


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


def _read_height(call: Any) -> int | None:
    """Return the height of the state that a node answered from, if the node reports it."""
    height = dict(call.initial_metadata() or ()).get(_HEIGHT, "")
    return int(height) if height.isdecimal() and 0 < len(height) < 19 else None
