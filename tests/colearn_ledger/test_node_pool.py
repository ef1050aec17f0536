"""Several nodes used as one: failover, agreement, and which node the log names."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from colearn_ledger.chains import node_members, node_pool
from colearn_ledger.chains.errors import (
    BadAnswer,
    CallRefused,
    NodeRefused,
    TooFewAccept,
    WrongChain,
)
from colearn_ledger.chains.node_pool import NodePool
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import InvalidParameter
from tests.support.chain_nodes import FakeNode, check_chain
from tests.support.waiting import Clock

LONG = 3_600.0
"""Seconds after which each node is used again."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (node_pool, node_members):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def nodes() -> list[FakeNode]:
    return [FakeNode(name) for name in "abc"]


@pytest.fixture
def make_pool(nodes: list[FakeNode]) -> Callable[[int], NodePool[FakeNode]]:
    return lambda agree: NodePool(nodes, agree, check_chain)


Pools = Callable[[int], NodePool[FakeNode]]


def read(pool: NodePool[FakeNode]) -> Any:
    return pool.ask("the answer", FakeNode.read)


@pytest.mark.parametrize("agree", [0, 4, -1])
def test_number_of_agreeing_nodes_must_be_possible(make_pool: Pools, agree: int):
    with pytest.raises(InvalidParameter, match="agree"):
        make_pool(agree)


class TestFailover:
    @pytest.mark.parametrize(
        "failure",
        [
            LedgerUnavailable("a is down"),
            BadAnswer("a is odd"),
            NodeRefused("a refuses the key"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_next_node_answers_while_one_fails(
        self,
        nodes: list[FakeNode],
        make_pool: Pools,
        clock: Clock,
        caplog: pytest.LogCaptureFixture,
        failure: Exception,
    ):
        pool = make_pool(1)
        assert read(pool) == "right"
        nodes[0].failure, nodes[1].answer = failure, "from b"
        assert [read(pool) for _ in range(3)] == ["from b"] * 3
        assert pool.current is nodes[1]
        assert nodes[0].asked == 2
        nodes[0].failure = None
        clock.sleep(LONG)
        assert read(pool) == "right"
        assert [record.getMessage() for record in caplog.records] == [
            f"node a is not used for now: {failure}",
            "node a is used again",
        ]

    def test_pause_grows_with_each_failure_and_is_reported_once(
        self,
        nodes: list[FakeNode],
        make_pool: Pools,
        clock: Clock,
        caplog: pytest.LogCaptureFixture,
    ):
        pool = make_pool(1)
        nodes[0].failure = LedgerUnavailable("a is down")
        tried: list[float] = []
        for _ in range(200):
            before = nodes[0].failed
            read(pool)
            if nodes[0].failed > before:
                tried.append(clock.time())
            clock.sleep(1.0)
        pauses = [later - earlier for earlier, later in pairwise(tried)]
        assert 3 <= len(pauses) <= 7
        assert pauses[-1] > 4 * pauses[0]
        assert len(caplog.records) == 1

    def test_another_reason_is_reported_too(
        self,
        nodes: list[FakeNode],
        make_pool: Pools,
        clock: Clock,
        caplog: pytest.LogCaptureFixture,
    ):
        pool, reasons = make_pool(1), ("a is down", "a is on chain 5")
        for failure in (LedgerUnavailable(reasons[0]), WrongChain(reasons[1])):
            nodes[0].failure = failure
            read(pool)
            clock.sleep(LONG)
        assert caplog.messages == [f"node a is not used for now: {why}" for why in reasons]

    def test_error_names_every_node_if_none_answers(self, nodes: list[FakeNode], make_pool: Pools):
        for node in nodes:
            node.failure = LedgerUnavailable(f"{node.name} is down")
        with pytest.raises(LedgerUnavailable, match="a is down; b is down; c is down") as caught:
            read(make_pool(1))
        assert "colearn network add" in str(caught.value)

    def test_node_that_is_set_aside_is_used_if_no_other_answers(
        self, nodes: list[FakeNode], make_pool: Pools
    ):
        pool = make_pool(1)
        nodes[0].failure = LedgerUnavailable("a is down")
        read(pool)
        nodes[0].failure, nodes[0].answer = None, "from a"
        for node in nodes[1:]:
            node.failure = LedgerUnavailable("down")
        assert read(pool) == "from a"

    def test_all_nodes_on_a_wrong_chain_are_an_error_of_the_configuration(
        self, nodes: list[FakeNode], make_pool: Pools
    ):
        for node in nodes:
            node.chain = 5
        with pytest.raises(WrongChain, match="a is on chain 5"):
            read(make_pool(1))

    def test_node_that_moves_to_another_chain_is_noticed_and_named(
        self,
        nodes: list[FakeNode],
        make_pool: Pools,
        clock: Clock,
        caplog: pytest.LogCaptureFixture,
    ):
        pool = make_pool(1)
        read(pool)
        nodes[0].chain, nodes[0].answer = 5, "from chain 5"
        clock.sleep(LONG)
        assert read(pool) == "right"
        assert "node a is not used for now: a is on chain 5" in caplog.text

    def test_recheck_sets_a_wrong_node_aside(self, nodes: list[FakeNode], make_pool: Pools):
        pool = make_pool(1)
        read(pool)
        nodes[0].chain = 5
        with pytest.raises(LedgerUnavailable, match=r"a is on chain 5.*try again"):
            pool.recheck()
        assert pool.current is nodes[1]
        pool.recheck()
        for node in nodes:
            node.chain = 5
        with pytest.raises(LedgerUnavailable):
            pool.recheck()

    def test_refusal_of_the_contract_is_an_answer(self, nodes: list[FakeNode], make_pool: Pools):
        nodes[0].answer = CallRefused("no")
        with pytest.raises(CallRefused):
            read(make_pool(1))
        assert [node.asked for node in nodes] == [1, 0, 0]


class TestLag:
    def test_frozen_node_is_noticed_and_named(
        self,
        nodes: list[FakeNode],
        make_pool: Pools,
        clock: Clock,
        caplog: pytest.LogCaptureFixture,
    ):
        pool = make_pool(1)
        assert pool.head().number == 100
        for node in nodes[1:]:
            node.height = 120
        clock.sleep(200)
        assert pool.head().number == 120
        assert "node a is not used for now: a lags: its last block is 100, 20 blocks" in caplog.text

    def test_failover_skips_a_node_that_lags(self, nodes: list[FakeNode], make_pool: Pools):
        pool = make_pool(1)
        pool.head()
        nodes[1].height = 50
        nodes[0].failure = LedgerUnavailable("a is down")
        assert pool.head().number == 100
        assert pool.current is nodes[2]

    def test_only_node_left_is_used_although_it_lags(
        self, nodes: list[FakeNode], make_pool: Pools, caplog: pytest.LogCaptureFixture
    ):
        pool = make_pool(1)
        read(pool)
        for node in nodes[:2]:
            node.failure = LedgerUnavailable(f"{node.name} is down")
        nodes[2].height = 50
        assert read(pool) == "right"
        assert "node c is not used for now: c lags" in caplog.text

    def test_node_a_few_blocks_behind_is_used(self, nodes: list[FakeNode], make_pool: Pools):
        pool = make_pool(1)
        nodes[0].height = 97
        assert pool.head().number == 97
        assert pool.current is nodes[0]

    def test_head_that_no_other_node_reaches_blocks_nobody(
        self, nodes: list[FakeNode], make_pool: Pools
    ):
        pool = make_pool(1)
        nodes[0].height = 10**9
        assert pool.head().number == 10**9
        nodes[0].failure = LedgerUnavailable("a is down")
        assert pool.head().number == 100

    def test_fork_is_reported_with_both_nodes(
        self, nodes: list[FakeNode], make_pool: Pools, caplog: pytest.LogCaptureFixture
    ):
        nodes[1].fork = 90
        read(make_pool(1))
        assert "a and b have different blocks 97: chain-97 and b-97" in caplog.text


class TestAgreement:
    def test_lie_of_one_node_is_outvoted_and_named(
        self, nodes: list[FakeNode], make_pool: Pools, caplog: pytest.LogCaptureFixture
    ):
        pool = make_pool(2)
        nodes[0].answer = "wrong"
        assert [read(pool), read(pool)] == ["right"] * 2
        assert nodes[0].asked == 1
        assert "node a is not used for now: its answer about the answer differs" in caplog.text
        assert "b and c" in caplog.text

    @pytest.mark.parametrize("refuses", [True, False])
    def test_refusal_and_answer_do_not_agree(
        self, nodes: list[FakeNode], make_pool: Pools, refuses: bool
    ):
        nodes[0].answer = CallRefused("no")
        nodes[2].answer = CallRefused("no") if refuses else "right"
        pool = make_pool(2)
        if refuses:
            with pytest.raises(CallRefused):
                read(pool)
            assert pool.current is nodes[0]
        else:
            assert read(pool) == "right"
            assert pool.current is nodes[1]

    def test_nothing_is_used_if_two_nodes_differ(self, nodes: list[FakeNode], make_pool: Pools):
        del nodes[2]
        nodes[1].answer = "wrong"
        with pytest.raises(
            LedgerUnavailable, match=r"no 2 nodes agree.*the answers of a, b differ"
        ):
            read(make_pool(2))

    def test_too_few_answers_name_the_missing_node(self, nodes: list[FakeNode], make_pool: Pools):
        del nodes[2]
        nodes[1].failure = LedgerUnavailable("b is down")
        with pytest.raises(LedgerUnavailable, match="only a answered; b is down"):
            read(make_pool(2))
        nodes[1].failure = NodeRefused("b refuses")
        with pytest.raises(TooFewAccept, match="b refuses"):
            read(make_pool(2))

    def test_missing_answer_is_not_held_against_a_node_that_may_lag(
        self, nodes: list[FakeNode], make_pool: Pools, caplog: pytest.LogCaptureFixture
    ):
        pool = make_pool(2)
        nodes[0].answer = None
        assert pool.ask("a receipt", FakeNode.read, may_lag=True) == "right"
        nodes[2].answer = None
        assert pool.ask("a receipt", FakeNode.read, may_lag=True) is None
        assert not caplog.records

    @pytest.mark.parametrize(
        ("heights", "agreed"),
        [
            ((100, 100, 100), 100),
            ((103, 101, 100), 101),
            ((10**9, 100, 99), 99),
            ((100, 10, 100), 100),
        ],
    )
    def test_head_is_the_highest_block_that_two_nodes_have(
        self, nodes: list[FakeNode], make_pool: Pools, heights: tuple[int, ...], agreed: int
    ):
        for node, height in zip(nodes, heights, strict=True):
            node.height = height
        nodes[0].fork = 10**6
        if heights[0] == 10**9:  # its blocks are invented from 100 on
            nodes[0].fork = 100
        assert make_pool(2).head() == nodes[1].make_block(agreed)

    def test_node_that_lags_behind_two_others_is_named(
        self, nodes: list[FakeNode], make_pool: Pools, caplog: pytest.LogCaptureFixture
    ):
        nodes[0].height = 10
        pool = make_pool(2)
        assert pool.head().number == 100
        assert "node a is not used for now: a lags" in caplog.text

    def test_fork_of_one_node_is_named(
        self, nodes: list[FakeNode], make_pool: Pools, caplog: pytest.LogCaptureFixture
    ):
        nodes[0].fork = 90
        assert make_pool(2).head().hash == "chain-100"
        assert "node a is not used for now" in caplog.text

    @pytest.mark.parametrize(("height", "fork"), [(100, 90), (50, 10**12)])
    def test_two_nodes_with_different_heads_agree_on_nothing(
        self, nodes: list[FakeNode], make_pool: Pools, height: int, fork: int
    ):
        del nodes[2]
        nodes[1].height, nodes[1].fork = height, fork
        with pytest.raises(LedgerUnavailable, match=f"no 2 nodes.*a has 100.*b has {height}"):
            make_pool(2).head()

    def test_refused_estimate_counts_only_if_two_nodes_refuse(
        self, nodes: list[FakeNode], make_pool: Pools
    ):
        pool = make_pool(2)
        nodes[0].answer = CallRefused("no")
        assert pool.find_estimate("gas", FakeNode.read) == "right"
        nodes[1].answer = CallRefused("no")
        with pytest.raises(CallRefused):
            pool.find_estimate("gas", FakeNode.read)


class TestSending:
    @pytest.mark.parametrize("agree", [1, 2])
    def test_transaction_is_sent_to_as_many_nodes_as_have_to_agree(
        self, nodes: list[FakeNode], make_pool: Pools, agree: int
    ):
        assert make_pool(agree).send(FakeNode.read) == "right"
        assert sum(node.asked for node in nodes) == agree

    @pytest.mark.parametrize(
        "failure", [LedgerUnavailable("a is down"), NodeRefused("no money")], ids=str
    )
    def test_another_node_is_used_if_one_fails_or_refuses(
        self, nodes: list[FakeNode], make_pool: Pools, failure: Exception
    ):
        nodes[0].failure = failure
        assert make_pool(1).send(FakeNode.read) == "right"

    def test_refusal_is_raised_if_no_node_accepts(self, nodes: list[FakeNode], make_pool: Pools):
        for node in nodes:
            node.failure = NodeRefused(f"{node.name}: nonce too low")
        with pytest.raises(NodeRefused, match="a: nonce too low"):
            make_pool(1).send(FakeNode.read)

    def test_refusing_answer_is_returned_if_no_node_accepts(
        self, nodes: list[FakeNode], make_pool: Pools
    ):
        for node in nodes:
            node.answer = 32
        nodes[2].answer = 0
        pool = make_pool(1)
        assert pool.send(FakeNode.read, is_accepted=lambda code: code == 0) == 0
        nodes[2].answer = 32
        assert pool.send(FakeNode.read, is_accepted=lambda code: code == 0) == 32


def test_log_of_repeated_failures_is_quiet(
    nodes: list[FakeNode], make_pool: Pools, clock: Clock, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING)
    pool = make_pool(2)
    nodes[0].failure = LedgerUnavailable("a is down")
    for _ in range(50):
        read(pool)
        clock.sleep(60)
    assert [record.getMessage() for record in caplog.records] == [
        "node a is not used for now: a is down"
    ]
