"""Detection of new blocks, on a scripted node and on a real wasmd."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from colearn_ledger.chains import heads
from colearn_ledger.chains.contract_ledger import ContractView
from colearn_ledger.chains.cosmos import CosmosLedger
from colearn_ledger.chains.cosmos.artifact import load_artifact
from colearn_ledger.chains.cosmos.config import CosmosConfig
from colearn_ledger.chains.cosmos.deployment import DeployedContract
from colearn_ledger.chains.cosmos.encoder import CosmosEncoder
from colearn_ledger.chains.cosmos.heads import find_websocket
from colearn_ledger.chains.cosmos.records import Block, ContractInfo
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import ContentRef, ExperimentParams
from tests.support.contract_answers import CONTRACT
from tests.support.cosmos_place import Place
from tests.support.waiting import LIMIT, Clock, wait_until_true

NEVER = 30 * LIMIT
"""Seconds; a wait of this length counts as hanging."""

SPEC = ContentRef.from_digest(0x55, b"\xab" * 32, "ab" * 32, 5)
PARAMS = ExperimentParams("x", SPEC, None, 3, 2, 10, propose_window=1_000, vote_window=1_000)


class ScriptedNode:
    """A node whose head the test sets."""

    name = "http://scripted"

    def __init__(self) -> None:
        self.last = Block(7, "ab" * 32, 1_000)
        self.asked = 0

    def head(self) -> Block:
        self.asked += 1
        return self.last

    def check_with(self, check: object) -> None:
        pass

    def contract(self, address: str) -> ContractInfo:
        return ContractInfo(load_artifact().checksum, "", 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(heads, "time", clock)
    return clock


def test_change_of_the_head_is_noticed_with_one_request_in_each_interval(clock: Clock):
    node: Any = ScriptedNode()
    sender: Any = SimpleNamespace(chain_id="chain-1")
    contract = DeployedContract(node, CONTRACT, CosmosConfig(poll_seconds=1.0), sender)
    view = ContractView(CosmosEncoder(), contract)
    assert view.wait_for_change(0)
    assert not view.wait_for_change(0)
    assert view.now() == 1_000
    assert node.asked == 1
    node.last = Block(8, "cd" * 32, 1_005)
    clock.sleep(1.0)
    assert view.wait_for_change(0)
    assert view.now() == 1_005
    assert node.asked == 2
    clock.sleep(60)
    node.last = Block(9, "ef" * 32, 1_065)
    assert view.now() == 1_065  # what was polled a minute ago is not the last block


class TestAnnouncedBlocks:
    """The blocks that a real node announces, without any polling."""

    @pytest.fixture
    def ledger(self, cosmos_place: Place) -> CosmosLedger:
        wallet = Wallet.from_key(bytes([44]) * 32)
        contract = cosmos_place.ledger(wallet).contract
        socket = find_websocket(cosmos_place.chain.rpc)
        config = replace(cosmos_place.config, websocket=socket, poll_seconds=NEVER)
        ledger = CosmosLedger.connect(cosmos_place.terms, contract, wallet, config=config)
        wait_until_true(lambda: ledger.wait_for_change(1.0) and ledger._channel.heads.pushed)
        return ledger

    def test_announced_block_ends_a_wait_long_before_the_next_poll(self, ledger: CosmosLedger):
        first = ledger._seen
        for _ in range(3):
            assert ledger.wait_for_change(NEVER)
        assert first is not None
        assert ledger._seen is not None
        assert ledger._seen.number >= first.number + 3

    def test_announced_block_is_the_one_that_can_be_asked_for(self, ledger: CosmosLedger):
        pushed = ledger._channel.heads.pushed
        assert replace(ledger._channel.node.block(pushed.height), hash="") == pushed

    def test_transaction_is_found_in_its_block_and_then_in_the_state(self, ledger: CosmosLedger):
        for number in range(3):
            created = ledger.create(replace(PARAMS, name=f"announced {number}")).wait(LIMIT)
            assert ledger.experiment(created.experiment).params.name == f"announced {number}"
