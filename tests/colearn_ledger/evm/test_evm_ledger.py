"""The ledger on an EVM chain: connecting, sending, failures, hostile nodes."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from colearn_ledger.chains.evm import (
    BadAnswer,
    EmptyWallet,
    EvmLedger,
    GasTooHigh,
    NodeRefused,
    SenderConfig,
    TransactionFailed,
    WrongChain,
    WrongContract,
)
from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.history import read_history
from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger, LedgerUnavailable
from colearn_ledger.protocol import (
    Account,
    DeadlineNotPassed,
    Duty,
    ExperimentId,
    InvalidParameter,
    LedgerError,
    NotALearner,
    NotCreator,
    Scores,
    SignedBallot,
    SkipReason,
    Status,
    UnknownExperiment,
    Vote,
    VoteCast,
    WrongStatus,
)
from tests.support.evm_world import Meddler, Place
from tests.support.samples import SCORES, content_of, params
from tests.support.waiting import LIMIT, Running


class TestConnecting:
    def test_a_connection_to_the_contract_sees_its_experiments(self, place: Place):
        experiment = place.enrolled()
        other = EvmLedger.connect(place.chain.provider, place.ledger.contract, place.cy)
        assert other.experiment(experiment) == place.ledger.experiment(experiment)
        assert other.domain == place.ledger.domain
        assert other.account == place.cy.address

    def test_view_without_a_wallet_reads_everything_and_cannot_send(self, place: Place):
        experiment = place.enrolled()
        view = EvmLedger.connect(place.chain.provider, place.ledger.contract)
        assert not isinstance(view, Ledger)
        assert not hasattr(view, "join")
        assert view.experiment(experiment) == place.ledger.experiment(experiment)
        assert view.events(experiment) == place.ledger.events(experiment)
        history = read_history(view, experiment)
        assert history.experiment == view.experiment(experiment)

    def test_another_chain_than_the_one_wanted_is_refused(self, place: Place, meddler: Meddler):
        with pytest.raises(WrongChain, match="chain 5 is wanted"):
            place.connect(meddler, place.ana, chain_id=5)
        assert meddler.asked == ["eth_chainId"]

    def test_an_address_without_code_is_refused(self, place: Place):
        nobody = Wallet.create().address
        with pytest.raises(WrongContract, match=f"no contract at {nobody}"):
            EvmLedger.connect(place.chain.provider, nobody, place.ana)

    def test_another_contract_is_refused(self, place: Place, meddler: Meddler):
        meddler.says("eth_getCode", "0x6001600155")
        with pytest.raises(WrongContract, match="is not the one"):
            place.connect(meddler, place.ana)

    def test_a_contract_bound_to_another_domain_is_refused(self, place: Place, meddler: Meddler):
        meddler.says("eth_call", "0x" + "11" * 32)
        with pytest.raises(WrongContract, match="another chain or address"):
            place.connect(meddler, place.ana)

    def test_a_mistyped_address_is_refused(self, place: Place):
        with pytest.raises(InvalidParameter) as refused:
            EvmLedger.connect(place.chain.provider, Account("0x12"), place.ana)
        assert refused.value.args == ("contract",)

    def test_a_node_that_is_not_there_is_unavailable_and_its_key_not_shown(self, place: Place):
        url = "http://user:secret@127.0.0.1:9/v3/secret?key=secret"
        with pytest.raises(LedgerUnavailable, match=r"http://127\.0\.0\.1:9/… cannot") as refused:
            EvmLedger.connect(url, place.ledger.contract, place.ana)
        assert "secret" not in str(refused.value)


class TestSending:
    def test_a_refused_call_is_not_sent(self, place: Place, meddler: Meddler):
        experiment = place.enrolled()
        ledger = place.connect(meddler, place.bob)
        with pytest.raises(NotCreator) as refused:
            ledger.start(experiment)
        assert refused.value.args == (place.bob.address,)
        assert "eth_sendRawTransaction" not in meddler.asked

    def test_a_call_overtaken_in_its_block_fails_with_the_protocols_error(
        self, place: Place, meddler: Meddler
    ):
        experiment = place.enrolled()
        place.ledger.start(experiment).wait()
        ledger = place.connect(meddler, place.ana)
        meddler.says("eth_estimateGas", hex(500_000))  # as estimated a moment earlier
        pending = ledger.start(experiment)
        with pytest.raises(WrongStatus) as refused:
            pending.wait()
        assert refused.value.args == (Status.RUNNING,)

    def test_running_out_of_gas_is_said_to_be_that(self, place: Place, meddler: Meddler):
        ledger = place.connect(meddler, place.ana)
        meddler.says("eth_estimateGas", hex(60_000))
        with pytest.raises(TransactionFailed, match="used all of its"):
            ledger.create(params()).wait()

    def test_an_empty_wallet_is_told_what_is_needed(self, place: Place):
        poor = Wallet.create()
        with pytest.raises(EmptyWallet, match="send it some") as refused:
            place.ledger.acting_for(poor).create(params())
        assert (refused.value.account, refused.value.balance) == (poor.address, 0)
        assert refused.value.needed > 0

    def test_an_empty_wallet_is_noticed_when_the_node_will_not_even_estimate(
        self, place: Place, meddler: Meddler
    ):
        ledger = place.connect(meddler, Wallet.create())
        meddler.refuses("eth_estimateGas", "insufficient funds for transfer")
        with pytest.raises(EmptyWallet):
            ledger.create(params())

    def test_an_account_without_coin_may_ask_and_have_its_ballot_carried(self, place: Place):
        experiment = place.enrolled()
        place.ledger.start(experiment).wait()
        poor = Wallet.create()
        assert place.ledger.acting_for(poor).duty(experiment, place.ana.address) == Duty.PROPOSE
        place.ledger.propose(experiment, 0, content_of("weights"), SCORES).wait()
        good = sign_ballot(place.bob, place.ledger.domain, experiment, 0, Vote(True))
        bad = SignedBallot(place.bob.address, Vote(False), good.signature)
        events = (
            place.ledger.acting_for(place.cy).vote_signed(experiment, 0, [bad, good]).wait().events
        )
        assert events[0].reason == SkipReason.BAD_SIGNATURE
        assert events[1] == VoteCast(experiment, 0, place.bob.address, Vote(True, Scores()))

    def test_a_transaction_dearer_than_the_ceiling_is_not_sent(
        self, place: Place, meddler: Meddler
    ):
        ledger = place.connect(meddler, place.ana, sending=SenderConfig(gas_ceiling=100_000))
        with pytest.raises(GasTooHigh, match="ceiling is 100,000"):
            ledger.create(params())
        assert "eth_sendRawTransaction" not in meddler.asked

    def test_a_vote_takes_five_requests(self, place: Place, meddler: Meddler):
        ledger = place.connect(meddler, place.ana)
        experiment = ledger.create(params()).wait().experiment
        del meddler.asked[:]
        ledger.join(experiment).wait()
        assert meddler.asked == [
            "eth_estimateGas",
            "eth_getTransactionCount",
            "eth_sendRawTransaction",
            "eth_getTransactionReceipt",
            "eth_getBlockByNumber",
        ]

    def test_threads_share_a_key_without_losing_a_transaction(self, place: Place):
        made: list[int] = []

        def create_some() -> None:
            made.extend(place.ledger.create(params()).wait().experiment for _ in range(3))

        threads = [threading.Thread(target=create_some) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(made)) == len(made) == 24

    def test_a_key_that_was_used_elsewhere_goes_on_with_the_right_nonce(self, place: Place):
        here, there = (place.connect(place.chain.provider, place.ana) for _ in range(2))
        made = [view.create(params()).wait().experiment for view in (here, there, here, there)]
        assert made == list(range(made[0], made[0] + 4))

    def test_after_a_refusal_the_next_transaction_goes_through(
        self, place: Place, meddler: Meddler
    ):
        ledger = place.connect(meddler, place.ana)
        ledger.create(params()).wait()
        meddler.refuses("eth_sendRawTransaction", "the pool is full")
        with pytest.raises(NodeRefused, match="the pool is full"):
            ledger.create(params())
        del meddler.meddling["eth_sendRawTransaction"]
        ledger.create(params()).wait()

    def test_a_call_whose_answer_got_lost_has_effect_once_when_made_again(
        self, place: Place, meddler: Meddler
    ):
        ledger = place.connect(meddler, place.ana)
        before = len(ledger.experiments())

        def lose(_: list[Any], honest: Any) -> Any:
            honest()
            raise ConnectionError

        meddler.meddling["eth_sendRawTransaction"] = lose
        with pytest.raises(LedgerUnavailable):
            ledger.create(params())
        del meddler.meddling["eth_sendRawTransaction"]
        assert ledger.create(params()).wait().experiment == before + 1
        assert len(ledger.experiments(before)) == 1
        assert ledger.create(params()).wait().experiment == before + 2  # a new experiment

    def test_a_transaction_that_is_in_no_block_in_time_is_unavailable(
        self, place: Place, meddler: Meddler
    ):
        ledger = place.connect(meddler, place.ana)
        meddler.says("eth_getTransactionReceipt", None)
        with pytest.raises(LedgerUnavailable, match=r"in no block after 0\.05 s"):
            ledger.create(params()).wait(0.05)

    def test_a_node_that_does_not_know_priority_fees_is_paid_the_usual_one(
        self, place: Place, meddler: Meddler
    ):
        ledger = place.connect(meddler, place.ana)
        meddler.refuses("eth_maxPriorityFeePerGas", "no such method", -32_601)
        ledger.create(params()).wait()


class TestHostileNodes:
    @pytest.mark.parametrize(
        "result",
        [None, "", "0x", "0x1", "0xzz", 7, -1, [], {}, True, "0x" + "ff" * 33, "0x" + "00" * 64],
        ids=repr,
    )
    def test_no_answer_to_a_query_is_believed_unless_it_is_one(
        self, place: Place, meddler: Meddler, result: Any
    ):
        ledger = place.connect(meddler, place.ana)
        meddler.says("eth_call", result)
        with pytest.raises(BadAnswer):
            ledger.experiment(ExperimentId(1))

    @pytest.mark.parametrize(
        "response",
        [
            None,
            "no",
            [],
            {},
            {"jsonrpc": "2.0"},
            {"error": "boom"},
            {"error": {"message": None}},
            {"error": {"code": "x", "message": 7, "data": 9}},
            {"error": {"code": 3, "message": "execution reverted", "data": "0xzz"}},
            {"error": {"code": 3, "message": "execution reverted", "data": "0x1234"}},
            {"error": {"code": 3, "message": "execution reverted"}},
        ],
        ids=repr,
    )
    def test_a_response_out_of_shape_is_a_ledger_error(
        self, place: Place, meddler: Meddler, response: Any
    ):
        ledger = place.connect(meddler, place.ana)
        for method, use in {
            "eth_call": lambda: ledger.experiment(ExperimentId(1)),
            "eth_estimateGas": lambda: ledger.start(ExperimentId(1)),
            "eth_blockNumber": lambda: ledger.wait_for_change(1),
            "eth_getBlockByNumber": ledger.now,
            "eth_getLogs": lambda: ledger._deployment.node.logs(ledger.contract, [], 0, 1),
            "eth_getBalance": lambda: ledger._deployment.node.balance(ledger.account),
        }.items():
            meddler.meddling[method] = lambda *_: response
            with pytest.raises(LedgerError):
                use()
            del meddler.meddling[method]

    @pytest.mark.parametrize("field", ["status", "block_number", "gas_used", "logs"])
    @pytest.mark.parametrize("value", [None, "x", -1, {}, [1]], ids=repr)
    def test_a_receipt_out_of_shape_is_a_bad_answer(
        self, place: Place, meddler: Meddler, field: str, value: Any
    ):
        names = {"block_number": "blockNumber", "gas_used": "gasUsed"}
        ledger = place.connect(meddler, place.ana)

        def spoil(_: list[Any], honest: Any) -> Any:
            response = honest()
            spoilt = {**response["result"], names.get(field, field): value}
            return {**response, "result": spoilt}

        meddler.meddling["eth_getTransactionReceipt"] = spoil
        with pytest.raises(BadAnswer):
            ledger.create(params()).wait()

    def test_another_transactions_hash_is_not_believed(self, place: Place, meddler: Meddler):
        ledger = place.connect(meddler, place.ana)
        meddler.says("eth_sendRawTransaction", "0x" + "ab" * 32)
        with pytest.raises(BadAnswer, match="the hash of another transaction"):
            ledger.create(params())

    def test_a_provider_that_raises_is_a_ledger_error(self, place: Place, meddler: Meddler):
        ledger = place.connect(meddler, place.ana)
        for error in (KeyError("result"), ValueError("not JSON"), TimeoutError(), OSError()):

            def fail(*_: Any, error: Exception = error) -> Any:
                raise error

            meddler.meddling["eth_call"] = fail
            with pytest.raises(LedgerError):
                ledger.experiment(ExperimentId(1))

    def test_a_revert_that_is_none_of_the_protocols_says_so(self, place: Place, meddler: Meddler):
        ledger = place.connect(meddler, place.ana)
        meddler.refuses("eth_call", "execution reverted", 3)
        with pytest.raises(TransactionFailed, match="the node does not say why"):
            ledger.experiment(ExperimentId(1))


class TestEvents:
    def test_blocks_are_read_once_and_in_bounded_ranges(self, place: Place, meddler: Meddler):
        experiment = place.enrolled()
        ledger = place.connect(meddler, place.ana, log_range=1)
        ranges = []

        def watch(parameters: list[Any], honest: Any) -> Any:
            ranges.append((int(parameters[0]["fromBlock"], 16), int(parameters[0]["toBlock"], 16)))
            return honest()

        meddler.meddling["eth_getLogs"] = watch
        every = ledger.events(experiment)
        assert [type(r.event).__name__ for r in every] == [
            "ExperimentCreated",
            "LearnerJoined",
            "LearnerJoined",
        ]
        assert all(first == last for first, last in ranges)
        assert len(ranges) == len(set(ranges)) <= 4
        del ranges[:]
        assert ledger.events(experiment) == every
        assert ranges == []
        ledger.start(experiment).wait()
        assert len(ledger.events(experiment, after=every[-1].cursor)) == 2
        assert len(ranges) == 1

    def test_no_more_is_read_than_is_asked_for(self, place: Place, meddler: Meddler):
        experiment = place.enrolled()
        ledger = place.connect(meddler, place.ana, log_range=1)
        first = ledger.events(experiment, limit=1)
        assert len(first) == 1
        assert meddler.asked.count("eth_getLogs") == 1
        rest = ledger.events(experiment, after=first[-1].cursor)
        assert len(rest) == 2

    def test_events_of_other_experiments_and_contracts_are_left_out(self, place: Place):
        one, two = place.enrolled(), place.enrolled()
        other = place.chain.deploy(place.ana)
        assert other.create(params()).wait().experiment == 1
        for experiment in (one, two):
            told = place.ledger.events(experiment)
            assert {recorded.event.experiment for recorded in told} == {experiment}
        assert len(other.events(ExperimentId(1))) == 1

    def test_events_of_no_experiment_are_refused(self, place: Place):
        with pytest.raises(UnknownExperiment):
            place.ledger.events(ExperimentId(999))

    @pytest.mark.parametrize(
        "change",
        [
            {"address": "0x" + "11" * 20},
            {"blockNumber": 10**9},
            {"blockNumber": None},
            {"topics": None},
            {"data": "0x"},
            {"logIndex": -1},
        ],
        ids=repr,
    )
    def test_logs_that_were_not_asked_for_are_a_bad_answer(
        self, place: Place, meddler: Meddler, change: dict[str, Any]
    ):
        experiment = place.enrolled()
        ledger = place.connect(meddler, place.ana)

        def spoil(_: list[Any], honest: Any) -> Any:
            response = honest()
            return {**response, "result": [{**log, **change} for log in response["result"]]}

        meddler.meddling["eth_getLogs"] = spoil
        with pytest.raises(BadAnswer):
            ledger.events(experiment)


class TestTheEmbeddedChain:
    def test_time_goes_on_between_transactions(self, place: Place):
        experiment = place.enrolled(propose_window=50)
        place.ledger.start(experiment).wait()
        deadline = place.ledger.round(experiment, 0).deadline
        with pytest.raises(DeadlineNotPassed) as refused:
            place.ledger.advance(experiment)
        assert refused.value.args == (deadline,)
        place.time = deadline
        assert place.ledger.now() == deadline
        assert place.ledger.duty(experiment, place.bob.address) == Duty.ADVANCE
        assert place.ledger.advance(experiment).wait().time == deadline

    def test_a_wait_ends_when_there_is_a_block_or_no_more_time(self, place: Place):
        view = place.ledger.acting_for(place.cy)
        view.wait_for_change(0)
        view.wait_for_change(0.05)
        waiting = Running(view.wait_for_change, 30 * LIMIT)
        place.ledger.create(params()).wait()
        waiting.result()

    def test_a_transaction_sees_the_entropy_that_its_block_shows(self, place: Place):
        seen = set()
        for _ in range(3):
            place.ledger.create(params()).wait()
            block = place.chain.provider.make_request("eth_getBlockByNumber", ["latest", False])
            seen.add(block["result"]["mix_hash"])
        assert len(seen) == 3
        assert "0x" + "00" * 32 not in seen

    def test_a_clock_that_ticks_meanwhile_does_not_part_a_transaction_from_its_block(self):
        ticks = itertools.count(1_700_000_000)
        chain, ana = EmbeddedChain(clock=lambda: next(ticks)), Wallet.create()
        ledger = chain.deploy(ana)
        receipt = ledger.create(params(max_learners=2)).wait()
        assert ledger.experiment(receipt.experiment).created_at == receipt.time

    def test_chains_are_separate(self, place: Place):
        other = Place()
        assert other.ledger.experiments() == []
        with pytest.raises(UnknownExperiment):
            other.ledger.learner(ExperimentId(1), place.ana.address)

    def test_a_learner_that_is_none_is_refused(self, place: Place):
        experiment = place.enrolled()
        with pytest.raises(NotALearner) as refused:
            place.ledger.learner(experiment, place.cy.address)
        assert refused.value.args == (place.cy.address,)
