"""Several fake Cosmos nodes used as one; what `NodePool` decides is tested with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from inspect import getmembers, isfunction
from typing import Any

import grpc
import pytest
from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import (
    GetBlockByHeightRequest,
    GetBlockByHeightResponse,
    GetLatestBlockRequest,
    GetLatestBlockResponse,
)
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import BroadcastTxRequest, BroadcastTxResponse
from cosmpy.protos.cosmwasm.wasm.v1.query_pb2 import (
    QuerySmartContractStateRequest,
    QuerySmartContractStateResponse,
)

from colearn_ledger.chains.cosmos.config import CosmosConfig
from colearn_ledger.chains.cosmos.errors import Refused
from colearn_ledger.chains.cosmos.node import GrpcConfig, Node
from colearn_ledger.chains.cosmos.node_group import NodeGroup, open_node
from colearn_ledger.chains.errors import BadAnswer, WrongChain
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import InvalidParameter
from tests.support.contract_answers import CONTRACT
from tests.support.waiting import LIMIT

HEIGHT = "x-cosmos-block-height"


class FakeNode(grpc.GenericRpcHandler):
    """A node whose contract answers with the height that it is asked about."""

    def __init__(self) -> None:
        self.chain_id = "chain-1"
        self.height = 100
        self.fork = 10**9
        self.code = 0
        self.is_down = False
        self.ignores_heights = False
        self.answer: Callable[[int], Any] = lambda height: {"height": height}
        self.asked: list[str] = []
        self.url = ""

    def service(self, details: Any) -> Any:
        method = details.method.rpartition("/")[2]
        work, request = {
            "GetLatestBlock": (self.find_last_block, GetLatestBlockRequest),
            "GetBlockByHeight": (self.find_block, GetBlockByHeightRequest),
            "SmartContractState": (self.query, QuerySmartContractStateRequest),
            "BroadcastTx": (self.broadcast, BroadcastTxRequest),
        }[method]

        def answer(asked: Any, context: grpc.ServicerContext) -> Any:
            self.asked.append(method)
            if self.is_down:
                context.abort(grpc.StatusCode.UNAVAILABLE, "down")
            return work(asked, context)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request.FromString,
            response_serializer=lambda found: found.SerializeToString(),
        )

    def find_last_block(self, _: Any, context: grpc.ServicerContext) -> GetLatestBlockResponse:
        return self.fill(GetLatestBlockResponse(), self.height)

    def find_block(self, asked: Any, context: grpc.ServicerContext) -> GetBlockByHeightResponse:
        if asked.height > self.height:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "requested block height is bigger")
        return self.fill(GetBlockByHeightResponse(), asked.height)

    def fill(self, found: Any, height: int) -> Any:
        found.block.header.height = height
        found.block.header.chain_id = self.chain_id
        found.block.header.time.seconds = 6 * height
        origin = id(self) % 2**32 if height >= self.fork else 0
        found.block_id.hash = height.to_bytes(4, "big") + origin.to_bytes(4, "big")
        return found

    def query(self, _: Any, context: grpc.ServicerContext) -> QuerySmartContractStateResponse:
        sent = dict(context.invocation_metadata())
        height = self.height if self.ignores_heights else int(sent.get(HEIGHT, self.height))
        context.send_initial_metadata(((HEIGHT, str(height)),))
        found = self.answer(height)
        if isinstance(found, str):
            context.abort(grpc.StatusCode.UNKNOWN, found)
        return QuerySmartContractStateResponse(data=json.dumps(found).encode())

    def broadcast(self, _: Any, context: grpc.ServicerContext) -> BroadcastTxResponse:
        return BroadcastTxResponse(tx_response=TxResponse(code=self.code, codespace="sdk"))


@contextmanager
def serve(node: FakeNode) -> Iterator[FakeNode]:
    server = grpc.server(ThreadPoolExecutor(2), handlers=[node])
    node.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield node
    server.stop(None)


@pytest.fixture
def nodes() -> Iterator[list[FakeNode]]:
    with ExitStack() as running:
        yield [running.enter_context(serve(FakeNode())) for _ in range(3)]


Open = Callable[[int], Node]


@pytest.fixture
def open_group(nodes: list[FakeNode]) -> Iterator[Open]:
    with ExitStack() as opened:

        def open_group(agree: int) -> Node:
            config = CosmosConfig(chain_id="chain-1", grpc=GrpcConfig(timeout=LIMIT), agree=agree)
            urls = tuple(node.url for node in nodes)
            return opened.enter_context(closing(open_node(urls, config)))

        yield open_group


def ask(node: Node) -> Any:
    return node.query(CONTRACT, {}, lambda answer: answer["height"])


def test_every_request_goes_through_the_group():
    for name, _ in getmembers(Node, isfunction):
        assert name.startswith("_") or name in vars(NodeGroup)


def test_more_agreeing_nodes_than_nodes_are_refused(nodes: list[FakeNode], open_group: Open):
    with pytest.raises(InvalidParameter, match="agree"):
        open_group(4)
    with pytest.raises(InvalidParameter, match="agree"):
        open_node(nodes[0].url, CosmosConfig(agree=2))


def test_next_node_is_asked_while_one_is_down(
    nodes: list[FakeNode], open_group: Open, caplog: pytest.LogCaptureFixture
):
    group = open_group(1)
    nodes[0].is_down = True
    assert ask(group) == 100
    assert ask(group) == 100
    assert "SmartContractState" not in nodes[0].asked
    assert caplog.text.count(f"node {nodes[0].url} is not used for now") == 1


def test_malformed_answer_is_asked_of_another_node(nodes: list[FakeNode], open_group: Open):
    def read(answer: Any) -> int:
        if "height" not in answer:
            raise BadAnswer("there is no height")
        return int(answer["height"])

    nodes[0].answer = lambda height: {}
    assert open_group(1).query(CONTRACT, {}, read) == 100


def test_node_on_another_chain_is_not_used(
    nodes: list[FakeNode], open_group: Open, caplog: pytest.LogCaptureFixture
):
    nodes[0].chain_id = "chain-2"
    assert open_group(1).chain_id() == "chain-1"
    assert f"{nodes[0].url} is on chain chain-2" in caplog.text
    for node in nodes:
        node.chain_id = "chain-2"
    with pytest.raises(WrongChain, match="not on chain chain-1"):
        open_group(1).chain_id()


def test_old_head_is_noticed(
    nodes: list[FakeNode], open_group: Open, caplog: pytest.LogCaptureFixture
):
    nodes[0].height = 50
    assert open_group(1).head().height == 100
    assert f"{nodes[0].url} lags: its last block is 50" in caplog.text


def test_two_nodes_are_asked_about_the_height_that_both_have(
    nodes: list[FakeNode], open_group: Open
):
    nodes[0].height, nodes[1].height, nodes[2].height = 102, 101, 100
    assert ask(open_group(2)) == 101


def test_altered_answer_is_outvoted_and_named(
    nodes: list[FakeNode], open_group: Open, caplog: pytest.LogCaptureFixture
):
    nodes[0].answer = lambda height: {"height": 7}
    assert ask(open_group(2)) == 100
    assert f"node {nodes[0].url} is not used for now: its answer about the contract" in caplog.text


def test_node_that_ignores_the_height_does_not_count(
    nodes: list[FakeNode], open_group: Open, caplog: pytest.LogCaptureFixture
):
    nodes[0].height, nodes[0].ignores_heights = 102, True
    assert ask(open_group(2)) == 100
    assert "answered from block 102 instead of block 100" in caplog.text


def test_forked_block_is_not_used(nodes: list[FakeNode], open_group: Open):
    nodes[0].fork = 90
    honest = open_group(2).head()
    assert honest.hash == (100).to_bytes(4, "big").hex() + "00000000"
    nodes[1].fork = 90
    with pytest.raises(LedgerUnavailable, match="no 2 nodes have the same last block"):
        open_group(2).head()


def test_refusal_of_the_contract_needs_two_nodes(nodes: list[FakeNode], open_group: Open):
    nodes[0].answer = lambda height: "x: colearn:UnknownExperiment([7]): y"
    assert ask(open_group(2)) == 100
    nodes[1].answer = nodes[0].answer
    with pytest.raises(Refused):
        ask(open_group(2))


@pytest.mark.parametrize("agree", [1, 2])
def test_transaction_is_sent_to_as_many_nodes_as_have_to_agree(
    nodes: list[FakeNode], open_group: Open, agree: int
):
    assert open_group(agree).broadcast(b"") == (0, "sdk", "")
    assert sum(node.asked.count("BroadcastTx") for node in nodes) == agree


@pytest.mark.parametrize(("code", "result"), [(5, 0), (19, 19), (32, 0)])
def test_another_node_is_used_if_one_refuses_a_transaction(
    nodes: list[FakeNode], open_group: Open, code: int, result: int
):
    nodes[0].code = code
    assert open_group(1).broadcast(b"")[0] == result


def test_refusal_is_returned_if_no_node_accepts(nodes: list[FakeNode], open_group: Open):
    for node in nodes:
        node.code = 5
    assert open_group(1).broadcast(b"")[0] == 5
