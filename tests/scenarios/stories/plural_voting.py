"""Ballots on several proposals, and their effects on each of them."""

import pytest

from colearn_ledger.protocol import (
    AlreadyVoted,
    BallotState,
    Duty,
    InvalidParameter,
    Merge,
    NotEligible,
    Outcome,
    Phase,
    RoundClosed,
    Scores,
    Vote,
    VoteCast,
    WrongProposals,
)
from tests.support.samples import SCORES, content_of, digest_of
from tests.support.world import World

_NAMES = ("ana", "bob", "cy", "dan", "eve")
_PROPOSERS = _NAMES[:3]


def weights_of(name: str) -> str:
    return f"weights of {name} in round 0"


class PluralVoting:
    """Stories of five learners, of which ana, bob and cy propose; two approvals are needed."""

    def open_vote(self, world: World, **changes: object) -> None:
        world.run(*_NAMES, **{"proposers": 3, "rounds": 9, **changes})
        world.propose_all(*_PROPOSERS)

    def vote_by_slot(self, world: World, *slots: tuple[int, ...]) -> RoundClosed:
        """Let all five vote in order, each for these slots; return the end of the round."""
        for name, approve in zip(_NAMES, slots, strict=True):
            events = world.vote(name, approve)
        closed = events[1]
        assert isinstance(closed, RoundClosed)
        return closed

    def test_proposers_vote_on_each_others_proposals(self, world: World) -> None:
        self.open_vote(world)
        assert [world.ballot(name).eligible for name in _NAMES] == [True] * 5
        assert world.duties(*_NAMES) == [Duty.VOTE] * 5
        scores = (SCORES, Scores(1.0, None), Scores(None, None), Scores(2.5, -0.0))
        vote = Vote(0b110, scores)
        digest = digest_of({slot: weights_of(name) for slot, name in enumerate(_PROPOSERS)})
        assert world.do("ana", "vote", 0, digest, vote) == (
            VoteCast(world.id, 0, world.account("ana"), vote),
        )
        ballot = world.ballot("ana")
        assert (ballot.state, ballot.approvals) == (BallotState.CAST, 0b110)
        assert (world.approvals(), world.round().ballots) == ([0, 1, 1], 1)

    def test_round_closes_with_the_ballot_of_every_voter(self, world: World) -> None:
        self.open_vote(world)
        world.vote_all("ana", "bob", "cy", "dan")
        assert world.round().phase == Phase.VOTING
        assert world.vote("eve")[1] == RoundClosed(
            world.id, 0, Outcome.ACCEPTED, 0b111, (4, 4, 4), 4
        )

    def test_only_proposer_does_not_vote(self, world: World) -> None:
        world.run(*_NAMES, proposers=3, rounds=9)
        world.propose("bob")
        world.decline("ana")
        world.end_phase()  # cy has missed its slot
        assert [world.ballot(name).eligible for name in _NAMES] == [True, False, True, True, True]
        with world.expect_refusal(NotEligible(world.account("bob"))):
            world.vote("bob", False)
        world.vote_all("ana", "cy", "dan")
        assert world.vote("eve")[1] == RoundClosed(
            world.id, 0, Outcome.ACCEPTED, 0b010, (0, 4, 0), 4
        )

    def test_first_proposer_becomes_a_voter_with_the_second_proposal(self, world: World) -> None:
        world.run("ana", "bob", "cy", proposers=2)
        world.propose_all("bob")
        assert [world.ballot(name).eligible for name in ("ana", "bob", "cy")] == [True, False, True]
        world.propose_all("ana")
        assert [world.ballot(name).eligible for name in ("ana", "bob", "cy")] == [True] * 3

    def test_approvals_of_own_and_empty_slots_are_refused(self, world: World) -> None:
        world.run(*_NAMES, proposers=3)
        world.propose_all("ana", "bob")
        world.decline("cy")
        for name, slots in (
            ("ana", (0,)),
            ("ana", (0, 1)),
            ("bob", (1,)),
            ("cy", (2,)),
            ("dan", (0, 2)),
            ("dan", (3,)),
            ("dan", (15,)),
            ("dan", tuple(range(16))),
        ):
            with world.expect_refusal(InvalidParameter("approvals")):
                world.vote(name, slots)
        world.vote("cy", (0, 1))
        assert world.approvals() == [1, 1, 0]

    def test_approvals_beyond_a_single_slot_are_refused(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        with world.expect_refusal(InvalidParameter("approvals")):
            world.vote("bob", (1,))
        with world.expect_refusal(InvalidParameter("approvals")):
            world.vote("bob", (0, 1))

    def test_wrong_number_of_scores_is_refused(self, world: World) -> None:
        self.open_vote(world)
        digest = world.make_basis().proposals
        for length in (0, 1, 3, 5, 17):
            with world.expect_refusal(InvalidParameter("scores")):
                world.do("dan", "vote", 0, digest, Vote(0, (SCORES,) * length))
        with world.expect_refusal(InvalidParameter("approvals")):  # checked before the scores
            world.do("dan", "vote", 0, digest, Vote(0b1000, ()))

    def test_ballot_on_other_proposals_is_refused(self, world: World) -> None:
        self.open_vote(world)
        digest = digest_of({slot: weights_of(name) for slot, name in enumerate(_PROPOSERS)})
        swapped = digest_of({0: weights_of("bob"), 1: weights_of("ana"), 2: weights_of("cy")})
        for other in (swapped, bytes(32), bytes.fromhex(content_of(weights_of("ana")).sha256)):
            with world.expect_refusal(WrongProposals(digest)):
                world.vote("dan", proposals=other)
        with world.expect_refusal(WrongProposals(digest)):  # checked before the approvals
            world.vote("dan", (15,), proposals=swapped)

    def test_voter_is_checked_before_the_digest(self, world: World) -> None:
        self.open_vote(world, late_join=True)
        world.join("late")
        world.vote("dan")
        with world.expect_refusal(AlreadyVoted(world.account("dan"))):
            world.vote("dan", proposals=bytes(32))
        with world.expect_refusal(NotEligible(world.account("late"))):
            world.vote("late", proposals=bytes(32))

    def test_each_proposal_needs_enough_approvals(self, world: World) -> None:
        self.open_vote(world)
        closed = self.vote_by_slot(world, (2,), (0,), (), (0, 1), (2,))
        assert closed == RoundClosed(world.id, 0, Outcome.ACCEPTED, 0b101, (2, 1, 2), 4)
        accepted = [content_of(weights_of(name)) for name in ("ana", "cy")]
        assert world.current_weights() == accepted
        e = world.experiment()
        assert (e.current, e.current_round) == (tuple(accepted), 0)
        assert [slot.accepted for slot in world.round(0).slots] == [True, False, True]

    def test_round_in_which_no_proposal_passes_is_rejected(self, world: World) -> None:
        self.open_vote(world)
        closed = self.vote_by_slot(world, (1,), (0,), (), (2,), ())
        assert closed == RoundClosed(world.id, 0, Outcome.REJECTED, 0, (1, 1, 1), 4)
        assert world.current_weights() == [content_of("initial")]

    @pytest.mark.parametrize(
        ("bps", "needed"), [(1, 1), (5_000, 2), (5_001, 3), (7_500, 3), (7_501, 4), (10_000, 4)]
    )
    def test_needed_approvals_are_the_same_for_every_slot(
        self, world: World, bps: int, needed: int
    ) -> None:
        self.open_vote(world, approval_bps=bps)
        closed = self.vote_by_slot(world, (1, 2), (0, 2), (0,), (0, 2), (0, 2))
        counts = (4, 1, 4)
        bits = sum(1 << slot for slot, count in enumerate(counts) if count >= needed)
        assert closed == RoundClosed(world.id, 0, Outcome.ACCEPTED, bits, counts, 4)
        assert world.round(0).needed == needed

    def test_best_proposal_alone_is_accepted(self, world: World) -> None:
        self.open_vote(world, merge=Merge.BEST)
        closed = self.vote_by_slot(world, (1, 2), (0,), (1,), (0, 1, 2), ())
        assert closed == RoundClosed(world.id, 0, Outcome.ACCEPTED, 0b010, (2, 3, 2), 4)
        assert world.current_weights() == [content_of(weights_of("bob"))]
        assert [slot.accepted for slot in world.round(0).slots] == [False, True, False]

    def test_lowest_slot_wins_a_tie_for_the_best(self, world: World) -> None:
        self.open_vote(world, merge=Merge.BEST)
        closed = self.vote_by_slot(world, (1, 2), (), (1,), (0, 1, 2), (0, 2))
        assert closed == RoundClosed(world.id, 0, Outcome.ACCEPTED, 0b010, (2, 3, 3), 4)

    def test_tie_of_all_proposals_is_won_by_the_first(self, world: World) -> None:
        self.open_vote(world, merge=Merge.BEST)
        closed = self.vote_by_slot(world, (), (), (), (0, 1, 2), (0, 1, 2))
        assert closed == RoundClosed(world.id, 0, Outcome.ACCEPTED, 0b001, (2, 2, 2), 4)

    def test_best_proposal_also_needs_enough_approvals(self, world: World) -> None:
        self.open_vote(world, merge=Merge.BEST, approval_bps=10_000)
        closed = self.vote_by_slot(world, (1,), (0,), (0, 1), (0, 1), (1,))
        assert closed == RoundClosed(world.id, 0, Outcome.ACCEPTED, 0b010, (3, 4, 0), 4)

    def test_deadline_decides_with_the_ballots_that_were_cast(self, world: World) -> None:
        self.open_vote(world)
        world.vote("ana", (1,))
        world.vote("dan", (0, 1))
        assert world.end_phase()[0] == RoundClosed(
            world.id, 0, Outcome.ACCEPTED, 0b010, (1, 2, 0), 4
        )
        assert world.strikes(*_NAMES) == [0, 1, 1, 0, 1]

    def test_best_works_without_initial_weights(self, world: World) -> None:
        self.open_vote(world, merge=Merge.BEST, initial=None)
        assert world.current_weights() == []
        self.vote_by_slot(world, (), (), (), (2,), (2,))
        assert world.current_weights() == [content_of(weights_of("cy"))]


class SettlingSlotsEarly:
    """Stories of the same five learners in experiments that settle early."""

    def open_early_vote(self, world: World, **changes: object) -> None:
        world.run(*_NAMES, settle_early=True, **{"proposers": 3, "rounds": 9, **changes})
        world.propose_all(*_PROPOSERS)

    def test_mean_settles_once_every_proposal_has_passed(self, world: World) -> None:
        self.open_early_vote(world)
        world.vote("dan")
        assert world.vote("eve")[1] == RoundClosed(
            world.id, 0, Outcome.ACCEPTED, 0b111, (2, 2, 2), 4
        )
        assert not world.round(0).by_deadline
        assert world.strikes(*_NAMES) == [0] * 5

    def test_undecided_proposal_keeps_the_vote_open(self, world: World) -> None:
        self.open_early_vote(world)
        world.vote("dan", (0, 1))
        world.vote("eve", (0, 1))
        world.vote("ana", (1,))
        assert world.round().phase == Phase.VOTING  # two ballots could still accept slot 2
        assert world.vote("bob", (0,))[1] == RoundClosed(
            world.id, 0, Outcome.ACCEPTED, 0b011, (3, 3, 0), 4
        )

    def test_vote_settles_once_no_proposal_can_pass(self, world: World) -> None:
        self.open_early_vote(world)
        for name in ("dan", "eve", "ana"):
            assert len(world.vote(name, False)) == 1
        assert world.vote("bob", False)[1] == RoundClosed(
            world.id, 0, Outcome.REJECTED, 0, (0, 0, 0), 4
        )

    def test_best_stays_open_while_several_have_passed(self, world: World) -> None:
        self.open_early_vote(world, merge=Merge.BEST)
        world.vote("dan")
        world.vote("eve")
        world.vote("ana", (1,))
        world.vote("bob", False)
        assert world.round().phase == Phase.VOTING
        assert world.vote("cy", False)[1] == RoundClosed(
            world.id, 0, Outcome.ACCEPTED, 0b010, (2, 3, 2), 4
        )

    def test_best_settles_once_one_has_passed_and_no_other_can(self, world: World) -> None:
        self.open_early_vote(world, merge=Merge.BEST)
        world.vote("dan", (0,))
        world.vote("eve", (0,))
        world.vote("ana", False)
        assert world.round().phase == Phase.VOTING
        assert world.vote("bob", False)[1] == RoundClosed(
            world.id, 0, Outcome.ACCEPTED, 0b001, (2, 0, 0), 4
        )

    def test_best_with_one_proposal_settles_as_mean_does(self, world: World) -> None:
        world.run(*_NAMES, settle_early=True, merge=Merge.BEST, proposers=2)
        world.propose("bob")
        world.decline("ana")
        world.vote("dan")
        assert world.vote("eve")[1] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 0b10, (0, 2), 4)

    def test_secret_vote_settles_by_its_unrevealed_commitments(self, world: World) -> None:
        self.open_early_vote(world, reveal_window=world.window)
        for name in ("ana", "bob", "dan"):
            world.commit(name, (2,))
        world.end_phase()
        world.reveal("ana", (2,))
        assert world.round().phase == Phase.REVEALING
        # Slot 2 has passed; only one ballot is left for the others, and they need two.
        assert world.reveal("dan", (2,))[1] == RoundClosed(
            world.id, 0, Outcome.ACCEPTED, 0b100, (0, 0, 2), 4
        )

    def test_secret_vote_with_too_few_commitments_is_not_revealed(self, world: World) -> None:
        self.open_early_vote(world, reveal_window=world.window)
        world.commit("ana")
        assert world.end_phase()[0] == RoundClosed(world.id, 0, Outcome.REJECTED, 0, (0, 0, 0), 4)
        assert (world.round(0).by_deadline, world.round(0).reveal_started_at) == (True, None)
        assert world.strikes(*_NAMES) == [1] * 5
