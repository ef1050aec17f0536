"""Use several nodes of one chain as if they were one.

The first node in order is used. A node that fails, lags behind the others or contradicts them is
set aside for a while, and the next one is used. If several nodes have to agree, an answer counts
only if that many nodes give it.

With ``agree`` = 1 this protects from nodes that fail, not from nodes that lie: two nodes are only
compared now and then, and the log names both if they differ.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from colearn_ledger.chains.errors import NodeRefused, TooFewAccept, WrongChain, WrongContract
from colearn_ledger.chains.heads import Head
from colearn_ledger.chains.node_members import (
    FAILURES,
    LAG_BLOCKS,
    Answer,
    Member,
    N,
    NodeLags,
    NodeMembers,
    Survey,
    describe_lag,
    is_behind,
)
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import InvalidParameter, LedgerError

_log = logging.getLogger(__name__)

T = TypeVar("T")

_COMPARE_SECONDS = 120.0
"""Seconds between two comparisons of nodes that need not agree."""


class NodePool(Generic[N]):
    """Several nodes of one chain. Threads may share it.

    Args:
        nodes: a client of each node, in order of preference.
        agree: number of nodes that have to give the same answer.
        check: raises `WrongChain` or `WrongContract` if a node may not be used.

    Raises:
        InvalidParameter: ``agree`` is not a number from 1 to the number of nodes.
    """

    def __init__(self, nodes: Sequence[N], agree: int, check: Callable[[N], object]) -> None:
        if not 1 <= agree <= len(nodes):
            raise InvalidParameter("agree")
        self.agree = agree
        self.name = ", ".join(node.name for node in nodes)
        self._members = NodeMembers(nodes, check)
        self._lock = threading.Lock()
        self._compare_at = 0.0

    @property
    def current(self) -> N:
        """Return the node that is asked first."""
        return (self._members.ready() or self._members.all)[0].node

    # ------------------------------------------------------------------ asking

    def ask(
        self,
        what: str,
        work: Callable[[N], T],
        *,
        key: Callable[[T], object] = lambda value: value,
        may_lag: bool = False,
    ) -> T:
        """Return the answer that `agree` nodes have in common.

        Args:
            what: what is asked about, for messages.
            work: asks a node.
            key: returns the part of an answer that has to be the same.
            may_lag: whether the answer ``None`` may only mean that a node lags. It is then not
                held against the node, and is the result if too few nodes agree on anything else.

        Raises:
            CallRefused: that many nodes report the same refusal.
            LedgerUnavailable: too few nodes answer, or agree.
            LedgerError: no node answers, all for the same reason.
        """
        self._compare_nodes()
        survey: Survey[N, T] = Survey()
        for answer in self._members.answers(work, survey):
            equal = survey.add(_key_of(answer, key), answer)
            if len(equal) == self.agree:
                if not may_lag or answer.value is not None:
                    self._set_others_aside(what, equal, survey, may_lag=may_lag)
                return answer.unpack()  # type: ignore[no-any-return]
        if may_lag and survey.groups:
            return None  # type: ignore[return-value]
        raise self._explain(what, survey)

    def find_estimate(self, what: str, work: Callable[[N], T]) -> T:
        """Return the first node's estimate, which differs between nodes.

        Raises:
            CallRefused: the contract would refuse the call, as `agree` nodes report.
            LedgerError: as for `ask`.
        """
        survey: Survey[N, T] = Survey()
        for answer in self._members.answers(work, survey):
            if answer.refusal is None:
                return answer.unpack()  # type: ignore[no-any-return]
            if len(survey.add("refused", answer)) == self.agree:
                raise answer.refusal
        raise self._explain(what, survey)

    def collect(self, what: str, work: Callable[[N], T]) -> list[T]:
        """Return the answers of `agree` nodes, which may differ.

        Raises:
            LedgerError: as for `ask`.
        """
        survey: Survey[N, T] = Survey()
        for answer in self._members.answers(work, survey):
            answers = survey.add("", answer)
            if len(answers) == self.agree:
                return [each.unpack() for each in answers]
        raise self._explain(what, survey)

    def send(
        self, work: Callable[[N], T], *, is_accepted: Callable[[T], bool] = lambda value: True
    ) -> T:
        """Send a transaction to `agree` nodes; to others in place of those that refuse or fail.

        The same bytes are the same transaction, wherever they are sent.

        Raises:
            LedgerError: no node accepts it; this is the first refusal.
        """
        survey: Survey[N, T] = Survey()
        for answer in self._members.answers(work, survey, enough=1):
            is_good = answer.refusal is None and is_accepted(answer.unpack())
            if len(survey.add(is_good, answer)) == self.agree and is_good:
                break
        if not survey.groups:
            raise self._explain("a transaction", survey)
        _, answers = max(survey.groups, key=lambda group: bool(group[0]))
        return answers[0].unpack()  # type: ignore[no-any-return]

    def check_with(self, check: Callable[[N], object]) -> None:
        """Check every node in another way, and again before it is used."""
        self._members.check = check
        for member in self._members.all:
            member.check_at = 0.0

    def recheck(self) -> None:
        """Check chain and contract of every node in use, and set aside those that are wrong.

        Raises:
            WrongChain, WrongContract: no node is right.
            LedgerUnavailable: a node was set aside; trying again uses another one.
        """
        wrong: list[LedgerError] = []
        for member in self._members.ready():
            try:
                self._members.check(member.node)
            except (WrongChain, WrongContract) as error:
                self._members.set_aside(member, error)
                wrong.append(error)
            except FAILURES:
                pass  # the next request to this node reports it
        if len(wrong) == len(self._members.all):
            raise wrong[0]
        if wrong:
            raise LedgerUnavailable(f"{wrong[0]}; try again with another node") from wrong[0]

    # ------------------------------------------------------------------ heads

    def head(self) -> Any:
        """Return the last block of the first node that keeps up, or the last agreed block.

        Raises:
            LedgerError: as for `ask`.
        """
        if self.agree > 1:
            return self._find_agreed_head()
        return self.ask("the last block", self._members.read_head)

    def _find_agreed_head(self) -> Any:
        """Return the highest last block of a node that `agree` nodes have."""
        survey: Survey[N, Any] = Survey()
        answers = self._members.answers(lambda node: node.head(), survey, enough=self.agree)
        heads = {answer.member: answer.unpack() for answer in answers}
        if len(heads) < self.agree:
            raise self._explain("the last block", survey)
        ordered = sorted(heads.values(), key=lambda head: -head.number)
        reached = ordered[self.agree - 1]
        for member, head in heads.items():
            if is_behind(head, reached):
                lag = describe_lag(member.node.name, head, reached)
                self._members.set_aside(member, NodeLags(lag))
        near = [
            head
            for head in ordered
            if not is_behind(head, reached) and not is_behind(reached, head)
        ]
        numbers = dict.fromkeys(h.number for h in near if h.number <= reached.number)
        for number in numbers if len(near) >= self.agree else ():
            agreed = self._find_block(number, heads)
            if agreed is not None:
                return agreed
        blocks = ", ".join(f"{m.node.name} has {h.number} ({h.hash})" for m, h in heads.items())
        raise LedgerUnavailable(
            f"no {self.agree} nodes have the same last block: {blocks}. If that lasts, find out "
            "which node is wrong and replace it: colearn network add … --rpc URL"
        )

    def _find_block(self, number: int, heads: Mapping[Member[N], Any]) -> Any:
        """Return a block that `agree` nodes have, and set aside nodes whose head is another one."""
        known = {id(m.node): head for m, head in heads.items() if head.number == number}
        block = self.ask(
            f"block {number}",
            lambda node: known.get(id(node)) or node.block(number),
            key=hash_of,
            may_lag=True,
        )
        for member, head in heads.items() if block is not None else ():
            if head.number == number and head.hash != block.hash and not member.is_aside:
                self._members.set_aside(
                    member, f"its block {number} differs from that of other nodes"
                )
        return block

    def _compare_nodes(self) -> None:
        """Compare the blocks of two nodes now and then, and report if they differ."""
        with self._lock:
            now = time.monotonic()
            if self.agree > 1 or now < self._compare_at:
                return
            self._compare_at = now + _COMPARE_SECONDS
        heads = []
        for member in self._members.ready()[:2]:
            try:
                self._members.admit(member)
                heads.append((member, member.node.head()))
            except FAILURES as error:
                self._members.set_aside(member, error)
        if len(heads) < 2:
            return
        (slow, old), (fast, new) = sorted(heads, key=lambda pair: pair[1].number)
        self._members.best = new
        if is_behind(old, new):
            self._members.set_aside(slow, NodeLags(describe_lag(slow.node.name, old, new)))
            return
        number = max(0, old.number - LAG_BLOCKS)  # the last few blocks may be reorganised
        try:
            one, other = slow.node.block(number), fast.node.block(number)
        except FAILURES:
            return
        if one is not None and other is not None and one.hash != other.hash:
            _log.warning(
                "%s and %s have different blocks %d: %s and %s; at least one of them is wrong. Find"
                " out which one and replace it, or require more nodes to agree",
                *(slow.node.name, fast.node.name, number, one.hash, other.hash),
            )

    # ------------------------------------------------------------------ outcomes

    def _set_others_aside(
        self, what: str, equal: list[Answer[N, T]], survey: Survey[N, T], *, may_lag: bool
    ) -> None:
        names = " and ".join(answer.member.node.name for answer in equal)
        for _, answers in survey.groups:
            for answer in answers if answers is not equal else ():
                if may_lag and answer.value is None:
                    continue
                self._members.set_aside(
                    answer.member, f"its answer about {what} differs from that of {names}"
                )

    def _explain(self, what: str, survey: Survey[N, Any]) -> LedgerError:
        """Return the error that there is no answer, or that too few nodes agree."""
        order = self._members.all.index
        errors = [error for _, error in sorted(survey.failures, key=lambda pair: order(pair[0]))]
        has_one_reason = len({type(error) for error in errors}) == 1
        if not survey.groups and has_one_reason and not isinstance(errors[0], LedgerUnavailable):
            return errors[0]
        groups = [" and ".join(a.member.node.name for a in answers) for _, answers in survey.groups]
        reasons = list(dict.fromkeys(map(str, errors)))
        if len(groups) > 1:
            reasons.insert(0, f"the answers of {', '.join(groups)} differ")
        elif groups:
            reasons.insert(0, f"only {groups[0]} answered")
        needed = f"{self.agree} nodes agree" if self.agree > 1 else "node gives an answer"
        message = (
            f"no {needed} about {what}: {'; '.join(reasons)}. If that lasts, replace the failing "
            "or wrong node: colearn network add … --rpc URL"
        )
        if any(isinstance(error, NodeRefused) for error in errors):
            return TooFewAccept(message)
        return LedgerUnavailable(message)


def hash_of(block: Head | None) -> object:
    """Return the hash of a block, ``None`` if there is no block."""
    return None if block is None else block.hash


def _key_of(answer: Answer[Any, T], key: Callable[[T], object]) -> object:
    if answer.refusal is not None:
        return type(answer.refusal), vars(answer.refusal)
    return key(answer.unpack())
