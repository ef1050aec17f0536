"""Sequences, gas and fees when things go wrong: a call takes effect once or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cosmpy.protos.cosmos.tx.v1beta1.tx_pb2 import SignDoc, TxBody, TxRaw
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract
from scripted_chain import Answer, ScriptedChain, auth_of, sequence_of, unreachable
from waiting import Clock

from colearn_ledger.chains.cosmos import SenderConfig
from colearn_ledger.chains.cosmos import sender as sending
from colearn_ledger.chains.cosmos.errors import FeeTooHigh
from colearn_ledger.chains.cosmos.sender import Sender
from colearn_ledger.chains.cosmos.transactions import (
    Action,
    Signing,
    executing,
    name_of,
    signed,
    storing,
)
from colearn_ledger.chains.errors import EmptyWallet, GasTooHigh, NodeRefused, TransactionLost
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.networks.profiles import CosmosTerms

TERMS = CosmosTerms("http://scripted", "wasm", "stake", 0.025)
WALLET = Wallet.from_key(b"\7" * 32)
ACCOUNT = WALLET.cosmos_address("wasm")
CONTRACT = Wallet.from_key(b"\3" * 32).cosmos_address("wasm")

Open = Callable[..., Sender]


def call(number: int = 0) -> Action:
    return executing(ACCOUNT, CONTRACT, {"advance": {"experiment": str(number)}})


@pytest.fixture
def chain() -> ScriptedChain:
    return ScriptedChain()


@pytest.fixture
def opened(chain: ScriptedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Return a process's own sender; all of them share a journal, as processes do, and a clock."""
    monkeypatch.setattr(sending, "_LOOK_AFTER", 0.0)
    monkeypatch.setattr(sending, "time", Clock())

    def make(**changes: object) -> Sender:
        config = SenderConfig(**{"journal": tmp_path, **changes})
        return Sender(chain, "testing-1", TERMS, config)

    return make


def once(answer: Answer) -> Callable[[bytes], Answer | None]:
    """Meddle with the first broadcast only."""
    answers = [answer]
    return lambda raw: answers.pop() if answers else None


def sequences(chain: ScriptedChain) -> list[int]:
    return [sequence_of(raw) for raw in chain.offered]


class TestATransaction:
    def test_is_signed_for_its_chain_account_and_place(self):
        signing = Signing("testing-1", 7, 3, 200_000, 5_000, "stake")
        raw = signed(WALLET, (call(),), signing)
        parts = TxRaw.FromString(raw)
        document = SignDoc(
            body_bytes=parts.body_bytes,
            auth_info_bytes=parts.auth_info_bytes,
            chain_id="testing-1",
            account_number=7,
        )
        assert parts.signatures == [WALLET.sign_for_cosmos(document.SerializeToString())]
        message = TxBody.FromString(parts.body_bytes).messages[0]
        sent = MsgExecuteContract()
        assert message.Unpack(sent)
        assert (sent.sender, sent.contract) == (ACCOUNT, CONTRACT)
        assert bytes(sent.msg) == b'{"advance":{"experiment":"0"}}'
        fee = auth_of(raw).fee
        assert (fee.gas_limit, fee.amount[0].amount, fee.amount[0].denom) == (
            200_000,
            "5000",
            "stake",
        )

    def test_has_the_same_bytes_and_name_each_time(self):
        signing = Signing("testing-1", 7, 3, 200_000, 0, "stake")
        raw = signed(WALLET, (storing(ACCOUNT, b"\0asm"),), signing)
        assert raw == signed(WALLET, (storing(ACCOUNT, b"\0asm"),), signing)
        assert len(name_of(raw)) == 64
        assert name_of(raw) == name_of(raw).upper()
        assert not auth_of(raw).fee.amount


class TestPaying:
    def test_gas_is_simulated_with_room_and_paid_at_the_networks_price(
        self, chain: ScriptedChain, opened: Open
    ):
        sender = opened(gas_headroom=1.5, gas_margin=1_000)
        assert sender.wait(sender.send(WALLET, call()), 1).code == 0
        fee = auth_of(chain.offered[0]).fee
        assert (fee.gas_limit, fee.amount[0].amount) == (151_000, "3775")

    def test_more_gas_than_the_ceiling_is_never_asked_for(self, chain: ScriptedChain, opened: Open):
        with pytest.raises(GasTooHigh, match="needs 100,000 gas and the ceiling is 90,000"):
            opened(gas_ceiling=90_000).send(WALLET, call())
        assert chain.offered == []

    def test_what_ran_out_of_gas_is_given_more_and_no_more_than_the_ceiling(
        self, chain: ScriptedChain, opened: Open
    ):
        chain.gas_needed = 400_000
        sender = opened()
        assert sender.wait(sender.send(WALLET, call()), 1).code == 0
        assert [auth_of(raw).fee.gas_limit for raw in chain.offered] == [220_000, 440_000]
        assert sequences(chain) == [0, 1]
        tight = opened(gas_ceiling=300_000)
        assert tight.wait(tight.send(WALLET, call(2)), 1).code == 11
        assert max(auth_of(raw).fee.gas_limit for raw in chain.offered[2:]) == 300_000

    def test_an_empty_wallet_is_told_with_what_is_wanted(self, chain: ScriptedChain, opened: Open):
        chain.balance_held = 5
        chain.meddle = once((5, "sdk", "spendable balance 5stake is smaller than 5500stake"))
        with pytest.raises(EmptyWallet, match=rf"{ACCOUNT} holds 5 stake, .* up to 5,500: send"):
            opened().send(WALLET, call())
        sender = opened()
        assert sender.wait(sender.send(WALLET, call()), 1).code == 0
        assert sequences(chain) == [0, 0]  # its place was free again

    def test_a_node_that_wants_more_gets_it_up_to_the_ceiling(
        self, chain: ScriptedChain, opened: Open
    ):
        chain.meddle = once((13, "sdk", "insufficient fees; got: 1stake required: 9000stake: x"))
        opened().send(WALLET, call())
        assert [auth_of(raw).fee.amount[0].amount for raw in chain.offered] == ["5500", "9000"]
        chain.meddle = once((13, "sdk", "insufficient fees; got: 1stake required: 90000stake: x"))
        with pytest.raises(FeeTooHigh, match=r"wants 90,000 stake .* ceiling is 27,500"):
            opened().send(WALLET, call(2))

    def test_a_full_mempool_is_waited_for(self, chain: ScriptedChain, opened: Open):
        chain.meddle = once((20, "sdk", "mempool is full"))
        sender = opened()
        assert sender.wait(sender.send(WALLET, call()), 1).code == 0
        chain.meddle = lambda raw: (20, "sdk", "mempool is full")
        with pytest.raises(LedgerUnavailable, match="no room"):
            opened(full_patience=0.0).send(WALLET, call(2))

    def test_another_refusal_is_repeated(self, chain: ScriptedChain, opened: Open):
        chain.meddle = once((4, "sdk", "signature verification failed"))
        with pytest.raises(NodeRefused, match="signature verification failed"):
            opened().send(WALLET, call())


class TestSequences:
    def test_many_are_under_way_at_once_in_their_order(self, chain: ScriptedChain, opened: Open):
        chain.automatic = False
        sender = opened()
        sent = [sender.send(WALLET, call(i)) for i in range(4)]
        assert sorted(chain.mempool) == [0, 1, 2, 3]
        chain.make_block()
        assert [sender.wait(one, 1).code for one in sent] == [0] * 4

    def test_processes_that_share_a_key_never_share_a_place(
        self, chain: ScriptedChain, opened: Open
    ):
        chain.automatic = False
        one, two = opened(), opened()
        sent = [one.send(WALLET, call(1)), two.send(WALLET, call(2)), one.send(WALLET, call(3))]
        assert sorted(chain.mempool) == [0, 1, 2]
        chain.make_block()
        assert len({one.wait(item, 1).hash for item in sent}) == 3

    def test_a_key_that_is_used_elsewhere_too_takes_the_place_that_the_chain_expects(
        self, chain: ScriptedChain, opened: Open
    ):
        chain.automatic = False
        foreign = signed(WALLET, (call(9),), Signing("testing-1", 7, 0, 10**6, 10**5, "stake"))
        chain.mempool[0] = foreign
        sender = opened()
        mine = sender.send(WALLET, call())
        assert mine.entry.nonce == 1
        chain.make_block()
        assert sender.wait(mine, 1).code == 0

    def test_what_a_killed_node_lost_is_sent_again_the_same_bytes(
        self, chain: ScriptedChain, opened: Open
    ):
        chain.automatic = False
        sender = opened()
        first, second = sender.send(WALLET, call(1)), sender.send(WALLET, call(2))
        chain.forget()
        with pytest.raises(LedgerUnavailable, match="read the state before"):
            sender.wait(second, 0.05)
        assert {name_of(raw) for raw in chain.mempool.values()} == {first.hash, second.hash}
        chain.make_block()
        assert [sender.wait(one, 1).code for one in (first, second)] == [0, 0]
        assert len(chain.blocks) == 2

    def test_a_call_in_doubt_is_taken_up_when_it_is_made_again(
        self, chain: ScriptedChain, opened: Open
    ):
        def answer_lost(raw: bytes) -> None:
            chain.meddle = lambda raw: None
            chain.broadcast(raw)
            unreachable(raw)

        chain.meddle = answer_lost
        sender = opened()
        with pytest.raises(LedgerUnavailable):
            sender.send(WALLET, call())
        assert len(chain.blocks) == 1
        again = sender.send(WALLET, call())
        assert sender.wait(again, 1).hash in chain.blocks
        assert len(chain.blocks) == 1

    def test_a_call_in_no_block_is_taken_up_by_the_process_that_starts_again(
        self, chain: ScriptedChain, opened: Open
    ):
        chain.automatic = False
        before = opened().send(WALLET, call())
        again = opened().send(WALLET, call())
        assert again.hash == before.hash
        assert len(chain.mempool) == 1
        chain.make_block()
        third = opened().send(WALLET, call())  # what is in a block, its caller has seen
        assert third.hash != before.hash

    def test_the_same_call_made_twice_on_purpose_is_two(self, chain: ScriptedChain, opened: Open):
        sender = opened()
        for _ in range(2):
            sender.wait(sender.send(WALLET, call()), 1)
        assert len(chain.blocks) == 2

    def test_a_call_that_reads_like_one_under_way_is_another(
        self, chain: ScriptedChain, opened: Open
    ):
        chain.automatic = False
        sender = opened()
        one, two = sender.send(WALLET, call()), sender.send(WALLET, call())
        chain.make_block()
        assert {sender.wait(sent, 1).hash for sent in (one, two)} == set(chain.blocks)
        assert one.hash != two.hash

    def test_an_answer_that_got_lost_between_two_attempts_is_no_refusal(
        self, chain: ScriptedChain, opened: Open
    ):
        """The node asked again: its first answer was lost, and the block came between."""

        def arrived_before(raw: bytes) -> Answer:
            chain.meddle = lambda raw: None
            chain.broadcast(raw)
            return 32, "sdk", "account sequence mismatch, expected 1, got 0: incorrect"

        chain.meddle = arrived_before
        sender = opened()
        assert sender.wait(sender.send(WALLET, call()), 1).code == 0
        assert len(chain.blocks) == 1

    def test_a_transaction_whose_place_another_took_is_lost_and_told(
        self, chain: ScriptedChain, opened: Open
    ):
        chain.automatic = False
        sender = opened()
        mine = sender.send(WALLET, call())
        chain.forget()
        chain.sequence = 1  # by a transaction of another program
        with pytest.raises(TransactionLost, match=r"sequence 0 .* was used for another"):
            sender.wait(mine, 5)
        after = sender.send(WALLET, call())
        assert after.entry.nonce == 1

    def test_a_node_that_is_gone_leaves_the_call_to_be_made_again(
        self, chain: ScriptedChain, opened: Open
    ):
        chain.meddle = unreachable
        sender = opened()
        with pytest.raises(LedgerUnavailable):
            sender.send(WALLET, call())
        chain.meddle = lambda raw: None
        assert sender.wait(sender.send(WALLET, call()), 1).code == 0
        assert len(chain.blocks) == 1
