"""The selection of proposers, apart from everything else: turns, draws and changes of the list."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.protocol import Account, ExperimentId, Selection
from colearn_ledger.reference.selection import select_proposers, take_from_list
from colearn_ledger.reference.state import ExperimentState
from tests.support.samples import params

SIZES = st.integers(2, 20)
PROPOSERS = st.integers(1, 16)


def people(count: int, first: int = 0) -> list[Account]:
    return [Account(f"0x{i:040x}") for i in range(first, first + count)]


def experiment(count: int, proposers: int, selection: Selection) -> ExperimentState:
    """Return an experiment that is about to begin its first round."""
    terms = params(proposers=proposers, selection=selection)
    active = people(count)
    return ExperimentState(ExperimentId(1), active[0], terms, 0, active=active, seed=seed_of(0))


def seed_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


class Draws:
    """Rounds with random selection, and the cycle that they should keep, counted independently.

    ``undrawn`` are the members that have not been drawn in the current cycle.
    """

    def __init__(self, count: int, proposers: int) -> None:
        self.state = experiment(count, proposers, Selection.RANDOM)
        self.undrawn = set(self.state.active)
        self.joined = count
        self.rounds = 0

    def begin_round(self) -> list[Account]:
        self.rounds += 1
        self.state.seed = seed_of(self.rounds)
        proposers = select_proposers(self.state)
        assert len(proposers) == min(self.state.params.proposers, len(self.state.active))
        assert len(set(proposers)) == len(proposers)
        for proposer in proposers:
            if not self.undrawn:
                self.undrawn = set(self.state.active)
            assert proposer in self.undrawn  # nobody is drawn twice in a cycle
            self.undrawn.remove(proposer)
        self.check()
        return proposers

    def join(self) -> None:
        (newcomer,) = people(1, first=self.joined)
        self.joined += 1
        self.state.active.append(newcomer)
        self.undrawn.add(newcomer)
        self.check()

    def leave(self, choice: int) -> None:
        if len(self.state.active) > 2:
            account = self.state.active[choice % len(self.state.active)]
            take_from_list(self.state, account)
            self.undrawn.discard(account)
            self.check()

    def check(self) -> None:
        """Check that the first members of the list are those drawn in this cycle."""
        active = self.state.active
        assert len(set(active)) == len(active)
        assert set(active[self.state.drawn :]) == self.undrawn


class TestRandom:
    @given(SIZES, PROPOSERS)
    def test_every_cycle_draws_everybody_once(self, count: int, proposers: int):
        draws = Draws(count, proposers)
        turns = [account for _ in range(3 * count) for account in draws.begin_round()]
        for start in range(0, len(turns) - count + 1, count):
            assert set(turns[start : start + count]) == set(people(count))

    @given(SIZES, PROPOSERS, st.lists(st.integers(-25, 25), max_size=80))
    def test_cycles_draw_nobody_twice_while_learners_come_and_go(
        self, count: int, proposers: int, steps: list[int]
    ):
        draws = Draws(count, proposers)
        for step in steps:
            if step == 0:
                draws.join()
            elif step < 0:
                draws.leave(-step)
            else:
                draws.begin_round()

    def test_members_of_the_last_round_of_a_cycle_wait_until_the_next_round(self):
        draws = Draws(5, 3)
        first = draws.begin_round()
        crossing = draws.begin_round()  # two of the old cycle, one of the new one
        assert set(crossing[:2]) == set(people(5)) - set(first)
        assert crossing[2] in first
        later = draws.begin_round() + draws.begin_round()[:1]
        assert {crossing[2], *later} == set(people(5))

    def test_draws_follow_the_formula_of_the_page(self):
        state = experiment(5, 3, Selection.RANDOM)
        order, drawn = people(5), 0
        for number in range(20):
            state.seed = seed_of(number)
            expected, left_out = [], 0
            for slot in range(3):
                if drawn == 5:
                    drawn, left_out = 0, slot
                digest = hashlib.sha256(seed_of(number) + bytes([slot])).digest()
                place = drawn + int.from_bytes(digest, "big") % (5 - left_out - drawn)
                order[place], order[drawn] = order[drawn], order[place]
                expected.append(order[drawn])
                drawn += 1
            assert select_proposers(state) == expected
            assert state.active == order

    def test_every_member_is_drawn_first_about_as_often(self):
        fresh = experiment(3, 1, Selection.RANDOM)
        firsts: Counter[Account] = Counter()
        for number in range(3_000):
            state = replace(fresh, active=people(3), seed=seed_of(number))
            firsts.update(select_proposers(state))
        assert all(900 < firsts[account] < 1_100 for account in people(3))

    def test_all_members_propose_if_there_are_no_more_than_proposers(self):
        draws = Draws(4, 16)
        assert [set(draws.begin_round()) for _ in range(3)] == [set(people(4))] * 3


class TestRoundRobin:
    @given(SIZES, PROPOSERS, st.integers(1, 20))
    def test_turns_go_around_the_list(self, count: int, proposers: int, rounds: int):
        state = experiment(count, proposers, Selection.ROUND_ROBIN)
        turns = [account for _ in range(rounds) for account in select_proposers(state)]
        assert turns == list(islice(cycle(people(count)), len(turns)))

    def test_turns_continue_from_the_last_position_after_learners_leave(self):
        state = experiment(6, 2, Selection.ROUND_ROBIN)
        a, b, c, d, e, f = people(6)
        assert select_proposers(state) == [a, b]
        take_from_list(state, b)  # the last member gets its place: a f c d e
        assert select_proposers(state) == [c, d]
        take_from_list(state, e)
        take_from_list(state, d)  # a f c, and the position is past the end of the list
        assert select_proposers(state) == [f, c]
        state.active.append(e)
        assert select_proposers(state) == [e, a]

    def test_empty_places_do_not_stop_the_turns(self):
        state = experiment(16, 16, Selection.ROUND_ROBIN)
        assert select_proposers(state) == people(16)
        for account in people(14):
            take_from_list(state, account)
        assert sorted(select_proposers(state)) == people(2, first=14)


@given(SIZES, st.data())
def test_leaving_moves_at_most_two_others(count: int, data: st.DataObject):
    drawn = data.draw(st.integers(0, count))
    state = replace(experiment(count, 1, Selection.RANDOM), drawn=drawn)
    leaving = data.draw(st.integers(0, count - 1))
    take_from_list(state, people(count)[leaving])
    expected = expected_after_leaving(people(count), drawn, leaving)
    assert (state.active, state.drawn) == expected
    moved = [a for a, b in zip(state.active, people(count), strict=False) if a != b]
    assert len(moved) <= 2


def expected_after_leaving(
    order: Sequence[Account], drawn: int, leaving: int
) -> tuple[list[Account], int]:
    """Return the list and the number of drawn members, in the notation of docs/protocol.md."""
    after = list(order)
    if leaving < drawn:
        after[leaving] = order[drawn - 1]
        after[drawn - 1] = order[-1]
        return after[:-1], drawn - 1
    after[leaving] = order[-1]
    return after[:-1], drawn


@pytest.mark.parametrize("selection", Selection)
def test_more_proposers_than_members_select_all(selection: Selection):
    state = experiment(3, 16, selection)
    assert sorted(select_proposers(state)) == people(3)
