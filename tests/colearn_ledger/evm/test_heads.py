"""Detection of new blocks, with a subscription and without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from colearn_ledger.chains.evm import EvmConfig, EvmLedger, EvmSenderConfig
from colearn_ledger.chains.evm.heads import subscribe
from colearn_ledger.chains.evm.node import Block
from colearn_ledger.keys.wallet import Wallet
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.support.scripted_socket import Listener, scripted_node
from tests.support.waiting import LIMIT, BackgroundCall, wait_until_true

NEVER = 30 * LIMIT
"""Seconds; a wait of this length counts as hanging."""

SUBSCRIBED = json.dumps({"jsonrpc": "2.0", "id": 1, "result": "0x1"})


@pytest.fixture(autouse=True)
def _without_idle_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no subscription end because nobody uses it."""
    monkeypatch.setattr("colearn_ledger.chains.subscription._IDLE_SECONDS", 30 * LIMIT)


def new_head(number: int) -> str:
    header = {"number": hex(number), "hash": f"0x{number:064x}", "timestamp": hex(12 * number)}
    params = {"subscription": "0x1", "result": header | {"baseFeePerGas": "0x7"}}
    return json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})


class Waiter:
    """A ledger that waits for the blocks of a chain that makes them on demand."""

    def __init__(self, anvil: Anvil, folder: Path, websocket: str, poll: float) -> None:
        self._anvil = anvil
        sending = EvmSenderConfig(journal=folder)
        config = EvmConfig(chain_id=31337, sending=sending, poll_seconds=poll, websocket=websocket)
        wallet = Wallet.from_key(anvil.keys[2])
        self._ledger = EvmLedger.deploy(anvil.url, wallet, config=config)

    def await_subscription(self) -> None:
        """Wait until the subscription reports new blocks."""

        def is_notified() -> bool:
            self._ledger.wait_for_change(0)
            self.mine()
            return self._ledger._channel.heads.pushed is not None

        wait_until_true(is_notified, "a message about a block")

    def catch_up(self) -> None:
        """Make the ledger wait for every block that exists."""

        def has_seen_the_last() -> bool:
            self._ledger.wait_for_change(0)
            return self._ledger._seen.number == self._head()

        wait_until_true(has_seen_the_last, "the last block")

    def start_waiting(self) -> BackgroundCall:
        return BackgroundCall(self._ledger.wait_for_change, NEVER)

    def mine(self) -> None:
        json_rpc(self._anvil.url, "evm_mine")

    def check_woken_by_the_block(self, waiting: BackgroundCall) -> None:
        assert waiting.result() is True
        assert self._ledger._seen.number == self._head()

    def _head(self) -> int:
        return int(json_rpc(self._anvil.url, "eth_blockNumber"), 16)


def test_new_block_ends_a_wait_long_before_the_next_poll(anvil: Anvil, tmp_path: Path):
    waiter = Waiter(anvil, tmp_path, "auto", NEVER)
    waiter.await_subscription()
    for _ in range(3):
        waiter.catch_up()
        waiting = waiter.start_waiting()
        waiter.mine()
        waiter.check_woken_by_the_block(waiting)


@pytest.mark.parametrize("websocket", ["off", "ws://127.0.0.1:9", "ws://[nonsense"])
def test_blocks_are_found_by_polling_without_a_socket(anvil: Anvil, tmp_path: Path, websocket: str):
    waiter = Waiter(anvil, tmp_path, websocket, 0.05)
    for _ in range(3):
        waiter.catch_up()
        waiting = waiter.start_waiting()
        waiter.mine()
        waiter.check_woken_by_the_block(waiting)


def test_block_between_two_waits_is_not_missed(anvil: Anvil, tmp_path: Path):
    waiter = Waiter(anvil, tmp_path, "auto", NEVER)
    waiter.await_subscription()
    waiter.catch_up()
    waiter.mine()
    waiter.check_woken_by_the_block(waiter.start_waiting())


def test_blocks_are_found_by_polling_after_the_socket_broke(tmp_path: Path):
    with Anvil(state=tmp_path / "state.json") as anvil:
        waiter = Waiter(anvil, tmp_path / "sent", "auto", 0.1)
        waiter.await_subscription()
        anvil.stop()
        anvil.start()
        waiter.catch_up()
        waiting = waiter.start_waiting()
        waiter.mine()
        waiter.check_woken_by_the_block(waiting)


def test_unused_subscription_ends(anvil: Anvil, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("colearn_ledger.chains.subscription._IDLE_SECONDS", 0.0)
    Listener(subscribe(lambda: anvil.url.replace("http", "ws"))).check_end()


def test_number_hash_time_and_fee_are_those_of_the_header():
    with scripted_node(SUBSCRIBED, new_head(7), "[]", new_head(8)) as url:
        listener = Listener(subscribe(lambda: url))
        wait_until_true(lambda: len(listener.received) == 2, "block 8")
        assert listener.received[1] == Block(8, 96, 7, f"0x{8:064x}")
        assert listener.subscription.quiet_seconds is not None


def test_pushed_head_equals_the_polled_one(anvil: Anvil, tmp_path: Path):
    waiter = Waiter(anvil, tmp_path, "auto", NEVER)
    waiter.await_subscription()
    waiter.catch_up()
    assert waiter._ledger._channel.node.latest() == waiter._ledger._channel.heads.pushed


@pytest.mark.parametrize("answer", ["null", "[]", '{"error": {}}', "not json", "[" * 70_000])
def test_malformed_answer_to_the_subscription_ends_it(answer: str):
    check_subscription_ends(answer)


@pytest.mark.parametrize(
    "message",
    ["not json", '{"a":' * 70_000, "[" * 70_000, new_head(8).replace('"hash": "0x', '"hash": "')],
    ids=["not json", "objects", "arrays", "no hash"],
)
def test_malformed_messages_end_the_subscription_and_not_the_process(message: str):
    check_subscription_ends(SUBSCRIBED, new_head(7), message)


def test_node_that_sends_messages_without_end_is_left():
    with scripted_node(SUBSCRIBED, flood="{}") as url:
        Listener(subscribe(lambda: url)).check_end()


def check_subscription_ends(*messages: str) -> None:
    with scripted_node(*messages) as url:
        Listener(subscribe(lambda: url)).check_end()
