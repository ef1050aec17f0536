"""Nodes of a chain for tests of `NodePool`, which fail, lag, fork or lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from colearn_ledger.chains.errors import WrongChain


@dataclass(frozen=True)
class Block:
    number: int
    hash: str
    time: int


class FakeNode:
    """A node of a chain with a block every 12 seconds.

    Args:
        name: its name.
        height: the number of its last block.
        fork: the number of the first block that differs from the chain's.
    """

    def __init__(self, name: str, height: int = 100, fork: int = 10**12) -> None:
        self.name = name
        self.height = height
        self.fork = fork
        self.chain = 1
        self.answer: Any = "right"
        self.failure: Exception | None = None
        self.asked = self.failed = 0

    def head(self) -> Block:
        self.fail()
        return self.make_block(self.height)

    def block(self, number: int) -> Block | None:
        self.fail()
        return self.make_block(number) if number <= self.height else None

    def make_block(self, number: int) -> Block:
        origin = self.name if number >= self.fork else "chain"
        return Block(number, f"{origin}-{number}", 12 * number)

    def read(self) -> Any:
        self.asked += 1
        self.fail()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def fail(self) -> None:
        if self.failure is not None:
            self.failed += 1
            raise self.failure


def check_chain(node: FakeNode) -> None:
    node.fail()
    if node.chain != 1:
        raise WrongChain(f"{node.name} is on chain {node.chain}, not on chain 1")
