"""Turns of proposers in order of joining."""

from colearn_ledger.protocol import Status
from tests.support.world import World


class RoundRobin:
    def test_round_robin_visits_everyone_in_turn(self, world: World) -> None:
        names = ("ana", "bob", "cy")
        world.run(*names, rounds=7)
        turns = []
        while world.experiment().status == Status.RUNNING:
            turns.append(world.proposer())
            world.decline(turns[-1])
        assert turns == ["ana", "bob", "cy", "ana", "bob", "cy", "ana"]

    def test_last_learner_takes_the_place_of_a_learner_that_left(self, world: World) -> None:
        names = ("ana", "bob", "cy", "dan")
        world.run(*names, rounds=9)
        world.leave("bob")  # ana, dan, cy
        turns = []
        for _ in range(4):
            turns.append(world.proposer())
            world.decline(turns[-1])
        assert turns == ["ana", "dan", "cy", "ana"]

    def test_position_advances_even_if_a_learner_leaves(self, world: World) -> None:
        names = ("ana", "bob", "cy")
        world.run(*names, rounds=9)
        world.decline("ana")
        world.propose("bob")  # position 1
        world.leave("bob")  # ana, cy
        world.vote("ana")
        world.vote("cy")
        assert world.proposer() == "ana"  # position 2 mod 2

    def test_late_learners_propose_last(self, world: World) -> None:
        world.run("ana", "bob", rounds=9, late_join=True)
        world.join("cy")
        turns = []
        for _ in range(4):
            turns.append(world.proposer())
            world.decline(turns[-1])
        assert turns == ["ana", "bob", "cy", "ana"]

    def test_slots_are_consecutive_places_of_the_list(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", "eve", rounds=9, proposers=2)
        turns = []
        for _ in range(5):
            turns.append(world.proposers())
            for name in turns[-1]:
                world.decline(name)
        assert turns == [
            ["ana", "bob"],
            ["cy", "dan"],
            ["eve", "ana"],
            ["bob", "cy"],
            ["dan", "eve"],
        ]

    def test_slots_follow_the_list_as_learners_come_and_go(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", "eve", rounds=9, proposers=2, late_join=True)
        world.decline("ana")
        world.decline("bob")  # the last slot was position 1
        world.leave("bob")  # ana, eve, cy, dan
        assert world.proposers() == ["cy", "dan"]  # selected before bob left
        world.decline("dan")
        world.decline("cy")  # position 3
        assert world.proposers() == ["ana", "eve"]
        world.join("late")  # ana, eve, cy, dan, late
        world.decline("ana")
        world.decline("eve")  # position 1
        assert world.proposers() == ["cy", "dan"]
        world.decline("cy")
        world.decline("dan")  # position 3
        assert world.proposers() == ["late", "ana"]

    def test_position_may_be_past_the_end_of_a_shorter_list(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", rounds=9, proposers=2)
        world.decline("ana")
        world.decline("bob")
        assert world.proposers() == ["cy", "dan"]  # positions 2 and 3
        world.leave("bob")  # ana, dan, cy
        world.leave("ana")  # cy, dan
        world.decline("cy")
        world.decline("dan")
        assert world.proposers() == ["cy", "dan"]  # positions 4 and 5 mod 2

    def test_every_learner_has_a_slot_if_there_are_fewer_than_slots(self, world: World) -> None:
        world.run("ana", "bob", "cy", proposers=16, rounds=9)
        assert world.proposers() == ["ana", "bob", "cy"]
        for name in ("ana", "bob", "cy"):
            world.decline(name)
        assert world.proposers(1) == ["ana", "bob", "cy"]
