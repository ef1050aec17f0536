"""EvmLedger: connections to a contract, and calls that fail."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from colearn_ledger.chains.evm import (
    EmptyWallet,
    EvmConfig,
    EvmLedger,
    EvmSenderConfig,
    GasTooHigh,
    NodeRefused,
    TransactionFailed,
    WrongChain,
    WrongContract,
)
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.history import read_history
from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger, LedgerUnavailable
from colearn_ledger.protocol import (
    Account,
    Basis,
    Duty,
    InvalidParameter,
    NotCreator,
    Scores,
    SignedBallot,
    SkipReason,
    Status,
    Vote,
    VoteCast,
    WrongStatus,
)
from tests.support.evm_world import Answer, FaultyNode, Place
from tests.support.samples import SCORES, content_of, params


class TestConnection:
    def test_second_connection_reads_the_same_experiment(self, place: Place):
        experiment = place.create_and_join()
        other = EvmLedger.connect(place.chain.provider, place.ledger.contract, place.cy)
        assert other.experiment(experiment) == place.ledger.experiment(experiment)
        assert other.domain == place.ledger.domain
        assert other.account == place.cy.address

    def test_view_without_wallet_reads_but_cannot_send(self, place: Place):
        experiment = place.create_and_join()
        view = EvmLedger.connect(place.chain.provider, place.ledger.contract)
        assert not isinstance(view, Ledger)
        assert not hasattr(view, "join")
        assert view.experiment(experiment) == place.ledger.experiment(experiment)
        assert view.events(experiment) == place.ledger.events(experiment)
        history = read_history(view, experiment)
        assert history.experiment == view.experiment(experiment)

    def test_node_of_another_chain_is_refused(self, place: Place, node: FaultyNode):
        with pytest.raises(WrongChain, match="not on chain 5"):
            place.connect(node, place.ana, chain_id=5)
        assert node.requested == ["eth_chainId"]

    def test_address_without_code_is_refused(self, place: Place):
        nobody = Wallet.create().address
        with pytest.raises(WrongContract, match=f"no contract at {nobody}"):
            EvmLedger.connect(place.chain.provider, nobody, place.ana)

    def test_foreign_contract_is_refused(self, place: Place, node: FaultyNode):
        node.answer("eth_getCode", "0x6001600155")
        with pytest.raises(WrongContract, match="is not the one"):
            place.connect(node, place.ana)

    def test_contract_with_foreign_queries_is_refused(self, place: Place):
        contract = place.deploy_with_changed_queries()
        artifact = load_artifact()
        node = place.ledger._channel.node
        assert artifact.is_deployed_as(node.code(contract))
        with pytest.raises(WrongContract, match=f"{contract} on chain .* is not the one"):
            EvmLedger.connect(place.chain.provider, contract, place.ana)

    def test_deployment_with_foreign_queries_is_refused(self, place: Place, node: FaultyNode):
        queries = load_artifact().queries

        def change_queries(_: list[Any], honest: Answer) -> Any:
            response = honest()
            return response | {"result": response["result"].replace(queries.hex(), "60" * 99)}

        node.overrides["eth_getCode"] = change_queries
        config = EvmConfig(chain_id=place.ledger.domain.chain_id)
        with pytest.raises(WrongContract, match="created another contract"):
            EvmLedger.deploy(node, place.bob, config=config)

    def test_contract_with_another_signing_domain_is_refused(self, place: Place, node: FaultyNode):
        node.answer("eth_call", "0x" + "11" * 32)
        with pytest.raises(WrongContract, match="another chain or address"):
            place.connect(node, place.ana)

    def test_invalid_address_is_refused(self, place: Place):
        with pytest.raises(InvalidParameter) as refused:
            EvmLedger.connect(place.chain.provider, Account("0x12"), place.ana)
        assert refused.value.args == ("contract",)

    def test_error_about_an_unreachable_node_does_not_show_its_key(self, place: Place):
        url = "http://user:secret@127.0.0.1:9/v3/secret?key=secret"
        with pytest.raises(LedgerUnavailable, match=r"http://127\.0\.0\.1:9/… cannot") as refused:
            EvmLedger.connect(url, place.ledger.contract, place.ana)
        assert "secret" not in str(refused.value)


class TestCalls:
    def test_call_that_the_contract_would_refuse_is_not_sent(self, place: Place, node: FaultyNode):
        experiment = place.create_and_join()
        ledger = place.connect(node, place.bob)
        with pytest.raises(NotCreator) as refused:
            ledger.start(experiment)
        assert refused.value.args == (place.bob.address,)
        assert "eth_sendRawTransaction" not in node.requested

    def test_call_refused_in_its_block_raises_the_protocol_error(
        self, place: Place, node: FaultyNode
    ):
        experiment = place.create_and_join()
        place.ledger.start(experiment).wait()
        ledger = place.connect(node, place.ana)
        node.answer("eth_estimateGas", hex(500_000))  # an outdated estimate
        pending = ledger.start(experiment)
        with pytest.raises(WrongStatus) as refused:
            pending.wait()
        assert refused.value.args == (Status.RUNNING,)

    def test_out_of_gas_is_reported(self, place: Place, node: FaultyNode):
        ledger = place.connect(node, place.ana, sending=EvmSenderConfig(gas_margin=0))
        node.answer("eth_estimateGas", hex(60_000))
        with pytest.raises(TransactionFailed, match="used all of its"):
            ledger.create(params()).wait()

    def test_empty_wallet_error_contains_balance_and_cost(self, place: Place):
        poor = Wallet.create()
        with pytest.raises(EmptyWallet, match="send it some") as refused:
            place.ledger.acting_for(poor).create(params())
        assert (refused.value.account, refused.value.balance) == (poor.address, 0)
        assert refused.value.needed > 0

    def test_empty_wallet_is_reported_if_the_node_refuses_to_estimate_gas(
        self, place: Place, node: FaultyNode
    ):
        ledger = place.connect(node, Wallet.create())
        node.refuse("eth_estimateGas", "insufficient funds for transfer")
        with pytest.raises(EmptyWallet):
            ledger.create(params())

    def test_account_without_coins_can_read_and_have_its_ballot_relayed(self, place: Place):
        experiment = place.create_and_join()
        place.ledger.start(experiment).wait()
        poor = Wallet.create()
        assert place.ledger.acting_for(poor).duty(experiment, place.ana.address) == Duty.PROPOSE
        place.ledger.propose(experiment, 0, content_of("weights"), SCORES).wait()
        proposals = place.ledger.round(experiment, 0).proposals
        vote = Vote(1, (Scores(), SCORES))
        basis = Basis(experiment, 0, proposals)
        good = sign_ballot(place.bob, place.ledger.domain, basis, vote)
        bad = SignedBallot(place.bob.address, replace(vote, approvals=0), good.signature)
        payer = place.ledger.acting_for(place.cy)
        events = payer.vote_signed(experiment, 0, proposals, [bad, good]).wait().events
        assert events[0].reason == SkipReason.BAD_SIGNATURE
        assert events[1] == VoteCast(experiment, 0, place.bob.address, vote)

    def test_transaction_above_the_gas_ceiling_is_not_sent(self, place: Place, node: FaultyNode):
        ledger = place.connect(node, place.ana, sending=EvmSenderConfig(gas_ceiling=100_000))
        with pytest.raises(GasTooHigh, match="ceiling is 100,000"):
            ledger.create(params())
        assert "eth_sendRawTransaction" not in node.requested

    def test_call_takes_four_requests(self, place: Place, node: FaultyNode):
        ledger = place.connect(node, place.ana)
        experiment = ledger.create(params()).wait().experiment
        experiment_hash = ledger.experiment(experiment).hash
        del node.requested[:]
        ledger.join(experiment, experiment_hash).wait()
        assert node.requested == [
            "eth_estimateGas",
            "eth_getTransactionCount",
            "eth_sendRawTransaction",
            "eth_getTransactionReceipt",
        ]

    def test_threads_that_share_a_key_lose_no_transaction(self, place: Place):
        made: list[int] = []

        def create_some() -> None:
            made.extend(place.ledger.create(params()).wait().experiment for _ in range(3))

        threads = [threading.Thread(target=create_some) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(made)) == len(made) == 24

    def test_two_ledgers_with_one_key_use_consecutive_nonces(self, place: Place):
        here, there = (place.connect(place.chain.provider, place.ana) for _ in range(2))
        made = [view.create(params()).wait().experiment for view in (here, there, here, there)]
        assert made == list(range(made[0], made[0] + 4))

    def test_transaction_after_a_refused_one_succeeds(self, place: Place, node: FaultyNode):
        ledger = place.connect(node, place.ana)
        ledger.create(params()).wait()
        node.refuse("eth_sendRawTransaction", "the pool is full")
        with pytest.raises(NodeRefused, match="the pool is full"):
            ledger.create(params())
        del node.overrides["eth_sendRawTransaction"]
        ledger.create(params()).wait()

    def test_repeated_call_after_a_lost_answer_takes_effect_once(
        self, place: Place, node: FaultyNode
    ):
        ledger = place.connect(node, place.ana)
        before = len(ledger.experiments())

        def lose(_: list[Any], honest: Any) -> Any:
            honest()
            raise ConnectionError

        node.overrides["eth_sendRawTransaction"] = lose
        with pytest.raises(LedgerUnavailable):
            ledger.create(params())
        del node.overrides["eth_sendRawTransaction"]
        assert ledger.create(params()).wait().experiment == before + 1
        assert len(ledger.experiments(before)) == 1
        assert ledger.create(params()).wait().experiment == before + 2  # a new experiment

    def test_transaction_not_in_a_block_in_time_raises_ledger_unavailable(
        self, place: Place, node: FaultyNode
    ):
        ledger = place.connect(node, place.ana)
        node.answer("eth_getTransactionReceipt", None)
        with pytest.raises(LedgerUnavailable, match=r"in no block after 0\.05 s"):
            ledger.create(params()).wait(0.05)

    def test_default_tip_is_paid_if_the_node_suggests_none(self, place: Place, node: FaultyNode):
        ledger = place.connect(node, place.ana)
        node.refuse("eth_maxPriorityFeePerGas", "no such method", -32_601)
        ledger.create(params()).wait()
