"""An anvil behind several proxies, of which one fails or lies.

The two proxies are two nodes of one chain. What `NodePool` decides is tested with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from inspect import getmembers, isfunction
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak

from colearn_ledger.chains.evm import (
    EvmConfig,
    EvmLedger,
    EvmSenderConfig,
    HttpConfig,
    WrongChain,
    WrongContract,
)
from colearn_ledger.chains.evm.node import Node
from colearn_ledger.chains.evm.node_group import NodeGroup
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import ExperimentId, InvalidParameter
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.support.faulty_proxy import KINDS, FaultyProxy, RpcError
from tests.support.joining import join
from tests.support.samples import params
from tests.support.waiting import LIMIT

QUICK = HttpConfig(timeout=2.0, first_pause=0.01, longest_answer=1_000_000)
PATIENT = HttpConfig(timeout=LIMIT, first_pause=0.01)

NO_BLOCK = "0x" + "00" * 31 + "01"


@pytest.fixture
def chain() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


@pytest.fixture
def proxies(chain: Anvil) -> Iterator[list[FaultyProxy]]:
    with ExitStack() as opened:
        yield [opened.enter_context(FaultyProxy(chain.url)) for _ in range(3)]


@pytest.fixture
def home(chain: Anvil, tmp_path: Path) -> EvmLedger:
    """Return the ledger through an honest node."""
    config = EvmConfig(
        chain_id=31337, sending=EvmSenderConfig(journal=tmp_path), websocket="off", http=PATIENT
    )
    return EvmLedger.deploy(chain.url, Wallet.from_key(chain.keys[0]), config=config)


def name_transaction(raw: str) -> str:
    return "0x" + keccak(bytes.fromhex(raw[2:])).hex()


Connect = Callable[..., EvmLedger]


@pytest.fixture
def connect(chain: Anvil, proxies: list[FaultyProxy], home: EvmLedger, tmp_path: Path) -> Connect:
    def connect(agree: int = 1, nodes: int = 2, http: HttpConfig = PATIENT) -> EvmLedger:
        config = EvmConfig(
            chain_id=31337,
            sending=EvmSenderConfig(journal=tmp_path, fee_seconds=0.0),
            poll_seconds=0.0,
            websocket="off",
            http=http,
            agree=agree,
        )
        urls = tuple(proxy.url for proxy in proxies[:nodes])
        return EvmLedger.connect(urls, home.contract, Wallet.from_key(chain.keys[0]), config=config)

    return connect


def test_every_request_goes_through_the_group():
    for name, _ in getmembers(Node, isfunction):
        assert name.startswith("_") or name in vars(NodeGroup)


def test_more_agreeing_nodes_than_nodes_are_refused(connect: Connect, chain: Anvil):
    with pytest.raises(InvalidParameter, match="agree"):
        connect(agree=3, nodes=2)
    with pytest.raises(InvalidParameter, match="agree"):
        EvmLedger.connect(chain.url, "0x" + "11" * 20, config=EvmConfig(agree=2))  # type: ignore[arg-type]


@pytest.mark.parametrize("agree", [1, 2])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "timeout"])
def test_calls_and_transactions_survive_a_failing_node(
    connect: Connect, proxies: list[FaultyProxy], kind: str, agree: int
):
    ledger = connect(agree, nodes=3, http=QUICK if kind in ("drip", "trickle") else PATIENT)
    proxies[0].fail(kind, times=None)
    assert ledger.create(params()).wait(LIMIT).experiment == 1
    join(ledger, ExperimentId(1)).wait(LIMIT)
    assert [event.event.experiment for event in ledger.events(ExperimentId(1))] == [1, 1]
    assert ledger.wait_for_change(LIMIT)
    assert len(ledger.experiments()) == 1


@pytest.mark.parametrize("agree", [1, 2])
@pytest.mark.parametrize("kind", ["lost", "reset", "cut", "500"])
def test_transaction_takes_effect_once_if_a_node_fails_while_it_is_sent(
    connect: Connect, proxies: list[FaultyProxy], kind: str, agree: int
):
    ledger = connect(agree, nodes=3)
    proxies[0].fail(kind, times=None, methods={"eth_sendRawTransaction"})
    for number in (1, 2):
        assert ledger.create(params()).wait(LIMIT).experiment == number
    assert len(ledger.experiments()) == 2


def test_closed_port_is_named_once_and_the_node_is_used_again(
    connect: Connect,
    proxies: list[FaultyProxy],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    ledger = connect()
    proxies[0].down()
    for _ in range(3):
        ledger.experiments()
    proxies[0].up()
    members = ledger._channel.node._pool._members  # type: ignore[attr-defined]
    monkeypatch.setattr(members.all[0], "ready_at", 0.0)
    asked = len(proxies[0].asked)
    ledger.experiments()
    assert len(proxies[0].asked) > asked
    first, second = [record.getMessage() for record in caplog.records]
    assert f"node {proxies[0].url} is not used for now" in first
    assert second == f"node {proxies[0].url} is used again"


class TestOneNodeIsEnough:
    @pytest.mark.parametrize(
        ("method", "result", "words"),
        [
            ("eth_chainId", "0x5", "is on chain 5, not on chain 31337"),
            ("eth_getCode", "0x", "there is no contract at"),
            ("eth_getCode", "0x60006000fd", "is not the one"),
        ],
    )
    def test_node_without_our_contract_is_not_used(
        self,
        connect: Connect,
        proxies: list[FaultyProxy],
        caplog: pytest.LogCaptureFixture,
        method: str,
        result: str,
        words: str,
    ):
        proxies[0].lie(method, lambda *_: result)
        ledger = connect()
        assert ledger.experiments() == []
        assert f"node {proxies[0].url} is not used for now" in caplog.text
        assert words in caplog.text

    def test_no_node_with_our_contract_is_an_error(
        self, connect: Connect, proxies: list[FaultyProxy]
    ):
        for proxy in proxies:
            proxy.lie("eth_getCode", lambda *_: "0x")
        with pytest.raises(WrongContract, match="there is no contract"):
            connect()
        for proxy in proxies:
            proxy.lie("eth_chainId", lambda *_: "0x5")
        with pytest.raises(WrongChain):
            connect()

    def test_node_that_moves_to_another_chain_later_is_replaced(
        self, connect: Connect, proxies: list[FaultyProxy], caplog: pytest.LogCaptureFixture
    ):
        ledger = connect()
        with Anvil(chain_id=777) as other:
            proxies[0].forward_to(other.url)
            try:
                pending = ledger.create(params())
            except LedgerUnavailable:  # an agent tries again, too
                pending = ledger.create(params())
            assert pending.wait(LIMIT).experiment == 1
        assert f"node {proxies[0].url} is not used for now" in caplog.text

    def test_malformed_answer_of_the_contract_is_asked_of_another_node(
        self, connect: Connect, proxies: list[FaultyProxy], home: EvmLedger
    ):
        home.create(params()).wait(LIMIT)
        ledger = connect()
        proxies[0].lie("eth_call", lambda *_: "0x1234")
        assert ledger.experiment(ExperimentId(1)).params == params()

    def test_old_head_is_noticed(
        self,
        connect: Connect,
        chain: Anvil,
        proxies: list[FaultyProxy],
        caplog: pytest.LogCaptureFixture,
    ):
        old = json_rpc(chain.url, "eth_getBlockByNumber", "latest", False)
        json_rpc(chain.url, "anvil_mine", hex(20), hex(12))
        proxies[0].lie(
            "eth_getBlockByNumber",
            lambda true, asked: old if asked[0] == "latest" else true(),
        )
        ledger = connect()
        ledger.wait_for_change(0)
        assert f"{proxies[0].url} lags: its last block is" in caplog.text
        assert ledger._seen.number == int(json_rpc(chain.url, "eth_blockNumber"), 16)

    def test_subscription_follows_the_node_in_use(
        self, connect: Connect, proxies: list[FaultyProxy]
    ):
        node = connect()._channel.node
        assert node.websocket == proxies[0].url.replace("http", "ws")
        proxies[0].down()
        node.block_number()
        assert node.websocket == proxies[1].url.replace("http", "ws")


class TestTwoNodesAgree:
    @pytest.fixture(autouse=True)
    def experiment(self, home: EvmLedger) -> ExperimentId:
        return home.create(params()).wait(LIMIT).experiment

    def lie_about_a_call(self, proxy: FaultyProxy) -> None:
        """Let a node return the first answer to each call again."""
        first: dict[str, Any] = {}
        proxy.lie("eth_call", lambda true, asked: first.setdefault(str(asked[0]), true()))

    def test_altered_answer_is_outvoted_and_named(
        self,
        connect: Connect,
        proxies: list[FaultyProxy],
        home: EvmLedger,
        caplog: pytest.LogCaptureFixture,
    ):
        ledger = connect(2, nodes=3)
        self.lie_about_a_call(proxies[0])
        assert ledger.experiment(ExperimentId(1)).joined_learners == 0
        join(home, ExperimentId(1)).wait(LIMIT)
        assert ledger.experiment(ExperimentId(1)).joined_learners == 1
        assert (
            f"node {proxies[0].url} is not used for now: its answer about the contract differs "
            f"from that of {proxies[1].url} and {proxies[2].url}"
        ) in caplog.text

    def test_altered_answer_is_not_used_if_only_two_nodes_exist(
        self, connect: Connect, proxies: list[FaultyProxy], home: EvmLedger
    ):
        ledger = connect(2)
        self.lie_about_a_call(proxies[1])
        ledger.experiment(ExperimentId(1))
        join(home, ExperimentId(1)).wait(LIMIT)
        with pytest.raises(LedgerUnavailable, match="no 2 nodes agree about the contract"):
            ledger.experiment(ExperimentId(1))
        proxies[1].heal()
        assert ledger.experiment(ExperimentId(1)).joined_learners == 1

    def test_state_is_that_of_a_block_named_by_its_hash(
        self, connect: Connect, proxies: list[FaultyProxy]
    ):
        ledger, tags = connect(2), []
        for proxy in proxies[:2]:
            proxy.lie("eth_call", lambda true, asked: tags.append(asked[1]) or true())
        ledger.experiment(ExperimentId(1))
        head = ledger._channel.node.head()
        assert tags == [{"blockHash": head.hash}] * 2

    def test_forked_block_is_not_used(
        self, connect: Connect, proxies: list[FaultyProxy], caplog: pytest.LogCaptureFixture
    ):
        def fork(true: Callable[[], Any], _: object) -> Any:
            return {**true(), "hash": NO_BLOCK}

        ledger = connect(2)
        proxies[0].lie("eth_getBlockByNumber", fork)
        with pytest.raises(LedgerUnavailable, match="no 2 nodes have the same last block"):
            ledger.experiments()
        ledger = connect(2, nodes=3)
        assert len(ledger.experiments()) == 1
        assert f"node {proxies[0].url} is not used for now: its answer about block" in caplog.text

    def test_hidden_events_are_noticed(
        self, connect: Connect, proxies: list[FaultyProxy], caplog: pytest.LogCaptureFixture
    ):
        ledger = connect(2, nodes=3)
        proxies[0].lie("eth_getLogs", lambda *_: [])
        assert len(ledger.events(ExperimentId(1))) == 1
        assert f"node {proxies[0].url} is not used for now: its answer about the logs" in (
            caplog.text
        )

    def test_false_receipt_is_noticed(self, connect: Connect, proxies: list[FaultyProxy]):
        ledger = connect(2, nodes=3)
        proxies[0].lie(
            "eth_getTransactionReceipt", lambda true, _: true() and {**true(), "status": "0x0"}
        )
        assert join(ledger, ExperimentId(1)).wait(LIMIT).events

    @pytest.mark.parametrize("field", ["effectiveGasPrice", "gasUsed", "from"])
    def test_false_cost_is_noticed(self, connect: Connect, proxies: list[FaultyProxy], field: str):
        ledger = connect(2)
        [created] = ledger.events(ExperimentId(1))
        [cost] = ledger.costs([created.transaction])
        assert cost.payer == ledger.account
        false = "0x" + "12" * 20 if field == "from" else "0x1"
        proxies[0].lie("eth_getTransactionReceipt", lambda true, _: {**true(), field: false})
        with pytest.raises(LedgerUnavailable, match="no 2 nodes agree"):
            ledger.costs([created.transaction])

    def test_swallowed_transaction_reaches_the_chain_through_another_node(
        self, connect: Connect, chain: Anvil, proxies: list[FaultyProxy]
    ):
        ledger = connect(2)
        proxies[0].lie("eth_sendRawTransaction", lambda _, asked: name_transaction(asked[0]))
        assert join(ledger, ExperimentId(1)).wait(LIMIT).events

    def test_false_refusal_of_a_call_does_not_stop_it(
        self, connect: Connect, proxies: list[FaultyProxy]
    ):
        ledger = connect(2)

        def refuse(*_: object) -> None:
            raise RpcError("execution reverted")

        proxies[0].lie("eth_estimateGas", refuse)
        assert join(ledger, ExperimentId(1)).wait(LIMIT).events

    def test_pushed_blocks_of_one_node_are_not_used(self, connect: Connect):
        assert connect(2)._channel.node.websocket is None


def test_several_nodes_cost_no_more_requests_than_one_apart_from_checks(
    connect: Connect, proxies: list[FaultyProxy], home: EvmLedger
):
    home.create(params()).wait(LIMIT)
    ledger = connect()
    before = [len(proxy.asked) for proxy in proxies]
    for _ in range(5):
        ledger.experiment(ExperimentId(1))
    assert [len(proxy.asked) - b for proxy, b in zip(proxies, before, strict=True)] == [5, 0, 0]


def test_logs_name_no_key(
    chain: Anvil,
    home: EvmLedger,
    proxies: list[FaultyProxy],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG, logger="colearn_ledger")
    urls = tuple(f"{proxy.url}/secret{index}" for index, proxy in enumerate(proxies))
    config = EvmConfig(chain_id=31337, http=PATIENT, websocket="off")
    view = EvmLedger.connect(urls, home.contract, config=config)
    proxies[0].fail("500", times=None)
    assert view.experiments() == []
    for proxy in proxies:
        proxy.down()
    with pytest.raises(LedgerUnavailable) as caught:
        view.experiments()
    assert "secret" not in caplog.text + str(caught.value)
