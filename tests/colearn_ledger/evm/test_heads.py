"""Being told of new blocks, and doing without."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from evm_world import params

from colearn_ledger.evm import EvmConfig, EvmLedger, SenderConfig
from colearn_ledger.evm.heads import NewHeads
from colearn_ledger.wallet import Wallet
from localnet.anvil import Anvil
from localnet.rpc import json_rpc


def ledger_on(anvil: Anvil, folder: Path, websocket: str, poll: float) -> EvmLedger:
    config = EvmConfig(sending=SenderConfig(journal=folder), poll_seconds=poll, websocket=websocket)
    return EvmLedger.deploy(anvil.url, Wallet.from_key(anvil.keys[2]), config=config)


def seconds_until_woken(ledger: EvmLedger, anvil: Anvil, timeout: float = 20) -> float:
    ledger.wait_for_change(0.5)  # what is new since the last wait
    ledger.wait_for_change(0.5)
    woken = threading.Event()

    def wait() -> None:
        ledger.wait_for_change(timeout)
        woken.set()

    threading.Thread(target=wait, daemon=True).start()
    time.sleep(0.3)
    assert not woken.is_set()
    began = time.monotonic()
    json_rpc(anvil.url, "evm_mine")
    assert woken.wait(timeout + 5)
    return time.monotonic() - began


def test_a_wait_ends_at_a_block_long_before_the_next_look(anvil: Anvil, tmp_path: Path):
    ledger = ledger_on(anvil, tmp_path, "auto", 15)
    assert min(seconds_until_woken(ledger, anvil) for _ in range(3)) < 1


@pytest.mark.parametrize("websocket", ["off", "ws://127.0.0.1:9", "ws://[nonsense"])
def test_without_a_socket_blocks_are_looked_for(anvil: Anvil, tmp_path: Path, websocket: str):
    ledger = ledger_on(anvil, tmp_path, websocket, 0.05)
    assert min(seconds_until_woken(ledger, anvil) for _ in range(3)) < 1


def test_a_block_made_between_two_waits_is_not_missed(anvil: Anvil, tmp_path: Path):
    ledger = ledger_on(anvil, tmp_path, "auto", 15)
    seconds_until_woken(ledger, anvil)
    ledger.create(params()).wait(10)
    time.sleep(0.2)
    began = time.monotonic()
    ledger.wait_for_change(10)
    assert time.monotonic() - began < 1


def test_a_socket_that_breaks_only_makes_it_slower(tmp_path: Path):
    with Anvil(state=tmp_path / "state.json") as anvil:
        ledger = ledger_on(anvil, tmp_path / "sent", "auto", 0.1)
        seconds_until_woken(ledger, anvil)
        anvil.stop()
        anvil.start()
        assert seconds_until_woken(ledger, anvil) < 2


def test_a_subscription_that_nobody_uses_ends(anvil: Anvil, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("colearn_ledger.evm.heads._IDLE_SECONDS", 0.5)
    heads = NewHeads(anvil.url.replace("http", "ws"))
    heads.listen()
    thread = heads._thread
    assert thread is not None
    thread.join(5)
    assert not thread.is_alive()
    assert heads.number is None
