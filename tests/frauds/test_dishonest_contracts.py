"""Contracts with one changed line are found out by both implementations of the audit.

Each is played beside the honest contract, with the same decisions and the same entropy. The first
difference shows in which round the contract was dishonest.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from colearn_ledger.audit import audit_experiment
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.protocol import ProtocolError, RoundStarted
from tests.support.frauds.cheating import CheatingPlay
from tests.support.frauds.mutants import MUTANTS, Mutant, compile_mutant, deploy, read_source
from tests.support.frauds.plays import SHAPES, Play
from tests.support.frauds.worlds import EvmWorld
from tests.support.second_audit import audit_again

if TYPE_CHECKING:
    from colearn_ledger.ledger import RecordedEvent
    from colearn_ledger.weights.store import ContentStore

ENOUGH = 4
"""Number of plays that show a contract's behaviour after which it is judged."""

Place = int | None


def play(creation: bytes, store: ContentStore, shape: str, kind: Callable[..., Play]) -> EvmWorld:
    """Play an experiment on a contract, which may end it in its own way."""
    world = EvmWorld(lambda chain: deploy(chain, creation))
    with suppress(ProtocolError, LookupError, ValueError):  # a decision that is impossible here
        kind(world, store, Random(shape), SHAPES[shape]).run()
    return world


def list_places(events: list[RecordedEvent]) -> list[Place]:
    places: list[Place] = []
    begun: Place = None
    for each in events:
        if isinstance(each.event, RoundStarted):
            begun = each.event.round
        places.append(getattr(each.event, "round", begun))
    return places


def find_difference(honest: EvmWorld, other: EvmWorld) -> set[Place]:
    """Return the rounds in which two plays first differ; none if they do not."""
    if (place := find_false_weights(other)) is not None:
        return {place}
    events = [world.ledger.events(world.id) for world in (honest, other)]
    places = [list_places(each) for each in events]
    for at, (one, two) in enumerate(zip(*events, strict=False)):
        if (one.event, one.time) != (two.event, two.time):
            return {places[0][at], places[1][at]}
    if len(events[0]) != len(events[1]):
        return {places[0][-1], places[1][-1]}
    for read in (list_rounds, list_ballots):
        for index, (a, b) in enumerate(zip(read(honest), read(other), strict=False)):
            if a != b:
                return {index}
    found = [world.experiment() for world in (honest, other)]
    if found[0].current != found[1].current:
        return {found[0].current_round}
    if found[0] != found[1] or list_learners(honest) != list_learners(other):
        return {found[0].round}
    return set()


def find_false_weights(world: EvmWorld) -> Place:
    """Return the round that made other weights current than it accepted; None if none did."""
    found = world.experiment()
    if found.current_round is None:
        return None
    slots = list_rounds(world)[found.current_round].slots
    accepted = tuple(slot.content for slot in slots if slot.accepted)
    return None if accepted == found.current else found.current_round


def list_rounds(world: EvmWorld) -> list[Any]:
    return world.ledger.rounds(world.id)


def list_ballots(world: EvmWorld) -> list[Any]:
    return [world.ledger.ballots(world.id, row.index) for row in list_rounds(world)]


def list_learners(world: EvmWorld) -> list[Any]:
    return world.ledger.learners(world.id)


@pytest.fixture(scope="module")
def honest(store: ContentStore) -> Callable[[str, type[Play]], EvmWorld]:
    """Return the plays on the honest contract, each made once."""
    return cache(lambda shape, kind: play(load_artifact().bytecode, store, shape, kind))


def judge(
    creation: bytes, store: ContentStore, honest: Callable[[str, type[Play]], EvmWorld]
) -> list[str]:
    """Return what the audits missed in the first plays in which a contract shows its behaviour."""
    missed, shown = [], 0
    for shape, kind in product(SHAPES, (Play, CheatingPlay)):
        other = play(creation, store, shape, kind)
        rounds = find_difference(honest(shape, kind), other)
        if not rounds:
            continue
        shown += 1
        first = [f.round for f in audit_experiment(other.ledger, None, other.id).findings]
        provider, contract = other.chain.provider, other.ledger.contract
        second = [f["round"] for f in audit_again(provider, contract, other.id)["findings"]]
        if not (rounds & set(first[:1]) and rounds & set(second[:1])):
            missed.append(
                f"{shape}, {kind.__name__}: expected round {rounds}, found {first} and {second}"
            )
        if shown == ENOUGH:
            break
    return missed if shown else ["its behaviour never shows"]


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_dishonest_contract_is_found_out(
    mutant: Mutant, store: ContentStore, honest: Callable[[str, type[Play]], EvmWorld]
):
    assert judge(compile_mutant(mutant), store, honest) == []


def test_honest_contract_refuses_all_cheating(store: ContentStore):
    for shape in ("plural, secret and random", "absences"):
        world = play(load_artifact().bytecode, store, shape, CheatingPlay)
        assert audit_experiment(world.ledger, None, world.id).findings == ()


def test_every_changed_line_exists_once():
    assert len(MUTANTS) >= 20
    for mutant in MUTANTS:
        assert mutant.changed in read_source(mutant)
