"""Selection of the proposer, and the effects of leaving on it."""

from colearn_ledger.protocol import (
    ExperimentCancelled,
    LearnerLeft,
    NotALearner,
    NotCreator,
    NotProposer,
    Outcome,
    RoundClosed,
    RoundStarted,
    Selection,
    Status,
    WrongStatus,
)
from tests.support.world import World


class RoundRobin:
    def test_round_robin_visits_everyone_in_turn(self, world: World) -> None:
        names = ("ana", "bob", "cy")
        world.run(*names, rounds=7)
        turns = []
        while world.experiment().status == Status.RUNNING:
            turns.append(world.proposer(*names))
            world.decline(turns[-1])
        assert turns == ["ana", "bob", "cy", "ana", "bob", "cy", "ana"]

    def test_last_learner_takes_the_place_of_a_learner_that_left(self, world: World) -> None:
        names = ("ana", "bob", "cy", "dan")
        world.run(*names, rounds=9)
        world.leave("bob")  # ana, dan, cy
        turns = []
        for _ in range(4):
            turns.append(world.proposer(*names))
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
        assert world.proposer(*names) == "ana"  # position 2 mod 2

    def test_late_learners_propose_last(self, world: World) -> None:
        names = ("ana", "bob", "cy")
        world.run("ana", "bob", rounds=9, late_join=True)
        world.join("cy")
        turns = []
        for _ in range(4):
            turns.append(world.proposer(*names))
            world.decline(turns[-1])
        assert turns == ["ana", "bob", "cy", "ana"]


class RandomSelection:
    def test_seed_selects_the_proposer(self, world: World) -> None:
        names = ("ana", "bob", "cy", "dan", "eve")
        world.enrol(*names, rounds=9, selection=Selection.RANDOM)
        assert world.experiment().seed == bytes(32)
        world.start()
        seeds = set()
        for _ in range(6):
            seed = world.experiment().seed
            seeds.add(seed)
            place = int.from_bytes(seed, "big") % len(names)
            assert world.proposer(*names) == names[place]
            world.decline(names[place])
        assert len(seeds) == 6
        assert bytes(32) not in seeds

    def test_experiment_with_random_selection_completes(self, world: World) -> None:
        names = ("ana", "bob", "cy")
        world.run(*names, rounds=2, selection=Selection.RANDOM, reveal_window=world.window)
        for _ in range(2):
            proposer = world.proposer(*names)
            world.propose(proposer)
            voters = [name for name in names if name != proposer]
            for name in voters:
                world.commit(name)
            for name in voters:
                world.reveal(name)
        assert world.experiment().status == Status.COMPLETED

    def test_seed_changes_only_when_the_round_closes(self, world: World) -> None:
        world.run("ana", "bob", selection=Selection.RANDOM, reveal_window=world.window)
        before = world.experiment().seed
        proposer = world.proposer("ana", "bob")
        voter = {"ana": "bob", "bob": "ana"}[proposer]
        world.propose(proposer)
        world.commit(voter)
        assert world.experiment().seed == before
        world.reveal(voter)
        assert world.experiment().seed != before


class Leaving:
    def test_leaving_while_enrolling_frees_the_place(self, world: World) -> None:
        world.enrol("ana", "bob", "cy")
        assert world.leave("bob") == (LearnerLeft(world.id, world.account("bob")),)
        bob = world.learner("bob")
        assert (bob.active, bob.from_round, bob.until_round) == (False, 0, 0)
        e = world.experiment()
        assert (e.active_learners, e.joined_learners) == (2, 3)
        world.start()
        assert world.round().eligible == 1
        assert not world.ballot("bob").eligible

    def test_only_active_learners_may_leave(self, world: World) -> None:
        world.enrol("ana", "bob")
        with world.expect_refusal(NotALearner(world.account("stranger"))):
            world.leave("stranger")
        world.leave("ana")
        with world.expect_refusal(NotALearner(world.account("ana"))):
            world.leave("ana")

    def test_voter_that_leaves_may_still_vote_in_the_current_round(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        world.leave("bob")
        assert (world.round().eligible, world.ballot("bob").eligible) == (2, True)
        world.vote("bob")
        world.vote("cy")
        assert world.round(0).approvals == 2
        assert (world.round(1).eligible, world.ballot("bob", 1).eligible) == (1, False)

    def test_round_ends_if_the_proposer_leaves_before_proposing(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        events = world.leave("ana")
        assert events[:2] == (
            LearnerLeft(world.id, world.account("ana")),
            RoundClosed(world.id, 0, Outcome.NO_PROPOSAL, 0, 0, 2),
        )
        assert isinstance(events[2], RoundStarted)
        assert not world.round(0).by_deadline
        assert world.strikes("ana") == [0]

    def test_proposal_stays_if_the_proposer_leaves(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana", "legacy")
        assert world.leave("ana") == (LearnerLeft(world.id, world.account("ana")),)
        world.vote("bob")
        world.vote("cy")
        assert world.round(0).outcome == Outcome.ACCEPTED

    def test_late_learner_that_leaves_at_once_is_in_no_electorate(self, world: World) -> None:
        world.run("ana", "bob", late_join=True)
        world.join("cy")
        world.leave("cy")
        cy = world.learner("cy")
        assert (cy.from_round, cy.until_round) == (1, 1)
        world.decline("ana")
        assert [world.ballot("cy", index).eligible for index in (0, 1)] == [False, False]

    def test_experiment_with_one_learner_left_is_cancelled_at_round_end(self, world: World) -> None:
        world.run("ana", "bob", "cy", rounds=9)
        world.propose("ana")
        world.leave("bob")
        world.leave("cy")
        assert world.experiment().status == Status.RUNNING  # the open round continues to its end
        world.vote("bob")
        receipt = world.send("cy", "vote", 0, world.sign_ballot("cy").vote)
        assert receipt.events[-1] == ExperimentCancelled(world.id)
        e = world.experiment()
        assert (e.status, e.ended_at, e.current_round) == (Status.CANCELLED, receipt.time, 0)

    def test_last_round_completes_with_any_number_of_learners(self, world: World) -> None:
        world.run("ana", "bob", rounds=1)
        world.propose("ana")
        world.leave("ana")
        world.leave("bob")
        world.vote("bob")
        assert world.experiment().status == Status.COMPLETED

    def test_leaving_proposer_can_end_the_experiment(self, world: World) -> None:
        world.run("ana", "bob")
        assert world.leave("ana")[-1] == ExperimentCancelled(world.id)
        with world.expect_refusal(WrongStatus(Status.CANCELLED)):
            world.leave("bob")

    def test_proposer_that_left_cannot_propose(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.leave("ana")
        with world.expect_refusal(NotProposer(world.account("ana"))):
            world.propose("ana")


class Cancelling:
    def test_creator_can_cancel_while_enrolling(self, world: World) -> None:
        world.enrol("ana", "bob")
        assert world.cancel() == (ExperimentCancelled(world.id),)
        e = world.experiment()
        assert (e.status, e.round, e.started_at) == (Status.CANCELLED, None, None)
        assert e.ended_at is not None

    def test_cancelling_abandons_the_current_round(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana", "weights")
        world.vote("bob")
        assert world.cancel() == (
            RoundClosed(world.id, 0, Outcome.ABANDONED, 1, 0, 2),
            ExperimentCancelled(world.id),
        )
        assert world.round(0).outcome == Outcome.ABANDONED
        assert world.experiment().current_round is None
        assert world.strikes("cy") == [0]

    def test_cancelling_abandons_a_secret_vote(self, world: World) -> None:
        world.run("ana", "bob", "cy", reveal_window=world.window)
        world.propose("ana")
        world.commit("bob")
        assert world.cancel()[0] == RoundClosed(world.id, 0, Outcome.ABANDONED, 0, 0, 2)
        assert world.round(0).commitments == 1

    def test_only_the_creator_cancels(self, world: World) -> None:
        world.run("ana", "bob")
        with world.expect_refusal(NotCreator(world.account("ana"))):
            world.cancel(by="ana")

    def test_every_call_is_refused_after_the_end(self, world: World) -> None:
        world.run("ana", "bob", rounds=1)
        world.decline("ana")
        over = WrongStatus(Status.COMPLETED)
        calls = [
            lambda: world.admit("cy"),
            lambda: world.join("cy"),
            lambda: world.leave("ana"),
            lambda: world.remove("ana"),
            world.start,
            world.cancel,
            lambda: world.propose("ana"),
            lambda: world.decline("ana"),
            lambda: world.vote("bob"),
            lambda: world.commit("bob"),
            lambda: world.reveal("bob"),
            lambda: world.submit_ballots(world.sign_ballot("bob")),
            world.advance,
        ]
        for call in calls:
            with world.expect_refusal(over):
                call()
