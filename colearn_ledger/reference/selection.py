"""Select the proposers of a round, and keep the order of the active list."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from colearn_ledger.protocol import Account, LedgerError
from colearn_ledger.reference.state import ExperimentState


class ImpossibleDraw(LedgerError):
    """No seed leads to these proposers."""


def select_proposers(
    state: ExperimentState, drawn: Sequence[Account] | None = None
) -> list[Account]:
    """Select the proposers of the round that begins, in the order of their slots.

    Args:
        state: the experiment.
        drawn: the proposers that the chain drew at random; ``None`` draws them from the seed.

    Raises:
        ImpossibleDraw: no seed leads to ``drawn``; nothing has changed.
    """
    count = min(state.params.proposers, len(state.active))
    if not state.at_random:
        return _take_turns(state, count)
    return _draw(state, count) if drawn is None else _follow_draw(state, count, drawn)


def _take_turns(state: ExperimentState, count: int) -> list[Account]:
    places = [(state.position + 1 + slot) % len(state.active) for slot in range(count)]
    state.position = places[-1]
    return [state.active[place] for place in places]


def _draw(state: ExperimentState, count: int) -> list[Account]:
    """Draw members that have not been drawn in this cycle; begin a new cycle once all have been."""
    active, left_out = state.active, 0
    proposers = []
    for slot in range(count):
        if state.drawn == len(active):
            state.drawn = 0
            left_out = slot  # drawn for this round in the old cycle: the last of the list
        number = int.from_bytes(hashlib.sha256(state.seed + bytes([slot])).digest(), "big")
        choices = len(active) - left_out - state.drawn
        _swap(active, state.drawn, state.drawn + number % choices)
        proposers.append(active[state.drawn])
        state.drawn += 1
    return proposers


def _follow_draw(state: ExperimentState, count: int, drawn: Sequence[Account]) -> list[Account]:
    """Change the active list as the draw of these proposers did."""
    active, done, left_out = list(state.active), state.drawn, 0
    if len(drawn) != count:
        raise ImpossibleDraw(f"{len(drawn)} proposers were drawn instead of {count}")
    for slot, account in enumerate(drawn):
        if done == len(active):
            done, left_out = 0, slot
        choices = active[done : len(active) - left_out]
        if account not in choices:
            raise ImpossibleDraw(f"{account} was not among those that could be drawn")
        _swap(active, done, done + choices.index(account))
        done += 1
    state.active[:], state.drawn = active, done
    return list(drawn)


def take_from_list(state: ExperimentState, account: Account) -> None:
    """Take a member out of the active list; at most two others change their places."""
    place = state.active.index(account)
    if place < state.drawn:
        state.drawn -= 1
        _swap(state.active, place, state.drawn)
        place = state.drawn
    _swap(state.active, place, -1)
    state.active.pop()


def _swap(items: list[Account], one: int, other: int) -> None:
    items[one], items[other] = items[other], items[one]
