"""Transactions that blocks leave out, and other software that uses the same key, on a real node."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from colearn_ledger.chains.errors import KeyInUse
from colearn_ledger.protocol import AlreadyJoined
from tests.support.anvil_chain import Chain, WaitingThread
from tests.support.faulty_proxy import FaultyProxy
from tests.support.joining import join
from tests.support.samples import params
from tests.support.waiting import LIMIT, wait_until_true

GWEI = 10**9


def pass_over(chain: Chain, condition: Callable[[], object], gwei: int) -> None:
    """Mine blocks at a base fee in which no transaction fits, until a condition is true."""

    def mine_and_check() -> object:
        if found := condition():
            return found
        chain("anvil_setNextBlockBaseFeePerGas", hex(gwei * GWEI))
        chain("evm_setBlockGasLimit", hex(20_000))
        chain.mine()
        chain("evm_setBlockGasLimit", hex(30_000_000))
        return False

    wait_until_true(mine_and_check)


class TestStuckTransactions:
    def test_transaction_is_not_replaced_before_two_blocks_have_left_it_out(self, chain: Chain):
        with FaultyProxy(chain.anvil.url) as proxy:
            waiting = WaitingThread(chain.view(url=proxy.url, bump_after=0.0).create(params()))
            wait_until_true(lambda: proxy.asked.count("eth_getTransactionReceipt"))
            chain("anvil_setNextBlockBaseFeePerGas", hex(30 * GWEI))
            chain.mine()
            asked = proxy.asked.count("eth_getBlockByNumber")
            wait_until_true(lambda: proxy.asked.count("eth_getBlockByNumber") > asked + 5)
            assert len(chain.read_journal()) == 2  # the deployment, and this one
            pass_over(chain, lambda: len(chain.read_journal()) > 2, gwei=3)
            wait_until_true(lambda: chain.pool()[1]["hash"] == chain.read_journal()[-1]["hash"])
            chain.mine()
            assert waiting.receipt().experiment == 1

    def test_stuck_transaction_is_replaced_and_takes_effect_once(self, chain: Chain):
        pending = chain.view(bump_after=0.3).create(params())
        [stuck] = chain.pool().values()
        waiting = WaitingThread(pending)
        pass_over(chain, lambda: int(chain.pool()[1]["maxFeePerGas"], 16) >= 30 * GWEI, gwei=30)
        [bumped] = chain.pool().values()
        assert bumped["hash"] != stuck["hash"]
        assert (
            int(bumped["maxPriorityFeePerGas"], 16) * 8
            >= int(stuck["maxPriorityFeePerGas"], 16) * 9
        )
        chain.mine()
        receipt = waiting.receipt()
        assert receipt.experiment == 1
        assert receipt.transaction in {line["hash"] for line in chain.read_journal()[-4:]}
        assert chain.nonce() == 2
        assert len(chain.ledger.experiments()) == 1

    def test_replacements_stop_at_the_ceiling(self, chain: Chain, caplog: pytest.LogCaptureFixture):
        pending = chain.view(bump_after=0.1, max_fee=4 * GWEI).create(params())
        waiting = WaitingThread(pending)
        pass_over(chain, lambda: "allows no" in caplog.text, gwei=1)
        offered = [line["unsigned"]["maxFeePerGas"] for line in chain.read_journal()[1:]]
        assert len(offered) > 2
        assert offered == sorted(offered)
        assert all(new * 8 >= old * 9 for old, new in itertools.pairwise(offered))
        assert offered[-1] <= 4 * GWEI
        chain.mine()
        assert waiting.receipt().experiment == 1

    def test_earlier_stuck_transaction_is_replaced_too(self, chain: Chain):
        ledger = chain.view(bump_after=0.3)
        ledger.create(params(name="one"))
        chain("anvil_setNextBlockBaseFeePerGas", hex(3 * GWEI))
        ledger._channel.sender._prices._seconds = 0
        second = ledger.create(params(name="two"))
        waiting = WaitingThread(second)
        pass_over(chain, lambda: int(chain.pool()[1]["maxFeePerGas"], 16) >= 6 * GWEI, gwei=6)
        chain.mine()
        assert waiting.receipt().experiment == 2

    def test_gap_in_the_nonces_is_filled(self, chain: Chain):
        ledger = chain.view(bump_after=0.2)
        ledger._channel.sender.send(chain.wallet, chain.other.address, b"", value=1)
        pending = ledger.create(params())
        [path] = chain.folder.rglob(f"{chain.wallet.address}.jsonl")
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if json.loads(line)["nonce"] != 1))
        chain("anvil_dropTransaction", chain.pool()[1]["hash"])
        waiting = WaitingThread(pending)
        pass_over(chain, lambda: sorted(chain.pool()) == [1, 2], gwei=1)
        chain.mine()
        assert waiting.receipt().experiment == 1


class TestSharedKey:
    def test_nothing_is_sent_while_other_software_has_a_transaction_in_the_pool(
        self, chain: Chain, tmp_path: Path
    ):
        twin = chain.view(journal=tmp_path / "other machine")
        experiment = twin.create(params())
        mine = chain.view()
        with pytest.raises(KeyInUse, match="nonce 1 is in no block yet"):
            mine.create(params())
        assert sorted(chain.pool()) == [1]
        chain.mine()
        assert experiment.wait(LIMIT).experiment == 1
        waiting = WaitingThread(mine.create(params()))
        chain.mine()
        assert waiting.receipt().experiment == 2

    def test_call_that_other_software_made_with_the_same_nonce_is_not_paid_for(
        self, chain: Chain, tmp_path: Path
    ):
        chain("evm_setAutomine", True)
        experiment = chain.view(chain.other).create(params()).wait(LIMIT).experiment
        chain("evm_setAutomine", False)
        twin = chain.view(journal=tmp_path / "other machine", gas_margin=1)
        mine, sent = chain.view(), []
        sender = mine._channel.sender
        pending_count = sender._pending_count

        def count_and_overtake(account: str) -> int:
            count = pending_count(account)
            if not sent:
                sent.append(join(twin, experiment))  # after this agent has read its nonce
            return count

        sender._pending_count = count_and_overtake
        with pytest.raises(KeyInUse):
            join(mine, experiment)
        assert len(chain.pool()) == 1
        chain.mine()
        sent[0].wait(LIMIT)
        with pytest.raises(AlreadyJoined):
            join(mine, experiment)
        assert chain.nonce() == 2
