"""When a sender looks for the receipt of its transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from colearn_ledger.chains import heads as heads_module
from colearn_ledger.chains import look_times
from colearn_ledger.chains.heads import Heads
from colearn_ledger.chains.look_times import LookTimes
from tests.support.waiting import Clock


@dataclass(frozen=True)
class Block:
    number: int
    hash: str = "on the first branch"
    time: int = 0


class ScriptedHeads:
    """Pushed heads: the waits return the given blocks, one after the other."""

    def __init__(self, *blocks: Block, block_seconds: float | None = None) -> None:
        self._blocks = iter(blocks)
        self.known = Block(7)
        self.block_seconds = block_seconds
        self.waits: list[float] = []

    def refresh(self) -> Block:
        return self.known

    def wait_until_due(self, seen: Any, timeout: float) -> Block:
        self.waits.append(timeout)
        self.known = next(self._blocks, self.known)
        return self.known


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(look_times, "time", clock)
    return clock


def make_looks(heads: Any, after: Block | None, lags: tuple[float, ...] = (0.0,)) -> LookTimes:
    return LookTimes(heads, after, first=0.01, longest=1.0, lags=lags)


def test_first_look_is_after_the_next_block():
    heads = ScriptedHeads(Block(8))
    make_looks(heads, Block(7)).wait(100)
    assert len(heads.waits) == 1


def test_first_look_at_a_transaction_that_may_be_in_a_block_is_at_once(clock: Clock):
    for heads in (ScriptedHeads(Block(8)), None):
        make_looks(heads, None).wait(100)
        assert heads is None or not heads.waits
    assert not clock.slept


def test_pauses_grow_if_the_head_is_not_followed(clock: Clock):
    looks = make_looks(None, None)
    for _ in range(20):
        looks.wait(100)
    assert clock.slept[:3] == pytest.approx([0.01, 0.015, 0.0225])
    assert clock.slept[-1] == 1.0


@pytest.mark.parametrize(
    ("heads", "blocks"),
    [
        ([Block(7), Block(7)], 0),
        ([Block(8), Block(8), Block(9)], 2),
        ([Block(10)], 3),
        ([Block(7, hash="on another branch")], 1),
        ([Block(5)], 1),
    ],
)
def test_new_blocks_since_sending_are_counted(heads: list[Block], blocks: int):
    looks = make_looks(ScriptedHeads(*heads), Block(7))
    for _ in heads:
        looks.wait(100)
    assert looks.blocks == blocks


def test_look_comes_after_half_a_minute_without_a_block_and_not_after_the_limit():
    heads = ScriptedHeads()
    looks = make_looks(heads, Block(7))
    looks.wait(100)
    looks.wait(5)
    assert heads.waits == [30.0, 5]


@pytest.mark.parametrize(("block_seconds", "slept"), [(None, 0.5), (1.0, 0.25)])
def test_node_that_reports_receipts_late_is_asked_twice_after_each_block(
    clock: Clock, block_seconds: float | None, slept: float
):
    heads = ScriptedHeads(Block(8), Block(9), block_seconds=block_seconds)
    looks = make_looks(heads, Block(7), lags=(0.0, 0.5))
    for _ in range(3):
        looks.wait(100)
    assert clock.slept == [slept]
    assert looks.blocks == 2
    assert len(heads.waits) == 2


class PolledChain:
    """A chain with a block every 12 s, whose polled head is followed. Waits move the clock."""

    def __init__(self, clock: Clock) -> None:
        self.polls = 0
        self._clock = clock
        self.heads = ClockedHeads(clock, self._poll)
        for _ in range(20):  # learn when blocks come
            self.heads.wait_past(self.heads.known, 3_600)

    def head(self) -> Block:
        number = int(self._clock.monotonic() // 12)
        return Block(number, f"block {number}", 12 * number)

    def _poll(self) -> Block:
        self.polls += 1
        return self.head()


class ClockedHeads(Heads[Block]):
    def __init__(self, clock: Clock, poll: Callable[[], Block]) -> None:
        super().__init__(poll, 1.0, None)
        self._clock = clock

    def _wait_for_change(self, head: Block | None, seconds: float) -> None:
        self._clock.sleep(seconds)


@pytest.fixture
def chain(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> PolledChain:
    monkeypatch.setattr(heads_module, "time", clock)
    return PolledChain(clock)


def test_look_at_a_transaction_in_the_next_block_takes_the_place_of_a_poll(chain: PolledChain):
    polls, looked = chain.polls, 0
    for _ in range(20):
        sent_after = chain.heads.known
        assert sent_after is not None
        looks = make_looks(chain.heads, sent_after)
        while chain.head().number == sent_after.number or not looked:
            looks.wait(3_600)
            looked += 1
        chain.heads.notice(chain.head())
        assert chain.heads.known == chain.head()
    assert looked + chain.polls - polls <= 25


def test_blocks_without_the_transaction_are_counted_by_polls_after_the_looks(chain: PolledChain):
    looks = make_looks(chain.heads, chain.heads.known)
    first = chain.head().number
    for _ in range(12):
        looks.wait(3_600)
    assert looks.blocks == chain.heads.known.number - first > 2
