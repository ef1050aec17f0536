"""Fees, nonces, stuck transactions and reorganisations, on a real node."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from colearn_ledger.chains.evm import (
    EvmLedger,
    FeeTooHigh,
    TransactionLost,
    sender,
)
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import ExperimentId
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.support.anvil_chain import Chain, RequestObserver, WaitingThread
from tests.support.faulty_proxy import FaultyProxy
from tests.support.joining import join
from tests.support.samples import params
from tests.support.waiting import LIMIT, BackgroundCall, Clock, wait_until_true

GWEI = 10**9
ROOT = Path(__file__).resolve().parents[3]


class TestFees:
    def test_offer_stays_below_the_ceiling(self, chain: Chain):
        chain("anvil_setNextBlockBaseFeePerGas", hex(3 * GWEI))
        chain.view(max_fee=5 * GWEI).create(params())
        [sent] = chain.pool().values()
        assert int(sent["maxFeePerGas"], 16) == 5 * GWEI  # not 2 · 3 + 1
        assert int(sent["maxPriorityFeePerGas"], 16) == 1 * GWEI

    def test_price_above_the_ceiling_is_reported_after_waiting(
        self, chain: Chain, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ):
        chain("anvil_setNextBlockBaseFeePerGas", hex(9 * GWEI))
        ledger, clock = chain.view(max_fee=5 * GWEI, fee_patience=90), Clock()
        monkeypatch.setattr(sender, "time", clock)
        with pytest.raises(FeeTooHigh, match=r"costs 10\.000 gwei and the ceiling is 5\.000"):
            ledger.create(params())
        assert sum(clock.slept) == 90
        assert chain.pool() == {}
        assert "waiting up to" in caplog.text

    def test_transaction_is_sent_when_the_price_falls(
        self, chain: Chain, monkeypatch: pytest.MonkeyPatch
    ):
        chain("anvil_setNextBlockBaseFeePerGas", hex(9 * GWEI))
        ledger = chain.view(max_fee=5 * GWEI, fee_patience=90)
        clock = Clock(lambda: chain("anvil_setNextBlockBaseFeePerGas", hex(1 * GWEI)))
        monkeypatch.setattr(sender, "time", clock)
        ledger.create(params())
        assert len(clock.slept) == 1
        assert len(chain.pool()) == 1

    def test_outdated_price_is_read_again(self, chain: Chain):
        ledger = chain.view(fee_seconds=3_600)
        ledger.create(params(name="one"))
        chain("anvil_setNextBlockBaseFeePerGas", hex(20 * GWEI))
        ledger.create(params(name="two"))
        assert int(chain.pool()[2]["maxFeePerGas"], 16) == 41 * GWEI


class TestNonces:
    def test_repeated_call_after_a_timeout_resumes_the_transaction(self, chain: Chain):
        ledger = chain.view()
        with pytest.raises(LedgerUnavailable, match="in no block"):
            ledger.create(params()).wait(0.1)
        waiting = WaitingThread(ledger.create(params()))
        assert sorted(chain.pool()) == [1]
        chain.mine()
        assert waiting.receipt().experiment == 1

    def test_transactions_lost_from_the_pool_are_sent_again(self, chain: Chain):
        one = chain.view().create(params(name="one"))
        chain("anvil_dropAllTransactions")
        two = chain.view().create(params(name="two"))
        assert sorted(chain.pool()) == [1, 2]
        chain.mine()
        assert (one.wait(LIMIT).experiment, two.wait(LIMIT).experiment) == (1, 2)

    def test_call_can_be_repeated_when_other_software_used_its_nonce(self, chain: Chain):
        pending = chain.view(bump_after=0.2).create(params())
        chain("anvil_dropAllTransactions")
        other = {"type": 2, "chainId": 31337, "gas": 21_000, "nonce": 1, "value": 1}
        other |= {"maxFeePerGas": 9 * GWEI, "maxPriorityFeePerGas": GWEI}
        raw = chain.wallet.sign_transaction(other | {"to": chain.other.address})
        chain("eth_sendRawTransaction", "0x" + raw.hex())
        failed = BackgroundCall(pending.wait, LIMIT)
        wait_until_true(lambda: chain.mine() or not failed.is_running)
        with pytest.raises(TransactionLost, match="nonce 1 of"):
            failed.result()
        waiting = WaitingThread(chain.view().create(params()))
        chain.mine()
        assert waiting.receipt().experiment == 1

    def test_processes_and_threads_share_a_key_without_collisions(self, chain: Chain):
        chain("evm_setAutomine", True)
        program = textwrap.dedent("""
            import sys, threading
            from pathlib import Path
            from tests.support.samples import params
            from colearn_ledger.chains.evm import EvmConfig, EvmLedger, EvmSenderConfig
            from colearn_ledger.keys.wallet import Wallet
            _, url, contract, key, folder, who = sys.argv
            sending = EvmSenderConfig(journal=Path(folder))
            config = EvmConfig(chain_id=31337, sending=sending, websocket="off")
            ledger = EvmLedger.connect(url, contract, Wallet.from_key(key), config=config)
            def some(thread):
                for n in range(4):
                    made = ledger.create(params(name=f"{who} {thread} {n}")).wait(300)
                    sys.stdout.write(f"{made.experiment}\\n")
            threads = [threading.Thread(target=some, args=(t,)) for t in range(2)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        """)
        arguments = [chain.anvil.url, chain.contract, chain.anvil.keys[0], str(chain.folder)]
        running = [
            subprocess.Popen(
                [sys.executable, "-c", program, *arguments, who],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for who in ("ana", "bob", "cy")
        ]
        outputs = [process.communicate(timeout=300) for process in running]
        assert [process.returncode for process in running] == [0, 0, 0], outputs
        assert not any(errors for _, errors in outputs), outputs
        made = sorted(int(number) for out, _ in outputs for number in out.split())
        assert made == list(range(1, 25))
        assert chain.nonce() == 25  # one transaction per call, and the deployment

    def test_chains_with_the_same_id_have_separate_journals(self, chain: Chain, tmp_path: Path):
        chain.view().create(params())
        first = int(chain("eth_getBlockByNumber", "0x0", False)["timestamp"], 16)
        wait_until_true(lambda: time.time() >= first + 1)  # its time distinguishes the chains
        with Anvil() as anew:
            deployed = EvmLedger.deploy(anew.url, chain.wallet, config=chain.config())
            assert deployed.contract == chain.contract
            assert deployed.experiments() == []
            assert (
                int(
                    json_rpc(anew.url, "eth_getTransactionCount", chain.wallet.address, "latest"),
                    16,
                )
                == 1
            )

    def test_node_restarted_from_an_older_state_gets_lost_transactions_again(self, tmp_path: Path):
        with older_state(tmp_path) as (chain, reset):
            ledger = chain.view()
            assert ledger.create(params(name="one")).wait(LIMIT).experiment == 1
            join(ledger, ExperimentId(1)).wait(LIMIT)  # invalid until the creation is sent again
            reset()
            assert ledger.create(params(name="two")).wait(LIMIT).experiment == 2
            assert [e.params.name for e in ledger.experiments()] == ["one", "two"]
            assert ledger.learner(ExperimentId(1), ledger.account).index == 0

    def test_transactions_refused_on_an_older_state_are_dropped(self, tmp_path: Path):
        with older_state(tmp_path) as (chain, reset):
            ledger = chain.view()
            one = chain.view(chain.other).create(params(name="one")).wait(LIMIT).experiment
            join(ledger, one).wait(LIMIT)
            ledger.leave(one).wait(LIMIT)
            reset()
            assert ledger.create(params(name="two")).wait(LIMIT).experiment == 1
            assert chain.nonce() == 2  # the deployment and this one


@contextmanager
def older_state(folder: Path) -> Iterator[tuple[Chain, Callable[[], None]]]:
    """Yield a chain, and a function that resets it to its state at that moment."""
    state = folder / "state.json"
    with Anvil(state=state) as anvil:
        chain = Chain(anvil, folder / "sent")
        chain("evm_setAutomine", True)
        anvil.dump()
        older = state.read_bytes()

        def reset() -> None:
            anvil.kill()
            state.write_bytes(older)  # anvil's own dump, one each second, may be newer
            with pytest.raises(LedgerUnavailable):
                chain.ledger.experiments()
            anvil.start()
            if chain.ledger.experiments():
                pytest.fail("the state is not older")

        yield chain, reset


class TestReorganisations:
    def test_transaction_dropped_by_a_reorganisation_is_sent_again(
        self, chain: Chain, watched: RequestObserver, caplog: pytest.LogCaptureFixture
    ):
        waiting = WaitingThread(chain.view(url=watched.url, confirmations=4).create(params()))
        chain.mine(3)
        watched.wait_for_receipt_request()
        assert waiting.is_waiting
        chain("anvil_rollback", 3)
        assert chain.nonce() == 1
        wait_until_true(lambda: 1 in chain.pool())
        chain.mine(3)
        watched.wait_for_receipt_request()
        assert waiting.is_waiting
        chain.mine()
        assert waiting.receipt().experiment == 1
        assert "is gone" in caplog.text
        assert chain.nonce() == 2

    def test_transaction_whose_block_was_dropped_unseen_is_sent_again_after_two_blocks(
        self, chain: Chain
    ):
        ledger = chain.view(confirmations=1, bump_after=10 * LIMIT)
        ledger.wait_for_change(0)
        pending = ledger.create(params())
        chain.mine()
        chain("anvil_rollback", 1)
        assert chain.pool() == {}
        waiting = WaitingThread(pending)
        wait_until_true(lambda: chain.mine() or not waiting.is_waiting)
        assert waiting.receipt().experiment == 1
        assert len([line for line in chain.read_journal() if line["nonce"] == 1]) == 1

    def test_transaction_moved_by_a_reorganisation_is_not_sent_again(
        self, chain: Chain, watched: RequestObserver
    ):
        waiting = WaitingThread(chain.view(url=watched.url, confirmations=3).create(params()))
        chain.mine(2)
        watched.wait_for_receipt_request()
        chain("anvil_reorg", 2, [])
        wait_until_true(lambda: chain.mine() or not waiting.is_waiting)
        receipt = waiting.receipt()
        assert receipt.experiment == 1
        assert chain.nonce() == 2
        assert len([line for line in chain.read_journal() if line["nonce"] == 1]) == 1

    def test_call_repeated_after_its_block_was_dropped_is_the_same_transaction(self, chain: Chain):
        ledger = chain.view()
        waiting = WaitingThread(ledger.create(params()))
        chain.mine()
        first = waiting.receipt()
        chain("anvil_rollback", 1)
        assert ledger.experiments() == []
        waiting = WaitingThread(ledger.create(params()))
        chain.mine()
        assert waiting.receipt().transaction == first.transaction
        assert len(ledger.experiments()) == 1

    def test_events_of_dropped_blocks_are_forgotten(self, chain: Chain):
        ledger = chain.view()
        chain("evm_setAutomine", True)
        experiment = ledger.create(params()).wait(LIMIT).experiment
        chain.mine(2)
        created = ledger.events(experiment)
        join(ledger, experiment).wait(LIMIT)
        joined = ledger.events(experiment)
        assert len(joined) == len(created) + 1
        chain("anvil_rollback", 1)
        chain.mine(2)  # more blocks than were read, without the removed one
        assert ledger.events(experiment) == created
        join(chain.view(chain.other), experiment).wait(LIMIT)
        again = ledger.events(experiment)
        assert [type(r.event) for r in again] == [type(r.event) for r in joined]
        assert again[-1].event.learner == chain.other.address
        assert again == chain.view().events(experiment)


def test_transaction_takes_few_requests(chain: Chain):
    with FaultyProxy(chain.anvil.url) as proxy:
        ledger = chain.view(url=proxy.url, fee_seconds=3_600)
        ledger.wait_for_change(0)
        del proxy.asked[:]
        pending = ledger.create(params())
        chain.mine()
        receipt = pending.wait(LIMIT)
    block = chain("eth_getBlockByNumber", "latest", False)
    assert receipt.time == int(block["timestamp"], 16)
    assert Counter(proxy.asked) == {
        "eth_estimateGas": 1,
        "eth_maxPriorityFeePerGas": 1,
        "eth_getTransactionCount": 1,
        "eth_sendRawTransaction": 1,
        "eth_getBlockByNumber": 2,  # the first block, once; and the poll that noticed the new one
        "eth_getTransactionReceipt": 1,
    }


def test_history_takes_few_requests(chain: Chain):
    """One request returns a page of rows, or the events of many blocks."""
    chain("evm_setAutomine", True)
    experiment = chain.ledger.create(params()).wait(LIMIT).experiment
    for key in chain.anvil.keys:
        join(chain.view(Wallet.from_key(key)), experiment).wait(LIMIT)
    with FaultyProxy(chain.anvil.url) as proxy:
        ledger = chain.view(url=proxy.url)
        del proxy.asked[:]
        assert len(ledger.events(ExperimentId(experiment))) == 13  # the tenth starts it
        assert len(ledger.learners(experiment)) == 10
        assert proxy.asked.count("eth_getLogs") == 1
        assert len(proxy.asked) <= 12, proxy.asked


def test_logs_and_journal_contain_no_key(chain: Chain, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    ledger = chain.view(bump_after=0.1)
    with pytest.raises(LedgerUnavailable):
        ledger.create(params()).wait(1)
    key = chain.anvil.keys[0].removeprefix("0x")
    files = [path for path in chain.folder.rglob("*") if path.is_file()]
    assert files
    for text in (caplog.text, *(path.read_text() for path in files)):
        assert key not in text
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
