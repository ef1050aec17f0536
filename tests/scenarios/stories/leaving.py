"""Learners that leave or are removed, in every phase of a round."""

from colearn_ledger.protocol import (
    Duty,
    ExperimentCancelled,
    LearnerLeft,
    LearnerRemoved,
    NotALearner,
    NotProposer,
    Outcome,
    Phase,
    RoundClosed,
    RoundStarted,
    SlotState,
    Status,
    VotingStarted,
    WrongStatus,
)
from tests.support.samples import digest_of
from tests.support.world import World


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
        assert world.approvals(0) == [2]
        assert (world.round(1).eligible, world.ballot("bob", 1).eligible) == (1, False)

    def test_round_ends_if_the_proposer_leaves_before_proposing(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        events = world.leave("ana")
        assert events[:2] == (
            LearnerLeft(world.id, world.account("ana")),
            RoundClosed(world.id, 0, Outcome.NO_PROPOSAL, 0, (0,), 2),
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
        receipt = world.send("cy", "vote", 0, world.make_basis().proposals, world.make_vote("cy"))
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

    def test_open_slot_of_a_learner_that_leaves_is_declined(self, world: World) -> None:
        world.run("ana", "bob", "cy", proposers=2)
        assert world.leave("ana") == (LearnerLeft(world.id, world.account("ana")),)
        assert [slot.state for slot in world.round().slots] == [SlotState.DECLINED, SlotState.OPEN]
        assert world.round().phase == Phase.PROPOSING
        assert world.strikes("ana") == [0]
        world.propose("bob", "the only one")
        assert world.round().proposals == digest_of({1: "the only one"})
        world.vote_all("ana", "cy")  # ana belongs to the electorate of this round
        assert world.approvals(0) == [0, 2]

    def test_vote_begins_when_the_last_open_slot_leaves(self, world: World) -> None:
        world.run("ana", "bob", "cy", proposers=2)
        world.propose("bob", "weights")
        receipt = world.send("ana", "leave")
        assert receipt.events == (
            LearnerLeft(world.id, world.account("ana")),
            VotingStarted(world.id, 0, digest_of({1: "weights"}), receipt.time + world.window),
        )
        assert world.round().voting_started_at == receipt.time

    def test_round_ends_when_all_proposers_leave(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", proposers=2)
        world.leave("bob")
        events = world.leave("ana")
        assert events[1] == RoundClosed(world.id, 0, Outcome.NO_PROPOSAL, 0, (0, 0), 3)
        assert world.experiment().active_learners == 2

    def test_proposer_that_leaves_still_votes_on_other_proposals(self, world: World) -> None:
        world.run("ana", "bob", "cy", proposers=2)
        world.propose_all("ana", "bob")
        world.leave("ana")
        assert world.ballot("ana").eligible
        assert world.duty("ana") == Duty.DONE
        world.vote("ana", (1,))
        world.vote("bob", (0,))
        assert world.approvals() == [1, 1]

    def test_learner_that_left_after_declining_still_votes(self, world: World) -> None:
        world.run("ana", "bob", "cy", proposers=2)
        world.decline("ana")
        world.leave("ana")
        world.propose("bob")
        world.vote_all("ana", "cy")
        assert world.round(0).outcome == Outcome.ACCEPTED

    def test_absent_voter_that_left_gets_no_strike(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", proposers=2)
        world.propose_all("ana", "bob")
        world.leave("ana")
        world.leave("cy")
        world.vote("bob")
        world.end_phase()
        assert world.strikes("ana", "bob", "cy", "dan") == [0, 0, 0, 1]

    def test_removed_learner_declines_its_open_slot(self, world: World) -> None:
        world.run("ana", "bob", "cy", proposers=2, max_strikes=1, rounds=9)
        world.end_phase()
        assert world.proposers() == ["cy", "ana"]
        assert world.remove("ana") == (LearnerRemoved(world.id, world.account("ana")),)
        assert [slot.state for slot in world.round().slots] == [SlotState.OPEN, SlotState.DECLINED]
        assert world.learner("ana").missed_proposals == 1
        events = world.propose("cy", "weights")
        assert isinstance(events[1], VotingStarted)
        assert events[1].proposals == digest_of({0: "weights"})

    def test_vote_begins_when_the_last_open_slot_is_removed(self, world: World) -> None:
        world.run("ana", "bob", "cy", proposers=2, max_strikes=1, rounds=9)
        world.end_phase()
        world.propose("cy")
        kinds = [type(event) for event in world.remove("ana")]
        assert kinds == [LearnerRemoved, VotingStarted]

    def test_leaving_while_revealing_changes_nothing_in_the_round(self, world: World) -> None:
        world.run("ana", "bob", "cy", proposers=2, reveal_window=world.window)
        world.propose_all("ana", "bob")
        for name in ("ana", "bob", "cy"):
            world.commit(name)
        before = world.round()
        assert world.leave("ana") == (LearnerLeft(world.id, world.account("ana")),)
        assert world.round() == before
        for name in ("cy", "bob", "ana"):
            events = world.reveal(name)
        assert events[1] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 0b11, (2, 2), 2)
