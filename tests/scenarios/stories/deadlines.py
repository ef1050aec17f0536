"""Deadlines, early settling, strikes and removal."""

from colearn_ledger.protocol import (
    DeadlineNotPassed,
    DeadlinePassed,
    ExperimentCompleted,
    LearnerRemoved,
    NotALearner,
    NotRemovable,
    Outcome,
    Phase,
    RevealStarted,
    RoundClosed,
    RoundStarted,
    Status,
    VoteCast,
)
from tests.support.world import World


class Deadlines:
    def test_round_without_a_proposal_closes_at_the_deadline(self, world: World) -> None:
        world.run("ana", "bob")
        world.pass_deadline()
        receipt = world.send("stranger", "advance")
        assert receipt.events == (
            RoundClosed(world.id, 0, Outcome.NO_PROPOSAL, 0, (0,), 1),
            RoundStarted(world.id, 1, (world.account("bob"),), 1, 1, receipt.time + world.window),
        )
        assert (world.round(0).by_deadline, world.round(0).closed_at) == (True, receipt.time)

    def test_missing_ballots_do_not_count_as_approvals(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", "eve")
        world.propose("ana")
        world.vote("bob")
        assert world.end_phase()[0] == RoundClosed(world.id, 0, Outcome.REJECTED, 0, (1,), 4)

    def test_enough_approvals_at_the_deadline_accept_the_proposal(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", "eve")
        world.propose("ana")
        world.vote("bob")
        world.vote("cy")
        assert world.round().phase == Phase.VOTING  # decided, but still open without settle_early
        assert world.end_phase()[0] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 1, (2,), 4)

    def test_advance_before_the_deadline_is_refused(self, world: World) -> None:
        world.run("ana", "bob")
        with world.expect_refusal(DeadlineNotPassed(world.round().deadline)):
            world.advance()
        world.propose("ana")
        with world.expect_refusal(DeadlineNotPassed(world.round().deadline)):
            world.advance()

    def test_second_advance_is_refused_until_the_next_deadline(self, world: World) -> None:
        world.run("ana", "bob")
        world.end_phase()
        with world.expect_refusal(DeadlineNotPassed(world.round().deadline)):
            world.advance()

    def test_calls_at_the_exact_deadline_are_refused(self, world: World) -> None:
        world.run("ana", "bob")
        deadline = world.pass_deadline()
        with world.expect_refusal(DeadlinePassed(deadline)):
            world.propose("ana")
        with world.expect_refusal(DeadlinePassed(deadline)):
            world.decline("ana")

    def test_ballot_after_the_deadline_is_refused(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        deadline = world.pass_deadline()
        with world.expect_refusal(DeadlinePassed(deadline)):
            world.vote("bob")
        with world.expect_refusal(DeadlinePassed(deadline)):
            world.submit_ballots(world.sign_ballot("bob"))

    def test_ballot_shortly_before_the_deadline_counts(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        world.approach_deadline()
        world.vote("bob")
        assert world.approvals() == [1]

    def test_experiment_completes_by_deadlines_and_advance_alone(self, world: World) -> None:
        world.run("ana", "bob", rounds=3)
        for _ in range(3):
            assert world.experiment().status == Status.RUNNING
            events = world.end_phase()
        assert events[-1] == ExperimentCompleted(world.id)

    def test_advance_long_after_the_deadline_ends_only_one_phase(self, world: World) -> None:
        world.run("ana", "bob")
        world.pass_windows(2)
        world.advance()
        assert world.current_index() == 1
        assert world.round().deadline == world.round().started_at + world.window


class SettlingEarly:
    def test_round_settles_early_with_enough_approvals(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", "eve", settle_early=True)
        world.propose("ana")
        world.vote("bob")
        assert world.vote("cy")[1] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 1, (2,), 4)

    def test_round_settles_early_when_approval_is_out_of_reach(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", "eve", settle_early=True)
        world.propose("ana")
        world.vote("bob", False)
        world.vote("cy", False)
        assert world.vote("dan", False)[1] == RoundClosed(world.id, 0, Outcome.REJECTED, 0, (0,), 4)

    def test_voter_gets_no_strike_if_the_round_settles_early(self, world: World) -> None:
        world.run("ana", "bob", "cy", settle_early=True)
        world.propose("ana")
        world.vote("bob")
        assert world.current_index() == 1
        assert world.strikes("ana", "bob", "cy") == [0, 0, 0]

    def test_revealed_ballots_settle_the_round_early(self, world: World) -> None:
        world.run("ana", "bob", "cy", settle_early=True, reveal_window=world.window)
        world.propose("ana")
        world.commit("bob")
        world.commit("cy")
        assert world.reveal("cy")[1] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 1, (1,), 2)

    def test_only_unrevealed_commitments_count_as_outstanding(self, world: World) -> None:
        names = ("bob", "cy", "dan", "eve")
        world.run("ana", *names, settle_early=True, reveal_window=world.window)
        world.propose("ana")
        for name in names[:3]:
            world.commit(name, approve=False)
        world.end_phase()
        world.reveal("bob", approve=False)
        assert world.round(0).phase == Phase.REVEALING
        # Two approvals are needed, and only one of three commitments is left.
        assert RoundClosed(world.id, 0, Outcome.REJECTED, 0, (0,), 4) in world.reveal("cy", False)

    def test_too_few_commitments_close_the_round_without_a_reveal_phase(self, world: World) -> None:
        names = ("bob", "cy", "dan", "eve")
        world.run("ana", *names, settle_early=True, reveal_window=world.window)
        world.propose("ana")
        world.commit("bob")
        assert world.end_phase()[0] == RoundClosed(world.id, 0, Outcome.REJECTED, 0, (0,), 4)
        closed = world.round(0)
        assert (closed.by_deadline, closed.commitments, closed.reveal_started_at) == (
            True,
            1,
            None,
        )
        assert world.strikes("bob", "cy") == [1, 1]

    def test_too_few_commitments_open_the_reveal_phase_without_early_settling(
        self, world: World
    ) -> None:
        world.run("ana", "bob", "cy", approval_bps=10_000, reveal_window=world.window)
        world.propose("ana")
        world.pass_deadline()
        assert isinstance(world.advance()[0], RevealStarted)


class Strikes:
    def test_missed_proposal_is_a_strike(self, world: World) -> None:
        world.run("ana", "bob")
        world.end_phase()
        assert world.strikes("ana", "bob") == [1, 0]

    def test_each_missed_ballot_adds_a_strike(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan")
        for index, proposer in enumerate(("ana", "bob")):
            world.propose(proposer)
            world.vote("cy")
            world.end_phase()
            assert world.strikes("cy", "dan") == [0, index + 1]
        assert world.strikes("ana", "bob") == [1, 1]  # a proposal clears no missed ballot

    def test_ballot_clears_strikes(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        world.end_phase()
        assert world.strikes("bob", "cy") == [1, 1]
        world.propose("bob")
        assert world.strikes("bob", "cy") == [1, 1]
        world.vote("cy")
        assert world.strikes("bob", "cy") == [1, 0]

    def test_signed_ballot_clears_strikes(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        world.end_phase()
        world.propose("bob")
        world.submit_ballots(world.sign_ballot("cy"))
        assert world.strikes("cy") == [0]

    def test_unrevealed_commitment_is_a_missed_ballot(self, world: World) -> None:
        world.run("ana", "bob", "cy", reveal_window=world.window)
        world.propose("ana")
        world.commit("bob")
        world.commit("cy")
        assert world.strikes("bob", "cy") == [0, 0]
        world.reveal("bob")
        assert world.end_phase()[0] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 1, (1,), 2)
        assert world.strikes("bob", "cy") == [0, 1]

    def test_commitment_alone_does_not_clear_strikes(self, world: World) -> None:
        world.run("ana", "bob", "cy", reveal_window=world.window)
        world.end_phase()
        world.propose("bob")
        world.commit("ana")
        assert world.strikes("ana") == [1]

    def test_declining_neither_adds_nor_clears_strikes(self, world: World) -> None:
        world.run("ana", "bob", rounds=5)
        world.end_phase()
        world.decline("bob")
        world.decline("ana")
        assert world.strikes("ana", "bob") == [1, 0]

    def test_late_learner_gets_no_strike_for_the_round_it_joined_in(self, world: World) -> None:
        world.run("ana", "bob", late_join=True)
        world.propose("ana")
        world.join("cy")
        world.end_phase()
        assert world.strikes("bob", "cy") == [1, 0]

    def test_strikes_stay_after_leaving_until_a_ballot_clears_them(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", rounds=5)
        world.propose("ana")
        world.end_phase()
        world.propose("bob")
        world.leave("cy")
        world.leave("dan")
        assert world.strikes("cy", "dan") == [1, 1]
        world.vote("cy")
        world.end_phase()
        assert world.strikes("cy", "dan") == [0, 1]

    def test_anyone_may_remove_a_learner_at_the_strike_limit(self, world: World) -> None:
        world.run("ana", "bob", "cy", max_strikes=1, rounds=9)
        world.propose("ana")
        world.vote("bob")
        world.end_phase()
        assert world.remove("cy", by="stranger") == (LearnerRemoved(world.id, world.account("cy")),)
        cy = world.learner("cy")
        assert (cy.active, cy.until_round, cy.strikes) == (False, 2, 1)
        assert world.experiment().active_learners == 2
        with world.expect_refusal(NotALearner(world.account("cy"))):
            world.remove("cy")

    def test_learner_below_the_strike_limit_is_not_removable(self, world: World) -> None:
        world.run("ana", "bob", max_strikes=2)
        with world.expect_refusal(NotRemovable(0)):
            world.remove("bob")
        world.end_phase()
        with world.expect_refusal(NotRemovable(1)):
            world.remove("ana")
        with world.expect_refusal(NotALearner(world.account("stranger"))):
            world.remove("stranger")

    def test_learner_is_never_removed_if_max_strikes_is_zero(self, world: World) -> None:
        world.run("ana", "bob", rounds=9, max_strikes=0)
        for _ in range(3):
            world.end_phase()
        with world.expect_refusal(NotRemovable(2)):
            world.remove("ana")

    def test_removing_the_proposer_ends_its_round_without_a_strike(self, world: World) -> None:
        world.run("ana", "bob", "cy", max_strikes=1, rounds=9)
        world.end_phase()
        world.decline("bob")
        world.decline("cy")
        assert world.proposer() == "ana"
        events = world.remove("ana")
        assert events[:2] == (
            LearnerRemoved(world.id, world.account("ana")),
            RoundClosed(world.id, 3, Outcome.NO_PROPOSAL, 0, (0,), 2),
        )
        assert world.strikes("ana") == [1]

    def test_removed_voter_may_still_vote_in_the_current_round(self, world: World) -> None:
        world.run("ana", "bob", "cy", max_strikes=1, rounds=9)
        world.propose("ana")
        world.vote("bob")
        world.end_phase()
        world.propose("bob")
        world.remove("cy")
        assert isinstance(world.vote("cy")[0], VoteCast)
        assert world.strikes("cy") == [0]
