"""Proposals, open votes, and their effects on rounds and current weights."""

import hashlib
from dataclasses import replace

import pytest

from colearn_ledger.protocol import (
    AlreadyVoted,
    BallotState,
    ExperimentCompleted,
    NotALearner,
    NotEligible,
    NotProposer,
    Outcome,
    Phase,
    ProposalDeclined,
    RoundClosed,
    RoundStarted,
    Scores,
    Slot,
    SlotState,
    Status,
    Unchanged,
    Vote,
    VoteCast,
    VotingStarted,
    WeightsProposed,
    WrongPhase,
    WrongRound,
)
from tests.support.samples import SCORES, content_of
from tests.support.world import World


class Rounds:
    def test_proposal_opens_the_vote(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        opened = world.round()
        assert (opened.phase, opened.outcome, opened.proposals) == (
            Phase.PROPOSING,
            Outcome.NONE,
            None,
        )
        waiting = Slot(world.account("ana"), SlotState.OPEN, None, None, 0, accepted=False)
        assert opened.slots == (waiting,)
        weights = content_of("weights")
        receipt = world.send("ana", "propose", 0, weights, SCORES)
        deadline = receipt.time + world.window
        assert receipt.events == (
            WeightsProposed(world.id, 0, world.account("ana"), 0, weights, SCORES),
            VotingStarted(world.id, 0, bytes.fromhex(weights.sha256), deadline),
        )
        round_ = world.round()
        assert (round_.phase, round_.proposals, round_.voting_started_at, round_.deadline) == (
            Phase.VOTING,
            hashlib.sha256(b"weights").digest(),
            receipt.time,
            deadline,
        )
        proposed = replace(
            waiting, state=SlotState.PROPOSED, content=weights, proposed_at=receipt.time
        )
        assert round_.slots == (proposed,)
        assert world.experiment().current == (content_of("initial"),)

    def test_last_ballot_closes_the_round_and_starts_the_next(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana", "weights")
        vote, proposals = Vote(0b1, (SCORES, SCORES)), hashlib.sha256(b"weights").digest()
        assert world.vote("bob") == (VoteCast(world.id, 0, world.account("bob"), vote),)
        receipt = world.send("cy", "vote", 0, proposals, vote)
        assert receipt.events == (
            VoteCast(world.id, 0, world.account("cy"), vote),
            RoundClosed(world.id, 0, Outcome.ACCEPTED, 1, (2,), 2),
            RoundStarted(world.id, 1, (world.account("bob"),), 2, 1, receipt.time + world.window),
        )
        closed = world.round(0)
        assert (closed.phase, closed.outcome, closed.closed_at, closed.deadline) == (
            Phase.CLOSED,
            Outcome.ACCEPTED,
            receipt.time,
            None,
        )
        assert not closed.by_deadline

    def test_accepted_proposal_becomes_current(self, world: World) -> None:
        world.run("ana", "bob")
        world.propose("ana", "better")
        world.vote("bob")
        e = world.experiment()
        assert (e.current, e.current_round) == ((content_of("better"),), 0)
        assert world.current_weights() == [content_of("better")]
        assert world.round(0).slots[0].accepted

    def test_rejection_keeps_the_current_weights(self, world: World) -> None:
        world.run("ana", "bob")
        world.propose("ana", "worse")
        assert RoundClosed(world.id, 0, Outcome.REJECTED, 0, (0,), 1) in world.vote("bob", False)
        e = world.experiment()
        assert (e.current, e.current_round, e.round) == ((content_of("initial"),), None, 1)
        (slot,) = world.round(0).slots
        assert (slot.content, slot.accepted) == (content_of("worse"), False)

    def test_first_accepted_proposal_becomes_current_without_initial_weights(
        self, world: World
    ) -> None:
        world.run("ana", "bob", initial=None)
        assert world.current_weights() == []
        world.propose("ana", "first")
        world.vote("bob")
        assert world.current_weights() == [content_of("first")]

    @pytest.mark.parametrize(
        ("bps", "approvals", "accepted"),
        [
            (5_000, 2, True),  # inclusive: 2 of 4
            (5_000, 1, False),
            (5_001, 2, False),
            (10_000, 4, True),
            (10_000, 3, False),
            (1, 1, True),
            (1, 0, False),  # always at least one approval
            (7_500, 3, True),
        ],
    )
    def test_approval_share_of_eligible_voters_is_inclusive(
        self, world: World, bps: int, approvals: int, accepted: bool
    ) -> None:
        voters = ["bob", "cy", "dan", "eve"]
        world.run("ana", *voters, approval_bps=bps)
        world.propose("ana")
        for i, name in enumerate(voters):
            world.vote(name, i < approvals)
        outcome = Outcome.ACCEPTED if accepted else Outcome.REJECTED
        closed = world.round(0)
        assert (closed.outcome, closed.slots[0].approvals, closed.ballots) == (
            outcome,
            approvals,
            4,
        )

    def test_only_the_proposer_proposes_or_declines(self, world: World) -> None:
        world.run("ana", "bob")
        for name in ("bob", "stranger"):
            with world.expect_refusal(NotProposer(world.account(name))):
                world.propose(name)
            with world.expect_refusal(NotProposer(world.account(name))):
                world.decline(name)

    def test_current_weights_are_refused_as_a_proposal(self, world: World) -> None:
        world.run("ana", "bob")
        with world.expect_refusal(Unchanged()):
            world.propose("ana", "initial")
        world.propose("ana", "next")
        world.vote("bob")
        with world.expect_refusal(Unchanged()):
            world.propose("bob", "next")
        world.propose("bob", "initial")  # weights that were current before may return

    def test_rejected_weights_may_be_proposed_again(self, world: World) -> None:
        world.run("ana", "bob")
        world.propose("ana", "weights")
        world.vote("bob", False)
        world.propose("bob", "weights")
        assert world.round().phase == Phase.VOTING

    def test_declining_closes_the_round_at_once_without_a_strike(self, world: World) -> None:
        world.run("ana", "bob")
        assert world.decline("ana")[:2] == (
            ProposalDeclined(world.id, 0, world.account("ana"), 0),
            RoundClosed(world.id, 0, Outcome.NO_PROPOSAL, 0, (0,), 1),
        )
        closed = world.round(0)
        assert (closed.outcome, closed.slots[0].state, closed.by_deadline) == (
            Outcome.NO_PROPOSAL,
            SlotState.DECLINED,
            False,
        )
        assert (closed.proposals, closed.voting_started_at) == (None, None)
        assert world.strikes("ana", "bob") == [0, 0]
        assert world.proposers(1) == ["bob"]

    def test_proposal_cannot_be_withdrawn_or_replaced(self, world: World) -> None:
        world.run("ana", "bob")
        world.propose("ana")
        with world.expect_refusal(WrongPhase(Phase.VOTING)):
            world.propose("ana", "other")
        with world.expect_refusal(WrongPhase(Phase.VOTING)):
            world.decline("ana")

    def test_vote_before_a_proposal_is_refused(self, world: World) -> None:
        world.run("ana", "bob")
        with world.expect_refusal(WrongPhase(Phase.PROPOSING)):
            world.vote("bob")

    def test_second_ballot_of_a_voter_is_refused(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        world.vote("bob", False)
        with world.expect_refusal(AlreadyVoted(world.account("bob"))):
            world.vote("bob", True)
        assert (world.ballot("bob").state, world.ballot("bob").approvals) == (BallotState.CAST, 0)

    def test_votes_of_proposer_and_outsiders_are_refused(self, world: World) -> None:
        world.run("ana", "bob", late_join=True)
        world.join("late")
        world.propose("ana")
        with world.expect_refusal(NotEligible(world.account("ana"))):
            world.vote("ana")
        with world.expect_refusal(NotEligible(world.account("late"))):
            world.vote("late")
        with world.expect_refusal(NotALearner(world.account("stranger"))):
            world.vote("stranger")

    def test_call_for_another_round_is_refused(self, world: World) -> None:
        world.run("ana", "bob")
        world.decline("ana")
        for call in (world.propose, world.decline, world.vote):
            for index in (0, 2):
                with world.expect_refusal(WrongRound(1)):
                    call("bob", at=index)

    def test_experiment_completes_after_its_last_round(self, world: World) -> None:
        world.run("ana", "bob", rounds=2)
        world.decline("ana")
        world.propose("bob")
        receipt = world.send("ana", "vote", 1, world.make_basis().proposals, world.make_vote("ana"))
        assert receipt.events[-1] == ExperimentCompleted(world.id)
        e = world.experiment()
        assert (e.status, e.ended_at, e.round) == (Status.COMPLETED, receipt.time, 1)

    def test_absent_and_extreme_scores_are_recorded_unchanged(self, world: World) -> None:
        world.run("ana", "bob")
        scores = Scores(None, 5e-324)
        proposed, _ = world.do("ana", "propose", 0, content_of("w"), scores)
        assert isinstance(proposed, WeightsProposed)
        assert proposed.scores == scores
        vote = Vote(0, (Scores(float("-inf"), None), Scores(None, -0.0)))
        cast = world.do("bob", "vote", 0, world.make_basis().proposals, vote)[0]
        assert isinstance(cast, VoteCast)
        assert cast.vote == vote
