"""The embedded chain: time, blocks and entropy."""

from __future__ import annotations

import itertools

import pytest

from colearn_ledger.chains.errors import EmptyWallet, NodeRefused, Refusal
from colearn_ledger.chains.evm import EvmSenderConfig
from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.chains.evm.errors import classify_refusal
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    DeadlineNotPassed,
    Duty,
    ExperimentId,
    NotALearner,
    UnknownExperiment,
)
from tests.support.evm_world import Place
from tests.support.samples import params
from tests.support.waiting import LIMIT, BackgroundCall


class TestEmbeddedChain:
    def test_time_advances_between_transactions(self, place: Place):
        experiment = place.create_and_join(propose_window=50)
        place.ledger.start(experiment).wait()
        deadline = place.ledger.round(experiment, 0).deadline
        with pytest.raises(DeadlineNotPassed) as refused:
            place.ledger.advance(experiment)
        assert refused.value.args == (deadline,)
        place.time = deadline
        assert place.ledger.now() == deadline
        assert place.ledger.duty(experiment, place.bob.address) == Duty.ADVANCE
        assert place.ledger.advance(experiment).wait().time == deadline

    def test_wait_ends_with_a_block_or_a_timeout(self, place: Place):
        view = place.ledger.acting_for(place.cy)
        assert view.wait_for_change(0)
        assert not view.wait_for_change(0.05)
        waiting = BackgroundCall(view.wait_for_change, 30 * LIMIT)
        place.ledger.create(params()).wait()
        assert waiting.result() is True

    def test_state_is_read_as_of_an_earlier_block(self, place: Place):
        deep = place.connect(
            place.chain.provider, place.cy, sending=EvmSenderConfig(confirmations=2)
        )
        before = len(place.ledger.experiments())
        created = place.ledger.create(params()).wait().experiment
        assert len(deep.experiments()) == before
        place.chain.fund(place.cy)
        assert deep.experiments()[-1].id == created

    def test_replayed_transactions_are_refused(self, place: Place):
        fields = {"type": 2, "chainId": place.ledger.domain.chain_id, "gas": 21_000, "value": 1}
        fields |= {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9, "to": place.bob.address}
        nonce = place.ledger._channel.node.nonce(place.cy.address)
        sent = place.cy.sign_transaction(fields | {"nonce": nonce})
        other = place.cy.sign_transaction(fields | {"nonce": nonce, "value": 2})
        node = place.ledger._channel.node
        node.send(sent)
        for raw, reason in [(sent, Refusal.KNOWN), (other, Refusal.NONCE_USED)]:
            with pytest.raises(NodeRefused) as refused:
                node.send(raw)
            assert classify_refusal(str(refused.value)) == reason

    def test_account_without_coins_is_reported(self, place: Place):
        poor = place.ledger.acting_for(Wallet.create())
        with pytest.raises(EmptyWallet):
            poor.create(params())

    def test_each_block_has_new_entropy(self, place: Place):
        seen = set()
        for _ in range(3):
            place.ledger.create(params()).wait()
            block = place.chain.provider.make_request("eth_getBlockByNumber", ["latest", False])
            seen.add(block["result"]["mixHash"])
        assert len(seen) == 3
        assert "0x" + "00" * 32 not in seen

    def test_receipt_and_contract_agree_on_the_time_while_the_clock_ticks(self):
        ticks = itertools.count(1_700_000_000)
        chain, ana = EmbeddedChain(clock=lambda: next(ticks)), Wallet.create()
        ledger = chain.deploy(ana)
        receipt = ledger.create(params(max_learners=2)).wait()
        assert ledger.experiment(receipt.experiment).created_at == receipt.time

    def test_two_chains_share_no_state(self, place: Place):
        other = Place()
        assert other.ledger.experiments() == []
        with pytest.raises(UnknownExperiment):
            other.ledger.learner(ExperimentId(1), place.ana.address)

    def test_account_that_is_not_a_learner_is_refused(self, place: Place):
        experiment = place.create_and_join()
        with pytest.raises(NotALearner) as refused:
            place.ledger.learner(experiment, place.cy.address)
        assert refused.value.args == (place.cy.address,)
