"""Detection of new blocks, on a scripted node."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from colearn_ledger.chains import heads
from colearn_ledger.chains.contract_ledger import ContractView
from colearn_ledger.chains.cosmos.artifact import load_artifact
from colearn_ledger.chains.cosmos.config import CosmosConfig
from colearn_ledger.chains.cosmos.deployment import DeployedContract
from colearn_ledger.chains.cosmos.encoder import CosmosEncoder
from colearn_ledger.chains.cosmos.records import Block, ContractInfo
from tests.support.contract_answers import CONTRACT
from tests.support.waiting import Clock


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
