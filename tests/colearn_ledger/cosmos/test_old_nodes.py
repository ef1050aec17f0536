"""Answers of nodes of older releases, which differ from those of the newest one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from cosmpy.protos.cosmos.base.query.v1beta1.pagination_pb2 import PageResponse
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxsEventRequest, GetTxsEventResponse

from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.records import decode_transaction
from tests.support.contract_answers import CONTRACT

TRANSACTIONS = [
    TxResponse(txhash=f"{number:064X}", height=number, timestamp="2026-01-01T00:00:00Z")
    for number in range(1, 231)
]
DEFAULT_LIMIT = 100


def answer_as_sdk_045(request: GetTxsEventRequest) -> GetTxsEventResponse:
    """Answer from the fields that SDK 0.45 has; it also refuses conditions that are not `a=b`."""
    assert all(event.count("=") == 1 for event in request.events)
    limit = request.pagination.limit or DEFAULT_LIMIT
    first = request.pagination.offset // limit * limit
    return GetTxsEventResponse(
        tx_responses=TRANSACTIONS[first : first + limit] if request.events else [],
        pagination=PageResponse(total=len(TRANSACTIONS)),
    )


def answer_as_sdk_053(request: GetTxsEventRequest) -> GetTxsEventResponse:
    limit = request.limit or DEFAULT_LIMIT
    first = (max(request.page, 1) - 1) * limit
    found = TRANSACTIONS[first : first + limit] if request.query else []
    return GetTxsEventResponse(tx_responses=found, total=len(TRANSACTIONS))


class Transactions(grpc.GenericRpcHandler):
    """The service of one release that finds transactions."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._answer(request),
            request_deserializer=GetTxsEventRequest.FromString,
            response_serializer=GetTxsEventResponse.SerializeToString,
        )


@pytest.fixture(params=[answer_as_sdk_045, answer_as_sdk_053], ids=["SDK 0.45", "SDK 0.53"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Transactions(request.param)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with closing(Node(f"http://127.0.0.1:{port}")) as asked:
        yield asked
    server.stop(None)


def test_all_pages_of_a_contract_s_transactions_are_read(node: Node):
    found = node.executions(CONTRACT, 1, 230)
    assert [executed.height for executed in found] == list(range(1, 231))


@pytest.mark.parametrize("encode", [str, str.encode], ids=["CometBFT", "Tendermint 0.34"])
def test_attributes_are_decoded_from_text_and_from_bytes(encode: Any):
    attribute = SimpleNamespace(key=encode("learner"), value=encode("wasm1äöü"))
    response = SimpleNamespace(
        **{"txhash": "ab", "height": 5, "timestamp": "2026-01-01T00:00:00Z", "code": 0},
        **{"codespace": "", "raw_log": "", "gas_used": 1},
        events=[SimpleNamespace(type="wasm-vote_cast", attributes=[attribute])],
    )
    (event,) = decode_transaction(response).events
    assert event.attributes == (("learner", "wasm1äöü"),)
