"""Secret ballots: commit, then reveal."""

import pytest

from colearn_ledger.protocol import (
    AlreadyVoted,
    BadReveal,
    BallotState,
    DeadlineNotPassed,
    DeadlinePassed,
    InvalidParameter,
    NotALearner,
    NotEligible,
    Outcome,
    Phase,
    RevealStarted,
    RoundClosed,
    Scores,
    Vote,
    VoteCast,
    VoteCommitted,
    WrongPhase,
    WrongRound,
)
from tests.support.samples import SCORES, salt_of
from tests.support.world import World


class SecretBallots:
    def open_secret_vote(self, world: World, *names: str, **changes: object) -> None:
        world.run(*names, reveal_window=world.window, **changes)
        world.propose(names[0])

    def test_last_commitment_starts_the_reveal_phase(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        sent = world.commitment("bob")
        assert world.commit("bob") == (VoteCommitted(world.id, 0, world.account("bob"), sent),)
        assert (world.round().phase, world.round().commitments) == (Phase.VOTING, 1)
        assert world.ballot("bob").state == BallotState.COMMITTED
        receipt = world.send(
            "cy", "commit", 0, world.make_basis().proposals, world.commitment("cy")
        )
        deadline = receipt.time + world.window
        assert receipt.events[1:] == (RevealStarted(world.id, 0, deadline),)
        round_ = world.round()
        assert (round_.phase, round_.reveal_started_at, round_.deadline, round_.commitments) == (
            Phase.REVEALING,
            receipt.time,
            deadline,
            2,
        )

    def test_revealed_ballots_count(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        world.commit("bob", True)
        world.commit("cy", False)
        assert world.reveal("bob", True) == (
            VoteCast(world.id, 0, world.account("bob"), Vote(1, (SCORES, SCORES))),
        )
        assert (world.approvals(), world.round().ballots) == ([1], 1)
        events = world.reveal("cy", False)
        assert events[1] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 1, (1,), 2)
        assert world.ballots("bob", "cy", index=0) == [
            (BallotState.CAST, 1),
            (BallotState.CAST, 0),
        ]

    def test_no_ballot_is_counted_before_the_reveal_phase(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        world.commit("bob")
        round_ = world.round()
        assert (round_.slots[0].approvals, round_.ballots, round_.commitments) == (0, 0, 1)
        with world.expect_refusal(WrongPhase(Phase.VOTING)):
            world.reveal("bob")

    def test_reveal_between_the_deadline_and_advance_is_refused(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        world.commit("bob")
        world.pass_deadline()
        with world.expect_refusal(WrongPhase(Phase.VOTING)):
            world.reveal("bob")
        receipt = world.send("stranger", "advance")
        assert receipt.events == (RevealStarted(world.id, 0, receipt.time + world.window),)
        world.reveal("bob")
        assert world.approvals(0) == [1]

    def test_round_with_an_absent_voter_stays_open_until_its_deadline(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        world.commit("bob")
        world.end_phase()
        world.reveal("bob")
        with world.expect_refusal(DeadlineNotPassed(world.round().deadline)):
            world.advance()
        assert world.end_phase()[0] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 1, (1,), 2)
        assert world.strikes("bob", "cy") == [0, 1]

    def test_round_without_commitments_closes_at_the_deadline(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        world.end_phase()
        assert world.end_phase()[0] == RoundClosed(world.id, 0, Outcome.REJECTED, 0, (0,), 2)

    def test_reveal_must_match_the_commitment(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        world.commit("bob", True)
        world.commit("cy", True)
        bob = world.account("bob")
        good = Vote(1, (SCORES, SCORES))
        for vote, salt in (
            (Vote(0, (SCORES, SCORES)), salt_of("bob")),
            (Vote(1, (SCORES, Scores(SCORES.vote_score, None))), salt_of("bob")),
            (Vote(1, (Scores(None, SCORES.test_score), SCORES)), salt_of("bob")),
            (good, salt_of("cy")),
        ):
            with world.expect_refusal(BadReveal(bob)):
                world.do("bob", "reveal", 0, vote, salt)
        world.do("bob", "reveal", 0, good, salt_of("bob"))

    def test_copied_commitment_cannot_be_revealed(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        world.commit("bob")
        world.do("cy", "commit", 0, world.make_basis().proposals, world.commitment("bob"))
        world.reveal("bob")
        with world.expect_refusal(BadReveal(world.account("cy"))):
            world.do("cy", "reveal", 0, world.make_vote("bob"), salt_of("bob"))

    def test_commitment_is_bound_to_its_round(self, world: World) -> None:
        world.run("ana", "bob", reveal_window=world.window)
        world.propose("ana", "weights")
        old = world.commitment("bob")
        world.end_phase()
        world.end_phase()
        world.decline("bob")
        world.propose("ana", "weights")
        world.do("bob", "commit", 2, world.make_basis().proposals, old)
        with world.expect_refusal(BadReveal(world.account("bob"))):
            world.reveal("bob")

    def test_reveal_without_a_commitment_is_refused(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        world.commit("bob")
        world.end_phase()
        with world.expect_refusal(BadReveal(world.account("cy"))):
            world.reveal("cy")

    def test_commitment_cannot_be_changed_and_reveal_counts_once(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        world.commit("bob")
        with world.expect_refusal(AlreadyVoted(world.account("bob"))):
            world.commit("bob", False)
        world.commit("cy")
        world.reveal("bob")
        with world.expect_refusal(AlreadyVoted(world.account("bob"))):
            world.reveal("bob")

    def test_zero_commitment_is_refused(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        with world.expect_refusal(InvalidParameter("commitment")):
            world.do("bob", "commit", 0, world.make_basis().proposals, bytes(32))

    def test_only_voters_commit_and_reveal(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        with world.expect_refusal(NotEligible(world.account("ana"))):
            world.commit("ana")
        with world.expect_refusal(NotALearner(world.account("stranger"))):
            world.commit("stranger")
        world.commit("bob")
        world.commit("cy")
        with world.expect_refusal(NotEligible(world.account("ana"))):
            world.reveal("ana")
        with world.expect_refusal(NotALearner(world.account("stranger"))):
            world.reveal("stranger")

    def test_open_ballots_are_refused_in_secret_votes(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob")
        with world.expect_refusal(WrongPhase(Phase.VOTING)):
            world.vote("bob")
        with world.expect_refusal(WrongPhase(Phase.VOTING)):
            world.submit_ballots(world.sign_ballot("bob"))

    def test_commitments_are_refused_in_open_votes(self, world: World) -> None:
        world.run("ana", "bob")
        world.propose("ana")
        with world.expect_refusal(WrongPhase(Phase.VOTING)):
            world.commit("bob")
        with world.expect_refusal(WrongPhase(Phase.VOTING)):
            world.reveal("bob")

    def test_late_commitments_and_late_reveals_are_refused(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        world.commit("bob")
        deadline = world.pass_deadline()
        with world.expect_refusal(DeadlinePassed(deadline)):
            world.commit("cy")
        world.advance()
        with world.expect_refusal(WrongPhase(Phase.REVEALING)):
            world.commit("cy")
        deadline = world.pass_deadline()
        with world.expect_refusal(DeadlinePassed(deadline)):
            world.reveal("bob")

    @pytest.mark.parametrize("index", [1, 7])
    def test_commit_and_reveal_for_another_round_are_refused(
        self, world: World, index: int
    ) -> None:
        self.open_secret_vote(world, "ana", "bob")
        with world.expect_refusal(WrongRound(0)):
            world.commit("bob", at=index)
        world.commit("bob")
        with world.expect_refusal(WrongRound(0)):
            world.reveal("bob", at=index)

    def test_learner_that_left_may_still_commit_and_reveal(self, world: World) -> None:
        self.open_secret_vote(world, "ana", "bob", "cy")
        world.leave("bob")
        world.commit("bob")
        world.commit("cy")
        world.reveal("bob")
        world.reveal("cy")
        assert world.approvals(0) == [2]
