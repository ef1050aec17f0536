"""The EVM sender: the rules of all chains, and tips and replacements."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from colearn_ledger.chains import hooks, look_times
from colearn_ledger.chains import sender as state_machine
from colearn_ledger.chains.errors import BudgetSpent, NodeRefused, TransactionLost
from colearn_ledger.chains.evm import EvmSenderConfig
from colearn_ledger.chains.evm import sender as evm_sender
from colearn_ledger.chains.evm.node import Block
from colearn_ledger.chains.evm.sender import Request, Sender
from colearn_ledger.chains.hooks import Sent
from colearn_ledger.chains.journal import Premise
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from tests.support.journals import change_transactions
from tests.support.scripted_evm import GWEI, ScriptedEvm, fields_of, hash_of, unreachable
from tests.support.sender_conformance import (
    DIGEST_B,
    JUDGES_A,
    JUDGES_B,
    BudgetConformance,
    ChainWithFaults,
    JournalConformance,
    PremiseConformance,
    SenderConformance,
)
from tests.support.waiting import Clock

WALLET = Wallet.from_key(b"\7" * 32)
CONTRACT = Wallet.from_key(b"\3" * 32).address


def data_of(call: int) -> bytes:
    return call.to_bytes(32, "big")


class ScriptedEvmChain(ChainWithFaults):
    highest_cost = 765_000 * 3 * GWEI

    def __init__(self, folder: Path, clock: Clock) -> None:
        super().__init__(folder, clock)
        self.node = ScriptedEvm()

    def make_sender(self, **settings: Any) -> Sender:
        """Return a sender that replaces nothing, unless ``max_fee`` allows it."""
        given = {"journal": self.folder, "bump_after": 0.0, "max_fee": 3 * GWEI, **settings}
        return Sender(self.node, 5, EvmSenderConfig(**given))

    def send(self, sender: Sender, call: int = 0, premise: Premise | None = None) -> Sent[Request]:
        return sender.send(WALLET, CONTRACT, data_of(call), premise=premise)

    def hold_blocks(self) -> None:
        self.node.automatic = False

    def make_block(self) -> None:
        self.node.make_block()

    def lose_pool(self) -> None:
        self.node.pool.clear()

    def pool(self) -> dict[int, str]:
        return {nonce: hash_of(raw) for nonce, raw in self.node.pool.items()}

    def included(self) -> list[str]:
        return list(self.node.blocks)

    def use_nonce_elsewhere(self) -> None:
        self.node.blocks["0x" + "ee" * 32] = 1

    def lose_next_answer(self) -> None:
        self._accept_then(lambda raw: unreachable(raw))

    def repeat_next_answer(self) -> None:
        def refuse(raw: bytes) -> None:
            raise NodeRefused("nonce too low")

        self._accept_then(refuse)

    def disconnect(self) -> None:
        def break_once(raw: bytes) -> None:
            self.node.override = lambda raw: None
            unreachable(raw)

        self.node.override = break_once

    def refuse(self, *calls: int) -> None:
        self.node.refused |= {data_of(call) for call in calls}

    def show_amount(self, amount: int) -> str:
        return f"{amount / 10**18:.6f} of the chain's coin"

    def _accept_then(self, fail: Callable[[bytes], None]) -> None:
        def override(raw: bytes) -> None:
            self.node.override = lambda raw: None
            self.node.send(raw)
            fail(raw)

        self.node.override = override


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedEvmChain:
    clock = Clock()
    for module in (evm_sender, state_machine, hooks, look_times):
        monkeypatch.setattr(module, "time", clock)
    return ScriptedEvmChain(tmp_path, clock)


class TestEvmSender(SenderConformance):
    pass


class ScriptedHeads:
    """A chain whose head is one block further at each wait.

    ``events`` maps blocks to functions that are called when they come.
    """

    def __init__(self, events: dict[int, Callable[[], object]]) -> None:
        self.known = Block(10, 0, GWEI, "block 10")
        self.pushed = None
        self._events = events

    def recent(self, seconds: float) -> None:
        return None

    block_seconds = None

    def refresh(self) -> Block:
        return self.known

    def wait_until_due(self, seen: Block | None, timeout: float) -> Block:
        number = self.known.number + 1
        self._events.get(number, lambda: None)()
        self.known = Block(number, 0, GWEI, f"block {number}")
        return self.known


class TestLostTransaction:
    def wait_with(
        self, chain: ScriptedEvmChain, events: dict[int, Callable[[], object]], **settings: Any
    ) -> Sent[Request]:
        """Send a transaction before block 11, and wait for it while these events happen."""
        chain.hold_blocks()
        sender = chain.start_process(bump_after=3_600, **settings)
        sender.heads = ScriptedHeads(events)
        sent = chain.send(sender, 1, JUDGES_A)
        sender.wait(sent, 3_000)
        return sent

    def test_transaction_that_the_node_lost_is_sent_again_after_two_blocks(
        self, chain: ScriptedEvmChain
    ):
        pools = {}

        def look(number: int) -> Callable[[], object]:
            return lambda: pools.update({number: dict(chain.pool())})

        events = {11: chain.lose_pool, 12: look(12), 13: look(13), 14: chain.make_block}
        sent = self.wait_with(chain, events)
        assert pools == {12: {}, 13: {0: sent.hash}}
        assert chain.included() == [sent.hash]

    def test_transaction_that_the_node_still_has_is_not_sent_again(self, chain: ScriptedEvmChain):
        self.wait_with(chain, {30: chain.make_block})
        assert len(chain.node.offered) == 1
        assert chain.node.counted_blocks == 0  # nothing but the transaction was asked for

    def test_lost_transaction_with_outdated_premise_is_dropped_after_two_blocks(
        self, chain: ScriptedEvmChain
    ):
        def lose() -> None:
            chain.lose_pool()
            chain.proposals = DIGEST_B

        with pytest.raises(TransactionLost, match="round 3 now has other proposals"):
            self.wait_with(chain, {11: lose})
        assert chain.pool() == {}


class TestPremise(PremiseConformance):
    def test_superseded_ballot_in_the_pool_is_replaced_by_an_empty_transaction(
        self, chain: ScriptedEvmChain
    ):
        chain.hold_blocks()
        sender = chain.start_process(max_fee=9 * GWEI)
        ballot = chain.send(sender, 1, JUDGES_A)
        chain.proposals = DIGEST_B
        rejection = chain.send(sender, 2, JUDGES_B)
        empty = fields_of(chain.node.pool[0])
        assert (empty["data"], empty["value"]) == (b"", 0)
        chain.make_block()
        sender.wait(rejection, 1)
        assert ballot.hash not in chain.included()

    def test_ballot_that_a_reorganisation_returned_to_the_pool_is_withdrawn_too(
        self, chain: ScriptedEvmChain
    ):
        sender = chain.start_process(max_fee=9 * GWEI)
        ballot = chain.send(sender, 1, JUDGES_A)
        sender.wait(ballot, 1)
        chain.hold_blocks()
        chain.node.blocks.clear()
        chain.node.pool[0] = chain.node.offered[0]
        chain.proposals = DIGEST_B
        chain.send(sender, 2, JUDGES_B)
        assert fields_of(chain.node.pool[0])["data"] == b""

    def test_included_transactions_are_counted_only_while_one_is_in_doubt(
        self, chain: ScriptedEvmChain
    ):
        before = chain.start_process()
        before.wait(chain.send(before, 1, JUDGES_A), 1)
        assert chain.node.counted_blocks == 0
        sender = chain.start_process()  # does not know what the first one has seen
        chain.proposals = ""
        for call in range(2, 6):
            judges = replace(JUDGES_A, round=call + 10)
            sender.wait(chain.send(sender, call, judges), 1)
        assert chain.node.counted_blocks == 1


class TestJournal(JournalConformance):
    @pytest.fixture(params=["to", "data", "value", "gas", "nonce", "chainId", "hash"])
    def field(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(autouse=True)
    def _remember(self, field: str) -> None:
        self.field = field

    def damage(self, line: dict[str, Any]) -> None:
        if self.field == "hash":
            line["hash"] = "damaged"
            return
        changed = {"to": WALLET.address, "data": {"hex": "01"}, "value": 10**18, "chainId": 6}
        line["unsigned"][self.field] = changed.get(self.field, "damaged")

    def test_altered_transaction_that_looks_stuck_is_not_replaced(self, chain: ScriptedEvmChain):
        chain.hold_blocks()
        sender = chain.start_process(max_fee=9 * GWEI)
        sent = chain.send(sender, 1)
        change_transactions(chain.journal(), self.damage)
        with pytest.raises(TransactionLost, match="was changed on the disk"):
            sender.wait(sent, 20)
        assert [hash_of(raw) for raw in chain.node.offered] == [sent.hash]

    def test_altered_transaction_is_not_withdrawn(self, chain: ScriptedEvmChain):
        chain.hold_blocks()
        sender = chain.start_process(max_fee=9 * GWEI)
        chain.send(sender, 1, JUDGES_A)
        chain.proposals = DIGEST_B
        change_transactions(chain.journal(), self.damage)
        other = chain.send(sender, 2)
        assert hash_of(chain.node.offered[-1]) == other.hash
        assert len(chain.node.offered) == 2

    def test_altered_transaction_is_not_resumed(self, chain: ScriptedEvmChain):
        chain.hold_blocks()
        before = chain.send(chain.start_process(), 1)
        change_transactions(chain.journal(), self.damage)
        chain.node.make_block()
        assert chain.send(chain.start_process(), 1).hash != before.hash


class TestBudget(BudgetConformance):
    def test_settled_transaction_counts_as_what_it_cost(self, chain: ScriptedEvmChain):
        sender = chain.start_process(daily_budget=chain.highest_cost)
        actual = 50_000 * 2 * GWEI
        sender.wait(chain.send(sender, 1), 1)
        with pytest.raises(BudgetSpent, match=re.escape(chain.show_amount(actual))):
            chain.send(sender, 2)

    def test_replacement_above_the_budget_is_not_sent(self, chain: ScriptedEvmChain):
        chain.hold_blocks()
        sender = chain.start_process(daily_budget=chain.highest_cost, max_fee=9 * GWEI)
        sent = chain.send(sender)
        with pytest.raises(LedgerUnavailable, match="in no block"):
            sender.wait(sent, 20)
        assert len(chain.node.offered) == 1


class TestTips:
    def test_node_cannot_choose_a_tip_above_its_ceiling(self, chain: ScriptedEvmChain):
        chain.node.suggested_tip = 400 * GWEI
        chain.send(chain.make_sender(max_tip=3 * GWEI, max_fee=9 * GWEI))
        [raw] = chain.node.offered
        assert fields_of(raw)["maxPriorityFeePerGas"] == 3 * GWEI
        assert fields_of(raw)["maxFeePerGas"] == 5 * GWEI

    def test_replacements_stop_at_the_ceiling_of_the_tip(self, chain: ScriptedEvmChain):
        chain.hold_blocks()
        sender = chain.make_sender(max_tip=2 * GWEI, max_fee=90 * GWEI)
        sent = chain.send(sender)
        with pytest.raises(LedgerUnavailable, match="in no block"):
            sender.wait(sent, 20)
        tips = [fields_of(raw)["maxPriorityFeePerGas"] for raw in chain.node.offered]
        assert len(tips) > 3
        assert max(tips) <= 2 * GWEI
