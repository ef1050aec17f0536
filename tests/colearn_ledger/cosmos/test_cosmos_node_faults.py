"""Nodes that are slow, unreachable for a while, or return invalid answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import grpc
import pytest
from cosmpy.protos.cosmos.auth.v1beta1.auth_pb2 import BaseAccount
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2 import QueryAccountResponse
from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import GetBlockByHeightResponse
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxResponse, GetTxsEventResponse
from cosmpy.protos.cosmwasm.wasm.v1.query_pb2 import QuerySmartContractStateResponse

from colearn_ledger.chains.cosmos.errors import Refused
from colearn_ledger.chains.cosmos.events import EventReader
from colearn_ledger.chains.cosmos.node import GrpcConfig, Node
from colearn_ledger.chains.cosmos.records import Executed
from colearn_ledger.chains.errors import BadAnswer, NodeRefused
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import ExperimentId
from tests.support.contract_answers import ANA, BOB, CONTRACT
from tests.support.waiting import LIMIT, run_with_limit

NAME = "AB" * 32


class FakeNode(grpc.GenericRpcHandler):
    """A node that answers every request with the result of ``answer_request``."""

    answer_request: Callable[[grpc.ServicerContext], Any]

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self.answer_request(context),
            response_serializer=lambda answer: (
                answer if isinstance(answer, bytes) else answer.SerializeToString()
            ),
        )


@pytest.fixture
def fake_node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def place(fake_node: FakeNode) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2), handlers=[fake_node])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop(None)


@pytest.fixture
def node(place: str) -> Iterator[Node]:
    with closing(Node(place, GrpcConfig(timeout=LIMIT, patience=LIMIT))) as asked:
        yield asked


def answer_refusal(code: grpc.StatusCode, words: str) -> Callable[[grpc.ServicerContext], Any]:
    return lambda context: context.abort(code, words)


def account_of(address: str) -> QueryAccountResponse:
    answer = QueryAccountResponse()
    answer.account.Pack(BaseAccount(address=address, account_number=3, sequence=4))
    return answer


def make_tx_response(**fields: Any) -> TxResponse:
    return TxResponse(**{"txhash": NAME, "height": 5, "timestamp": "2026-01-01T00:00:00Z"} | fields)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("UNAVAILABLE", "restarting"),
        (
            "UNKNOWN",
            "codespace sdk code 26: invalid height: context did not contain latest block height in "
            "either check state or finalize block state (13)",
        ),
    ],
)
def test_unreachable_node_is_asked_again(fake_node: FakeNode, node: Node, code: str, words: str):
    tried: list[int] = []

    def answer_request(context: grpc.ServicerContext) -> Any:
        tried.append(1)
        if len(tried) < 3:
            context.abort(grpc.StatusCode[code], words)
        return account_of(ANA)

    fake_node.answer_request = answer_request
    assert node.account(ANA) == (3, 4)
    assert len(tried) == 3


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"])
def test_unreachable_node_is_reported_when_patience_ends(
    fake_node: FakeNode, place: str, code: str
):
    fake_node.answer_request = answer_refusal(grpc.StatusCode[code], "not\x1b[2J now")
    with (
        closing(Node(place, GrpcConfig(timeout=LIMIT, patience=1.0))) as node,
        pytest.raises(LedgerUnavailable, match=r"does not answer \(not \[2J now\)"),
    ):
        run_with_limit(node.account, ANA)


def test_silent_node_is_reported_when_patience_ends(fake_node: FakeNode, place: str):
    never = threading.Event()
    fake_node.answer_request = lambda context: never.wait()
    with (
        closing(Node(place, GrpcConfig(timeout=0.5, patience=1.0))) as node,
        pytest.raises(LedgerUnavailable, match="does not answer"),
    ):
        run_with_limit(node.latest)
    never.set()


def test_refusals_of_node_and_contract_are_distinguished(fake_node: FakeNode, node: Node):
    fake_node.answer_request = answer_refusal(grpc.StatusCode.UNKNOWN, "something is wrong")
    with pytest.raises(NodeRefused, match="something is wrong"):
        node.simulate(b"")
    fake_node.answer_request = answer_refusal(
        grpc.StatusCode.UNKNOWN, f'x: colearn:NotCreator(["{ANA}"]): y'
    )
    with pytest.raises(Refused) as refused:
        node.query(CONTRACT, {}, dict)
    assert (refused.value.name, refused.value.values) == ("NotCreator", (ANA,))


def test_missing_things_are_not_errors(fake_node: FakeNode, node: Node):
    fake_node.answer_request = answer_refusal(grpc.StatusCode.NOT_FOUND, "not found")
    assert node.account(ANA) == (0, 0)
    assert node.transaction(NAME) is None
    assert node.contract(CONTRACT) is None
    assert node.block(9) is None


@pytest.mark.parametrize(
    ("answer", "ask"),
    [
        (account_of(BOB), lambda node: node.account(ANA)),
        (QueryAccountResponse(), lambda node: node.account(ANA)),
        (GetBlockByHeightResponse(), lambda node: node.latest()),
        (GetBlockByHeightResponse(), lambda node: node.block(3)),
        (QuerySmartContractStateResponse(data=b"{"), lambda node: node.query(CONTRACT, {}, dict)),
        (
            QuerySmartContractStateResponse(data=b"[" * 100_000),
            lambda node: node.query(CONTRACT, {}, dict),
        ),
        (
            GetTxResponse(tx_response=make_tx_response(txhash="CD" * 32)),
            lambda node: node.transaction(NAME),
        ),
        (
            GetTxResponse(tx_response=make_tx_response(timestamp="soon")),
            lambda node: node.transaction(NAME),
        ),
        (
            GetTxsEventResponse(tx_responses=[make_tx_response(height=11)]),
            lambda node: node.executions(CONTRACT, 1, 10),
        ),
        (b"\x12\xff\xff", lambda node: node.contract(CONTRACT)),
    ],
)
def test_invalid_answer_is_a_bad_answer(
    fake_node: FakeNode, node: Node, answer: Any, ask: Callable[[Node], object]
):
    fake_node.answer_request = lambda context: answer
    with pytest.raises(BadAnswer):
        ask(node)


def test_transactions_out_of_order_are_a_bad_answer():
    class DisorderedNode:
        name = "http://x"

        def head(self) -> Any:
            return type("B", (), {"height": 9})

        def executions(self, *_: object) -> list[Executed]:
            return [Executed(NAME, height, 0, 0, "", "", 0, ()) for height in (5, 4)]

    reader = EventReader(DisorderedNode(), CONTRACT, lambda: 1, range_size=100)
    with pytest.raises(BadAnswer, match="out of order"):
        reader.events(ExperimentId(1), after=-1, limit=5)
