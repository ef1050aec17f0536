"""The subscription to the new blocks of a Cosmos node: messages of all releases, and hostile ones.

The forms are those of Tendermint 0.34, whose headers come with the events of the block, in base64;
of CometBFT 0.37, the same without base64; and of CometBFT 0.38 and later, the header alone.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from colearn_ledger.chains.contract_ledger import ContractView
from colearn_ledger.chains.cosmos import CosmosConfig
from colearn_ledger.chains.cosmos.deployment import DeployedContract
from colearn_ledger.chains.cosmos.encoder import CosmosEncoder
from colearn_ledger.chains.cosmos.heads import find_websocket, subscribe
from colearn_ledger.chains.cosmos.records import Block
from colearn_ledger.networks.profiles import BUILT_IN_NETWORKS
from tests.colearn_ledger.cosmos.test_cosmos_heads import ScriptedNode
from tests.support.contract_answers import CONTRACT
from tests.support.scripted_socket import Listener, scripted_node
from tests.support.waiting import LIMIT, BackgroundCall, wait_until_true

CHAIN = "chain-1"
SUBSCRIBED = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {}})
HASH = "525B7E1B39ABFF6643D5CA0AF2B4C080AA69B8F6E6B88F5D96FA1C4B669EDA57"

Fields = dict[str, Any]


@pytest.fixture(autouse=True)
def _without_idle_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no subscription end because nobody uses it."""
    monkeypatch.setattr("colearn_ledger.chains.subscription._IDLE_SECONDS", 30 * LIMIT)


def header(height: int, /, **changes: Any) -> Fields:
    parts = {"total": 1, "hash": HASH}
    names = ("last_commit", "data", "validators", "next_validators", "consensus", "app")
    return {
        "version": {"block": "11", "app": "4294967296"},
        "chain_id": CHAIN,
        "height": str(height),
        "time": f"2023-02-13T13:27:{height:02d}.840771123Z",
        "last_block_id": {"hash": HASH, "parts": parts},
        **{f"{name}_hash": HASH for name in names},
        "last_results_hash": HASH,
        "evidence_hash": HASH,
        "proposer_address": HASH[:40],
        **changes,
    }


def message(height: int, more: Fields | None = None, /, **changes: Any) -> str:
    """Return the announcement of a header with these changes, and more about its block."""
    value = {"header": header(height, **changes), **(more or {})}
    data = {"type": "tendermint/event/NewBlockHeader", "value": value}
    result = {"query": "tm.event='NewBlockHeader'", "data": data}
    events = {"tm.event": ["NewBlockHeader"], "mint.amount": ["17"]}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result | {"events": events}})


def results(key: str, value: str) -> Fields:
    """Return the events of a block with one attribute."""
    attribute = {"key": key, "value": value, "index": True}
    event = {"type": "mint", "attributes": [attribute]}
    ended = {"validator_updates": [], "consensus_param_updates": None}
    return {"num_txs": "1", "result_begin_block": {"events": [event]}, "result_end_block": ended}


FORMS = {
    "Tendermint 0.34": results("YW1vdW50", "MTc="),
    "CometBFT 0.37": results("amount", "17"),
    "CometBFT 0.38": {},
}


@pytest.mark.parametrize("form", FORMS)
def test_height_and_time_are_those_of_the_header(form: str):
    requests: list[str] = []
    announced = [message(height, FORMS[form]) for height in (7, 8)]
    with scripted_node(SUBSCRIBED, *announced, requests=requests) as url:
        listener = Listener(subscribe(url, CHAIN))
        wait_until_true(lambda: len(listener.received) == 2, "block 8")
    assert listener.received == [Block(7, "", 1_676_294_827), Block(8, "", 1_676_294_828)]
    request = json.loads(requests[0])
    assert request["method"] == "subscribe"
    assert request["params"] == {"query": "tm.event='NewBlockHeader'"}


FAULTS = {
    "not JSON": "not json",
    "deep objects": '{"result":' * 70_000,
    "deep arrays": "[" * 70_000,
    "larger than a megabyte": message(8, {"padding": "x" * 1_000_000}),
    "another chain": message(8, chain_id="chain-2"),
    "no chain": message(8, chain_id=None),
    "height is a number": message(8, height=8),
    "negative height": message(8, height="-8"),
    "height 0": message(8, height="0"),
    "endless height": message(8, height="9" * 100_000),
    "no time": message(8, time="soon"),
    "time is a number": message(8, time=8),
    "time before the epoch": message(8, time="0001-01-01T00:00:00Z"),
    "no header": json.dumps({"result": {"data": {"value": {}}}}),
    "data is a text": json.dumps({"result": {"data": "block 8"}}),
    "cancelled": json.dumps({"id": 1, "error": {"code": -32000, "data": "client is too slow"}}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_malformed_and_foreign_messages_end_the_subscription(fault: str):
    with scripted_node(SUBSCRIBED, message(7), FAULTS[fault]) as url:
        listener = Listener(subscribe(url, CHAIN))
        listener.check_end()
        assert listener.received == [Block(7, "", 1_676_294_827)]


@pytest.mark.parametrize("answer", ['{"error": {"code": -32603}}', "[]", "not json"])
def test_node_that_accepts_no_subscription_is_polled(answer: str):
    with scripted_node(answer) as url:
        Listener(subscribe(url, CHAIN)).check_end()


def test_node_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("colearn_ledger.chains.subscription._OPEN_SECONDS", 0.1)
    with scripted_node() as url:
        Listener(subscribe(url, CHAIN)).check_end()


def test_websocket_is_that_of_the_rpc():
    assert find_websocket("http://127.0.0.1:26657") == "ws://127.0.0.1:26657/websocket"
    assert find_websocket("https://rpc.example/KEY/") == "wss://rpc.example/KEY/websocket"


def test_agents_subscribe_at_the_rpc_of_their_network():
    config: CosmosConfig = BUILT_IN_NETWORKS["dorado"]._config()  # type: ignore[attr-defined]
    assert config.websocket == "wss://rpc-dorado.fetch.ai/websocket"


class TestLedger:
    def make_view(self, node: ScriptedNode, url: str) -> ContractView[Any]:
        config = CosmosConfig(poll_seconds=0.05, websocket=url)
        sender: Any = SimpleNamespace(chain_id=CHAIN)
        contract = DeployedContract(node, CONTRACT, config, sender)  # type: ignore[arg-type]
        return ContractView(CosmosEncoder(), contract)

    def test_announced_block_wakes_a_waiting_agent_and_the_node_is_not_asked(self):
        node = ScriptedNode()
        with scripted_node(SUBSCRIBED, message(8)) as url:
            view = self.make_view(node, url)
            wait_until_true(lambda: view.wait_for_change(0) and view._seen.number == 8, "block 8")
            asked = node.asked
            waiting = BackgroundCall(view.wait_for_change, 0.5)
            assert view.now() == 1_676_294_828
            assert waiting.result() is False
            assert node.asked == asked

    def test_node_of_another_chain_is_polled_instead(self):
        node = ScriptedNode()
        with scripted_node(SUBSCRIBED, message(9, chain_id="chain-2")) as url:
            view = self.make_view(node, url)
            assert view.wait_for_change(0)
            node.last = Block(8, "cd" * 32, 1_005)
            wait_until_true(lambda: view.wait_for_change(1), "the polled block")
            assert view._seen == node.last
