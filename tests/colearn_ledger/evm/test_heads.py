"""Being told of new blocks, and doing without."""

from __future__ import annotations

from pathlib import Path

import pytest

from colearn_ledger.chains.evm import EvmConfig, EvmLedger, SenderConfig
from colearn_ledger.chains.evm.heads import NewHeads
from colearn_ledger.keys.wallet import Wallet
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.support.waiting import LIMIT, Running, eventually

NEVER = 30 * LIMIT
"""Seconds; whoever waits for so long hangs."""


class Waiter:
    """A ledger that waits for blocks of a chain that makes one when it is told to."""

    def __init__(self, anvil: Anvil, folder: Path, websocket: str, poll: float) -> None:
        self._anvil = anvil
        sending = SenderConfig(journal=folder)
        config = EvmConfig(sending=sending, poll_seconds=poll, websocket=websocket)
        wallet = Wallet.from_key(anvil.keys[2])
        self._ledger = EvmLedger.deploy(anvil.url, wallet, config=config)

    def is_told(self) -> None:
        """Return once new blocks are told."""

        def told() -> bool:
            self._ledger.wait_for_change(0)
            self.mine()
            return self._ledger._deployment.heads.number is not None

        eventually(told, "word of a block")

    def sees_all(self) -> None:
        """Have it wait for the blocks that there are."""

        def has_seen_the_last() -> bool:
            self._ledger.wait_for_change(0)
            return self._ledger._seen == self._head()

        eventually(has_seen_the_last, "the last block")

    def wait(self) -> Running:
        return Running(self._ledger.wait_for_change, NEVER)

    def mine(self) -> None:
        json_rpc(self._anvil.url, "evm_mine")

    def check_ended_by_the_block(self, waiting: Running) -> None:
        waiting.result()
        assert self._ledger._seen == self._head()

    def _head(self) -> int:
        return int(json_rpc(self._anvil.url, "eth_blockNumber"), 16)


def test_a_wait_ends_at_a_block_long_before_the_next_look(anvil: Anvil, tmp_path: Path):
    w = Waiter(anvil, tmp_path, "auto", NEVER)
    w.is_told()
    for _ in range(3):
        w.sees_all()
        waiting = w.wait()
        w.mine()
        w.check_ended_by_the_block(waiting)


@pytest.mark.parametrize("websocket", ["off", "ws://127.0.0.1:9", "ws://[nonsense"])
def test_without_a_socket_blocks_are_looked_for(anvil: Anvil, tmp_path: Path, websocket: str):
    w = Waiter(anvil, tmp_path, websocket, 0.05)
    for _ in range(3):
        w.sees_all()
        waiting = w.wait()
        w.mine()
        w.check_ended_by_the_block(waiting)


def test_a_block_made_between_two_waits_is_not_missed(anvil: Anvil, tmp_path: Path):
    w = Waiter(anvil, tmp_path, "auto", NEVER)
    w.is_told()
    w.sees_all()
    w.mine()
    w.check_ended_by_the_block(w.wait())


def test_a_socket_that_breaks_only_makes_it_slower(tmp_path: Path):
    with Anvil(state=tmp_path / "state.json") as anvil:
        w = Waiter(anvil, tmp_path / "sent", "auto", 0.1)
        w.is_told()
        anvil.stop()
        anvil.start()
        w.sees_all()
        waiting = w.wait()
        w.mine()
        w.check_ended_by_the_block(waiting)


def test_a_subscription_that_nobody_uses_ends(anvil: Anvil, monkeypatch: pytest.MonkeyPatch):
    heads = NewHeads(anvil.url.replace("http", "ws"))
    heads.listen()
    thread = heads._thread
    assert thread is not None
    monkeypatch.setattr("colearn_ledger.chains.evm.heads._IDLE_SECONDS", 0.0)
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert heads.number is None
