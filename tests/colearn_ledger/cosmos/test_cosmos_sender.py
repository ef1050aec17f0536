"""The Cosmos sender: the rules of all chains, and sequences, gas and fees."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cosmpy.protos.cosmos.crypto.secp256k1.keys_pb2 import PubKey
from cosmpy.protos.cosmos.tx.v1beta1.tx_pb2 import SignDoc, TxBody, TxRaw
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract

from colearn_ledger.chains import hooks, look_times
from colearn_ledger.chains import sender as state_machine
from colearn_ledger.chains.cosmos import CosmosSenderConfig
from colearn_ledger.chains.cosmos import sender as cosmos_sender
from colearn_ledger.chains.cosmos.errors import FeeTooHigh
from colearn_ledger.chains.cosmos.gas import CEILINGS, find_experiment
from colearn_ledger.chains.cosmos.sender import Draft, Sender
from colearn_ledger.chains.cosmos.transactions import (
    Action,
    Signing,
    execute_action,
    hash_transaction,
    sign_transaction,
    store_action,
    unsigned_transaction,
)
from colearn_ledger.chains.errors import EmptyWallet, GasTooHigh, KeyInUse, NodeRefused
from colearn_ledger.chains.hooks import Sent
from colearn_ledger.chains.journal import Premise
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.networks.cosmos_access import CosmosAccess
from tests.support.scripted_chain import (
    Answer,
    ScriptedChain,
    auth_of,
    body_of,
    sequence_of,
    unreachable,
)
from tests.support.sender_conformance import (
    BudgetConformance,
    ChainWithFaults,
    JournalConformance,
    PremiseConformance,
    SenderConformance,
)
from tests.support.waiting import Clock

SCHEMA = Path(__file__).parents[3] / "contracts/cosmwasm/schema/collective-learning.json"
TERMS = CosmosAccess("http://scripted", "wasm", "stake", 0.025)
WALLET = Wallet.from_key(b"\7" * 32)
ACCOUNT = WALLET.cosmos_address("wasm")
CONTRACT = Wallet.from_key(b"\3" * 32).cosmos_address("wasm")
SIGNING = Signing("testing-1", 7, 0, 10**6, 10**5, "stake")


def action(number: int = 0) -> Action:
    return execute_action(ACCOUNT, CONTRACT, {"advance": {"experiment": str(number)}})


class ScriptedCosmosChain(ChainWithFaults):
    highest_cost = 5_500

    def __init__(self, folder: Path, clock: Clock) -> None:
        super().__init__(folder, clock)
        self.node = ScriptedChain()

    def make_sender(self, **settings: Any) -> Sender:
        config = CosmosSenderConfig(**{"journal": self.folder, **settings})
        return Sender(self.node, "testing-1", TERMS, config)

    def send(self, sender: Sender, call: int = 0, premise: Premise | None = None) -> Sent[Draft]:
        return sender.send(WALLET, action(call), premise=premise)

    def hold_blocks(self) -> None:
        self.node.automatic = False

    def make_block(self) -> None:
        self.node.make_block()

    def lose_pool(self) -> None:
        self.node.mempool.clear()

    def pool(self) -> dict[int, str]:
        return {nonce: hash_transaction(raw) for nonce, raw in self.node.mempool.items()}

    def included(self) -> list[str]:
        return list(self.node.blocks)

    def use_nonce_elsewhere(self) -> None:
        self.node.sequence += 1

    def lose_next_answer(self) -> None:
        self._accept_then(unreachable)

    def repeat_next_answer(self) -> None:
        self._accept_then(
            lambda raw: (32, "sdk", "account sequence mismatch, expected 1, got 0: incorrect")
        )

    def disconnect(self) -> None:
        def break_once(raw: bytes) -> Answer:
            self.node.override = lambda raw: None
            return unreachable(raw)

        self.node.override = break_once

    def refuse(self, *calls: int) -> None:
        self.node.refused |= {
            body_of(unsigned_transaction(WALLET, (action(call),), SIGNING)) for call in calls
        }

    def show_amount(self, amount: int) -> str:
        return f"{amount:,} stake"

    def _accept_then(self, answer: Callable[[bytes], Answer]) -> None:
        def override(raw: bytes) -> Answer:
            self.node.override = lambda raw: None
            self.node.broadcast(raw)
            return answer(raw)

        self.node.override = override


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedCosmosChain:
    monkeypatch.setattr(cosmos_sender, "_TEND_AFTER", 0.0)
    clock = Clock()
    for module in (cosmos_sender, state_machine, hooks, look_times):
        monkeypatch.setattr(module, "time", clock)
    return ScriptedCosmosChain(tmp_path, clock)


@pytest.fixture
def node(chain: ScriptedCosmosChain) -> ScriptedChain:
    return chain.node


def answer_once(answer: Answer) -> Callable[[bytes], Answer | None]:
    """Return a fault that affects only the first broadcast."""
    answers = [answer]
    return lambda raw: answers.pop() if answers else None


class TestTransactionBytes:
    def test_signature_covers_chain_account_and_sequence(self):
        signing = Signing("testing-1", 7, 3, 200_000, 5_000, "stake")
        raw = sign_transaction(WALLET, (action(),), signing)
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

    def test_signing_twice_gives_the_same_bytes_and_hash(self):
        signing = Signing("testing-1", 7, 3, 200_000, 0, "stake")
        raw = sign_transaction(WALLET, (store_action(ACCOUNT, b"\0asm"),), signing)
        assert raw == sign_transaction(WALLET, (store_action(ACCOUNT, b"\0asm"),), signing)
        assert len(hash_transaction(raw)) == 64
        assert hash_transaction(raw) == hash_transaction(raw).upper()
        assert not auth_of(raw).fee.amount


def sequences(node: ScriptedChain) -> list[int]:
    return [sequence_of(raw) for raw in node.offered]


class TestFees:
    def test_fee_is_the_networks_price_of_the_simulated_gas_with_headroom(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        sender = chain.make_sender(gas_headroom=1.5, gas_margin=1_000)
        assert sender.wait(sender.send(WALLET, action()), 1).code == 0
        fee = auth_of(node.offered[0]).fee
        assert (fee.gas_limit, fee.amount[0].amount) == (151_000, "3775")

    def test_more_gas_than_the_ceiling_is_refused(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        with pytest.raises(GasTooHigh, match=r"needs 100,000 gas.* the ceiling is 90,000"):
            chain.make_sender(gas_ceiling=90_000).send(WALLET, action())
        assert node.offered == []

    def test_transaction_out_of_gas_is_sent_again_with_more_up_to_the_ceiling(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        node.gas_needed = 400_000
        sender = chain.make_sender()
        assert sender.wait(sender.send(WALLET, action()), 1).code == 0
        assert [auth_of(raw).fee.gas_limit for raw in node.offered] == [220_000, 440_000]
        assert sequences(node) == [0, 1]
        tight = chain.make_sender(gas_ceiling=300_000)
        assert tight.wait(tight.send(WALLET, action(2)), 1).code == 11
        assert max(auth_of(raw).fee.gas_limit for raw in node.offered[2:]) == 300_000

    def test_empty_wallet_is_reported_with_the_missing_amount(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        node.balance_held = 5
        node.override = answer_once(
            (5, "sdk", "spendable balance 5stake is smaller than 5500stake")
        )
        with pytest.raises(
            EmptyWallet, match=rf"{ACCOUNT} holds 5 stake, .* up to 5,500 stake: send"
        ):
            chain.make_sender().send(WALLET, action())
        sender = chain.make_sender()
        assert sender.wait(sender.send(WALLET, action()), 1).code == 0
        assert sequences(node) == [0, 0]  # the sequence was released

    def test_higher_fee_of_a_node_is_paid_up_to_the_ceiling(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        node.override = answer_once((13, "sdk", "got: 1stake required: 9000stake: x"))
        chain.make_sender().send(WALLET, action())
        assert [auth_of(raw).fee.amount[0].amount for raw in node.offered] == ["5500", "9000"]
        node.override = answer_once((13, "sdk", "got: 1stake required: 90000stake: x"))
        with pytest.raises(FeeTooHigh, match=r"a fee of 90,000 stake .* ceiling of 27,500"):
            chain.make_sender().send(WALLET, action(2))

    def test_sender_waits_for_room_in_the_mempool(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        node.override = answer_once((20, "sdk", "mempool is full"))
        sender = chain.make_sender()
        assert sender.wait(sender.send(WALLET, action()), 1).code == 0
        node.override = lambda raw: (20, "sdk", "mempool is full")
        with pytest.raises(LedgerUnavailable, match="no room"):
            chain.make_sender(full_patience=0.0).send(WALLET, action(2))

    def test_other_refusals_are_repeated_in_the_error(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        node.override = answer_once((4, "sdk", "signature verification failed"))
        with pytest.raises(NodeRefused, match="signature verification failed"):
            chain.make_sender().send(WALLET, action())

    def test_node_cannot_raise_the_gas_of_a_call_above_its_ceiling(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        ballot = execute_action(ACCOUNT, CONTRACT, {"vote": {"experiment": "1", "round": 0}})
        node.gas_simulated = 30_000_000
        with pytest.raises(GasTooHigh, match=r"this vote needs 30,000,000 gas.* is 2,000,000"):
            chain.make_sender().send(WALLET, ballot)
        node.gas_simulated = 1_900_000
        chain.make_sender().send(WALLET, ballot)
        assert auth_of(node.offered[-1]).fee.gas_limit == 2_000_000
        chain.make_sender(call_ceilings=2).send(WALLET, ballot)
        assert auth_of(node.offered[-1]).fee.gas_limit == 2_740_000

    def test_ceiling_of_a_batch_grows_with_its_length(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        message = {"vote_signed": {"experiment": "1", "round": 0, "ballots": [{}] * 50}}
        node.gas_simulated = 3_000_000
        chain.make_sender().send(WALLET, execute_action(ACCOUNT, CONTRACT, message))
        assert auth_of(node.offered[0]).fee.gas_limit == 4_280_000

    def test_gas_that_a_simulation_cannot_show_is_added_below_the_ceiling(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        chain.make_sender().send(WALLET, action(), more_gas=375_000)
        chain.make_sender().send(WALLET, action(1), more_gas=30_000_000)
        limits = [auth_of(raw).fee.gas_limit for raw in node.offered]
        assert limits == [595_000, CEILINGS["advance"].gas]

    def test_calls_that_may_begin_a_round_name_their_experiment(self):
        assert find_experiment({"vote": {"experiment": "7", "round": 0}}) == "7"
        assert find_experiment({"announce": {"experiment": "7", "topic": "x"}}) is None

    def test_every_call_has_a_ceiling(self):
        schema = json.loads(SCHEMA.read_text())
        calls = {variant["required"][0] for variant in schema["execute"]["oneOf"]}
        assert set(CEILINGS) == calls

    def test_simulated_bytes_are_not_a_valid_transaction(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        chain.make_sender().send(WALLET, action())
        [simulated] = node.simulated
        assert list(TxRaw.FromString(simulated).signatures) == [b""]
        key = PubKey()
        assert auth_of(simulated).signer_infos[0].public_key.Unpack(key)
        assert key.key == WALLET.cosmos_public_key


class TestCosmosSender(SenderConformance):
    def test_nothing_is_sent_while_other_software_has_a_transaction_in_the_pool(
        self, chain: ScriptedCosmosChain
    ):
        chain.hold_blocks()
        foreign = sign_transaction(WALLET, (action(9),), SIGNING)
        chain.node.mempool[0] = foreign
        sender = chain.make_sender()
        with pytest.raises(KeyInUse, match="sequence 0 is in no block yet"):
            sender.send(WALLET, action())
        chain.make_block()
        mine = sender.send(WALLET, action())
        assert mine.entry.nonce == 1
        chain.make_block()
        assert sender.wait(mine, 1).code == 0


class TestPremise(PremiseConformance):
    pass


class TestBudget(BudgetConformance):
    def test_refused_transaction_is_not_counted(
        self, chain: ScriptedCosmosChain, node: ScriptedChain
    ):
        sender = chain.start_process(daily_budget=chain.highest_cost)
        node.override = answer_once((4, "sdk", "signature verification failed"))
        with pytest.raises(NodeRefused):
            chain.send(sender, 1)
        assert sender.wait(chain.send(sender, 2), 1).code == 0


class TestJournal(JournalConformance):
    @pytest.fixture(params=["contract", "forged", "sequence", "chain", "hash", "gas", "fee"])
    def field(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(autouse=True)
    def _remember(self, field: str) -> None:
        self.field = field

    def damage(self, line: dict[str, Any]) -> None:
        raw, unsigned = bytes.fromhex(line["unsigned"]["raw"]["hex"]), line["unsigned"]
        signing = Signing("testing-1", 7, 0, unsigned["gas"], unsigned["fee"], "stake")
        stranger = Wallet.from_key(b"\5" * 32)
        changed = {
            "contract": raw.replace(CONTRACT.encode(), ACCOUNT.encode()),
            "forged": sign_transaction(stranger, (action(1),), signing),
            "sequence": sign_transaction(WALLET, (action(1),), replace(signing, sequence=1)),
            "chain": sign_transaction(WALLET, (action(1),), replace(signing, chain_id="other-1")),
        }
        if self.field in changed:
            unsigned["raw"]["hex"] = changed[self.field].hex()
            line["hash"] = hash_transaction(changed[self.field])
        elif self.field == "hash":
            line["hash"] = "damaged"
        else:
            unsigned[self.field] = 7
