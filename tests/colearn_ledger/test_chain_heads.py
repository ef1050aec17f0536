"""When the head of a chain is polled, and when a waiting caller is woken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from colearn_ledger.chains import heads as module
from colearn_ledger.chains.heads import Heads, PollTimes
from colearn_ledger.ledger import LedgerUnavailable
from tests.support.waiting import BackgroundCall, Clock, wait_until_true

NEVER = 3_600.0
HOUR = 3_600


@dataclass(frozen=True)
class Block:
    number: int
    time: int = 0
    hash: str = "on the first branch"


class Chain:
    """A chain with a block every few seconds, seen through a clock that differs from its own.

    ``delays`` maps blocks to the seconds by which they arrive late.
    """

    def __init__(self, seconds: int, delays: dict[int, float] | None = None) -> None:
        self._seconds = seconds
        self._delays = delays or {}

    def arrival(self, number: int) -> float:
        return 1_000.3 + number * self._seconds + self._delays.get(number, 0.0)

    def head(self, at: float) -> Block:
        number = int((at - 1_000.3) // self._seconds)
        while self.arrival(number) > at:
            number -= 1
        return Block(number, 1_700_000_000 + number * self._seconds)


@dataclass
class Polled:
    """The polls of some seconds, and the seconds after which they noticed each block."""

    polls: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)


def poll(chain: Chain, times: PollTimes, seconds: float, start: float = 1_107.0) -> Polled:
    polled, head, at = Polled(), None, start
    while at < start + seconds:
        polled.polls.append(at)
        found = chain.head(at)
        if found == head:
            times.miss(at)
        else:
            times.find(at, found)
            polled.late.append(at - chain.arrival(found.number))
        head, at = found, times.due
    return polled


class TestPollTimes:
    @pytest.mark.parametrize("seconds", [2, 5, 12, 15])
    def test_chain_is_polled_about_once_a_block_and_soon_after_it(self, seconds: int):
        times, chain = PollTimes(1.0), Chain(seconds)
        poll(chain, times, 30 * seconds)
        polled = poll(chain, times, HOUR, start=times.due)
        assert len(polled.polls) <= HOUR / seconds + 2
        assert max(polled.late) <= max(1.0, seconds / 4)

    def test_poll_waits_for_slow_blocks_no_longer_than_16_polls(self):
        times = PollTimes(1.0)
        polled = poll(Chain(60), times, HOUR)
        pauses = [b - a for a, b in zip(polled.polls, polled.polls[1:], strict=False)]
        assert min(pauses) >= 1.0
        assert max(pauses) <= 16.0
        assert len(polled.polls) < 480

    def test_fast_blocks_are_polled_at_the_configured_interval(self):
        polled = poll(Chain(1), PollTimes(5.0), 100)
        assert len(polled.polls) == 20

    def test_single_late_block_does_not_make_later_ones_late(self):
        times, chain = PollTimes(1.0), Chain(12, {40: 9.0})
        polled = poll(chain, times, HOUR)
        assert max(polled.late[-100:]) <= 3.0
        assert len(polled.polls) <= HOUR / 12 + 30

    def test_blocks_of_irregular_chain_are_not_awaited_by_their_average(self):
        times = PollTimes(1.0)
        for at, head in [(0, Block(1, 0)), (300, Block(2, 300)), (301, Block(3, 301))]:
            times.find(at, head)
        assert times.due == 302


class FakeSubscription:
    """A subscription whose messages the test sends."""

    quiet_seconds: float | None = None

    def notify(self, on_head: Callable[[Block], None], on_end: Callable[[], None]) -> None:
        self.push, self.end = on_head, on_end

    def listen(self) -> None:
        pass


class Node:
    """A node that reports a head and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.head = Block(7)

    def poll(self) -> Block:
        self.asked += 1
        return self.head


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


class TestPolledHead:
    def test_head_is_polled_once_in_each_interval(self, node: Node, clock: Clock):
        heads = Heads(node.poll, 1.0, None)
        seen = heads.wait_past(None, 0)
        for _ in range(5):
            assert heads.wait_past(seen, 0) == seen
        assert node.asked == 1
        clock.sleep(1.0)
        heads.wait_past(seen, 0)
        assert node.asked == 2

    @pytest.mark.parametrize(
        "change", [Block(8), Block(7, hash="on another branch"), Block(6)], ids=repr
    )
    def test_other_number_or_hash_is_another_head(self, node: Node, clock: Clock, change: Block):
        heads = Heads(node.poll, 1.0, None)
        seen = heads.wait_past(None, 0)
        node.head = change
        clock.sleep(1.0)
        assert heads.wait_past(seen, NEVER) == change

    def test_head_that_another_caller_noticed_is_not_polled_again(self, node: Node, clock: Clock):
        heads = Heads(node.poll, 1.0, None)
        heads.wait_past(None, 0)
        assert heads.wait_past(Block(6), NEVER) == node.head
        assert node.asked == 1

    def test_caller_pauses_while_another_one_polls(
        self, node: Node, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ):
        def poll() -> Block:
            clock.sleep(5)  # the next poll is due, but this one has not ended
            assert heads.wait_past(None, 3.0) is None
            return node.poll()

        heads = Heads(poll, 1.0, None)
        monkeypatch.setattr(heads._changed, "wait", clock.sleep)
        assert heads.wait_past(None, 0) == node.head
        assert clock.slept == [5, 1.0, 1.0, 1.0]

    def test_block_that_another_answer_mentioned_is_not_polled(self, node: Node, clock: Clock):
        heads = Heads(node.poll, 1.0, None)
        heads.wait_past(None, 0)
        heads.notice(Block(8, hash=""))
        heads.notice(Block(6))  # of an earlier answer
        assert heads.wait_past(Block(7), NEVER) == Block(8, hash="")
        assert node.asked == 1
        clock.sleep(1.0)
        node.head = Block(8)
        assert heads.wait_past(Block(8, hash=""), 0) == Block(8, hash="")  # the same block
        assert node.asked == 2

    def test_slow_answers_do_not_delay_the_polls_after_them(self, node: Node, clock: Clock):
        heads = Heads(node.poll, 1.0, None)
        node.head = Block(7, 1_007)
        heads.wait_past(None, 0)
        clock.sleep(0.75)
        for number in range(8, 12):
            clock.sleep(0.5)  # a look was due after a quarter of a second, and its answer comes now
            heads.notice(Block(number, 1_000 + number))
            clock.sleep(0.5)
        clock.sleep(0.25)
        node.head = Block(12, 1_012)
        assert heads.refresh() == node.head

    def test_caller_that_waits_for_a_due_poll_may_ask_something_else(
        self, node: Node, clock: Clock
    ):
        heads = Heads(node.poll, 1.0, None)
        assert heads.wait_until_due(None, NEVER) is None
        seen = heads.refresh()
        assert heads.wait_until_due(seen, 0) == seen
        clock.sleep(1.0)
        node.head = Block(8)
        assert heads.wait_until_due(seen, NEVER) == seen
        assert node.asked == 1

    def test_unreachable_node_is_reported_and_asked_again_after_the_interval(
        self, node: Node, clock: Clock
    ):
        def fail() -> Block:
            node.asked += 1
            raise LedgerUnavailable("the node does not answer")

        heads = Heads(fail, 1.0, None)
        with pytest.raises(LedgerUnavailable):
            heads.wait_past(None, NEVER)
        assert heads.wait_past(None, 0) is None
        assert node.asked == 1

    def test_time_goes_on_since_the_head_was_noticed(self, node: Node, clock: Clock):
        heads = Heads(node.poll, 1.0, None)
        assert heads.now() is None
        node.head = Block(7, 1_000)
        heads.wait_past(None, 0)
        clock.sleep(5)
        assert heads.now() == 1_005


class TestPushedHead:
    @pytest.fixture
    def pushed(self) -> FakeSubscription:
        return FakeSubscription()

    @pytest.fixture
    def heads(self, node: Node, pushed: FakeSubscription, clock: Clock) -> Heads[Block]:
        """Return the heads of a chain with a block each minute, of which two were pushed."""
        heads = Heads(node.poll, 1.0, pushed)
        for number in (6, 7):
            pushed.push(Block(number, 60 * number))
        pushed.quiet_seconds = 0.0
        return heads

    def test_node_is_not_asked_while_blocks_are_pushed(
        self, node: Node, pushed: FakeSubscription, heads: Heads[Block], clock: Clock
    ):
        for quiet in (0.0, 59.0, 119.0):
            pushed.quiet_seconds = quiet
            clock.sleep(60)
            assert heads.wait_past(Block(7), 0) == Block(7, 420)
        assert heads.pushed == Block(7, 420)
        assert node.asked == 0

    def test_node_is_asked_after_three_blocks_without_a_message(
        self, node: Node, pushed: FakeSubscription, heads: Heads[Block]
    ):
        pushed.quiet_seconds, node.head = 180.0, Block(10)
        assert heads.wait_past(Block(7), NEVER) == Block(10)
        assert heads.pushed is None

    def test_node_is_asked_once_the_subscription_has_ended(
        self, node: Node, pushed: FakeSubscription, heads: Heads[Block]
    ):
        waiting = BackgroundCall(heads.wait_past, Block(7), NEVER)
        pushed.quiet_seconds, node.head = None, Block(8)
        pushed.end()
        assert waiting.result() == Block(8)

    def test_pushed_head_is_not_replaced_by_one_of_another_answer(
        self, heads: Heads[Block], node: Node
    ):
        heads.notice(Block(9))
        assert heads.known == Block(7, 420)
        assert heads.wait_until_due(Block(7), 0) == Block(7, 420)

    def test_pushed_block_wakes_every_waiting_caller(
        self, pushed: FakeSubscription, heads: Heads[Block]
    ):
        waiting = [BackgroundCall(heads.wait_past, Block(7), NEVER) for _ in range(3)]
        wait_until_true(lambda: all(call.is_running for call in waiting))
        pushed.push(Block(8))
        assert {call.result() for call in waiting} == {Block(8)}
