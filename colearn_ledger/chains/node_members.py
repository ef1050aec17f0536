"""The nodes of a pool: which of them are in use, and which are set aside for a while.

A node is set aside when it fails, lags or is wrong. It is used again after a pause that grows with
each failure, once its chain, its contract and its last block have been checked. It is also used
again while no other node answers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from colearn_ledger.backoff import Backoff
from colearn_ledger.chains.errors import (
    BadAnswer,
    CallRefused,
    NodeRefused,
    WrongChain,
    WrongContract,
)
from colearn_ledger.chains.heads import Head
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import LedgerError

_log = logging.getLogger(__name__)

_CHECK_SECONDS = 300.0
"""Seconds after which chain and contract of a node are checked again."""

_FORGIVE_SECONDS = 900.0
"""Seconds of good behaviour after which a node's failures no longer lengthen its next pause."""

LAG_BLOCKS, LAG_SECONDS = 3, 30
"""A node lags if it is more blocks, and also more seconds of block time, behind another one."""

FAILURES = (LedgerUnavailable, BadAnswer, NodeRefused, WrongChain, WrongContract)


class PooledNode(Protocol):
    """A client of a single node."""

    name: str

    def head(self) -> Any:
        """Return the last block."""

    def block(self, number: int, /) -> Any:
        """Return a block, ``None`` if the node does not have it."""


N = TypeVar("N", bound=PooledNode)
T = TypeVar("T")


class NodeLags(LedgerUnavailable):
    """A node's last block is much older than that of another node."""


@dataclass(slots=True, eq=False)
class Member(Generic[N]):
    """A node, for how long it is set aside, and which kinds of reasons were logged since then."""

    node: N
    failures: int = 0
    is_aside: bool = False
    reported: set[type] = field(default_factory=set)
    ready_at: float = 0.0
    check_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer(Generic[N, T]):
    """A node's answer: a value, or the contract's refusal."""

    member: Member[N]
    value: T | None = None
    refusal: CallRefused | None = None

    def unpack(self) -> Any:
        """Return the value, or raise the refusal."""
        if self.refusal is not None:
            raise self.refusal
        return self.value


@dataclass(slots=True)
class Survey(Generic[N, T]):
    """The equal answers of nodes by key, and the nodes that gave none, with the reasons."""

    groups: list[tuple[object, list[Answer[N, T]]]] = field(default_factory=list)
    failures: list[tuple[Member[N], LedgerError]] = field(default_factory=list)

    def add(self, key: object, answer: Answer[N, T]) -> list[Answer[N, T]]:
        """Add an answer, and return all that are equal to it."""
        for known, answers in self.groups:
            if known == key:
                answers.append(answer)
                return answers
        self.groups.append((key, [answer]))
        return self.groups[-1][1]


class NodeMembers(Generic[N]):
    """The nodes of a pool. Threads may share them.

    Args:
        nodes: a client of each node, in order of preference.
        check: raises `WrongChain` or `WrongContract` if a node may not be used.

    Attributes:
        all: the nodes, in order.
        best: the highest block that a node in use has reported, if it is not in doubt.
    """

    def __init__(self, nodes: Sequence[N], check: Callable[[N], object]) -> None:
        self.all = [Member(node) for node in nodes]
        self.check = check
        self._backoff = Backoff(first=5.0, longest=300.0)
        self._lock = threading.Lock()
        self.best: Head | None = None

    def ready(self) -> list[Member[N]]:
        """Return the nodes that are not set aside, in order."""
        now = time.monotonic()
        return [member for member in self.all if member.ready_at <= now]

    def answers(
        self, work: Callable[[N], T], survey: Survey[N, T], *, enough: int | None = None
    ) -> Iterator[Answer[N, T]]:
        """Yield an answer of each node that gives one.

        Nodes that are set aside, or have just failed, are asked last; not at all if ``enough``
        others have answered.
        """
        answered: set[int] = set()
        for is_last_resort in (False, True):
            members = self.ready()
            if is_last_resort:
                if enough is not None and len(answered) >= enough:
                    return
                members = sorted(self.all, key=lambda member: member.ready_at)
                self.best = None  # if no other node has reached that block, it is in doubt
            for member in members:
                if id(member) in answered:
                    continue
                answer = self._ask_member(member, work, survey)
                if not isinstance(answer, LedgerError) or isinstance(answer, NodeRefused):
                    answered.add(id(member))
                if not isinstance(answer, LedgerError):
                    yield answer

    def _ask_member(
        self, member: Member[N], work: Callable[[N], T], survey: Survey[N, T]
    ) -> Answer[N, T] | LedgerError:
        """Return a node's answer, or why there is none."""
        try:
            self.admit(member)
            answer: Answer[N, T] = Answer(member, work(member.node))
        except CallRefused as refusal:
            answer = Answer(member, refusal=refusal)
        except FAILURES as error:
            survey.failures.append((member, error))
            if not isinstance(error, NodeRefused):  # others may refuse this request, too
                self.set_aside(member, error)
            return error
        for other, failure in survey.failures:
            if isinstance(failure, NodeRefused) and not other.is_aside:
                self.set_aside(other, failure)
        self._take_back(member)
        return answer

    def admit(self, member: Member[N]) -> None:
        """Check the chain and contract of a node that was not used recently, and its last block."""
        now = time.monotonic()
        if now < member.check_at:
            return
        self.check(member.node)
        if self.best is not None:
            self.read_head(member.node)
        member.check_at = now + _CHECK_SECONDS

    def set_aside(self, member: Member[N], why: LedgerError | str) -> None:
        """Do not use a node for a while, and log why.

        Each kind of reason is logged once: a node that was only slow at first may be on another
        chain later.

        Args:
            member: the node.
            why: its failure, or how it contradicts other nodes.
        """
        with self._lock:
            now = time.monotonic()
            if now - member.ready_at > _FORGIVE_SECONDS:
                member.failures = 0
            is_known = type(why) in member.reported
            member.is_aside = True
            member.reported.add(type(why))
            member.failures += 1
            member.ready_at = now + self._backoff.pause(member.failures)
            member.check_at = 0.0
        level = logging.DEBUG if is_known else logging.WARNING
        _log.log(level, "node %s is not used for now: %s", member.node.name, why)

    def _take_back(self, member: Member[N]) -> None:
        with self._lock:
            if not member.is_aside or time.monotonic() < member.ready_at:
                return
            member.is_aside = False
            member.reported.clear()
        _log.warning("node %s is used again", member.node.name)

    def read_head(self, node: N) -> Any:
        """Return a node's last block.

        Raises:
            NodeLags: another node is far ahead.
        """
        head = node.head()
        with self._lock:
            if self.best is not None and is_behind(head, self.best):
                raise NodeLags(describe_lag(node.name, head, self.best))
            if self.best is None or head.number > self.best.number:
                self.best = head
        return head


def is_behind(head: Head, other: Head) -> bool:
    """Return whether a last block is much older than that of another node."""
    return other.number - head.number > LAG_BLOCKS and other.time - head.time > LAG_SECONDS


def describe_lag(name: str, head: Head, other: Head) -> str:
    """Return a message about a node whose last block is much older than that of another one."""
    return (
        f"{name} lags: its last block is {head.number}, {other.number - head.number} blocks and "
        f"{other.time - head.time} s behind another node"
    )
