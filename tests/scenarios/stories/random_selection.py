"""Random selection: every learner is drawn once in a cycle."""

import hashlib

from colearn_ledger.protocol import Selection, Status
from tests.support.world import World

_NAMES = ("ana", "bob", "cy", "dan", "eve")


class Drawing:
    """The draws that docs/protocol.md prescribes, computed without the reference."""

    def __init__(self, *names: str) -> None:
        self.order = list(names)
        self.drawn = 0

    def draw(self, seed: bytes, slots: int) -> list[str]:
        """Return the names in the slots of the round that begins with this seed."""
        chosen: list[str] = []
        left_out = 0
        for slot in range(min(slots, len(self.order))):
            if self.drawn == len(self.order):
                self.drawn, left_out = 0, slot
            number = int(hashlib.sha256(seed + bytes([slot])).hexdigest(), 16)
            place = self.drawn + number % (len(self.order) - left_out - self.drawn)
            first, other = self.order[self.drawn], self.order[place]
            self.order[self.drawn], self.order[place] = other, first
            self.drawn += 1
            chosen.append(other)
        return chosen

    def leave(self, name: str) -> None:
        place = self.order.index(name)
        if place < self.drawn:
            self.order[place] = self.order[self.drawn - 1]
            self.order[self.drawn - 1] = self.order[-1]
            self.drawn -= 1
        else:
            self.order[place] = self.order[-1]
        self.order.pop()


class RandomSelection:
    def run_at_random(self, world: World, *names: str, proposers: int = 1) -> Drawing:
        """Start an experiment with random selection, and return the expected draws."""
        terms = {"selection": Selection.RANDOM, "proposers": proposers}
        world.run(*names, rounds=99, late_join=True, **terms)
        return Drawing(*names)

    def check_draw(self, world: World, drawing: Drawing, slots: int = 1) -> list[str]:
        """Check the proposers of the round that has just begun, and return their names."""
        chosen = drawing.draw(world.experiment().seed, slots)
        assert world.proposers() == chosen
        return chosen

    def decline_all(self, world: World, *names: str) -> None:
        for name in names:
            world.decline(name)

    def test_seed_selects_the_proposer(self, world: World) -> None:
        world.enrol(*_NAMES, rounds=99, selection=Selection.RANDOM)
        assert world.experiment().seed == bytes(32)
        world.start()
        drawing, seeds = Drawing(*_NAMES), set()
        for _ in range(6):
            seeds.add(world.experiment().seed)
            self.decline_all(world, *self.check_draw(world, drawing))
        assert len(seeds) == 6
        assert bytes(32) not in seeds

    def test_every_learner_proposes_once_in_each_cycle(self, world: World) -> None:
        drawing = self.run_at_random(world, *_NAMES)
        turns = []
        for _ in range(10):
            turns += self.check_draw(world, drawing)
            self.decline_all(world, turns[-1])
        assert sorted(turns[:5]) == sorted(turns[5:]) == sorted(_NAMES)

    def test_cycle_that_ends_within_a_round_draws_nobody_twice_in_it(self, world: World) -> None:
        drawing = self.run_at_random(world, *_NAMES, proposers=3)
        turns = []
        for _ in range(5):
            chosen = self.check_draw(world, drawing, slots=3)
            assert len(set(chosen)) == 3
            turns += chosen
            self.decline_all(world, *chosen)
        for cycle in (turns[:5], turns[5:10], turns[10:]):
            assert sorted(cycle) == sorted(_NAMES)

    def test_everyone_is_drawn_in_every_round_if_there_are_enough_slots(self, world: World) -> None:
        drawing = self.run_at_random(world, "ana", "bob", "cy", proposers=4)
        for _ in range(3):
            chosen = self.check_draw(world, drawing, slots=4)
            assert sorted(chosen) == ["ana", "bob", "cy"]
            self.decline_all(world, *chosen)

    def test_drawn_learner_that_leaves_costs_nobody_a_turn(self, world: World) -> None:
        drawing = self.run_at_random(world, *_NAMES)
        turns = []
        for _ in range(3):
            turns += self.check_draw(world, drawing)
            self.decline_all(world, turns[-1])
        turns += self.check_draw(world, drawing)
        drawing.leave(turns[0])
        world.leave(turns[0])
        self.decline_all(world, turns[-1])
        turns += self.check_draw(world, drawing)
        assert sorted(turns) == sorted(_NAMES)
        for _ in range(4):
            self.decline_all(world, turns[-1])
            turns += self.check_draw(world, drawing)
        assert sorted(turns[5:]) == sorted(set(_NAMES) - {turns[0]})

    def test_learner_that_leaves_before_its_turn_is_not_drawn(self, world: World) -> None:
        drawing = self.run_at_random(world, *_NAMES)
        turns = self.check_draw(world, drawing)
        leaver = drawing.order[2]  # not drawn yet
        drawing.leave(leaver)
        world.leave(leaver)
        for _ in range(3):
            self.decline_all(world, turns[-1])
            turns += self.check_draw(world, drawing)
        assert sorted(turns) == sorted(set(_NAMES) - {leaver})

    def test_proposer_that_leaves_is_out_before_the_next_draw(self, world: World) -> None:
        drawing = self.run_at_random(world, *_NAMES)
        for _ in range(3):
            (leaver,) = self.check_draw(world, drawing)
            drawing.leave(leaver)
            world.leave(leaver)
        assert self.check_draw(world, drawing)[0] in drawing.order

    def test_late_learner_is_drawn_in_the_running_cycle(self, world: World) -> None:
        drawing = self.run_at_random(world, "ana", "bob", "cy", proposers=2)
        turns = self.check_draw(world, drawing, slots=2)
        world.join("late")
        drawing.order.append("late")
        self.decline_all(world, *turns)
        turns += self.check_draw(world, drawing, slots=2)
        assert sorted(turns) == ["ana", "bob", "cy", "late"]

    def test_experiment_with_random_selection_completes(self, world: World) -> None:
        names = ("ana", "bob", "cy")
        world.run(*names, rounds=2, selection=Selection.RANDOM, reveal_window=world.window)
        for _ in range(2):
            proposer = world.proposer()
            world.propose(proposer)
            voters = [name for name in names if name != proposer]
            for name in voters:
                world.commit(name)
            for name in voters:
                world.reveal(name)
        assert world.experiment().status == Status.COMPLETED

    def test_seed_changes_only_when_another_round_begins(self, world: World) -> None:
        terms = {"selection": Selection.RANDOM, "reveal_window": world.window}
        world.run("ana", "bob", rounds=2, **terms)
        before = world.experiment().seed
        proposer = world.proposer()
        voter = {"ana": "bob", "bob": "ana"}[proposer]
        world.propose(proposer)
        world.commit(voter)
        assert world.experiment().seed == before
        world.reveal(voter)
        last = world.experiment().seed
        assert last != before
        world.decline(world.proposer())
        assert world.experiment().status == Status.COMPLETED
        assert world.experiment().seed == last
