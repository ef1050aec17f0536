"""When a sender looks for the receipt of its transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from colearn_ledger.chains import look_times
from colearn_ledger.chains.look_times import LookTimes
from tests.support.waiting import Clock


@dataclass(frozen=True)
class Block:
    number: int
    hash: str = "on the first branch"
    time: int = 0


class ScriptedHeads:
    """Heads whose waits return the given blocks, one after the other."""

    def __init__(self, *blocks: Block) -> None:
        self._blocks = iter(blocks)
        self.known: Block | None = None
        self.waits: list[float] = []

    def wait_past(self, seen: Any, timeout: float) -> Block | None:
        self.waits.append(timeout)
        self.known = next(self._blocks, self.known)
        return self.known


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(look_times, "time", clock)
    return clock


def make_looks(heads: ScriptedHeads | None, after: Block | None) -> LookTimes:
    return LookTimes(heads, after, first=0.01, longest=1.0)


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
