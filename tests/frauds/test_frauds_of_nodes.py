"""Both implementations of the audit find the frauds of an EVM node in its answers, in their rounds.

A lie that is not even a well-formed answer can end an audit without a report; it does not count.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from colearn_ledger.chains.evm.embedded import EmbeddedChain
from tests.support.frauds.cases import NotHere, play
from tests.support.frauds.node_case import NodeCase
from tests.support.frauds.node_kinds import NODE_KINDS
from tests.support.frauds.plays import SHAPES
from tests.support.frauds.suite import Count, list_missed
from tests.support.frauds.worlds import EvmWorld
from tests.support.samples import ANYONE, wallet_of
from tests.support.second_audit import NOT_CHECKED

if TYPE_CHECKING:
    from colearn_ledger.ledger import Ledger
    from colearn_ledger.weights.store import ContentStore
    from tests.frauds.conftest import Report
    from tests.support.frauds.cases import Played

FEW = ("signed", "plural, secret and random")


def deploy(chain: EmbeddedChain) -> Ledger:
    return chain.deploy(wallet_of(ANYONE))


def plant(kind: str, case: NodeCase, count: Count) -> None:
    """Plant a fraud, and count it if both implementations could read the node's answers."""
    fraud = NODE_KINDS[kind](case)
    verdicts = dict(zip(("first", "second"), case.list_rounds(), strict=True))
    if NOT_CHECKED in verdicts.values():
        verdicts = {name: found for name, found in verdicts.items() if found != NOT_CHECKED}
    else:
        count.planted += 1
    wanted = sorted(fraud.rounds, key=str)
    count.missed += [
        f"{kind}: {fraud.text} in {case.played.shape}: expected round {wanted}, the {name} "
        f"implementation found {found or 'nothing'}"
        for name, found in verdicts.items()
        if not fraud.rounds & set(found[:1])
    ]


def test_both_implementations_find_every_fraud_of_a_node(
    store: ContentStore, is_long: bool, report_counts: Report
):
    plays: list[tuple[EvmWorld, Played]] = []
    for name in SHAPES if is_long else FEW:
        world = EvmWorld(deploy)
        plays.append((world, play(world, store, 0, (name, SHAPES[name]))))
    number = 40 if is_long else 1
    counts = {kind: Count() for kind in NODE_KINDS}
    for kind, count in counts.items():
        for attempt in range(200 * number):
            if count.planted == number:
                break
            random = Random(f"node {kind} {attempt}")
            try:
                plant(kind, NodeCase(*random.choice(plays), random), count)
            except NotHere:
                continue
    report_counts("a node's answers, both implementations", counts)
    assert list_missed(counts) == []
    assert dict.fromkeys(NODE_KINDS, number) == {n: c.planted for n, c in counts.items()}
